package smime

import (
	"bytes"
	"crypto/sha1"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// gpgsm is a second judge, which shares no code with OpenSSL. It has a home of
// its own.
type gpgsm struct {
	t    testing.TB
	home string
}

// newGPGSM returns a gpgsm that trusts our root and has the identity's key.
func newGPGSM(t testing.TB, id *identity) *gpgsm {
	t.Helper()
	for _, program := range []string{"gpgsm", "gpg-agent", "gpgconf"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%s is missing: apt-get install gpgsm gpg-agent gpgconf", program)
		}
	}
	// Not t.TempDir: its path may be too long for the agent's socket.
	home, err := os.MkdirTemp("", "gpgsm")
	if err != nil {
		t.Fatal(err)
	}
	g := &gpgsm{t, home}
	t.Cleanup(func() {
		kill := exec.Command("gpgconf", "--homedir", home, "--kill", "all")
		if out, err := kill.CombinedOutput(); err != nil {
			t.Errorf("stop gpg-agent: %v: %s", err, out)
		}
		os.RemoveAll(home)
	})
	root := id.chain[len(id.chain)-1]
	writeFile(t, home, "trustlist.txt", fmt.Appendf(nil, "%X S relax\n", sha1.Sum(root.Raw)))
	writeFile(t, home, "gpgsm.conf", []byte("disable-crl-checks\n"))
	// Passphrases protect nothing here, so that hashing them may be fast.
	writeFile(t, home, "gpg-agent.conf", []byte("allow-loopback-pinentry\nmax-cache-ttl 0\ns2k-count 65536\n"))
	g.launch()
	cert, key := id.files(t)
	for _, above := range id.chain[1:] {
		g.mustRun("--import", writePEM(t, home, "import.pem", "CERTIFICATE", above.Raw))
	}
	// gpgsm 2.2 can't read one PKCS #12 file in sixty, by what its random salt
	// makes of it, so there are several tries.
	var out string
	for range 5 {
		p12 := filepath.Join(home, "key.p12")
		mustOpenSSL(t, nil, "pkcs12", "-export", "-in", cert, "-inkey", key, "-passout", "pass:secret",
			"-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha1", "-out", p12)
		if out, err = g.run("--pinentry-mode", "loopback", "--passphrase-fd", "0", "--import", p12); err == nil {
			return g
		}
	}
	t.Fatalf("gpgsm imports no key: %v\n%s", err, out)
	return nil
}

// launch starts the agent, which on a busy machine may not be there in the time
// that gpgsm gives it.
func (g *gpgsm) launch() {
	g.t.Helper()
	var out []byte
	var err error
	for range 5 {
		if out, err = exec.Command("gpgconf", "--homedir", g.home, "--launch", "gpg-agent").CombinedOutput(); err == nil {
			return
		}
	}
	g.t.Fatalf("start gpg-agent: %v: %s", err, out)
}

// run runs gpgsm with the passphrase on standard input and returns its status
// lines and messages.
func (g *gpgsm) run(args ...string) (string, error) {
	cmd := exec.Command("gpgsm", append([]string{"--homedir", g.home, "--batch", "--status-fd", "2"}, args...)...)
	cmd.Stdin = strings.NewReader("secret\n")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (g *gpgsm) mustRun(args ...string) string {
	g.t.Helper()
	out, err := g.run(args...)
	if err != nil {
		g.t.Fatalf("gpgsm %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// TestGPGSM has gpgsm verify and decrypt.
func TestGPGSM(t *testing.T) {
	g := newGPGSM(t, as("rsa2048"))
	for _, kind := range []string{"rsa2048", "p256", "p384"} {
		for name, text := range entities {
			id, e := as(kind), entityOf(text)
			content := writeFile(t, t.TempDir(), "content", written(t, e))

			signed, err := Sign(e, id.chain, id.key, SignOptions{})
			if err != nil {
				t.Fatal(err)
			}
			p7s := writeFile(t, t.TempDir(), "smime.p7s", signedDataOf(t, signed))
			if out := g.mustRun("--verify", p7s, content); !strings.Contains(out, "GOODSIG") || !strings.Contains(out, "TRUST_FULLY") {
				t.Errorf("%s, %s, detached: %s", kind, name, out)
			}

			signed, err = Sign(e, id.chain, id.key, SignOptions{Mode: Opaque})
			if err != nil {
				t.Fatal(err)
			}
			p7m := writeFile(t, t.TempDir(), "smime.p7m", signedDataOf(t, signed))
			inside := filepath.Join(t.TempDir(), "inside")
			if out := g.mustRun("--output", inside, "--verify", p7m); !strings.Contains(out, "GOODSIG") {
				t.Errorf("%s, %s, opaque: %s", kind, name, out)
			}
			sameFile(t, inside, written(t, e))
		}
	}
	other := writeFile(t, t.TempDir(), "content", []byte("another content"))
	id := as("rsa2048")
	signed, err := Sign(entityOf(entities["text"]), id.chain, id.key, SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p7s := writeFile(t, t.TempDir(), "smime.p7s", signedDataOf(t, signed))
	if out, err := g.run("--verify", p7s, other); err == nil {
		t.Errorf("gpgsm accepts another content: %s", out)
	}
	for name, text := range entities {
		e := entityOf(text)
		out := encrypted(t, e, CipherAES256CBC, as("other"), as("rsa2048"))
		p7m := writeFile(t, t.TempDir(), "smime.p7m", unbase64(t, written(t, out.Body)))
		inside := filepath.Join(t.TempDir(), "inside")
		// gpgsm decrypts, but its exit status is not 0 where it meets a recipient
		// whom it does not know first.
		status, _ := g.run("--pinentry-mode", "loopback", "--passphrase-fd", "0", "--output", inside, "--decrypt", p7m)
		if !strings.Contains(status, "DECRYPTION_OKAY") {
			t.Errorf("%s: %s", name, status)
		}
		sameFile(t, inside, written(t, e))
	}
}

// sameFile compares a file with what it should hold.
func sameFile(t testing.TB, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got %.200q, want %.200q", got, want)
	}
}
