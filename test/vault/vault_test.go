// Package vault_test sends mail by way of a real Postfix and a daemon whose keys
// never leave a real Vault.
package vault_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waxseal/test/daemon"
	"waxseal/test/identities"
	"waxseal/test/judge"
	"waxseal/test/mta"
	"waxseal/test/vaulttest"
)

const policies = `
policy "pgp" {
  direction = "outgoing"
  recipient = ["dan@partner.example"]
  sign    "pgp" {}
  on_key_not_found = "reject"
}
policy "secret" {
  direction = "outgoing"
  recipient = ["bob@partner.example"]
  sign    "smime" {}
  encrypt "smime" {}
  on_key_not_found = "reject"
}
policy "rest" {
  direction = "outgoing"
  sign "smime" {}
  on_key_not_found = "reject"
}
`

// stage is Postfix, the daemon and Vault.
type stage struct {
	set     *identities.Set
	vault   *vaulttest.Server
	daemon  *daemon.Daemon
	config  *daemon.Configuration
	postfix *mta.MTA
	monitor string
}

// newStage brings Alice's S/MIME and OpenPGP keys into Transit, makes one for
// Carol there with a certificate of Vault's own authority, and starts all with
// the policy that is shipped.
func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{set: identities.Make(t), vault: vaulttest.Start(t, vaulttest.Options{})}
	v := s.vault
	v.Write("sys/mounts/transit", map[string]any{"type": "transit"})
	block, _ := pem.Decode([]byte(read(t, s.set.Key(identities.Alice))))
	alice, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	importKey(t, v, "alice", "rsa-2048", alice)
	v.Put("waxseal/smime/"+identities.Alice, map[string]string{
		"certificate": read(t, s.set.Certificate(identities.Alice)) + read(t, s.set.Certificate("intermediate")),
		"transit_key": "alice", "transit_key_version": "1",
	})
	importKey(t, v, "alice-pgp", "rsa-2048", primaryKey(t, s.gpg(t, "--export-secret-keys", identities.Alice)))
	v.Put("waxseal/pgp/"+identities.Alice, map[string]string{
		"certificate": string(s.gpg(t, "--armor", "--export", identities.Alice)), "transit_key": "alice-pgp",
	})
	v.Put("waxseal/recipients/"+identities.Bob, map[string]string{"smime": read(t, s.set.Certificate(identities.Bob))})

	v.Policy("waxseal", read(t, "../../packaging/vault-policy.hcl"))
	role, secret := v.AppRole("waxseal", map[string]any{"token_policies": "waxseal", "token_ttl": "1h"})
	s.monitor = freePort(t)
	s.config = &daemon.Configuration{Dir: mta.Dir(t), Policies: map[string]string{"10.hcl": policies}}
	file := filepath.Join(s.config.Dir, "secret-id")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	s.config.Settings = fmt.Sprintf(`monitor = %q
keys "vault" {
  address = %q
  kv      = "secret/waxseal"
  transit = "transit"
  auth "approle" {
    role_id        = %q
    secret_id_file = %q
  }
}
`, s.monitor, v.Address, role, file)
	return s
}

func (s *stage) start(t *testing.T) {
	t.Helper()
	s.postfix = mta.StartPostfix(t, mta.Options{Milter: s.config.Socket()})
	s.daemon = daemon.Start(t, s.config)
}

func (s *stage) gpg(t *testing.T, args ...string) []byte {
	t.Helper()
	args = append([]string{"--homedir", s.set.GnuPG(), "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""}, args...)
	out, err := exec.Command("gpg", args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func mail(from, to, subject string) []byte {
	return fmt.Appendf(nil, "From: <%s>\r\nTo: <%s>\r\nSubject: %s\r\nDate: Mon, 02 Mar 2026 12:00:00 +0000\r\nMessage-ID: <%s@example.com>\r\n"+
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nthe secret plan\r\n", from, to, subject, subject)
}

// send sends a message and returns the reply.
func (s *stage) send(t *testing.T, from, to, subject string) mta.Reply {
	t.Helper()
	return mta.Dial(t, s.postfix.Addr, "").Send(from, []string{to}, mail(from, to, subject))
}

// passes sends a message and returns what is delivered.
func (s *stage) passes(t *testing.T, from, to, subject string) []byte {
	t.Helper()
	if r := s.send(t, from, to, subject); r.Code != 250 {
		t.Fatalf("%s: %s", subject, r)
	}
	return s.postfix.Sink.Next(t).Data
}

// signed checks an S/MIME message against what went in.
func signed(t *testing.T, set *identities.Set, from, to, subject string, got []byte) {
	t.Helper()
	entity, err := judge.VerifySMIME(t, set, got, from)
	if err == nil {
		err = judge.SameBytes(mail(from, to, subject), entity)
	}
	if err != nil {
		t.Errorf("%s: %v", subject, err)
	}
}

// ready asks /readyz.
func (s *stage) ready(t *testing.T) (status int, text string) {
	t.Helper()
	resp, err := http.Get("http://" + s.monitor + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// waitReady waits for what /readyz says, which is remembered for a second.
func (s *stage) waitReady(t *testing.T, want int) string {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		status, text := s.ready(t)
		if status == want {
			return text
		}
		if time.Now().After(end) {
			t.Fatalf("readyz says %d %q, want %d", status, text, want)
		}
	}
}

func TestTransit(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.start(t)
	const other = "someone@elsewhere.example"

	signed(t, s.set, identities.Alice, other, "smime", s.passes(t, identities.Alice, other, "smime"))
	entity, err := judge.VerifyPGP(t, s.set, s.passes(t, identities.Alice, identities.Dan, "pgp"), identities.Alice)
	if err == nil {
		err = judge.SameBytes(mail(identities.Alice, identities.Dan, "pgp"), entity)
	}
	if err != nil {
		t.Errorf("pgp: %v", err)
	}
	encrypted := s.passes(t, identities.Alice, identities.Bob, "encrypted")
	if bytes.Contains(encrypted, []byte("the secret plan")) {
		t.Fatalf("in clear:\n%s", encrypted)
	}
	inner, err := judge.DecryptSMIME(t, s.set, encrypted, identities.Bob, "aes-256-cbc")
	if err != nil {
		t.Fatal(err)
	}
	signed(t, s.set, identities.Alice, identities.Bob, "encrypted", inner)

	// The daemon lives on when its token is taken away.
	s.vault.Write("sys/leases/revoke-prefix/auth/approle/login", nil)
	signed(t, s.set, identities.Alice, other, "revoked", s.passes(t, identities.Alice, other, "revoked"))

	// Signing needs Vault: while it is sealed nothing passes, and nothing is
	// lost or leaves as it came.
	s.waitReady(t, http.StatusOK)
	s.vault.Seal()
	if text := s.waitReady(t, http.StatusServiceUnavailable); !strings.HasPrefix(text, "key store: ") || !strings.Contains(text, "sealed") {
		t.Errorf("readyz says %q", text)
	}
	if r := s.send(t, identities.Alice, other, "sealed"); r.Code != 451 || !strings.HasPrefix(r.Text, "4.7.") {
		t.Errorf("sealed: %s", r)
	}
	s.postfix.Sink.None(t)
	s.vault.Unseal()
	s.waitReady(t, http.StatusOK)
	signed(t, s.set, identities.Alice, other, "unsealed", s.passes(t, identities.Alice, other, "unsealed"))
	for _, word := range []string{"PRIVATE KEY", s.vault.RootToken, "the secret plan"} {
		if strings.Contains(s.daemon.Log(), word) {
			t.Errorf("the log has %q", word)
		}
	}
}

// TestFromAnEmptyVault goes the way of docs/vault.md: a key that is made in
// Transit, certified by Vault's own authority, and rotated.
func TestFromAnEmptyVault(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	v := s.vault
	v.Write("sys/mounts/pki", map[string]any{"type": "pki"})
	root, _ := v.Write("pki/root/generate/internal", map[string]any{"common_name": "Example mail CA", "ttl": "700h"})["certificate"].(string)
	v.Write("pki/roles/mail", map[string]any{
		"allowed_domains": "example.com", "allow_bare_domains": true, "enforce_hostnames": false, "cn_validations": "email",
		"key_type": "any", "use_csr_common_name": false, "use_csr_sans": false,
		"server_flag": false, "client_flag": false, "email_protection_flag": true, "key_usage": "DigitalSignature", "max_ttl": "600h",
	})
	v.Write("transit/keys/carol", map[string]any{"type": "ecdsa-p256"})
	certify := func(key, address string) {
		t.Helper()
		csr, _ := v.Write("transit/keys/"+key+"/csr", map[string]any{})["csr"].(string)
		certificate, _ := v.Write("pki/sign/mail", map[string]any{"csr": csr, "common_name": address, "ttl": "500h"})["certificate"].(string)
		v.Put("waxseal/smime/"+address, map[string]string{"certificate": certificate + "\n" + root, "transit_key": key})
	}
	certify("carol", identities.Carol)
	kinds := []string{"rsa-3072", "ecdsa-p384", "ecdsa-p521", "ed25519"}
	for _, kind := range kinds {
		v.Write("transit/keys/"+kind, map[string]any{"type": kind})
		certify(kind, kind+"@example.com")
	}
	s.start(t)
	trust := *s.set
	trust.CA = filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(trust.CA, []byte(root), 0o600); err != nil {
		t.Fatal(err)
	}
	const other = "someone@elsewhere.example"
	signed(t, &trust, identities.Carol, other, "first", s.passes(t, identities.Carol, other, "first"))
	for _, kind := range kinds {
		from := kind + "@example.com"
		got := s.passes(t, from, other, kind)
		if kind != "ed25519" {
			signed(t, &trust, from, other, kind, got)
		} else if !bytes.Contains(got, []byte("application/pkcs7-signature")) {
			// OpenSSL 3.0 can't verify Ed25519 in CMS. The daemon checks what
			// Vault has signed before a message leaves.
			t.Errorf("%s: not signed:\n%s", kind, got)
		}
	}

	// A key that is rotated signs with the version that its certificate is for,
	// and check says so.
	v.Write("transit/keys/carol/rotate", nil)
	signed(t, &trust, identities.Carol, other, "rotated", s.passes(t, identities.Carol, other, "rotated"))
	check := exec.Command(daemon.Binary(t), "check", "-config", s.config.File())
	out, err := check.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "transit/keys/carol has version 2, and the certificate is for version 1") {
		t.Errorf("check: %v\n%s", err, out)
	}
	certify("carol", identities.Carol)
	s.daemon.Stop(t)
	s.daemon = daemon.Start(t, s.config)
	signed(t, &trust, identities.Carol, other, "renewed", s.passes(t, identities.Carol, other, "renewed"))
	if out, err = exec.Command(daemon.Binary(t), "check", "-config", s.config.File()).CombinedOutput(); err != nil || strings.Contains(string(out), "has version") {
		t.Errorf("check: %v\n%s", err, out)
	}
}
