package smime_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"waxseal/signer/smime"
)

// TestBundle: openssl reads our bundles, and we read its.
func TestBundle(t *testing.T) {
	var certs []*x509.Certificate
	var text []byte
	for n := range 3 {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		c := &x509.Certificate{SerialNumber: big.NewInt(int64(n + 1)), Subject: pkix.Name{CommonName: string(rune('A' + n))}, NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		if c, err = x509.ParseCertificate(der); err != nil {
			t.Fatal(err)
		}
		certs = append(certs, c)
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	ours, err := smime.Bundle(certs)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("openssl", "pkcs7", "-inform", "DER", "-print_certs")
	cmd.Stdin = bytes.NewReader(ours)
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), "BEGIN CERTIFICATE") != 3 {
		t.Errorf("openssl pkcs7: %v\n%s", err, out)
	}
	file := filepath.Join(t.TempDir(), "certs.pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	theirs, err := exec.Command("openssl", "crl2pkcs7", "-nocrl", "-certfile", file, "-outform", "DER").Output()
	if err != nil {
		t.Fatal(err)
	}
	for who, der := range map[string][]byte{"ours": ours, "openssl's": theirs} {
		got, err := smime.ReadBundle(der)
		if err != nil || len(got) != 3 {
			t.Errorf("%s: %d certificates, %v", who, len(got), err)
			continue
		}
		for _, c := range certs {
			if !slices.ContainsFunc(got, c.Equal) {
				t.Errorf("%s: %s is missing", who, c.Subject)
			}
		}
	}
	for what, der := range map[string][]byte{"nothing": nil, "cut short": ours[:len(ours)-10], "a certificate": certs[0].Raw} {
		if got, err := smime.ReadBundle(der); err == nil {
			t.Errorf("%s: read as %d certificates", what, len(got))
		}
	}
	if _, err := smime.Bundle(nil); err == nil {
		t.Error("a bundle of nothing")
	}
}
