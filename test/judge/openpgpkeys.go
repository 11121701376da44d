package judge

import (
	"strings"
	"testing"
)

// MadeKey is a key that a program has made, and the program.
type MadeKey struct {
	Kind string // in words
	*KeyOwner
	Maker OpenPGP
}

// MadeKeys have programs make keys as their users do, with the subkeys,
// preferences and features that each thinks right.
func MadeKeys(t testing.TB) []MadeKey {
	t.Helper()
	g, r, s, p, o := NewGPG(t, nil), NewRNP(t, nil), NewSq(t), NewSqop(t), NewGosop(t)
	return []MadeKey{
		{"gpg, RSA", g.make(t, "gpg-rsa", "rsa2048", "rsa2048"), g},
		{"gpg, P-256", g.make(t, "gpg-p256", "nistp256", "nistp256"), g},
		{"gpg, P-384", g.make(t, "gpg-p384", "nistp384", "nistp384"), g},
		{"gpg, P-521", g.make(t, "gpg-p521", "nistp521", "nistp521"), g},
		{"gpg, Curve25519", g.make(t, "gpg-ed25519", "ed25519", "cv25519"), g},
		{"sq, RSA", s.make(t, "sq-rsa", "rsa3k"), s},
		{"sq, Curve25519", s.make(t, "sq-ed25519", "cv25519"), s},
		{"sqop, Curve25519", p.make(t, "sqop-ed25519"), p},
		{"gosop, RSA", o.make(t, "gosop-rsa"), o},
		{"rnp, RSA", r.make(t, "rnp-rsa"), r},
	}
}

// newOwner keeps a key and its certificate in files. The fingerprint is what gpg
// reads in the certificate.
func newOwner(t testing.TB, name string, key, cert []byte) *KeyOwner {
	t.Helper()
	f := newFolder(t)
	k := &KeyOwner{Name: name, KeyFile: f.write("key.asc", key), CertFile: f.write("cert.asc", cert)}
	list, err := run("", "gpg", "--homedir", f.dir, "--batch", "--with-colons", "--show-keys", k.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(list, "\n") {
		if fields := strings.Split(line, ":"); fields[0] == "fpr" {
			k.Fingerprint = fields[9]
			return k
		}
	}
	t.Fatalf("gpg finds no fingerprint in the certificate of %s:\n%s", name, list)
	return nil
}

// must is for commands that make keys.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func userID(name string) string { return name + " <" + name + "@example.com>" }

func (g *GPG) make(t testing.TB, name, sign, encrypt string) *KeyOwner {
	t.Helper()
	status, err := g.run("--passphrase", "", "--quick-gen-key", userID(name), sign, "sign", "30d")
	must(t, err)
	_, rest, _ := strings.Cut(status, "KEY_CREATED P ")
	fingerprint, _, _ := strings.Cut(rest, "\n")
	_, err = g.run("--passphrase", "", "--quick-add-key", fingerprint, encrypt, "encr", "30d")
	must(t, err)
	f := newFolder(t)
	_, err = g.run("--armor", "--output", f.path("key"), "--export-secret-keys", fingerprint)
	must(t, err)
	_, err = g.run("--armor", "--output", f.path("cert"), "--export", fingerprint)
	must(t, err)
	return newOwner(t, name, read(t, f.path("key")), read(t, f.path("cert")))
}

func (s *Sq) make(t testing.TB, name, suite string) *KeyOwner {
	t.Helper()
	f := newFolder(t)
	must(t, s.run("key", "generate", "--userid", userID(name), "--cipher-suite", suite, "--export", f.path("key")))
	must(t, s.run("key", "extract-cert", "--output", f.path("cert"), f.path("key")))
	return newOwner(t, name, read(t, f.path("key")), read(t, f.path("cert")))
}

func (s *Stateless) make(t testing.TB, name string) *KeyOwner {
	t.Helper()
	key, err := s.run(nil, "generate-key", userID(name))
	must(t, err)
	cert, err := s.run(key, "extract-cert")
	must(t, err)
	return newOwner(t, name, key, cert)
}

func (r *RNP) make(t testing.TB, name string) *KeyOwner {
	t.Helper()
	f := newFolder(t)
	rnpkeys := func(args ...string) {
		t.Helper()
		_, err := run("", "rnpkeys", append([]string{"--homedir", r.home, "--notty", "--password", ""}, args...)...)
		must(t, err)
	}
	rnpkeys("--generate-key", "--userid", userID(name), "--numbits", "2048")
	rnpkeys("--export-key", "--secret", "--output", f.path("key"), name)
	rnpkeys("--export-key", "--output", f.path("cert"), name)
	return newOwner(t, name, read(t, f.path("key")), read(t, f.path("cert")))
}
