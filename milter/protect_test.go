package milter

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"os/exec"
	"strings"
	"testing"
	"time"

	"waxseal/keys"
	"waxseal/policies"
	"waxseal/signer/pgpmime"
	"waxseal/test/judge"
)

// oneKey is a store that has one key of ours.
type oneKey struct {
	keys.Store
	key *keys.Key
}

func (s oneKey) Key(_ context.Context, scheme keys.Scheme, name string) (*keys.Key, error) {
	if scheme != s.key.Scheme || name != s.key.Name {
		return nil, keys.ErrNotFound
	}
	return s.key, nil
}

// twoCertificates is Alice's key to sign, with P-384, and a certificate of
// another key that mail to her is encrypted to.
func twoCertificates(t *testing.T) *keys.Key {
	t.Helper()
	certificate := func(serial int64, usage x509.KeyUsage, key crypto.Signer) *x509.Certificate {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "Alice"}, EmailAddresses: []string{"alice@example.com"},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: usage,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	sign, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encrypt, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return &keys.Key{
		Entry:      keys.Entry{Scheme: keys.SMIME, Name: "alice@example.com", Own: true},
		Chain:      []*x509.Certificate{certificate(0xabc1, x509.KeyUsageDigitalSignature, sign)},
		Encryption: certificate(0xabc2, x509.KeyUsageKeyEncipherment, encrypt),
		Signer:     sign,
	}
}

// TestSignOptions has the key say what policy leaves open: the digest, and the
// certificate that answers are encrypted to. OpenSSL says what became of it.
func TestSignOptions(t *testing.T) {
	for name, tc := range map[string]struct {
		policies string
		want     string // the algorithm, in the report
	}{
		"digest of the key": {`policy "p" {
  direction = "outgoing"
  sign "smime" {}
}`, "ecdsa-p384-sha384"},
		"digest of the policy": {`policy "p" {
  direction = "outgoing"
  sign "smime" { digest = "sha256" }
}`, "ecdsa-p384-sha256"},
		"two policies that come to the same": {`policy "bob" {
  direction = "outgoing"
  recipient = ["bob@partner.example"]
  sign "smime" { digest = "sha384" }
}
policy "others" {
  direction = "outgoing"
  sign "smime" {}
}`, "ecdsa-p384-sha384"},
	} {
		parsed, err := policies.Parse("p.hcl", []byte(tc.policies))
		if err != nil {
			t.Fatal(err)
		}
		f := &Filter{Policies: parsed, Keys: oneKey{key: twoCertificates(t)}, Keyring: &pgpmime.Keyring{}, AuthservID: "mx.test"}
		tx := newTestTransaction(t, plainMessage)
		tx.Sender, tx.Recipients = "alice@example.com", []string{"bob@partner.example", "x@partner.example"}
		tx.Login = "alice"
		out, err := f.Apply(t.Context(), tx)
		if err != nil || out.Action != policies.Accept {
			t.Fatalf("%s: %+v, %v", name, out, err)
		}
		if report := reportOf(out); !strings.Contains(report, "sign=pass (smime "+tc.want+" ") {
			t.Errorf("%s: the report is %q, want %s", name, report, tc.want)
		}
		_, data, err := judge.SignedParts([]byte(resultOf(t, tx, out)))
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("openssl", "cms", "-cmsout", "-print", "-noout", "-inform", "DER")
		cmd.Stdin = bytes.NewReader(data)
		printed, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("openssl: %v: %s", err, printed)
		}
		digest := tc.want[strings.LastIndex(tc.want, "-")+1:]
		for _, want := range []string{"algorithm: " + digest, "id-smime-aa-encrypKeyPref", "INTEGER :ABC2"} {
			if !strings.Contains(strings.Join(strings.Fields(string(printed)), " "), want) {
				t.Errorf("%s: OpenSSL's text lacks %q:\n%s", name, want, printed)
			}
		}
		if n := strings.Count(string(printed), "d.certificate:"); n != 2 {
			t.Errorf("%s: %d certificates in the message, want the one to sign and the one to encrypt to", name, n)
		}
	}
}
