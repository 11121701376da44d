package smime

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"strings"
	"testing"
	"time"

	"waxseal/signer/smime/cms"
)

// TestCheck has certificates with one fault each.
func TestCheck(t *testing.T) {
	now := time.Now()
	keys := map[string]crypto.Signer{}
	for _, tc := range []struct {
		name      string
		kind      string
		change    func(*x509.Certificate)
		now       time.Time
		signer    string // what the error says, "" for none
		recipient string
	}{
		{"rsa", "rsa2048", nil, now, "", ""},
		{"not yet", "rsa2048", nil, now.Add(-2 * time.Hour), "not valid before", "not valid before"},
		{"expired", "rsa2048", nil, now.Add(48 * time.Hour), "expired on", "expired on"},
		{"no key usage", "rsa2048", func(c *x509.Certificate) { c.KeyUsage = 0 }, now, "", ""},
		{"sign only", "rsa2048", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }, now, "", "lacks keyEncipherment"},
		{"non-repudiation", "rsa2048", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageContentCommitment }, now, "", "lacks keyEncipherment"},
		{"encrypt only", "rsa2048", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }, now, "lacks digitalSignature or nonRepudiation", ""},
		{"authority", "rsa2048", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign }, now, "lacks digitalSignature", "lacks keyEncipherment"},
		{"no extended usage", "rsa2048", func(c *x509.Certificate) { c.ExtKeyUsage = nil }, now, "", ""},
		{"any", "rsa2048", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }, now, "", ""},
		{"two", "rsa2048", func(c *x509.Certificate) {
			c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
		}, now, "", ""},
		{"web", "rsa2048", func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}, now, "lacks emailProtection", "lacks emailProtection"},
		{"unknown usage", "rsa2048", func(c *x509.Certificate) {
			c.ExtKeyUsage, c.UnknownExtKeyUsage = nil, []asn1.ObjectIdentifier{{1, 2, 3, 4}}
		}, now, "lacks emailProtection", "lacks emailProtection"},
		{"short", "rsa1024", nil, now, "1024 bits", "1024 bits"},
		{"p256", "p256", func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageKeyAgreement }, now, "", ""},
		{"p256 sign only", "p256", nil, now, "", "lacks keyAgreement"},
		{"p256 agreement only", "p256", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement }, now, "lacks digitalSignature", ""},
		{"p224", "p224", func(c *x509.Certificate) { c.KeyUsage = 0 }, now, "curve is not one of", "needs a curve"},
		{"ed25519", "ed25519", nil, now, "", "it can only sign"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if keys[tc.kind] == nil {
				keys[tc.kind] = newKey(tc.kind)
			}
			cert := issue("check", keys[tc.kind], pki().intermediate, tc.change).cert()
			expect(t, "signer", CheckSigner(cert, tc.now), tc.signer)
			err := CheckRecipient(cert, tc.now)
			expect(t, "recipient", err, tc.recipient)
			var unsupported *cms.UnsupportedKeyError
			if kind := strings.Contains(tc.recipient, "needs") || strings.Contains(tc.recipient, "only sign"); errors.As(err, &unsupported) != kind {
				t.Errorf("%v: is it an UnsupportedKeyError? want %v", err, kind)
			}
		})
	}
}

func expect(t *testing.T, what string, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("%s: got %v, want %q", what, err, want)
	}
}
