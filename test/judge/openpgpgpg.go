package judge

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// GPG is gpg of GnuPG.
type GPG struct{ home string }

// NewGPG returns a gpg that has the keys of all, as far as it can read them.
func NewGPG(t testing.TB, owners KeyOwners) *GPG {
	t.Helper()
	require(t, "gnupg", "gpg", "gpg-agent", "gpgconf")
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
	g := &GPG{home}
	imported := 0
	for _, k := range owners {
		if _, err := g.run("--import", k.KeyFile); err == nil {
			imported++
		}
	}
	if imported == 0 && len(owners) > 0 {
		t.Fatal("gpg imports none of the keys")
	}
	return g
}

// run runs gpg and returns its status lines and messages.
func (g *GPG) run(args ...string) (string, error) {
	return run("", "gpg", append([]string{"--homedir", g.home, "--batch", "--yes", "--status-fd", "2", "--trust-model", "always"}, args...)...)
}

// Name implements OpenPGP.
func (g *GPG) Name() string { return "gpg" }

func validSignature(status string, by *KeyOwner) error {
	if !strings.Contains(status, "[GNUPG:] GOODSIG ") || !strings.Contains(status, "[GNUPG:] VALIDSIG "+by.Fingerprint) {
		return fmt.Errorf("gpg found no good signature of %s:\n%s", by.Name, status)
	}
	return nil
}

// Verify implements OpenPGP.
func (g *GPG) Verify(t testing.TB, by *KeyOwner, content, signature []byte) error {
	f := newFolder(t)
	status, err := g.run("--verify", f.write("signature", signature), f.write("content", content))
	if err != nil {
		return err
	}
	return validSignature(status, by)
}

// Sign implements OpenPGP.
func (g *GPG) Sign(t testing.TB, as *KeyOwner, content []byte) ([]byte, error) {
	f := newFolder(t)
	_, err := g.run("--local-user", as.Fingerprint, "--armor", "--output", f.path("out"), "--detach-sign", f.write("in", content))
	return f.result("out", err)
}

// Decrypt implements OpenPGP.
func (g *GPG) Decrypt(t testing.TB, as, by *KeyOwner, message []byte) ([]byte, error) {
	f := newFolder(t)
	status, err := g.run("--try-secret-key", as.Fingerprint, "--output", f.path("out"), "--decrypt", f.write("in", message))
	if err == nil && by != nil {
		err = validSignature(status, by)
	}
	return f.result("out", err)
}

// Encrypt implements OpenPGP.
func (g *GPG) Encrypt(t testing.TB, to []*KeyOwner, by *KeyOwner, hidden bool, content []byte) ([]byte, error) {
	f := newFolder(t)
	args := []string{"--armor", "--output", f.path("out"), "--encrypt"}
	for _, k := range to {
		args = append(args, "--recipient", k.Fingerprint)
	}
	if hidden {
		args = append(args, "--throw-keyids")
	}
	if by != nil {
		args = append(args, "--sign", "--local-user", by.Fingerprint)
	}
	_, err := g.run(append(args, f.write("in", content))...)
	return f.result("out", err)
}
