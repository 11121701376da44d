package cms

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// newRecipient makes a self-signed certificate with an RSA key.
func newRecipient(t testing.TB) (*x509.Certificate, *rsa.PrivateKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0x80), // needs a leading zero octet
		Subject:      pkix.Name{CommonName: "recipient"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		KeyUsage:     x509.KeyUsageKeyEncipherment,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// decrypter returns a function that decrypts with OpenSSL.
func decrypter(t testing.TB, cert *x509.Certificate, key *rsa.PrivateKey) func(der []byte) ([]byte, error) {
	t.Helper()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatal("openssl is missing: apt-get install openssl")
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "recipient.pem")
	text := pemText("CERTIFICATE", cert.Raw) + pemText("PRIVATE KEY", pkcs8)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(der []byte) ([]byte, error) {
		cmd := exec.Command(openssl, "cms", "-decrypt", "-binary", "-inform", "DER", "-recip", path)
		var out, msg bytes.Buffer
		cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(der), &out, &msg
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("%w: %s", err, msg.String())
		}
		return out.Bytes(), nil
	}
}

func pemText(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// TestEncrypter has OpenSSL decrypt contents whose lengths are around those of
// blocks and chunks, written in pieces of several lengths.
func TestEncrypter(t *testing.T) {
	cert, key := newRecipient(t)
	decrypt := decrypter(t, cert, key)
	for _, c := range []Cipher{AES256CBC, AES256GCM, AES128CBC, AES128GCM} {
		for i, size := range []int{0, 1, 15, 16, 17, 100, 127, 128, 255, 256, chunkSize - 1, chunkSize, chunkSize + 1, 3*chunkSize + 5, 1 << 20} {
			want := make([]byte, size)
			rand.Read(want)
			var out bytes.Buffer
			w, err := NewEncrypter(&out, []*x509.Certificate{cert}, EncryptOptions{Cipher: c}, int64(size))
			if err != nil {
				t.Fatal(err)
			}
			piece := []int{1 << 30, 1, 7, 4096, chunkSize, chunkSize + 1}[i%6]
			for rest := want; len(rest) > 0; {
				n := min(piece, len(rest))
				if _, err := w.Write(rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			got, err := decrypt(out.Bytes())
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%v, %d octets: OpenSSL does not decrypt them: %v", c, size, err)
			}
		}
	}
}

// TestEncrypterMisuse has too much, too little, and a second Close.
func TestEncrypterMisuse(t *testing.T) {
	cert, _ := newRecipient(t)
	to := []*x509.Certificate{cert}
	for _, tc := range []struct {
		size  int64
		write string
		want  string
	}{
		{4, "five!", "longer than announced"},
		{4, "tri", "1 bytes shorter"},
		{0, "", ""},
	} {
		w, err := NewEncrypter(io.Discard, to, EncryptOptions{Cipher: AES256GCM}, tc.size)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.WriteString(w, tc.write)
		if closed := w.Close(); err == nil {
			err = closed
		}
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%d announced, %q written: got %v, want %q", tc.size, tc.write, err, tc.want)
		}
		if w.Close() == nil {
			t.Error("no error for a second Close")
		}
		if _, err := w.Write([]byte("x")); err == nil {
			t.Error("no error for a Write after Close")
		}
	}
	for name, size := range map[string]int64{"negative": -1, "more than GCM can do": maxContent + 1} {
		if _, err := NewEncrypter(io.Discard, to, EncryptOptions{Cipher: AES256GCM}, size); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, o := range []EncryptOptions{{Cipher: 9}, {Cipher: -1}, {Cipher: TripleDESCBC}, {Cipher: AES192CBC}, {KeyTransport: 9}, {KeyTransport: -1}, {RecipientID: 2}} {
		if _, err := NewEncrypter(io.Discard, to, o, 1); err == nil {
			t.Errorf("no error for %+v", o)
		}
	}
	if _, err := NewEncrypter(io.Discard, nil, EncryptOptions{}, 1); err == nil {
		t.Error("no error for no recipient")
	}
}

// TestUnsupportedKey has keys that can't be encrypted to, or are not even known.
func TestUnsupportedKey(t *testing.T) {
	for algorithm, want := range map[x509.PublicKeyAlgorithm]string{
		x509.ECDSA:                     "curve",
		x509.Ed25519:                   "only sign",
		x509.DSA:                       "only sign",
		x509.UnknownPublicKeyAlgorithm: "not known",
		x509.RSA:                       "not known", // without a key
	} {
		cert := &x509.Certificate{PublicKeyAlgorithm: algorithm, SerialNumber: big.NewInt(1)}
		_, err := NewEncrypter(io.Discard, []*x509.Certificate{cert}, EncryptOptions{}, 0)
		var unsupported *UnsupportedKeyError
		if !errors.As(err, &unsupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want an UnsupportedKeyError with %q", algorithm, err, want)
		}
	}
}
