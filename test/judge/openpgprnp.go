package judge

import (
	"fmt"
	"strings"
	"testing"
)

// RNP is rnp, the library within Thunderbird.
type RNP struct{ home string }

// NewRNP returns an rnp that has the keys of all, as far as it can read them.
func NewRNP(t testing.TB, owners KeyOwners) *RNP {
	t.Helper()
	require(t, "rnp", "rnp", "rnpkeys")
	r := &RNP{t.TempDir()}
	imported := 0
	for _, k := range owners {
		if _, err := run("", "rnpkeys", "--homedir", r.home, "--notty", "--import-key", k.KeyFile); err == nil {
			imported++
		}
	}
	if imported == 0 && len(owners) > 0 {
		t.Fatal("rnp imports none of the keys")
	}
	return r
}

func (r *RNP) run(args ...string) (string, error) {
	return run("", "rnp", append([]string{"--homedir", r.home, "--notty", "--password", ""}, args...)...)
}

// Name implements OpenPGP.
func (r *RNP) Name() string { return "rnp" }

func (r *RNP) good(said string, by *KeyOwner) error {
	if !strings.Contains(said, "Good signature made") || !strings.Contains(said, by.Name+"@example.com") {
		return fmt.Errorf("rnp found no good signature of %s:\n%s", by.Name, said)
	}
	return nil
}

// Verify implements OpenPGP.
func (r *RNP) Verify(t testing.TB, by *KeyOwner, content, signature []byte) error {
	f := newFolder(t)
	said, err := r.run("--verify", "--source", f.write("content", content), f.write("signature.asc", signature))
	if err != nil {
		return err
	}
	return r.good(said, by)
}

// Sign implements OpenPGP.
func (r *RNP) Sign(t testing.TB, as *KeyOwner, content []byte) ([]byte, error) {
	f := newFolder(t)
	_, err := r.run("--sign", "--detach", "--armor", "--userid", as.Fingerprint, "--output", f.path("out"), f.write("in", content))
	return f.result("out", err)
}

// Decrypt implements OpenPGP.
func (r *RNP) Decrypt(t testing.TB, as, by *KeyOwner, message []byte) ([]byte, error) {
	f := newFolder(t)
	said, err := r.run("--decrypt", "--output", f.path("out"), f.write("in.asc", message))
	if err == nil && by != nil {
		err = r.good(said, by)
	}
	return f.result("out", err)
}

// Encrypt implements OpenPGP.
func (r *RNP) Encrypt(t testing.TB, to []*KeyOwner, by *KeyOwner, hidden bool, content []byte) ([]byte, error) {
	if hidden {
		return nil, ErrCannot
	}
	f := newFolder(t)
	args := []string{"--encrypt", "--armor", "-z", "0", "--cipher", "AES256", "--output", f.path("out")}
	for _, k := range to {
		args = append(args, "--recipient", k.Fingerprint)
	}
	if by != nil {
		args = append(args, "--sign", "--userid", by.Fingerprint)
	}
	_, err := r.run(append(args, f.write("in", content))...)
	return f.result("out", err)
}
