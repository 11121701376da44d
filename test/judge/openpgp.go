package judge

import (
	"path/filepath"
	"strings"
	"testing"
)

// OpenPGP is a program that writes and reads OpenPGP messages (RFC 9580),
// armored. An error of its methods is the program's verdict; that the test can't
// run at all ends it.
type OpenPGP interface {
	// Name stands in tables.
	Name() string
	// Verify checks a detached signature of somebody over content.
	Verify(t testing.TB, by *KeyOwner, content, signature []byte) error
	// Sign makes one.
	Sign(t testing.TB, as *KeyOwner, content []byte) ([]byte, error)
	// Decrypt decrypts a message and returns its content. If by is not nil then
	// that one has to have signed it.
	Decrypt(t testing.TB, as, by *KeyOwner, message []byte) ([]byte, error)
	// Encrypt makes one, signed if by is not nil. A hidden one does not say for
	// whom it is.
	Encrypt(t testing.TB, to []*KeyOwner, by *KeyOwner, hidden bool, content []byte) ([]byte, error)
}

// KeyOwner is somebody with an OpenPGP key.
type KeyOwner struct {
	Name              string // also the user id's, and the local part of its address
	KeyFile, CertFile string // armored; KeyFile has no passphrase
	Fingerprint       string // in upper case
}

// KeyOwners are key owners by their names.
type KeyOwners map[string]*KeyOwner

// keyKinds are the kinds of keys that there are owners of, and a test encrypts
// to and signs with: version 4 with RSA, the NIST curves, Curve25519 in its old
// form and in that of RFC 9580, then RSA keys that announce version 2 of
// encrypted data with OCB and with GCM, and version 6 with either.
var keyKinds = []string{"rsa", "p256", "p384", "legacy", "new", "rsa-ocb", "rsa-gcm", "v6-ocb", "v6-gcm"}

// OpenPGPPrograms makes keys of each kind and returns the programs that use them.
func OpenPGPPrograms(t testing.TB) (KeyOwners, []OpenPGP) {
	t.Helper()
	js := NewOpenPGPJS(t)
	owners := KeyOwners{}
	for _, kind := range keyKinds {
		owners[kind] = js.generate(t, kind)
	}
	return owners, []OpenPGP{NewGPG(t, owners), NewSq(t), NewSqop(t), NewGosop(t), NewRNP(t, owners), js}
}

// generate makes a key.
func (o *OpenPGPJS) generate(t testing.TB, kind string) *KeyOwner {
	t.Helper()
	dir := t.TempDir()
	k := &KeyOwner{Name: kind, KeyFile: filepath.Join(dir, "key.asc"), CertFile: filepath.Join(dir, "cert.asc")}
	fingerprint := filepath.Join(dir, "fingerprint")
	if err := o.service.call(t, "generate", kind, kind, k.KeyFile, k.CertFile, fingerprint); err != nil {
		t.Fatalf("make a key of the kind %s: %v", kind, err)
	}
	k.Fingerprint = strings.ToUpper(string(read(t, fingerprint)))
	return k
}
