package judge

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// Stateless is a program with the stateless command line, sop: it keeps no keys.
type Stateless struct {
	program string
	options []string // of decrypt: where to write the signatures, whose they are
	text    bool     // what it decrypts has bare LF where CRLF was encrypted
}

// NewSqop returns sqop of Sequoia.
func NewSqop(t testing.TB) *Stateless {
	t.Helper()
	require(t, "sqop", "sqop")
	return &Stateless{"sqop", []string{"--verifications-out=", "--verify-with="}, false}
}

// NewGosop returns gosop of Proton: GopenPGP with its own library of OpenPGP.
func NewGosop(t testing.TB) *Stateless {
	t.Helper()
	require(t, "gosop", "gosop")
	return &Stateless{"gosop", []string{"--verify-out=", "--verify-with="}, true}
}

// run runs the program, which reads its standard input and writes its standard
// output.
func (s *Stateless) run(stdin []byte, args ...string) ([]byte, error) {
	cmd := exec.Command(s.program, args...)
	var notes bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(stdin), &notes
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", s.program, strings.Join(args, " "), err, notes.String())
	}
	return out, nil
}

// Name implements OpenPGP.
func (s *Stateless) Name() string { return s.program }

// Verify implements OpenPGP.
func (s *Stateless) Verify(t testing.TB, by *KeyOwner, content, signature []byte) error {
	_, err := s.run(content, "verify", newFolder(t).write("signature", signature), by.CertFile)
	return err
}

// Sign implements OpenPGP.
func (s *Stateless) Sign(_ testing.TB, as *KeyOwner, content []byte) ([]byte, error) {
	return s.run(content, "sign", as.KeyFile)
}

// Decrypt implements OpenPGP.
func (s *Stateless) Decrypt(t testing.TB, as, by *KeyOwner, message []byte) ([]byte, error) {
	args, found := []string{"decrypt"}, newFolder(t).path("found")
	if by != nil {
		args = append(args, s.options[0]+found, s.options[1]+by.CertFile, "--")
	}
	out, err := s.run(message, append(args, as.KeyFile)...)
	if err != nil {
		return nil, err
	}
	if s.text {
		out = bytes.ReplaceAll(out, []byte("\n"), []byte("\r\n"))
	}
	if by == nil {
		return out, nil
	}
	if verified := read(t, found); !strings.Contains(strings.ToUpper(string(verified)), by.Fingerprint) {
		return nil, fmt.Errorf("%s found no signature of %s: %q", s.program, by.Name, verified)
	}
	return out, nil
}

// Encrypt implements OpenPGP.
func (s *Stateless) Encrypt(_ testing.TB, to []*KeyOwner, by *KeyOwner, hidden bool, content []byte) ([]byte, error) {
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
