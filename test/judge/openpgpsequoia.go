package judge

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// Sq is sq of Sequoia.
type Sq struct{}

// NewSq returns one. It keeps no keys.
func NewSq(t testing.TB) *Sq {
	t.Helper()
	require(t, "sq", "sq")
	return &Sq{}
}

func (*Sq) run(args ...string) error {
	_, err := run("", "sq", args...)
	return err
}

// Name implements OpenPGP.
func (*Sq) Name() string { return "sq" }

// Verify implements OpenPGP.
func (s *Sq) Verify(t testing.TB, by *KeyOwner, content, signature []byte) error {
	f := newFolder(t)
	return s.run("verify", "--signer-cert", by.CertFile, "--detached", f.write("signature", signature), f.write("content", content))
}

// Sign implements OpenPGP.
func (s *Sq) Sign(t testing.TB, as *KeyOwner, content []byte) ([]byte, error) {
	f := newFolder(t)
	return f.result("out", s.run("sign", "--detached", "--signer-key", as.KeyFile, "--output", f.path("out"), f.write("in", content)))
}

// Decrypt implements OpenPGP.
func (s *Sq) Decrypt(t testing.TB, as, by *KeyOwner, message []byte) ([]byte, error) {
	f := newFolder(t)
	args := []string{"decrypt", "--recipient-key", as.KeyFile, "--output", f.path("out")}
	if by != nil {
		args = append(args, "--signatures", "1", "--signer-cert", by.CertFile)
	}
	return f.result("out", s.run(append(args, f.write("in", message))...))
}

// Encrypt implements OpenPGP.
func (s *Sq) Encrypt(t testing.TB, to []*KeyOwner, by *KeyOwner, hidden bool, content []byte) ([]byte, error) {
	if hidden {
		return nil, ErrCannot
	}
	f := newFolder(t)
	args := []string{"encrypt", "--output", f.path("out"), "--compression", "none"}
	for _, k := range to {
		args = append(args, "--recipient-cert", k.CertFile)
	}
	if by != nil {
		args = append(args, "--signer-key", by.KeyFile)
	}
	return f.result("out", s.run(append(args, f.write("in", content))...))
}

// Sqop is sqop, the stateless command line of Sequoia.
type Sqop struct{}

// NewSqop returns one.
func NewSqop(t testing.TB) *Sqop {
	t.Helper()
	require(t, "sqop", "sqop")
	return &Sqop{}
}

// run runs sqop, which reads its standard input and writes its standard output.
func (*Sqop) run(stdin []byte, args ...string) ([]byte, error) {
	cmd := exec.Command("sqop", args...)
	var notes bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(stdin), &notes
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("sqop %s: %w\n%s", strings.Join(args, " "), err, notes.String())
	}
	return out, nil
}

// Name implements OpenPGP.
func (*Sqop) Name() string { return "sqop" }

// Verify implements OpenPGP.
func (s *Sqop) Verify(t testing.TB, by *KeyOwner, content, signature []byte) error {
	_, err := s.run(content, "verify", newFolder(t).write("signature", signature), by.CertFile)
	return err
}

// Sign implements OpenPGP.
func (s *Sqop) Sign(_ testing.TB, as *KeyOwner, content []byte) ([]byte, error) {
	return s.run(content, "sign", as.KeyFile)
}

// Decrypt implements OpenPGP.
func (s *Sqop) Decrypt(t testing.TB, as, by *KeyOwner, message []byte) ([]byte, error) {
	if by == nil {
		return s.run(message, "decrypt", as.KeyFile)
	}
	found := newFolder(t).path("found")
	out, err := s.run(message, "decrypt", "--verifications-out="+found, "--verify-with="+by.CertFile, "--", as.KeyFile)
	if err != nil {
		return nil, err
	}
	if verified := read(t, found); !strings.Contains(strings.ToUpper(string(verified)), by.Fingerprint) {
		return nil, fmt.Errorf("sqop found no signature of %s: %q", by.Name, verified)
	}
	return out, nil
}

// Encrypt implements OpenPGP.
func (s *Sqop) Encrypt(_ testing.TB, to []*KeyOwner, by *KeyOwner, hidden bool, content []byte) ([]byte, error) {
	if hidden {
		return nil, ErrCannot
	}
	args := []string{"encrypt"}
	if by != nil {
		args = append(args, "--sign-with="+by.KeyFile)
	}
	args = append(args, "--")
	for _, k := range to {
		args = append(args, k.CertFile)
	}
	return s.run(content, args...)
}
