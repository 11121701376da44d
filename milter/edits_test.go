package milter

import (
	"strings"
	"testing"
)

func TestEncodeEdits(t *testing.T) {
	long := strings.Repeat("x", 990)
	for _, test := range []struct {
		name         string
		edit         Edit
		plain, space string // the packet's data after the length, without and with leading space
		err          string
	}{
		{"insert", Edit{Kind: Insert, Name: "A", Value: "b"}, "i\x00\x00\x00\x00A\x00b\x00", "i\x00\x00\x00\x00A\x00 b\x00", ""},
		{"folded", Edit{Kind: Insert, Name: "A", Value: "b\r\n c\r\n\td"}, "i\x00\x00\x00\x00A\x00b\n c\n\td\x00", "i\x00\x00\x00\x00A\x00 b\n c\n\td\x00", ""},
		{"folded at once", Edit{Kind: Insert, Name: "A", Value: "\r\n b"}, "i\x00\x00\x00\x00A\x00\n b\x00", "i\x00\x00\x00\x00A\x00\n b\x00", ""},
		{"change", Edit{Kind: Change, Name: "A", Index: 258, Value: "b"}, "m\x00\x00\x01\x02A\x00b\x00", "m\x00\x00\x01\x02A\x00 b\x00", ""},
		{"change to nothing is no deletion", Edit{Kind: Change, Name: "A", Index: 1}, "m\x00\x00\x00\x01A\x00 \x00", "m\x00\x00\x00\x01A\x00 \x00", ""},
		{"delete", Edit{Kind: Delete, Name: "A", Index: 1, Value: "ignored"}, "m\x00\x00\x00\x01A\x00\x00", "m\x00\x00\x00\x01A\x00\x00", ""},
		{"CR and NUL", Edit{Kind: Insert, Name: "A", Value: "b\rX: y\x00z\r\n"}, "i\x00\x00\x00\x00A\x00bX: yz\x00", "i\x00\x00\x00\x00A\x00 bX: yz\x00", ""},
		{"8 bits", Edit{Kind: Insert, Name: "A", Value: "\xfc"}, "i\x00\x00\x00\x00A\x00\xfc\x00", "i\x00\x00\x00\x00A\x00 \xfc\x00", ""},
		{"second field in the value", Edit{Kind: Insert, Name: "A", Value: "b\r\nX: y"}, "", "", "no fold"},
		{"second field by LF", Edit{Kind: Insert, Name: "A", Value: "b\nX: y"}, "", "", "no fold"},
		{"end of header in the value", Edit{Kind: Insert, Name: "A", Value: "b\r\n\r\nbody"}, "", "", "no fold"},
		{"longest line", Edit{Kind: Insert, Name: "ABCDEF", Value: long}, "i\x00\x00\x00\x00ABCDEF\x00" + long + "\x00", "i\x00\x00\x00\x00ABCDEF\x00 " + long + "\x00", ""},
		{"line too long", Edit{Kind: Insert, Name: "ABCDEFG", Value: long}, "", "", "fold it"},
		{"second line too long", Edit{Kind: Insert, Name: "A", Value: "b\r\n " + strings.Repeat("x", 998)}, "", "", "fold it"},
		{"no name", Edit{Kind: Insert, Value: "b"}, "", "", "not a field name"},
		{"colon in the name", Edit{Kind: Insert, Name: "A:", Value: "b"}, "", "", "not a field name"},
		{"line end in the name", Edit{Kind: Insert, Name: "A\r\nB", Value: "b"}, "", "", "not a field name"},
		{"NUL in the name", Edit{Kind: Insert, Name: "A\x00B", Value: "b"}, "", "", "not a field name"},
		{"index 0", Edit{Kind: Delete, Name: "A"}, "", "", "below 1"},
		{"no such kind", Edit{Kind: 7, Name: "A", Index: 1}, "", "", "kind 7"},
	} {
		for _, leadingSpace := range []bool{false, true} {
			want := test.plain
			if leadingSpace {
				want = test.space
			}
			got, err := encodeEdits([]Edit{{Kind: Delete, Name: "First", Index: 1}, test.edit}, leadingSpace)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) || got != nil {
					t.Errorf("%s: got %q, %v", test.name, got, err)
				}
				continue
			}
			first := appendPacket(nil, 'm', []byte("\x00\x00\x00\x01First\x00\x00"))
			if string(got) != string(first)+string(uint32Bytes(len(want)))+want || err != nil {
				t.Errorf("%s: got %q, %v", test.name, got, err)
			}
		}
	}
}

func TestEncodeReply(t *testing.T) {
	words := strings.TrimSpace(strings.Repeat("word ", 300))
	for _, test := range []struct {
		name  string
		reply Reply
		class byte
		want  string
	}{
		{"one line", Reply{550, "5.7.1", "no"}, '5', "550 5.7.1 no"},
		{"two lines", Reply{451, "4.7.5", "no\nkey\n"}, '4', "451-4.7.5 no\r\n451 4.7.5 key"},
		{"CRLF", Reply{550, "5.7.1", "no\r\nkey"}, '5', "550-5.7.1 no\r\n550 5.7.1 key"},
		{"per cent", Reply{550, "5.7.1", "100% %n"}, '5', "550 5.7.1 100%% %%n"},
		{"not ASCII", Reply{550, "5.7.1", "gr\u00fc\u00df\xff \x07x\x00"}, '5', "550 5.7.1 gr???  x"},
		{"no text", Reply{550, "5.7.1", ""}, '5', "550 5.7.1 "},
		{"nothing", Reply{}, '4', "451 4.3.0 "},
		{"other class", Reply{250, "2.0.0", "ok"}, '5', "550 5.7.1 ok"},
		{"other class of the enhanced status", Reply{552, "4.3.4", "ok"}, '5', "552 5.7.1 ok"},
		{"end of session", Reply{421, "4.3.0", "x"}, '4', "451 4.3.0 x"},
		{"bad enhanced status", Reply{550, "5.7\r\n250 ok", "x"}, '5', "550 5.7.1 x"},
		{"long line", Reply{550, "5.7.1", words}, '5', ""},
		{"long word", Reply{550, "5.7.1", strings.Repeat("x", 3000)}, '5', ""},
		{"many lines", Reply{550, "5.7.1", strings.Repeat("x\n", 100)}, '5', ""},
	} {
		got := strings.TrimSuffix(string(encodeReply(test.reply, test.class)), "\x00")
		if test.want != "" && got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
		lines := strings.Split(got, "\r\n")
		if len(lines) > 16 {
			t.Errorf("%s: %d lines", test.name, len(lines))
		}
		for i, line := range lines {
			if len(line)+2 > 512 && !strings.Contains(line, "%%") {
				t.Errorf("%s: a line of %d octets", test.name, len(line)+2)
			}
			if separator := map[bool]byte{true: ' ', false: '-'}[i == len(lines)-1]; line[3] != separator {
				t.Errorf("%s: line %q", test.name, line)
			}
		}
		if test.name == "long line" {
			var text []string
			for _, line := range lines {
				text = append(text, line[len("550 5.7.1 "):])
			}
			if strings.Join(text, " ") != words {
				t.Errorf("%s: got %q", test.name, text)
			}
		}
	}
}

func FuzzEncodeReply(f *testing.F) {
	f.Add(550, "5.7.1", "no key for a@b.example\nask the postmaster")
	f.Add(0, "", "%\r\n\x00")
	f.Fuzz(func(t *testing.T, code int, enhanced, text string) {
		for _, class := range []byte("45") {
			got := encodeReply(Reply{code, enhanced, text}, class)
			lines := strings.Split(strings.TrimSuffix(string(got), "\x00"), "\r\n")
			for _, line := range lines {
				plain := strings.ReplaceAll(line, "%%", "")
				if line[0] != class || len(strings.ReplaceAll(line, "%%", "%"))+2 > 512 || strings.ContainsAny(plain, "%\r\n\x00") {
					t.Errorf("got %q", got)
				}
			}
			if len(lines) > 16 {
				t.Errorf("%d lines", len(lines))
			}
		}
	})
}
