package judge

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// NSS is cmsutil of the library that Thunderbird uses.
type NSS struct {
	people    *People
	databases map[string]string // by the person whose private key is in there; "" has none
}

// NewNSS returns a cmsutil that trusts the people's root and knows all their
// certificates.
func NewNSS(t testing.TB, p *People) *NSS {
	t.Helper()
	require(t, "libnss3-tools", "certutil", "pk12util", "cmsutil")
	n := &NSS{p, map[string]string{}}
	for _, name := range append(p.names, "") {
		if n.imports(name) {
			n.databases[name] = n.newDatabase(t, name)
		}
	}
	return n
}

// imports reports whether NSS 3.87 takes a person's key and certificate: those of
// RSA and the NIST curves.
func (n *NSS) imports(name string) bool { return name != "ed25519" && name != "x25519" }

func (n *NSS) newDatabase(t testing.TB, owner string) string {
	t.Helper()
	database := "sql:" + t.TempDir()
	must := func(program string, args ...string) {
		t.Helper()
		if _, err := run("", program, append(args, "-d", database)...); err != nil {
			t.Fatal(err)
		}
	}
	must("certutil", "-N", "--empty-password")
	must("certutil", "-A", "-n", "root", "-t", "CT,CT,CT", "-a", "-i", n.people.RootFile)
	intermediate := writePEM(t, filepath.Join(t.TempDir(), "intermediate"), "CERTIFICATE", n.people.Person("rsa").Chain[1].Raw)
	must("certutil", "-A", "-n", "intermediate", "-t", ",,", "-a", "-i", intermediate)
	for _, name := range n.people.names {
		if name == owner {
			must("pk12util", "-W", "secret", "-K", "", "-i", n.people.Person(name).pkcs12(t))
		} else if owner == "" && n.imports(name) {
			must("certutil", "-A", "-n", name, "-t", ",,", "-a", "-i", n.people.Person(name).CertFile)
		}
	}
	return database
}

// run runs cmsutil with somebody's private key.
func (n *NSS) run(owner string, args ...string) error {
	if n.databases[owner] == "" {
		return fmt.Errorf("NSS 3.87 imports no key like that of %s", owner)
	}
	_, err := run("", "cmsutil", append(args, "-d", n.databases[owner])...)
	return err
}

// Name implements CMS.
func (n *NSS) Name() string { return "NSS cmsutil" }

// Verify implements CMS.
func (n *NSS) Verify(t testing.TB, data, content []byte) ([]byte, error) {
	f := newFolder(t)
	args := []string{"-D", "-i", f.write("in", data), "-o", f.path("out")}
	if content != nil {
		args = append(args, "-c", f.write("content", content))
	}
	return f.result("out", n.run("", args...))
}

// Sign implements CMS.
func (n *NSS) Sign(t testing.TB, as *Person, content []byte, s SignAs) ([]byte, error) {
	if s.PSS || s.SubjectKeyID {
		return nil, ErrCannot
	}
	f := newFolder(t)
	args := []string{"-S", "-N", as.Name, "-H", strings.ToUpper(s.Digest), "-G", "-P",
		"-i", f.write("in", content), "-o", f.path("out")}
	if s.Detached {
		args = append(args, "-T")
	}
	return f.result("out", n.run(as.Name, args...))
}

// Decrypt implements CMS.
func (n *NSS) Decrypt(t testing.TB, as *Person, data []byte) ([]byte, error) {
	f := newFolder(t)
	return f.result("out", n.run(as.Name, "-D", "-i", f.write("in", data), "-o", f.path("out")))
}

// Encrypt implements CMS. NSS chooses the cipher itself: AES-128-CBC for
// recipients of whose programs it knows nothing.
func (n *NSS) Encrypt(t testing.TB, to []*Person, content []byte, e EncryptAs) ([]byte, error) {
	if e.OAEP != "" || e.SubjectKeyID || e.Cipher != "aes-128-cbc" {
		return nil, ErrCannot
	}
	f := newFolder(t)
	var names []string
	for _, p := range to {
		names = append(names, p.Name)
	}
	return f.result("out", n.run("", "-E", "-r", strings.Join(names, ","), "-i", f.write("in", content), "-o", f.path("out")))
}
