// Package identities makes the keys and certificates that tests sign and
// encrypt with, by means of openssl and gpg: a certification authority, an
// intermediate one, and some people. It lays them out as waxseal's directory
// store, and keeps apart what only the recipients have, so that a judge can
// read their mail.
package identities

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The people and domains, and what there is of them. Addresses at example.com
// and bücher.example are ours.
const (
	Alice   = "alice@example.com"         // own keys: S/MIME with RSA-2048, PGP with RSA-2048
	Carol   = "carol@example.com"         // own key: S/MIME with P-256
	Pia     = "pia@example.com"           // own key: PGP with Ed25519
	Ida     = "ida@xn--bcher-kva.example" // own key: S/MIME with RSA-2048, in an IDN domain
	Archive = "archive@example.com"       // certificate: S/MIME
	Bob     = "bob@partner.example"       // certificate: S/MIME, PGP
	Dan     = "dan@partner.example"       // certificate: PGP
	Erin    = "erin@partner.example"      // certificate: S/MIME
	Uwe     = "uwe@xn--bcher-kva.example" // certificate: S/MIME, in an IDN domain
	Gateway = "gateway.example"           // certificate of the whole domain: S/MIME
	Nobody  = "nobody@partner.example"    // nothing
)

// Set is what Make made.
type Set struct {
	// Store is a directory store: smime/, pgp/ and recipients/.
	Store string
	// CA is the file with the trust anchor.
	CA string

	private string // NAME.crt and NAME.key of everybody who has S/MIME
	gnupg   string // a GnuPG home that has all secret keys
}

// Certificate and Key are the PEM files of somebody who has S/MIME.
func (s *Set) Certificate(name string) string { return filepath.Join(s.private, name+".crt") }

// Key is the file with the private key that belongs to Certificate.
func (s *Set) Key(name string) string { return filepath.Join(s.private, name+".key") }

// GnuPG is the directory for gpg --homedir with everybody's secret keys.
func (s *Set) GnuPG() string { return s.gnupg }

// Make makes everything in a directory that goes when the test ends. It takes
// two seconds or so.
func Make(t testing.TB) *Set {
	t.Helper()
	dir, err := os.MkdirTemp("", "wax") // short, because gpg-agent's sockets are below it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &Set{Store: dir + "/keys", CA: dir + "/private/ca.crt", private: dir + "/private", gnupg: dir + "/gpg"}
	for _, d := range []string{"keys", "keys/smime", "keys/pgp", "keys/recipients", "private", "gpg"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.authority(t)
	s.own(t, Alice, "rsa")
	s.own(t, Carol, "ec")
	s.own(t, Ida, "rsa")
	for _, name := range []string{Archive, Bob, Erin, Uwe, Gateway} {
		s.issue(t, name, "rsa")
		s.copy(t, s.Certificate(name), "recipients/"+name+".pem")
	}
	s.pgp(t)
	return s
}

// authority makes a root and an intermediate certification authority.
func (s *Set) authority(t testing.TB) {
	t.Helper()
	openssl(t, "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", s.Key("ca"))
	openssl(t, "req", "-x509", "-new", "-key", s.Key("ca"), "-days", "30", "-subj", "/CN=Test Root", "-out", s.CA,
		"-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
	openssl(t, "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", s.Key("intermediate"))
	s.sign(t, "intermediate", "ca", "/CN=Test Intermediate", "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n")
}

// own makes one of our own S/MIME keys: the file has the certificate, the
// intermediate one and the private key.
func (s *Set) own(t testing.TB, name, algorithm string) {
	t.Helper()
	s.issue(t, name, algorithm)
	s.copy(t, s.Certificate(name), "smime/"+name+".pem")
	s.copy(t, s.Certificate("intermediate"), "smime/"+name+".pem")
	s.copy(t, s.Key(name), "smime/"+name+".pem")
}

// issue makes a key and a certificate for an address, or for a domain, whose
// certificate has the address of its gateway.
func (s *Set) issue(t testing.TB, name, algorithm string) {
	t.Helper()
	address := name
	if !strings.Contains(address, "@") {
		address = "gateway@" + name
	}
	usage := "digitalSignature,keyEncipherment"
	if algorithm == "ec" {
		openssl(t, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", s.Key(name))
		usage = "digitalSignature"
	} else {
		openssl(t, "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", s.Key(name))
	}
	s.sign(t, name, "intermediate", "/CN="+name, "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,"+usage+
		"\nextendedKeyUsage=emailProtection\nsubjectAltName=email:"+address+"\n")
}

func (s *Set) sign(t testing.TB, name, issuer, subject, extensions string) {
	t.Helper()
	request, ext := filepath.Join(s.private, name+".csr"), filepath.Join(s.private, name+".ext")
	if err := os.WriteFile(ext, []byte(extensions+"subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	openssl(t, "req", "-new", "-key", s.Key(name), "-subj", subject, "-out", request)
	openssl(t, "x509", "-req", "-in", request, "-CA", s.Certificate(issuer), "-CAkey", s.Key(issuer), "-CAcreateserial",
		"-days", "20", "-sha256", "-extfile", ext, "-out", s.Certificate(name))
}

// copy appends a file to one of the store.
func (s *Set) copy(t testing.TB, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	s.append(t, to, b)
}

func (s *Set) append(t testing.TB, to string, b []byte) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(s.Store, to), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
}

// pgp makes the OpenPGP keys.
func (s *Set) pgp(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("gpg"); err != nil {
		t.Fatal("gpg is missing: apt-get install gnupg (test/run installs all that the tests need)")
	}
	t.Cleanup(func() { exec.Command("gpgconf", "--homedir", s.gnupg, "--kill", "all").Run() })
	for _, p := range []struct {
		name, algorithm string
		own             bool
	}{{Alice, "rsa2048", true}, {Pia, "future-default", true}, {Bob, "rsa2048", false}, {Dan, "future-default", false}} {
		s.gpg(t, "--passphrase", "", "--quick-gen-key", "Test <"+p.name+">", p.algorithm, "default", "30d")
		if p.algorithm == "rsa2048" {
			// An RSA key made this way can only sign: the subkey is for encryption.
			fingerprint := s.fingerprint(t, p.name)
			s.gpg(t, "--passphrase", "", "--quick-add-key", fingerprint, "rsa2048", "encr", "30d")
		}
		if p.own {
			s.append(t, "pgp/"+p.name+".asc", s.gpg(t, "--passphrase", "", "--armor", "--export-secret-keys", p.name))
		} else {
			s.append(t, "recipients/"+p.name+".asc", s.gpg(t, "--armor", "--export", p.name))
		}
	}
}

func (s *Set) fingerprint(t testing.TB, name string) string {
	t.Helper()
	for _, line := range strings.Split(string(s.gpg(t, "--with-colons", "--list-keys", name)), "\n") {
		if fields := strings.Split(line, ":"); fields[0] == "fpr" {
			return fields[9]
		}
	}
	t.Fatalf("gpg knows no fingerprint of %s", name)
	return ""
}

func (s *Set) gpg(t testing.TB, args ...string) []byte {
	t.Helper()
	return run(t, "gpg", append([]string{"--homedir", s.gnupg, "--batch", "--quiet", "--pinentry-mode", "loopback"}, args...)...)
}

func openssl(t testing.TB, args ...string) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Fatal("openssl is missing: apt-get install openssl (test/run installs all that the tests need)")
	}
	run(t, "openssl", args...)
}

func run(t testing.TB, program string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(program, args...)
	var errors strings.Builder
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, errors.String()))
	}
	return out
}

// Expired puts an S/MIME certificate that ended yesterday in the place of
// somebody's, which is no longer valid for anything.
func (s *Set) Expired(t testing.TB, name string) {
	t.Helper()
	now := time.Now().UTC()
	stamp := func(d time.Duration) string { return now.Add(d).Format("20060102150405Z") }
	dir := t.TempDir()
	for file, text := range map[string]string{"index": "", "serial": "01\n", "ca.cnf": "[ca]\ndefault_ca=d\n[d]\ndatabase=" + dir + "/index\nserial=" +
		dir + "/serial\nnew_certs_dir=" + dir + "\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	openssl(t, "ca", "-batch", "-config", dir+"/ca.cnf", "-cert", s.Certificate("intermediate"), "-keyfile", s.Key("intermediate"),
		"-in", filepath.Join(s.private, name+".csr"), "-extfile", filepath.Join(s.private, name+".ext"), "-notext",
		"-startdate", stamp(-48*time.Hour), "-enddate", stamp(-24*time.Hour), "-out", s.Certificate(name))
	file := "recipients/" + name + ".pem"
	if err := os.Remove(filepath.Join(s.Store, file)); err != nil {
		t.Fatal(err)
	}
	s.copy(t, s.Certificate(name), file)
}
