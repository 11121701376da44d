package signer

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

// ber builds a value with a definite length.
func ber(tag byte, parts ...string) string {
	content := strings.Join(parts, "")
	n := len(content)
	switch {
	case n < 0x80:
		return string([]byte{tag, byte(n)}) + content
	case n < 0x100:
		return string([]byte{tag, 0x81, byte(n)}) + content
	}
	return string([]byte{tag, 0x84, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + content
}

// berOpen builds a value with an indefinite length.
func berOpen(tag byte, parts ...string) string {
	return string([]byte{tag, 0x80}) + strings.Join(parts, "") + "\x00\x00"
}

var (
	cmsPrefix    = "\x2a\x86\x48\x86\xf7\x0d\x01"
	oidEnveloped = ber(6, cmsPrefix, "\x07\x03")
	oidSigned    = ber(6, cmsPrefix, "\x07\x02")
	oidData      = ber(6, cmsPrefix, "\x07\x01")
	oidAuth      = ber(6, cmsPrefix, "\x09\x10\x01\x17")
	oidAES256CBC = ber(6, "\x60\x86\x48\x01\x65\x03\x04\x01\x2a")
	oidAES256GCM = ber(6, "\x60\x86\x48\x01\x65\x03\x04\x01\x2e")

	aesCBC    = ber(0x30, oidAES256CBC, ber(4, strings.Repeat("i", 16)))
	aesGCM    = ber(0x30, oidAES256GCM, ber(0x30, ber(4, strings.Repeat("i", 12))))
	rsaAlg    = ber(0x30, ber(6, cmsPrefix, "\x01\x01"), ber(5))
	issuer    = ber(0x30, ber(0x30), ber(2, "\x01"))
	version   = ber(2, "\x00")
	recipient = ber(0x30, version, issuer, rsaAlg, ber(4, strings.Repeat("k", 256)))
	cipher    = strings.Repeat("0123456789abcdef", 8)
	aSigner   = ber(0x30, version, issuer, rsaAlg, ber(0xa0, ber(0x30)), rsaAlg, ber(4, strings.Repeat("s", 256)), ber(0xa1, ber(0x30)))
)

func contentInfo(oid string, content ...string) string {
	return ber(0x30, oid, ber(0xa0, ber(0x30, content...)))
}

// envelope builds an EnvelopedData of recipients and an encrypted content.
func envelope(recipients, content string) string {
	return contentInfo(oidEnveloped, version, ber(0x31, recipients), content)
}

func encryptedInfo(content string) string { return ber(0x30, oidData, aesCBC, content) }

// inspectCMS inspects a message that is that structure.
func inspectCMS(t testing.TB, der string) Protection {
	t.Helper()
	m := parseMessage(t, onePart("application/pkcs7-mime", "binary", ""))
	m.Body = strings.NewReader(der)
	p, err := Inspect(m)
	if err != nil {
		t.Fatal(err)
	}
	return *p
}

func TestInspectEnveloped(t *testing.T) {
	good := encryptedInfo(ber(0x80, cipher))
	nested := func(depth int) string {
		s := ber(5)
		for range depth {
			s = ber(0x30, s)
		}
		return ber(0xa1, s)
	}
	for name, der := range map[string]string{
		"definite":                   envelope(recipient, good),
		"indefinite":                 berOpen(0x30, oidEnveloped, berOpen(0xa0, berOpen(0x30, version, ber(0x31, recipient), berOpen(0x30, oidData, aesCBC, berOpen(0xa0, ber(4, cipher), ber(4, ""), ber(4, cipher)))))),
		"indefinite within definite": ber(0x30, oidEnveloped, ber(0xa0, berOpen(0x30, version, berOpen(0x31, recipient), good))),
		"pieces in pieces":           envelope(recipient, encryptedInfo(berOpen(0xa0, berOpen(0x24, ber(4, cipher))))),
		"originator":                 contentInfo(oidEnveloped, version, ber(0xa0), ber(0x31, recipient), good),
		"attributes":                 contentInfo(oidEnveloped, version, ber(0x31, recipient), good, ber(0xa1, ber(0x30))),
		"key identifier":             envelope(ber(0x30, version, ber(0x80, "id"), rsaAlg, ber(4, "k")), good),
		"key agreement":              envelope(ber(0xa1, version, ber(0xa0, issuer), rsaAlg, ber(0x30, ber(0x30, issuer, ber(4, "k")))), good),
		"deep":                       contentInfo(oidEnveloped, version, ber(0x31, recipient), good, nested(28)),
		"auth":                       contentInfo(oidAuth, version, ber(0x31, recipient), ber(0x30, oidData, aesGCM, ber(0x80, "x")), ber(4, strings.Repeat("m", 16))),
		"auth with attributes":       contentInfo(oidAuth, version, ber(0x31, recipient), ber(0x30, oidData, aesGCM, ber(0x80, "x")), ber(0xa1, ber(0x30)), ber(4, "m"), ber(0xa2, ber(0x30))),
	} {
		if got := inspectCMS(t, der); !got.Encrypted || got.Signed {
			t.Errorf("%s: %+v, want encrypted", name, got)
		}
		for n := range der {
			if got := inspectCMS(t, der[:n]); got.Encrypted {
				t.Errorf("%s: encrypted without its last %d bytes", name, len(der)-n)
			}
		}
		for _, more := range []string{"\x00", "\n", "\x00\x00", "Hello", der} {
			if got := inspectCMS(t, der+more); got.Encrypted {
				t.Errorf("%s: encrypted with %q after it", name, more)
			}
		}
	}
	for name, der := range map[string]string{
		"nothing":                       "",
		"text":                          "Hello, this is no CMS",
		"no recipients":                 envelope("", good),
		"no recipient set":              contentInfo(oidEnveloped, version, good),
		"recipient without key":         envelope(ber(0x30, version, issuer, rsaAlg, ber(4)), good),
		"recipient of nothing":          envelope(ber(0x30), good),
		"recipient of unknown kind":     envelope(ber(0x04, "x"), good),
		"recipient with more":           envelope(ber(0x30, version, issuer, rsaAlg, ber(4, "k"), ber(4, "text")), good),
		"empty other recipient":         envelope(ber(0xa4), good),
		"no content":                    envelope(recipient, encryptedInfo("")),
		"empty content":                 envelope(recipient, encryptedInfo(ber(0x80))),
		"empty pieces":                  envelope(recipient, encryptedInfo(berOpen(0xa0, ber(4), ber(4)))),
		"content in half a block":       envelope(recipient, encryptedInfo(ber(0x80, cipher, "12345678"))),
		"content is another type":       envelope(recipient, encryptedInfo(ber(0x81, cipher))),
		"pieces of another type":        envelope(recipient, encryptedInfo(berOpen(0xa0, ber(0x0c, cipher)))),
		"cipher unknown":                envelope(recipient, ber(0x30, oidData, ber(0x30, oidData), ber(0x80, cipher))),
		"no cipher":                     envelope(recipient, ber(0x30, oidData, ber(0x30), ber(0x80, cipher))),
		"more in the encrypted content": envelope(recipient, ber(0x30, oidData, aesCBC, ber(0x80, cipher), ber(4, "text"))),
		"more after attributes":         contentInfo(oidEnveloped, version, ber(0x31, recipient), good, ber(0xa1), ber(4, "text")),
		"attributes twice":              contentInfo(oidEnveloped, version, ber(0x31, recipient), good, ber(0xa1), ber(0xa1)),
		"too much in attributes":        contentInfo(oidEnveloped, version, ber(0x31, recipient), good, ber(0xa1, ber(4, strings.Repeat("t", maxEnvelope)))),
		"too deep":                      contentInfo(oidEnveloped, version, ber(0x31, recipient), good, nested(29)),
		"no version":                    contentInfo(oidEnveloped, ber(0x31, recipient), good),
		"auth without mac":              contentInfo(oidAuth, version, ber(0x31, recipient), ber(0x30, oidData, aesGCM, ber(0x80, "x"))),
		"auth as enveloped":             contentInfo(oidEnveloped, version, ber(0x31, recipient), ber(0x30, oidData, aesGCM, ber(0x80, "x")), ber(4, "m")),
		"more after the content":        ber(0x30, oidEnveloped, ber(0xa0, ber(0x30, version, ber(0x31, recipient), good)), ber(4, "text")),
		"more beside the content":       ber(0x30, oidEnveloped, ber(0xa0, ber(0x30, version, ber(0x31, recipient), good), ber(4, "text"))),
		"inner value too long":          envelope(recipient, "\x30\x82\xff\xff"),
		"length of 8 bytes":             "\x30\x88\x00\x00\x00\x00\x00\x00\x00\x01\x00",
		"length of 7 bytes":             "\x30\x87\xff\xff\xff\xff\xff\xff\xff",
		"reserved length":               "\x30\xff",
		"primitive of unknown length":   envelope(recipient, ber(0x30, oidData, aesCBC, "\x80\x80"+cipher+"\x00\x00")),
		"end of contents in definite":   envelope(recipient+"\x00\x00", good),
		"large tag":                     envelope("\x3f\x81\x01\x00", good),
		"large object identifier":       ber(0x30, ber(6, strings.Repeat("\x2a", 65)), ber(0xa0, ber(5))),
		"empty object identifier":       ber(0x30, ber(6), ber(0xa0, ber(5))),
		"indefinite, outer one open":    "\x30\x80" + oidEnveloped + berOpen(0xa0, ber(0x30, version, ber(0x31, recipient), good)),
	} {
		if got := inspectCMS(t, der); got.Encrypted || got.Signed || got.Why == "" {
			t.Errorf("%s: %+v, want plain with a reason", name, got)
		}
	}
}

func TestInspectSignedData(t *testing.T) {
	content := ber(0x30, oidData, ber(0xa0, ber(4, "text")))
	for name, test := range map[string]struct {
		der    string
		opaque bool // as a message
		beside bool // as a detached signature
	}{
		"opaque":          {contentInfo(oidSigned, version, ber(0x31, rsaAlg), content, ber(0x31, aSigner)), true, false},
		"certificates":    {contentInfo(oidSigned, version, ber(0x31), content, ber(0xa0), ber(0xa1), ber(0x31, aSigner, aSigner)), true, false},
		"pieces":          {contentInfo(oidSigned, version, ber(0x31), ber(0x30, oidData, ber(0xa0, berOpen(0x24, ber(4, "a")))), ber(0x31, aSigner)), true, false},
		"detached":        {contentInfo(oidSigned, version, ber(0x31), ber(0x30, oidData), ber(0x31, aSigner)), false, true},
		"empty content":   {contentInfo(oidSigned, version, ber(0x31), ber(0x30, oidData, ber(0xa0, ber(4))), ber(0x31, aSigner)), false, false},
		"no signer":       {contentInfo(oidSigned, version, ber(0x31), content, ber(0x31)), false, false},
		"no signers":      {contentInfo(oidSigned, version, ber(0x31), content), false, false},
		"no signature":    {contentInfo(oidSigned, version, ber(0x31), content, ber(0x31, ber(0x30, version, issuer, rsaAlg, rsaAlg, ber(4)))), false, false},
		"signer of text":  {contentInfo(oidSigned, version, ber(0x31), content, ber(0x31, ber(4, "text"))), false, false},
		"crls first":      {contentInfo(oidSigned, version, ber(0x31), content, ber(0xa1), ber(0xa0), ber(0x31, aSigner)), false, false},
		"more":            {contentInfo(oidSigned, version, ber(0x31), content, ber(0x31, aSigner), ber(4, "x")), false, false},
		"content of text": {contentInfo(oidSigned, version, ber(0x31), ber(0x30, oidData, ber(0xa0, ber(0x0c, "text"))), ber(0x31, aSigner)), false, false},
		"two contents":    {contentInfo(oidSigned, version, ber(0x31), ber(0x30, oidData, ber(0xa0, ber(4, "a"), ber(4, "b"))), ber(0x31, aSigner)), false, false},
		"enveloped":       {envelope(recipient, encryptedInfo(ber(0x80, cipher))), false, false},
	} {
		if got := inspectCMS(t, test.der); got.Signed != test.opaque || test.opaque && got.Encrypted {
			t.Errorf("%s: %+v", name, got)
		}
		for n := range test.der {
			if got := inspectCMS(t, test.der[:n]); got.Signed || got.Encrypted {
				t.Errorf("%s: %+v without its last %d bytes", name, got, len(test.der)-n)
			}
		}
		detached := "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=s\n\n" +
			"--s\n\ntext\n--s\nContent-Type: application/pkcs7-signature\nContent-Transfer-Encoding: base64\n\n" +
			base64Of(test.der) + "\n--s--\n"
		if got := inspect(t, detached); got.Signed != test.beside || got.Encrypted {
			t.Errorf("%s, beside: %+v", name, got)
		}
	}
}

// Structures that are made to take long must not.
func TestInspectHostileBER(t *testing.T) {
	const n = 4 << 20
	for name, der := range map[string]string{
		"open for ever":       strings.Repeat("\x30\x80", n/2),
		"open in the content": ber(0x30, oidEnveloped, ber(0xa0, ber(0x30, version, ber(0x31, strings.Repeat("\xa1\x80", n/2))))),
		"empty recipients":    contentInfo(oidEnveloped, version, ber(0x31, strings.Repeat(ber(0xa1), n/2))),
		"empty pieces":        envelope(recipient, encryptedInfo(berOpen(0xa0, strings.Repeat(ber(4), n/2)))),
		"open and closed":     envelope(recipient, encryptedInfo(berOpen(0xa0, strings.Repeat(berOpen(0x24), n/4)))),
	} {
		if got := inspectCMS(t, der); got.Encrypted {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A line of text put anywhere into a message makes it plain. In the middle of
// base64 it is found by the lengths, so no text of letters only slips through.
func TestInspectTextAnywhere(t *testing.T) {
	der := envelope(recipient, encryptedInfo(ber(0x80, strings.Repeat(cipher, 8))))
	for name, body := range map[string]string{
		"application/pkcs7-mime": base64Of(der),
		"text/plain":             armored("MESSAGE", pgpMessage(nil)),
	} {
		encoding := map[string]string{"application/pkcs7-mime": "base64", "text/plain": "7bit"}[name]
		if got := inspect(t, onePart(name, encoding, body)); !got.Encrypted {
			t.Fatalf("%s: %+v", name, got)
		}
		lines := strings.SplitAfter(body, "\n")
		for i := range lines {
			for _, text := range []string{"The secret is 42.\n", "SECRETTEXTOF\n", "Secret", "=\n", "====\n", "\x00\n"} {
				changed := strings.Join(lines[:i], "") + text + strings.Join(lines[i:], "")
				if got := inspect(t, onePart(name, encoding, changed)); got.Encrypted {
					t.Errorf("%s: encrypted with %q before line %d", name, text, i)
				}
			}
		}
	}
}

// endingSource can't be read beyond byte 2000.
type endingSource struct{ *strings.Reader }

var errNoDisk = errors.New("no disk")

func (s endingSource) ReadAt(p []byte, off int64) (int, error) {
	if most := 2000 - off; most < int64(len(p)) {
		n, _ := s.Reader.ReadAt(p[:max(most, 0)], off)
		return n, errNoDisk
	}
	return s.Reader.ReadAt(p, off)
}

// An error of the source is no answer.
func TestInspectReportsReadErrors(t *testing.T) {
	long := strings.Repeat(cipher, 100)
	for _, message := range []string{
		onePart("application/pkcs7-mime", "base64", base64Of(envelope(recipient, encryptedInfo(ber(0x80, long))))),
		onePart("text/plain", "7bit", armored("MESSAGE", pgpMessage([]byte(long)))),
		encrypted(armored("MESSAGE", pgpMessage([]byte(long)))),
	} {
		m := parseMessage(t, message)
		text := make([]byte, m.Body.Size())
		if _, err := m.Body.ReadAt(text, 0); err != nil {
			t.Fatal(err)
		}
		m.Body = endingSource{strings.NewReader(string(text))}
		if p, err := Inspect(m); !errors.Is(err, errNoDisk) || p != nil {
			t.Errorf("%+v, %v", p, err)
		}
	}
}

func TestBase64Reader(t *testing.T) {
	for in, want := range map[string]bool{
		"": true, "AAAA": true, "AA==": true, "AAA=": true, " A\r\nA\tAA \n": true, "AAAA\n\n": true,
		"A": false, "AA": false, "AA=": false, "AB==": false, "AA==AAAA": false, "AA==\nAAAA": false, "====": false,
		"AA=A": false, "A===": false, "AAAA=": false, "AAAA==": false, "AAAA.": false, "AA-A": false, "AAAA\x00": false,
	} {
		for _, pad := range []int{0, 4092, 4096, 5000} { // so that it falls on both sides of a block's end
			long := strings.Repeat("AAAA", pad/4) + in
			if got := inspectReads(long); got != want {
				t.Errorf("%d characters and %q: %v", pad/4*4, in, got)
			}
		}
	}
	data := strings.Repeat("any data\x00\xff", 3000)
	var out strings.Builder
	r := newBase64Reader(strings.NewReader(base64Of(data)))
	buffer := make([]byte, 7)
	for {
		n, err := r.Read(buffer)
		out.Write(buffer[:n])
		if err != nil {
			break
		}
	}
	if out.String() != data {
		t.Error("decoded data differ")
	}
	if base64.StdEncoding.EncodeToString([]byte(data)) != strings.ReplaceAll(base64Of(data), "\n", "") {
		t.Error("the test's own base64 is wrong")
	}
}
