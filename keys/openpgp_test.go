package keys

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// gpg runs GnuPG with a home of the test's own.
type gpg struct {
	t    testing.TB
	home string
}

func newGPG(t testing.TB) *gpg {
	t.Helper()
	home, err := os.MkdirTemp("", "wax") // short, because of the agent's socket
	if err != nil {
		t.Fatal(err)
	}
	g := &gpg{t, home}
	t.Cleanup(func() {
		exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		os.RemoveAll(home)
	})
	return g
}

func (g *gpg) run(in []byte, args ...string) []byte {
	g.t.Helper()
	cmd := exec.Command("gpg", append([]string{"--homedir", g.home, "--batch", "--no-tty", "--passphrase", "", "--pinentry-mode", "loopback"}, args...)...)
	cmd.Stdin = bytes.NewReader(in)
	var problem bytes.Buffer
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		g.t.Fatalf("gpg %s: %v (is the package gnupg installed?)\n%s", strings.Join(args, " "), err, problem.String())
	}
	return out
}

// The public part that we cut out of a secret key must be what gpg exports.
func TestPublicPart(t *testing.T) {
	for name, params := range map[string]string{
		"RSA":     "Key-Type: RSA\nKey-Length: 2048\nSubkey-Type: RSA\nSubkey-Length: 2048\n",
		"Ed25519": "Key-Type: EDDSA\nKey-Curve: ed25519\nSubkey-Type: ECDH\nSubkey-Curve: cv25519\n",
		"P-256":   "Key-Type: ECDSA\nKey-Curve: nistp256\nSubkey-Type: ECDH\nSubkey-Curve: nistp256\n",
		"DSA":     "Key-Type: DSA\nKey-Length: 1024\nSubkey-Type: ELG-E\nSubkey-Length: 1024\n",
	} {
		g := newGPG(t)
		g.run([]byte("%no-protection\n"+params+"Name-Email: alice@example.com\nExpire-Date: 0\n%commit\n"), "--gen-key")
		want := g.run(nil, "--export", "alice@example.com")
		armored := g.run(nil, "--armor", "--export-secret-keys", "alice@example.com")
		binary := g.run(nil, "--export-secret-keys", "alice@example.com")
		for form, secret := range map[string][]byte{"armored": armored, "binary": binary} {
			k, err := ParseOpenPGPKey(Entry{PGP, "alice@example.com", true}, secret)
			if err != nil {
				t.Errorf("%s, %s: %v", name, form, err)
				continue
			}
			c, err := k.Certificate()
			if err != nil {
				t.Errorf("%s, %s: %v", name, form, err)
				continue
			}
			if _, err := ParseOpenPGPCertificate(c.Entry, c.OpenPGP); err != nil {
				t.Errorf("%s, %s: the public part: %v", name, form, err)
			}
			// gpg writes shorter packet lengths than we do.
			other := newGPG(t)
			other.run(c.OpenPGP, "--import")
			if out := other.run(nil, "--list-secret-keys"); len(out) != 0 {
				t.Errorf("%s, %s: the public part has secret keys", name, form)
			}
			if got := other.run(nil, "--export", "alice@example.com"); !bytes.Equal(got, want) {
				t.Errorf("%s, %s: the public part is not what gpg exports", name, form)
			}
		}
		if _, err := ParseOpenPGPCertificate(Entry{Scheme: PGP, Name: "a@b"}, armored); err == nil || !strings.Contains(err.Error(), "private key where a public key belongs") {
			t.Errorf("%s: a secret key as certificate: %v", name, err)
		}
		if _, err := ParseOpenPGPKey(Entry{PGP, "a@b", true}, want); err == nil || !strings.Contains(err.Error(), "public key where a private key belongs") {
			t.Errorf("%s: a public key as key: %v", name, err)
		}
	}
}

// v6 is what RFC 9580, Section 5.5.2.3, says: the length of the public part
// stands before it. No installed program makes such a key.
func TestPublicPartOfVersion6(t *testing.T) {
	public := append([]byte{6, 0, 0, 0, 1, 27, 0, 0, 0, 32}, bytes.Repeat([]byte{0xaa}, 32)...)
	body := append(bytes.Clone(public), append([]byte{0}, bytes.Repeat([]byte{0x55}, 32)...)...)
	out, err := publicPart(append([]byte{0xc0 | tagSecretKey, byte(len(body))}, body...))
	want := append([]byte{0xc0 | tagPublicKey, 0xff, 0, 0, 0, byte(len(public))}, public...)
	if err != nil || !bytes.Equal(out, want) {
		t.Errorf("got %x, %v; want %x", out, err, want)
	}
}

// A post-quantum subkey of a version 4 key has no length of its own.
func TestPublicPartOfPostQuantumSubkey(t *testing.T) {
	public := append([]byte{4, 0, 0, 0, 0, 35}, bytes.Repeat([]byte{7}, 32+1184)...)
	secret := append(bytes.Clone(public), make([]byte, 1+32+64+2)...)
	in := append([]byte{0xc0 | tagSecretSubkey, 0xff, 0, 0, byte(len(secret) >> 8), byte(len(secret))}, secret...)
	want := append([]byte{0xc0 | tagPublicSubkey, 0xff, 0, 0, byte(len(public) >> 8), byte(len(public))}, public...)
	if got, err := publicPart(in); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d octets, %v; want %d", len(got), err, len(want))
	}
	if _, err := publicLength(public[:1000]); err == nil {
		t.Error("a short key is taken")
	}
}

func TestDamagedOpenPGP(t *testing.T) {
	e := Entry{PGP, "alice@example.com", true}
	for name, data := range map[string]string{
		"empty":             "",
		"text":              "hello",
		"no end":            "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nAAAA\n",
		"no header end":     "-----BEGIN PGP PRIVATE KEY BLOCK-----\nAAAA\n-----END PGP PRIVATE KEY BLOCK-----\n",
		"no base64":         "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n!!!!\n-----END PGP PRIVATE KEY BLOCK-----\n",
		"a message":         "-----BEGIN PGP MESSAGE-----\n\nAAAA\n-----END PGP MESSAGE-----\n",
		"long packet":       "\xc5\xff\xff\xff\xff\xff",
		"partial length":    "\xc5\xe0\x04",
		"indefinite length": "\x97\x04",
		"user ID first":     "\xcd\x01a",
	} {
		if _, err := ParseOpenPGPKey(e, []byte(data)); err == nil || !strings.HasPrefix(err.Error(), "pgp/alice@example.com: ") {
			t.Errorf("%s: error %v, want one that names the entry", name, err)
		}
	}
	for name, body := range map[string]string{
		"short":             "0400000000",
		"version 3":         "03000000000100",
		"unknown algorithm": "040000000063" + "00",
		"short MPI":         "040000000001" + "0800" + "aa",
		"short OID":         "040000000013" + "08" + "2a",
		"v6, too long":      "06000000001b" + "7fffffff",
		"v6, wraps":         "06000000001b" + "ffffffff",
	} {
		b, err := hex.DecodeString(body)
		if err != nil {
			t.Fatal(err)
		}
		k := &Key{Entry: e, OpenPGP: append([]byte{0xc0 | tagSecretKey, byte(len(b))}, b...)}
		if _, err := k.Certificate(); err == nil || errors.Is(err, ErrNotFound) {
			t.Errorf("%s: error %v, want one that is not ErrNotFound", name, err)
		}
	}
}

func FuzzOpenPGP(f *testing.F) {
	f.Add([]byte("\xc5\x07\x04\x00\x00\x00\x00\x01\x00"))
	f.Add([]byte("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nxQcE\n=AAAA\n-----END PGP PRIVATE KEY BLOCK-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := ParseOpenPGPKey(Entry{PGP, "a@b", true}, data)
		if err != nil {
			return
		}
		c, err := k.Certificate()
		if err != nil {
			return
		}
		for in := c.OpenPGP; len(in) > 0; {
			tag, _, rest, err := nextPacket(in)
			if err != nil || tag == tagSecretKey || tag == tagSecretSubkey {
				t.Fatalf("a public key with a packet of type %d, %v", tag, err)
			}
			in = rest
		}
	})
}
