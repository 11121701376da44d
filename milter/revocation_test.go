package milter

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waxseal/policies"
	"waxseal/signer/smime/trust"
	"waxseal/test/identities"
)

// decodePEM returns the first block of a file.
func decodePEM(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("%s: no PEM", file)
	}
	return block.Bytes
}

func certificateOf(t *testing.T, file string) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(decodePEM(t, file))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// writeCRL has an authority revoke certificates.
func writeCRL(t *testing.T, set *identities.Set, dir, authority string, revoked ...*big.Int) {
	t.Helper()
	key, err := x509.ParsePKCS8PrivateKey(decodePEM(t, set.Key(authority)))
	if err != nil {
		t.Fatal(err)
	}
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour)}
	for _, serial := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: serial, RevocationTime: time.Now().Add(-time.Minute)})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, certificateOf(t, set.Certificate(authority)), key.(crypto.Signer))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, authority+".crl"), der, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestRevocation has a signed message from Bob, and all that can be known of his
// certificate's revocation, judged by what policies may say of it.
func TestRevocation(t *testing.T) {
	set := identities.Make(t)
	signed := samples(t, set)["smime signed"]
	bob := certificateOf(t, set.Certificate(identities.Bob))
	lists := func(lists map[string][]*big.Int) *trust.Revocation {
		dir := t.TempDir()
		for authority, revoked := range lists {
			writeCRL(t, set, dir, authority, revoked...)
		}
		r, err := trust.NewRevocation(trust.RevocationConfig{CRLs: []string{dir}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		return r
	}
	itself, err := trust.NewPool(bob)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]struct {
		revocation *trust.Revocation
		anchors    *trust.Pool // if not the root
	}{
		"nothing is set up": {},
		"nothing is known":  {revocation: lists(nil)},
		"only the root's":   {revocation: lists(map[string][]*big.Int{"ca": nil})},
		"good":              {revocation: lists(map[string][]*big.Int{"ca": nil, "intermediate": nil})},
		"revoked":           {revocation: lists(map[string][]*big.Int{"ca": nil, "intermediate": {bob.SerialNumber}})},
		"trusted itself":    {revocation: lists(nil), anchors: itself},
	}
	for _, tc := range []struct{ known, policy, want string }{
		{"nothing is set up", "off", "pass"}, {"nothing is set up", "check", "pass"}, {"nothing is set up", "require", "policy"},
		{"nothing is known", "off", "pass"}, {"nothing is known", "check", "pass"}, {"nothing is known", "require", "policy"},
		{"only the root's", "off", "pass"}, {"only the root's", "check", "pass"}, {"only the root's", "require", "policy"},
		{"good", "off", "pass"}, {"good", "check", "pass"}, {"good", "require", "pass"},
		{"revoked", "off", "pass"}, {"revoked", "check", "fail"}, {"revoked", "require", "fail"},
		{"trusted itself", "off", "pass"}, {"trusted itself", "check", "pass"}, {"trusted itself", "require", "pass"},
	} {
		t.Run(tc.known+"/"+tc.policy, func(t *testing.T) {
			f := newIncoming(t, set, strings.Replace(incomingPolicy, "verify {}", "verify {\n    revocation = \""+tc.policy+"\"\n  }\n  on_untrusted = \"reject\"", 1))
			f.Trust.Revocation = known[tc.known].revocation
			if anchors := known[tc.known].anchors; anchors != nil {
				f.Anchors = trust.Store{"test": anchors}
			}
			tx := newTestTransaction(t, "From: bob@partner.example\r\nSubject: s\r\n"+signed)
			tx.Sender, tx.Recipients = identities.Bob, []string{identities.Alice}
			tx.Client = netip.MustParseAddr("192.0.2.1")
			out, err := f.Apply(t.Context(), tx)
			if err != nil {
				t.Fatal(err)
			}
			want := policies.Accept
			if tc.want != "pass" {
				want = policies.Reject
			}
			if out.Action != want || !strings.Contains(fmt.Sprint(out.Log), "verify="+tc.want) {
				t.Errorf("action %s, log %v; want %s, verify=%s", out.Action, out.Log, want, tc.want)
			}
		})
	}
}
