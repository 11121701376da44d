package pgpmime

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"waxseal/signer"
)

// crlf is a text as mail has it.
func crlf(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n")
}

func TestVerifyClearsigned(t *testing.T) {
	g := gpg(t)
	held := []*Certificate{g.recipient(t, "edda@example.com"), g.recipient(t, "rosa@example.com")}
	for text, want := range map[string]string{
		"Hello\n":                          "Hello",
		"Hello":                            "Hello",
		"":                                 "",
		"\n":                               "",
		"Hello  \t\n\nWorld\n\n":           "Hello\r\n\r\nWorld\r\n",
		"- a\n-- b\n-----BEGIN PGP x\n-\n": "- a\r\n-- b\r\n-----BEGIN PGP x\r\n-",
		"From here\n":                      "From here",
		"Grüße\n":                          "Grüße",
		strings.Repeat("All work and no play.\n", 9999): strings.TrimSuffix(strings.Repeat("All work and no play.\r\n", 9999), "\r\n"),
	} {
		for _, args := range [][]string{{"-u", "edda@example.com"}, {"-u", "rosa@example.com", "-u", "edda@example.com", "--digest-algo", "SHA512"}} {
			message := string(g.encryptWithGPG(t, text, append(args, "--clearsign")...))
			for _, message := range []string{message, crlf(message), strings.ReplaceAll(message, "\n", " \n"), "\r\n \r\n" + message + "\r\n\t\r\n"} {
				var got bytes.Buffer
				found, err := VerifyClearsigned(&got, strings.NewReader(message), held, VerifyOptions{Time: day()})
				if err != nil {
					t.Fatalf("%.50q: %v", text, err)
				}
				if got.String() != want || !found.Alone {
					t.Errorf("%.50q: covers %.100q, alone %v", text, got.String(), found.Alone)
				}
				if len(found.Signatures) != len(args)/2-len(args)/6 {
					t.Errorf("%d signatures", len(found.Signatures))
				}
				for _, v := range found.Signatures {
					if verdicts(v) != "pass pass pass none pass" {
						t.Errorf("%.50q: %+v", text, v)
					}
				}
			}
		}
	}
}

// What is around a signed text is not signed.
func TestVerifyClearsignedAround(t *testing.T) {
	g := gpg(t)
	held := []*Certificate{g.recipient(t, "edda@example.com")}
	message := string(g.encryptWithGPG(t, "Hello\n", "-u", "edda@example.com", "--clearsign"))
	for what, text := range map[string]string{
		"before": "Send me money.\n" + message,
		"behind": message + "\nSend me money.\n",
		"twice":  message + message,
	} {
		var got bytes.Buffer
		found, err := VerifyClearsigned(&got, strings.NewReader(text), held, VerifyOptions{Time: day()})
		if err != nil {
			t.Fatal(err)
		}
		if found.Alone || got.String() != "Hello" || text[found.Block.Start:found.Block.End] != message || verdicts(found.Signatures[0]) != "pass pass pass none pass" {
			t.Errorf("%s: %+v %q", what, found, got.String())
		}
		inline, err := FindInline(strings.NewReader(text))
		if err != nil || inline == nil || inline.Alone || inline.Kind != "SIGNED MESSAGE" || inline.Block != found.Block {
			t.Errorf("%s: %+v, %v", what, inline, err)
		}
	}
}

func TestVerifyClearsignedBroken(t *testing.T) {
	g := gpg(t)
	held := []*Certificate{g.recipient(t, "edda@example.com")}
	message := string(g.encryptWithGPG(t, "Hello\n", "-u", "edda@example.com", "--clearsign"))
	header, rest, _ := strings.Cut(message, "\n\n")
	for what, test := range map[string]struct {
		text string
		want string // a verdict of integrity, or words of an error
	}{
		"good":                {message, "pass"},
		"changed":             {strings.Replace(message, "Hello", "hello", 1), "fail"},
		"line more":           {strings.Replace(message, "Hello", "Hello\n", 1), "fail"},
		"line first":          {header + "\n\n\n" + rest, "fail"},
		"no hash header":      {cleartextBegin + "\n\n" + rest, "pass"},
		"another hash header": {cleartextBegin + "\nHash: SHA1, MD5\n\n" + rest, "pass"},
		"text as a header":    {cleartextBegin + "\nHash: SHA512\nSend me money\n\n" + rest, "header that is not allowed"},
		"comment":             {cleartextBegin + "\nComment: Send me money\n\n" + rest, "header that is not allowed"},
		"text in hash":        {cleartextBegin + "\nHash: Send me money\n\n" + rest, "header that is not allowed"},
		"no empty line":       {header + "\n" + rest, "header that is not allowed"},
		"no escape":           {header + "\n\n--\n" + rest, "begins with a dash"},
		"begins again":        {header + "\n\n" + message, "begins with a dash"},
		"no signature":        {header + "\n\nHello\n", "without a signature"},
		"signature cut":       {strings.Replace(message, "-----END PGP", "", 1), "has no end"},
		"signature broken":    {strings.Replace(message, "SIGNATURE-----\n\n", "SIGNATURE-----\n\n!!", 1), "permerror"},
		"a text":              {"Hello\n", "no clear-signed text"},
		"header only":         {header + "\n", "without a text"},
		"nothing":             {"", "no clear-signed text"},
		"long line":           {header + "\n\n" + strings.Repeat("a", maxCleartextLine+1) + "\n" + rest, "too long"},
		"many headers":        {cleartextBegin + strings.Repeat("\nHash: SHA512", 100) + "\n\n" + rest, "too many headers"},
	} {
		var got bytes.Buffer
		found, err := VerifyClearsigned(&got, strings.NewReader(test.text), held, VerifyOptions{Time: day()})
		if err != nil {
			if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: %v", what, err)
			}
			continue
		}
		if string(found.Signatures[0].Integrity.Verdict) != test.want {
			t.Errorf("%s: %+v", what, found.Signatures[0])
		}
	}
	large := strings.Repeat("a\n", 10000)
	_, err := VerifyClearsigned(&bytes.Buffer{}, strings.NewReader(header+"\n\n"+large+rest), held, VerifyOptions{MaxSize: 5000})
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v", err)
	}
	// Every other byte of it, one bit: never a good signature over another text.
	for i := range message {
		bad := []byte(message)
		bad[i] ^= 1
		var got bytes.Buffer
		found, err := VerifyClearsigned(&got, bytes.NewReader(bad), held, VerifyOptions{Time: day()})
		if err == nil && got.String() != "Hello" && slices.ContainsFunc(found.Signatures, func(v signer.Verification) bool { return v.Integrity.Verdict == signer.Pass }) {
			t.Errorf("byte %d: a good signature over %q", i, got.String())
		}
	}
}

func TestFindInline(t *testing.T) {
	g := gpg(t)
	edda := g.key(t, "edda@example.com")
	message := string(g.encryptWithGPG(t, "Hello\n", "--armor", "-r", "edda@example.com", "--encrypt"))
	for what, test := range map[string]struct {
		text  string
		found bool
		alone bool
	}{
		"alone":       {message, true, true},
		"crlf":        {crlf(message), true, true},
		"space":       {"\n\n" + message + "\n  \n", true, true},
		"before":      {"Hello,\n" + message, true, false},
		"behind":      {message + "-- \nme\n", true, false},
		"quoted":      {"> " + strings.ReplaceAll(message, "\n", "\n> "), false, false},
		"no end":      {strings.Replace(message, "-----END", "", 1), false, false},
		"text":        {"Hello\n", false, false},
		"nothing":     {"", false, false},
		"a key":       {string(g.certificate(t, "edda@example.com")), false, false},
		"in the line": {"see -----BEGIN PGP MESSAGE-----\n\n", false, false},
		"long after":  {message + strings.Repeat("a", maxCleartextLine+1), true, false},
		"long before": {strings.Repeat("a", maxCleartextLine+1) + "\n" + message, false, false},
	} {
		found, err := FindInline(strings.NewReader(test.text))
		if err != nil || (found != nil) != test.found {
			t.Errorf("%s: %+v, %v", what, found, err)
			continue
		}
		if found == nil {
			continue
		}
		if found.Kind != "MESSAGE" || found.Alone != test.alone {
			t.Errorf("%s: %+v", what, found)
		}
		block := test.text[found.Block.Start:found.Block.End]
		if text, _ := decrypted(t, []byte(block), []*Key{edda}, DecryptOptions{}); string(text) != "Hello\n" {
			t.Errorf("%s: %q", what, text)
		}
	}
}
