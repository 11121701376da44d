package judge

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"waxseal/test/identities"
)

// VerifySMIME lets openssl verify a signed message, multipart/signed or opaque,
// down to the trust anchor, checks that the signer's certificate has the
// address, and returns the signed entity.
func VerifySMIME(t testing.TB, s *identities.Set, message []byte, signer string) ([]byte, error) {
	t.Helper()
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	certificate := []string{"-CAfile", s.CA, "-purpose", "smimesign", "-signer", file("signer.pem"), "-out", file("out")}
	write(t, file("message"), message)
	if mediaType, _ := Cut(message).MediaType(); mediaType == "multipart/signed" {
		entity, signature, err := signed(message, "application/pkcs7-signature")
		if err != nil {
			return nil, err
		}
		der, err := decodeBase64(signature)
		if err != nil {
			return nil, err
		}
		write(t, file("entity"), entity)
		write(t, file("signature"), der)
		if err := openssl(append([]string{"cms", "-verify", "-inform", "DER", "-in", file("signature"), "-content", file("entity"), "-binary"}, certificate...)...); err != nil {
			return nil, err
		}
		if out := read(t, file("out")); !bytes.Equal(out, entity) {
			return nil, fmt.Errorf("openssl verified %q, not the first part %q", out, entity)
		}
	}
	// And as a mail program does it, which has the message only.
	if err := openssl(append([]string{"cms", "-verify", "-inform", "SMIME", "-in", file("message")}, certificate...)...); err != nil {
		return nil, err
	}
	emails, err := exec.Command("openssl", "x509", "-noout", "-email", "-in", file("signer.pem")).Output()
	if err != nil {
		return nil, fmt.Errorf("read the signer's certificate: %w", err)
	}
	if got := strings.Fields(string(emails)); len(got) != 1 || !strings.EqualFold(got[0], signer) {
		return nil, fmt.Errorf("the signer is %s, not %s", got, signer)
	}
	return read(t, file("out")), nil
}

// SignedParts returns the first part of a multipart/signed message and the
// SignedData in the second.
func SignedParts(message []byte) (content, data []byte, err error) {
	content, signature, err := signed(message, "application/pkcs7-signature")
	if err != nil {
		return nil, nil, err
	}
	data, err = decodeBase64(signature)
	return content, data, err
}

// DecryptSMIME lets openssl decrypt a message with somebody's key and returns
// the entity inside. The cipher, "aes-256-cbc" or "aes-256-gcm", must be that of
// the message.
func DecryptSMIME(t testing.TB, s *identities.Set, message []byte, reader, cipher string) ([]byte, error) {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "message"), message)
	out := filepath.Join(dir, "out")
	err := openssl("cms", "-decrypt", "-inform", "SMIME", "-in", filepath.Join(dir, "message"),
		"-recip", s.Certificate(reader), "-inkey", s.Key(reader), "-out", out)
	if err != nil {
		return nil, fmt.Errorf("%s can't read it: %w", reader, err)
	}
	structure, err := exec.Command("openssl", "cms", "-cmsout", "-print", "-noout", "-inform", "SMIME", "-in", filepath.Join(dir, "message")).Output()
	if err != nil {
		return nil, fmt.Errorf("openssl cms -cmsout: %w", err)
	}
	if !strings.Contains(string(structure), "algorithm: "+cipher) {
		return nil, fmt.Errorf("the message is not encrypted with %s:\n%.2000s", cipher, structure)
	}
	return read(t, out), nil
}

func openssl(args ...string) error {
	if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("openssl %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

func decodeBase64(m Message) ([]byte, error) {
	if cte := m.Value("Content-Transfer-Encoding"); !strings.EqualFold(cte, "base64") {
		return nil, fmt.Errorf("the signature's transfer encoding is %q", cte)
	}
	return base64.StdEncoding.DecodeString(strings.NewReplacer("\r", "", "\n", "").Replace(string(m.Body)))
}

func write(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
