package judge

import (
	"crypto/sha1"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// GPGSM is gpgsm of GnuPG.
type GPGSM struct{ home string }

// NewGPGSM returns a gpgsm that trusts the people's root. It has the private
// keys with RSA; gpgsm 2.2 imports no others.
func NewGPGSM(t testing.TB, p *People) *GPGSM {
	t.Helper()
	require(t, "gpgsm", "gpgsm", "gpg-agent", "gpgconf")
	home, err := os.MkdirTemp("", "wax") // short, because the agent's socket is in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("gpgconf", "--homedir", home, "--kill", "all").CombinedOutput(); err != nil {
			t.Errorf("stop gpg-agent: %v: %s", err, out)
		}
		os.RemoveAll(home)
	})
	g := &GPGSM{home}
	for name, text := range map[string]string{
		"trustlist.txt": fmt.Sprintf("%X S relax\n", sha1.Sum(p.root.Raw)),
		"gpgsm.conf":    "disable-crl-checks\n",
		// Passphrases protect nothing here, so that hashing them may be fast.
		"gpg-agent.conf": "allow-loopback-pinentry\ns2k-count 65536\n",
	} {
		write(t, filepath.Join(home, name), []byte(text))
	}
	for _, name := range p.names {
		person := p.Person(name)
		for _, file := range []string{person.ChainFile, person.CertFile} {
			if _, err := g.run("--import", file); err != nil {
				t.Fatal(err)
			}
		}
		if strings.HasPrefix(name, "rsa") {
			g.importKey(t, person)
		}
	}
	return g
}

// importKey imports a private key. gpgsm 2.2 can't read one PKCS #12 file in
// sixty, by what its random salt makes of it, so there are several tries.
func (g *GPGSM) importKey(t testing.TB, p *Person) {
	t.Helper()
	var err error
	for range 5 {
		if _, err = g.run("--import", p.pkcs12(t)); err == nil {
			return
		}
	}
	t.Fatal(err)
}

// run runs gpgsm and returns its status lines and messages.
func (g *GPGSM) run(args ...string) (string, error) {
	return run("secret\n", "gpgsm", append([]string{"--homedir", g.home, "--batch", "--yes", "--status-fd", "2",
		"--pinentry-mode", "loopback", "--passphrase-fd", "0"}, args...)...)
}

// Name implements CMS.
func (g *GPGSM) Name() string { return "gpgsm" }

// Verify implements CMS.
func (g *GPGSM) Verify(t testing.TB, data, content []byte) ([]byte, error) {
	f := newFolder(t)
	args := []string{"--output", f.path("out"), "--verify", f.write("in", data)}
	if content != nil {
		args = []string{"--verify", f.write("in", data), f.write("out", content)}
	}
	status, err := g.run(args...)
	if err == nil && (!strings.Contains(status, "GOODSIG") || !strings.Contains(status, "TRUST_FULLY")) {
		err = fmt.Errorf("gpgsm found no good signature:\n%s", status)
	}
	return f.result("out", err)
}

// Sign implements CMS.
func (g *GPGSM) Sign(t testing.TB, as *Person, content []byte, s SignAs) ([]byte, error) {
	if s.PSS || s.SubjectKeyID {
		return nil, ErrCannot
	}
	f := newFolder(t)
	args := []string{"--local-user", as.Name + "@example.com", "--digest-algo", s.Digest, "--include-certs", "-1", "--output", f.path("out"), "--sign"}
	if s.Detached {
		args = append(args, "--detach-sign")
	}
	_, err := g.run(append(args, f.write("in", content))...)
	return f.result("out", err)
}

// Decrypt implements CMS.
func (g *GPGSM) Decrypt(t testing.TB, as *Person, data []byte) ([]byte, error) {
	if !strings.HasPrefix(as.Name, "rsa") {
		return nil, fmt.Errorf("gpgsm 2.2 imports no private key like that of %s", as.Name)
	}
	f := newFolder(t)
	// The exit status is not 0 where gpgsm meets a recipient whom it does not
	// know first.
	status, err := g.run("--output", f.path("out"), "--decrypt", f.write("in", data))
	if strings.Contains(status, "DECRYPTION_OKAY") {
		err = nil
	} else if err == nil {
		err = fmt.Errorf("gpgsm did not decrypt:\n%s", status)
	}
	return f.result("out", err)
}

// Encrypt implements CMS.
func (g *GPGSM) Encrypt(t testing.TB, to []*Person, content []byte, e EncryptAs) ([]byte, error) {
	if e.OAEP != "" || e.SubjectKeyID || !strings.HasSuffix(e.Cipher, "-cbc") {
		return nil, ErrCannot
	}
	f := newFolder(t)
	args := []string{"--cipher-algo", map[string]string{"aes-128-cbc": "AES", "aes-256-cbc": "AES256"}[e.Cipher], "--output", f.path("out"), "--encrypt"}
	for _, p := range to {
		args = append(args, "--recipient", p.Name+"@example.com")
	}
	_, err := g.run(append(args, f.write("in", content))...)
	return f.result("out", err)
}
