package smime

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"waxseal/signer"
	"waxseal/signer/smime/cms"
)

var ciphers = []Cipher{CipherAES256CBC, CipherAES256GCM, CipherAES128CBC, CipherAES128GCM}

// TestEncrypt has OpenSSL decrypt for each of two recipients.
func TestEncrypt(t *testing.T) {
	smimeTypes := map[Cipher]string{
		CipherAES256CBC: "enveloped-data", CipherAES256GCM: "authEnveloped-data",
		CipherAES128CBC: "enveloped-data", CipherAES128GCM: "authEnveloped-data",
	}
	for _, c := range ciphers {
		for name, text := range entities {
			t.Run(c.String()+"/"+name, func(t *testing.T) {
				e := entityOf(text)
				out := encrypted(t, e, c, as("rsa2048"), as("other"), as("rsa2048"))
				want := `application/pkcs7-mime; smime-type=` + smimeTypes[c] + `; name="smime.p7m"`
				if got := out.Header.Get("Content-Type"); got != want {
					t.Errorf("Content-Type: got %s, want %s", got, want)
				}
				checkLines(t, written(t, out))
				for _, kind := range []string{"rsa2048", "other"} {
					if got, want := opensslDecrypt(t, written(t, out), as(kind)), written(t, e); !bytes.Equal(got, want) {
						t.Errorf("OpenSSL decrypts %q, want %q", got, want)
					}
				}
			})
		}
	}
}

// TestSignThenEncrypt does what most mail gets, in both modes of signing.
func TestSignThenEncrypt(t *testing.T) {
	for _, c := range ciphers {
		for _, mode := range []string{Detached, Opaque} {
			for _, kind := range []string{"rsa2048", "p256"} {
				t.Run(fmt.Sprint(c, "/", mode, "/", kind), func(t *testing.T) {
					e, id := entityOf(entities["multipart"]), as(kind)
					signed, err := Sign(e, id.chain, id.key, SignOptions{Mode: mode})
					if err != nil {
						t.Fatal(err)
					}
					out := encrypted(t, signed, c, as("other"))
					decrypted := opensslDecrypt(t, written(t, out), as("other"))
					if !bytes.Equal(decrypted, written(t, signed)) {
						t.Fatal("OpenSSL does not decrypt the signed entity")
					}
					if got, want := opensslVerify(t, decrypted), written(t, e); !bytes.Equal(got, want) {
						t.Errorf("OpenSSL's content: got %q, want %q", got, want)
					}
				})
			}
		}
	}
}

// TestEncryptThenSign signs what is encrypted, which is rare but allowed (RFC
// 8551, Section 3.7).
func TestEncryptThenSign(t *testing.T) {
	e, id := entityOf(entities["text"]), as("rsa2048")
	inner := encrypted(t, e, CipherAES256CBC, as("other"))
	signed, err := Sign(inner, id.chain, id.key, SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := opensslDecrypt(t, opensslVerify(t, written(t, signed)), as("other")); !bytes.Equal(got, written(t, e)) {
		t.Errorf("got %q", got)
	}
}

// TestEncryptStructure reads what OpenSSL prints.
func TestEncryptStructure(t *testing.T) {
	for _, tc := range []struct {
		c    Cipher
		want []string
	}{
		{CipherAES256CBC, []string{"d.envelopedData:", "algorithm: aes-256-cbc"}},
		{CipherAES256GCM, []string{"d.authEnvelopedData:", "algorithm: aes-256-gcm", "INTEGER :10", "authAttrs: <ABSENT>", "mac:"}},
	} {
		out := encrypted(t, entityOf(entities["text"]), tc.c, as("rsa2048"), as("other"), as("rsa2048"))
		der := unbase64(t, written(t, out.Body))
		text := printed(t, der)
		for _, want := range append(tc.want, "version: 0", "d.issuerAndSerialNumber:", "algorithm: rsaEncryption (1.2.840.113549.1.1.1) parameter: NULL") {
			if !strings.Contains(text, want) {
				t.Errorf("OpenSSL's text lacks %q:\n%s", want, text)
			}
		}
		if n := strings.Count(text, "d.ktri:"); n != 2 {
			t.Errorf("%d recipients, want 2", n)
		}
		if again := mustOpenSSL(t, der, "cms", "-cmsout", "-inform", "DER", "-outform", "DER"); !bytes.Equal(der, again) {
			t.Error("not DER")
		}
	}
}

// TestEncryptDamaged has OpenSSL notice every single byte that is changed in an
// authenticated message's ciphertext and tag.
func TestEncryptDamaged(t *testing.T) {
	out := encrypted(t, entityOf(entities["text"]), CipherAES256GCM, as("rsa2048"))
	der := unbase64(t, written(t, out.Body))
	cert, key := as("rsa2048").files(t)
	for _, at := range []int{1, 16, 17, 18, 19, 30, 60} {
		damaged := bytes.Clone(der)
		damaged[len(damaged)-at] ^= 1
		if got, _, err := openssl(t, damaged, "cms", "-decrypt", "-binary", "-inform", "DER", "-recip", cert, "-inkey", key); err == nil {
			t.Errorf("byte %d from the end changed: OpenSSL decrypts %q", at, got)
		}
	}
}

// TestEncryptRefuses has certificates that can't be used; nothing is written.
func TestEncryptRefuses(t *testing.T) {
	weak := issue("weak", newKey("rsa1024"), pki().intermediate, nil)
	p224 := issue("p224", newKey("p224"), pki().intermediate, nil)
	for name, tc := range map[string]struct {
		to          []*identity
		o           EncryptOptions
		want        string
		unsupported bool
	}{
		"nobody":  {nil, EncryptOptions{}, "no recipient", false},
		"short":   {[]*identity{as("rsa2048"), weak}, EncryptOptions{}, "1024 bits", false},
		"p224":    {[]*identity{as("rsa2048"), p224}, EncryptOptions{}, "needs a curve", true},
		"ed25519": {[]*identity{as("ed25519")}, EncryptOptions{}, "it can only sign", true},
		"cipher":  {[]*identity{as("rsa2048")}, EncryptOptions{Cipher: 9}, "cipher 9", false},
	} {
		var out bytes.Buffer
		_, err := Encrypt(&out, entityOf(entities["text"]), certsOf(tc.to), tc.o)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, tc.want)
		}
		var unsupported *cms.UnsupportedKeyError
		if errors.As(err, &unsupported) != tc.unsupported {
			t.Errorf("%s: %v: is it an UnsupportedKeyError? want %v", name, err, tc.unsupported)
		}
		if out.Len() > 0 {
			t.Errorf("%s: %d bytes were written", name, out.Len())
		}
	}
}

// fullWriter is a disk that has room for so many bytes.
type fullWriter struct {
	room int
	err  error
}

func (w *fullWriter) Write(p []byte) (int, error) {
	if w.room -= len(p); w.room < 0 {
		return 0, w.err
	}
	return len(p), nil
}

// TestEncryptFails has the message unreadable, of another length, or the disk
// full at many places.
func TestEncryptFails(t *testing.T) {
	errDisk := errors.New("disk is full")
	to := certsOf([]*identity{as("rsa2048")})
	for _, c := range ciphers {
		o := EncryptOptions{Cipher: c}
		if _, err := Encrypt(io.Discard, &signer.Entity{Body: broken{errDisk}}, to, o); !errors.Is(err, errDisk) {
			t.Errorf("got %v, want the disk's error", err)
		}
		if _, err := Encrypt(io.Discard, &signer.Entity{Body: &shifting{"text", 0, "more"}}, to, o); err == nil {
			t.Error("no error for a message that is longer than it says")
		}
		if _, err := Encrypt(io.Discard, &signer.Entity{Body: &shifting{"text", 1, ""}}, to, o); err != nil {
			t.Error(err)
		}
		whole := len(written(t, encrypted(t, entityOf(entities["long"]), c, as("rsa2048")).Body))
		for room := 0; room < whole; room += 1 + whole/40 {
			if _, err := Encrypt(&fullWriter{room, errDisk}, entityOf(entities["long"]), to, o); !errors.Is(err, errDisk) {
				t.Errorf("room for %d bytes: got %v, want the disk's error", room, err)
			}
		}
		if _, err := Encrypt(&fullWriter{whole, errDisk}, entityOf(entities["long"]), to, o); err != nil {
			t.Errorf("room for all: %v", err)
		}
	}
}

// TestEncryptKeys has every message get a key and nonce of its own.
func TestEncryptKeys(t *testing.T) {
	for _, c := range ciphers {
		a := unbase64(t, written(t, encrypted(t, entityOf(entities["text"]), c, as("rsa2048")).Body))
		b := unbase64(t, written(t, encrypted(t, entityOf(entities["text"]), c, as("rsa2048")).Body))
		if len(a) != len(b) || bytes.Equal(a[len(a)-60:], b[len(b)-60:]) {
			t.Errorf("%v: two messages with the same content end in the same way", c)
		}
	}
}

func TestCipherString(t *testing.T) {
	if got := fmt.Sprint(CipherAES256CBC, " ", CipherAES128GCM, " ", Cipher(9)); got != "aes256-cbc aes128-gcm cipher 9" {
		t.Error(got)
	}
}
