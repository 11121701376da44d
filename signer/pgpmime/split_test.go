package pgpmime

import (
	"bytes"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// gpgHome is a GnuPG of its own.
func gpgHome(t *testing.T) func(stdin []byte, args ...string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gpg") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd := exec.Command("gpgconf", "--homedir", dir, "--kill", "all")
		cmd.Run()
		os.RemoveAll(dir)
	})
	return func(stdin []byte, args ...string) string {
		t.Helper()
		cmd := exec.Command("gpg", append([]string{"--homedir", dir, "--batch", "--yes", "--pinentry-mode", "loopback", "--no-tty"}, args...)...)
		cmd.Stdin = bytes.NewReader(stdin)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err != nil {
			t.Fatalf("gpg %v: %v\n%s", args, err, errs.String())
		}
		return out.String()
	}
}

// TestGenerate: gpg takes what is made, and signs and decrypts with it.
func TestGenerate(t *testing.T) {
	for name, o := range map[string]GenerateOptions{
		"ed25519": {Name: "Alice Example", Address: "alice@example.com", Lifetime: 90 * 24 * time.Hour},
		"rsa2048": {Address: "alice@example.com", RSABits: 2048},
	} {
		t.Run(name, func(t *testing.T) {
			secret, err := Generate(o)
			if err != nil {
				t.Fatal(err)
			}
			k, err := ParseKey("alice@example.com", secret, nil)
			if err != nil {
				t.Fatal(err)
			}
			now := time.Now()
			if err := k.CheckSign(now); err != nil {
				t.Error(err)
			}
			if err := k.Certificate().CheckEncrypt(now); err != nil {
				t.Error(err)
			}
			if got := k.Certificate().Algorithm(); got != name {
				t.Errorf("algorithm %s", got)
			}
			if a, err := k.Certificate().Addresses(now); err != nil || !slices.Equal(a, []string{"alice@example.com"}) {
				t.Errorf("addresses %q, %v", a, err)
			}
			if end := k.NotAfter(now); end.IsZero() != (o.Lifetime == 0) {
				t.Errorf("ends %s", end)
			}
			gpg := gpgHome(t)
			gpg(secret, "--import")
			if said := gpg(nil, "--with-colons", "--list-secret-keys"); !strings.Contains(said, "alice@example.com") || !strings.Contains(said, k.Certificate().Fingerprint()) {
				t.Errorf("gpg has\n%s", said)
			}
			signed := gpg([]byte("text"), "--armor", "--detach-sign")
			if !strings.Contains(signed, "BEGIN PGP SIGNATURE") {
				t.Errorf("gpg signs: %s", signed)
			}
			sealed := gpg([]byte("text"), "--trust-model", "always", "-r", "alice@example.com", "--encrypt")
			if got := gpg([]byte(sealed), "--decrypt"); got != "text" {
				t.Errorf("gpg decrypts %q", got)
			}
		})
	}
	for what, o := range map[string]GenerateOptions{"no address": {}, "short": {Address: "a@b", RSABits: 1024}, "long": {Address: "a@b", Lifetime: 200 * 365 * 24 * time.Hour}} {
		if _, err := Generate(o); err == nil {
			t.Errorf("%s: made", what)
		}
	}
}

// TestSplit reads what gpg writes: several keys at once, with a passphrase.
func TestSplit(t *testing.T) {
	gpg := gpgHome(t)
	for _, id := range []string{"alice@example.com", "bob@example.com"} {
		gpg(nil, "--passphrase", "open sesame", "--quick-generate-key", id, "rsa2048", "default", "never")
	}
	public, armored := gpg(nil, "--export"), gpg(nil, "--armor", "--export")
	secret := gpg(nil, "--passphrase", "open sesame", "--armor", "--export-secret-keys")
	for what, c := range map[string]struct {
		data   string
		want   int
		secret bool
	}{
		"binary": {public, 2, false}, "armored": {armored, 2, false}, "secret": {secret, 2, true},
		"two blocks": {armored + "\nand another one\n" + secret, 4, false},
	} {
		got, err := Split([]byte(c.data))
		if err != nil || len(got) != c.want || got[0].Secret != c.secret {
			t.Errorf("%s: %d keys, %v, want %d", what, len(got), err, c.want)
		}
	}
	keys, err := Split([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if _, err := ParseKey("alice@example.com", k.Data, nil); err == nil {
			t.Error("a key with a passphrase is usable")
		}
		if _, err := Unprotect(k.Data, []byte("wrong")); err == nil || !strings.Contains(err.Error(), "passphrase") {
			t.Errorf("with a wrong passphrase: %v", err)
		}
		open, err := Unprotect(k.Data, []byte("open sesame"))
		if err != nil {
			t.Fatal(err)
		}
		again, err := Unprotect(open, nil)
		if err != nil || !bytes.Equal(again, open) {
			t.Errorf("a key without a passphrase has changed: %v", err)
		}
		parsed, err := ParseKey("alice@example.com", open, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parsed.choose(time.Now()); err != nil {
			t.Error(err)
		}
		other := gpgHome(t)
		other(open, "--import")
		if got := other([]byte("x"), "--armor", "--detach-sign"); !strings.Contains(got, "SIGNATURE") {
			t.Errorf("gpg signs: %s", got)
		}
	}
	for what, data := range map[string]string{"nothing": "", "text": "hello", "a user id": "\xb4\x03a@b", "cut short": public[:len(public)-3], "broken armor": "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n!!!\n"} {
		if _, err := Split([]byte(data)); err == nil {
			t.Errorf("%s: read", what)
		}
	}
	if b, err := Binary([]byte(armored)); err != nil || string(b) != public {
		t.Errorf("armor taken off: %d octets, %v, want %d", len(b), err, len(public))
	}
}
