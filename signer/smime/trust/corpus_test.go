package trust

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// corpusDir is a folder of the mail corpus: below the one that WAXSEAL_CORPUS
// names, else shared/corpus beside the module.
func corpusDir(t testing.TB, name string) string {
	t.Helper()
	root := os.Getenv("WAXSEAL_CORPUS")
	if root == "" {
		root = filepath.Join("..", "..", "..", "..", "shared", "corpus")
	}
	dir := filepath.Join(root, name)
	if _, err := os.Stat(dir); err != nil {
		t.Fatalf("no mail corpus: set WAXSEAL_CORPUS to its folder: %v", err)
	}
	return dir
}

func mustRead(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func mustCertificate(t testing.TB, der []byte) *x509.Certificate {
	t.Helper()
	x, err := ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func mustPool(t testing.TB, certs ...*x509.Certificate) *Pool {
	t.Helper()
	p, err := NewPool(certs...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// mailCertificates takes the certificates out of the signature of a signed
// mail: the signer's, and the others.
func mailCertificates(t testing.TB, mail []byte) (leaf *x509.Certificate, others []*x509.Certificate) {
	t.Helper()
	mail = bytes.ReplaceAll(mail, []byte("\r\n"), []byte("\n"))
	_, part, _ := bytes.Cut(mail, []byte("\nContent-Type: application/pkcs7-signature"))
	_, text, _ := bytes.Cut(part, []byte("\n\n"))
	text, _, _ = bytes.Cut(text, []byte("\n--"))
	der, err := base64.StdEncoding.DecodeString(string(bytes.ReplaceAll(text, []byte("\n"), nil)))
	if err != nil {
		t.Fatal(err)
	}
	input := cryptobyte.String(der)
	tag0 := casn1.Tag(0).ContextSpecific().Constructed()
	var info, content, signed, certs, signers, one, id, issuer, serial cryptobyte.String
	var hasCerts bool
	if !input.ReadASN1(&info, casn1.SEQUENCE) || !info.SkipASN1(casn1.OBJECT_IDENTIFIER) ||
		!info.ReadASN1(&content, tag0) || !content.ReadASN1(&signed, casn1.SEQUENCE) ||
		!signed.SkipASN1(casn1.INTEGER) || !signed.SkipASN1(casn1.SET) || !signed.SkipASN1(casn1.SEQUENCE) ||
		!signed.ReadOptionalASN1(&certs, &hasCerts, tag0) ||
		!signed.SkipOptionalASN1(casn1.Tag(1).ContextSpecific().Constructed()) ||
		!signed.ReadASN1(&signers, casn1.SET) || !signers.ReadASN1(&one, casn1.SEQUENCE) ||
		!one.SkipASN1(casn1.INTEGER) || !one.ReadASN1(&id, casn1.SEQUENCE) ||
		!id.ReadASN1Element(&issuer, casn1.SEQUENCE) || !id.ReadASN1(&serial, casn1.INTEGER) {
		t.Fatal("malformed signature")
	}
	for !certs.Empty() {
		var raw cryptobyte.String
		if !certs.ReadASN1Element(&raw, casn1.SEQUENCE) {
			t.Fatal("malformed certificates")
		}
		x := mustCertificate(t, raw)
		c, err := readCertificate(x)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(c.rawIssuer, issuer) && bytes.Equal(c.serial, serial) {
			leaf = x
		} else {
			others = append(others, x)
		}
	}
	if leaf == nil {
		t.Fatal("the signer's certificate is missing")
	}
	return leaf, others
}
