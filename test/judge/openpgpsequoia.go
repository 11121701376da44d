package judge

import (
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
