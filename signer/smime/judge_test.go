package smime

import (
	"bytes"
	"encoding/base64"
	"os/exec"
	"strings"
	"testing"

	"waxseal/signer"
)

// openssl runs OpenSSL, the judge of what we write, and returns its standard
// output and error.
func openssl(t testing.TB, stdin []byte, args ...string) (stdout []byte, stderr string, err error) {
	t.Helper()
	path, lookErr := exec.LookPath("openssl")
	if lookErr != nil {
		t.Fatal("openssl is missing: apt-get install openssl")
	}
	cmd := exec.Command(path, args...)
	var out, msg bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &msg
	err = cmd.Run()
	return out.Bytes(), msg.String(), err
}

// mustOpenSSL is openssl for commands that have to succeed.
func mustOpenSSL(t testing.TB, stdin []byte, args ...string) []byte {
	t.Helper()
	out, msg, err := openssl(t, stdin, args...)
	if err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, msg)
	}
	return out
}

// opensslVerify verifies an S/MIME entity with its chain and returns the content.
// There is no -binary: it makes OpenSSL read multipart/signed in a way of its own.
func opensslVerify(t testing.TB, entity []byte) []byte {
	t.Helper()
	return mustOpenSSL(t, entity, "cms", "-verify", "-purpose", "smimesign", "-CAfile", rootFile(t))
}

// opensslDecrypt decrypts an S/MIME entity and returns the content.
func opensslDecrypt(t testing.TB, entity []byte, id *identity) []byte {
	t.Helper()
	cert, key := id.files(t)
	return mustOpenSSL(t, entity, "cms", "-decrypt", "-binary", "-recip", cert, "-inkey", key)
}

// entityOf splits a message text into an entity.
func entityOf(text string) *signer.Entity {
	head, body, _ := strings.Cut(text, "\r\n\r\n")
	var header signer.Header
	for _, line := range strings.Split(head, "\r\n") {
		if line == "" {
			continue
		}
		if line[0] == ' ' || line[0] == '\t' {
			last := &header[len(header)-1]
			last.Raw = append(last.Raw, line+"\r\n"...)
			continue
		}
		name, _, _ := strings.Cut(line, ":")
		header = append(header, signer.Field{Name: name, Raw: []byte(line + "\r\n")})
	}
	return &signer.Entity{Header: header, Body: signer.NewContent([]byte(body))}
}

// written returns what a content writes and checks that Size foretold it.
func written(t testing.TB, c signer.Content) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := c.WriteTo(&b)
	if err != nil {
		t.Fatal(err)
	}
	if n != int64(b.Len()) || c.Size() != n {
		t.Fatalf("WriteTo says %d bytes, Size %d, and %d were written", n, c.Size(), b.Len())
	}
	return b.Bytes()
}

// encrypted returns the entity that Encrypt makes.
func encrypted(t testing.TB, e *signer.Entity, c Cipher, to ...*identity) *signer.Entity {
	t.Helper()
	var b bytes.Buffer
	header, err := Encrypt(&b, e, certsOf(to), EncryptOptions{Cipher: c})
	if err != nil {
		t.Fatal(err)
	}
	return &signer.Entity{Header: header, Body: signer.NewContent(b.Bytes())}
}

// printed is OpenSSL's text of a CMS structure, with single spaces.
func printed(t testing.TB, der []byte) string {
	t.Helper()
	text := mustOpenSSL(t, der, "cms", "-cmsout", "-print", "-inform", "DER", "-noout")
	return strings.Join(strings.Fields(string(text)), " ")
}

// signedDataOf takes the DER out of a signed entity of either mode.
func signedDataOf(t testing.TB, signed *signer.Entity) []byte {
	t.Helper()
	body := written(t, signed.Body)
	if strings.HasPrefix(signed.Header.Get("Content-Type"), "multipart/signed;") {
		return signaturePart(t, body)
	}
	return unbase64(t, body)
}

func unbase64(t testing.TB, text []byte) []byte {
	t.Helper()
	der, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(text), "\r\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// signaturePart takes the SignedData out of a multipart/signed body.
func signaturePart(t testing.TB, body []byte) []byte {
	t.Helper()
	_, part, ok := bytes.Cut(body, []byte("Content-Type: application/pkcs7-signature"))
	if !ok {
		t.Fatal("no signature part")
	}
	_, part, _ = bytes.Cut(part, []byte("\r\n\r\n"))
	text, _, ok := bytes.Cut(part, []byte("--"))
	if !ok {
		t.Fatal("the signature part does not end")
	}
	return unbase64(t, text)
}

// checkLines checks what a mail program may rely on in the form of an entity:
// CRLF, lines of at most 78 characters in the header and 76 in base64, US-ASCII.
func checkLines(t testing.TB, text []byte) {
	t.Helper()
	if !bytes.HasSuffix(text, []byte("\r\n")) {
		t.Error("the entity does not end with a line end")
	}
	for _, line := range bytes.Split(text, []byte("\r\n")) {
		if len(line) > 78 {
			t.Errorf("a line has %d characters: %.100q", len(line), line)
		}
		if bytes.ContainsAny(line, "\r\n") {
			t.Errorf("bare CR or LF in %q", line)
		}
		for _, c := range line {
			if c >= 0x80 {
				t.Errorf("not US-ASCII: %q", line)
				break
			}
		}
	}
}
