package judge

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// CMS is a program that writes and reads the structures within S/MIME (RFC
// 5652), in DER or BER. An error of its methods is the program's verdict; that
// the test can't run at all ends it.
type CMS interface {
	// Name stands in tables.
	Name() string
	// Verify checks a SignedData down to the root and returns its content.
	// content is that of a detached signature, nil for an opaque one.
	Verify(t testing.TB, data, content []byte) ([]byte, error)
	// Sign makes a SignedData.
	Sign(t testing.TB, as *Person, content []byte, o SignAs) ([]byte, error)
	// Decrypt decrypts EnvelopedData or AuthEnvelopedData.
	Decrypt(t testing.TB, as *Person, data []byte) ([]byte, error)
	// Encrypt makes them.
	Encrypt(t testing.TB, to []*Person, content []byte, o EncryptAs) ([]byte, error)
}

// SignAs says how a program is to sign.
type SignAs struct {
	Digest       string // "sha256", "sha384", "sha512"
	PSS          bool
	Detached     bool
	SubjectKeyID bool // names the certificate by its key
}

// EncryptAs says how a program is to encrypt.
type EncryptAs struct {
	Cipher       string // "aes-256-gcm"
	OAEP         string // the digest, "sha1" or "sha256"; "" for RSA PKCS #1 v1.5
	SubjectKeyID bool   // names certificates by their key
}

// ErrCannot says that a program has no option for what it is asked to do.
var ErrCannot = errors.New("the program has no option for it")

// Programs are the programs that read and write S/MIME, ready for these people.
func Programs(t testing.TB, p *People) []CMS {
	t.Helper()
	return []CMS{NewOpenSSL(t, p), NewGPGSM(t, p), NewNSS(t, p), NewBouncyCastle(t, p)}
}

// require ends the test if a program is missing.
func require(t testing.TB, packages string, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%s is missing: apt-get install %s (test/run installs all that the tests need)", program, packages)
		}
	}
}

// run runs a program and returns what it said on both its outputs.
func run(stdin, program string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, out.String())
	}
	return out.String(), nil
}

// folder is a place for the files of one call.
type folder struct {
	t   testing.TB
	dir string
}

func newFolder(t testing.TB) folder { return folder{t, t.TempDir()} }

func (f folder) path(name string) string { return filepath.Join(f.dir, name) }

func (f folder) write(name string, data []byte) string {
	f.t.Helper()
	write(f.t, f.path(name), data)
	return f.path(name)
}

// result returns what a program has put into a file, or its error.
func (f folder) result(name string, err error) ([]byte, error) {
	f.t.Helper()
	if err != nil {
		return nil, err
	}
	return read(f.t, f.path(name)), nil
}
