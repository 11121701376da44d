package vault_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"waxseal/test/daemon"
	"waxseal/test/identities"
	"waxseal/test/judge"
	"waxseal/test/mta"
)

const incoming = `
policy "incoming" {
  direction = "incoming"
  decrypt {}
}
`

// ed25519Key reads the Ed25519 primary key, in its older form, of what gpg
// --export-secret-keys has written, without a passphrase (RFC 9580, Section
// 5.5.5.5).
func ed25519Key(t *testing.T, packets []byte) ed25519.PrivateKey {
	t.Helper()
	const head = 6 + 10 // and the curve's name
	if len(packets) < 100 || packets[0] != 0x94 || packets[2] != 4 || packets[7] != 22 {
		t.Fatalf("gpg has written something else than an Ed25519 key: %x", packets[:min(10, len(packets))])
	}
	in := packets[2 : 2+int(packets[1])][head:]
	public := in[3:35] // after its length and 0x40
	if in[35] != 0 {
		t.Fatal("the key has a passphrase")
	}
	n := (int(binary.BigEndian.Uint16(in[36:])) + 7) / 8
	seed := make([]byte, ed25519.SeedSize)
	copy(seed[ed25519.SeedSize-n:], in[38:38+n])
	key := ed25519.NewKeyFromSeed(seed)
	if !bytes.Equal(key.Public().(ed25519.PublicKey), public) {
		t.Fatal("the parts of the key are not of one")
	}
	return key
}

// gnupg runs gpg with a standard input.
func (s *stage) gnupg(t *testing.T, stdin []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("gpg", append([]string{"--homedir", s.set.GnuPG(), "--batch", "--quiet", "--trust-model", "always"}, args...)...)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("gpg %q: %v", args, err)
	}
	return out
}

// TestOpenPGPInTransit signs with an Ed25519 key and decrypts with an RSA key,
// neither of which leaves Vault.
func TestOpenPGPInTransit(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	importKey(t, s.vault, "pia", "ed25519", ed25519Key(t, s.gpg(t, "--export-secret-keys", identities.Pia)))
	s.vault.Put("waxseal/pgp/"+identities.Pia, map[string]string{
		"certificate": string(s.gpg(t, "--armor", "--export", identities.Pia)), "transit_key": "pia",
	})
	const tom = "tom@example.com"
	s.keys(t, "generate", "-scheme", "pgp", "-transit", "-algorithm", "rsa-2048", tom)
	s.gnupg(t, s.keys(t, "export", "pgp/"+tom), "--import")
	s.config.Policies["20.hcl"] = incoming
	s.start(t)

	entity, err := judge.VerifyPGP(t, s.set, s.passes(t, identities.Pia, identities.Dan, "ed25519"), identities.Pia)
	if err == nil {
		err = judge.SameBytes(mail(identities.Pia, identities.Dan, "ed25519"), entity)
	}
	if err != nil {
		t.Errorf("ed25519: %v", err)
	}

	const text = "Content-Type: text/plain; charset=us-ascii\r\n\r\nthe secret plan\r\n"
	packets := s.gnupg(t, []byte(text), "--recipient", tom, "--encrypt")
	good := s.encrypted(t, packets)
	forged := bytes.Clone(packets)
	forged[50] ^= 1 // within the session key as encrypted to Tom
	bad := s.encrypted(t, forged)
	decrypts := func(what string) {
		t.Helper()
		if got := s.arrives(t, tom, good); !bytes.Contains(got, []byte("the secret plan")) || !bytes.Contains(got, []byte("decrypt=pass")) {
			t.Errorf("%s: not decrypted:\n%s", what, got)
		}
	}
	decrypts("at first")
	// A forged message is delivered as it came, and stops no other one.
	for range 3 {
		if got := s.arrives(t, tom, bad); !bytes.Contains(got, []byte("-----BEGIN PGP MESSAGE-----")) || !bytes.Contains(got, []byte("decrypt=permerror")) {
			t.Errorf("forged:\n%s", got)
		}
	}
	decrypts("after forged ones")
	// That Vault is away says nothing about a message: it comes again later.
	s.waitReady(t, http.StatusOK)
	s.vault.Seal()
	s.waitReady(t, http.StatusServiceUnavailable)
	for what, message := range map[string][]byte{"good": good, "forged": bad} {
		if r := mta.Dial(t, s.postfix.Addr, outside).Send(identities.Bob, []string{tom}, message); r.Code != 451 {
			t.Errorf("sealed, %s: %s", what, r)
		}
	}
	s.postfix.Sink.None(t)
	s.vault.Unseal()
	s.waitReady(t, http.StatusOK)
	decrypts("unsealed")
}

// outside is a client that is not internal.
const outside = "127.0.0.2"

// arrives sends a message from outside and returns what is delivered.
func (s *stage) arrives(t *testing.T, to string, message []byte) []byte {
	t.Helper()
	c := mta.Dial(t, s.postfix.Addr, outside)
	defer c.Close()
	if r := c.Send(identities.Bob, []string{to}, message); r.Code != 250 {
		t.Fatalf("the server answered: %s", r)
	}
	return s.postfix.Sink.Next(t).Data
}

// encrypted is an OpenPGP message as mail.
func (s *stage) encrypted(t *testing.T, packets []byte) []byte {
	t.Helper()
	armor := strings.ReplaceAll(string(s.gnupg(t, packets, "--enarmor")), "PGP ARMORED FILE", "PGP MESSAGE")
	return []byte("From: <" + identities.Bob + ">\r\nTo: <tom@example.com>\r\nSubject: secret\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=\"=_e\"\r\n\r\n--=_e\r\n" +
		"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n--=_e\r\nContent-Type: application/octet-stream\r\n\r\n" +
		strings.ReplaceAll(armor, "\n", "\r\n") + "\r\n--=_e--\r\n")
}

// keys runs waxseal keys as somebody with all rights in Vault.
func (s *stage) keys(t *testing.T, args ...string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "admin.hcl")
	text := fmt.Sprintf("domains = [\"example.com\"]\nkeys \"vault\" {\n  address = %q\n  kv = \"secret/waxseal\"\n  auth \"token\" {\n    token = %q\n  }\n}\n", s.vault.Address, s.vault.RootToken)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(daemon.Binary(t), append([]string{"keys", "-config", file}, args...)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("waxseal keys %q: %v\n%s", args, err, said.String())
	}
	return out
}
