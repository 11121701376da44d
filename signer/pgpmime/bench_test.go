package pgpmime

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"fmt"
	"io"
	"testing"

	"github.com/ProtonMail/go-crypto/ocb"

	"waxseal/signer"
)

var benchSizes = []int64{4 << 10, 1 << 20, 25 << 20}

func BenchmarkSign(b *testing.B) {
	g := gpg(b)
	for _, user := range []string{"rosa@example.com", "edda@example.com"} {
		k := g.key(b, user)
		for _, size := range benchSizes {
			e := &signer.Entity{Body: generated(size)}
			b.Run(fmt.Sprintf("%s/%d", k.Algorithm(0), size), func(b *testing.B) {
				b.SetBytes(size)
				b.ReportAllocs()
				for b.Loop() {
					out, err := Sign(e, k, SignOptions{})
					if err != nil {
						b.Fatal(err)
					}
					out.WriteTo(io.Discard)
				}
			})
		}
	}
}

func BenchmarkEncrypt(b *testing.B) {
	g := gpg(b)
	secret, public := made(b, "six@example.com", configV6)
	six, err := ParseCertificate("six@example.com", public)
	if err != nil {
		b.Fatal(err)
	}
	key, err := ParseKey("six@example.com", secret, nil)
	if err != nil {
		b.Fatal(err)
	}
	for _, test := range []struct {
		what string
		to   *Certificate
		sign *Key
	}{
		{"v1-rsa3072", g.recipient(b, "rosa@example.com"), nil},
		{"v1-cv25519", g.recipient(b, "edda@example.com"), nil},
		{"v1-cv25519-signed", g.recipient(b, "edda@example.com"), g.key(b, "edda@example.com")},
		{"v2-x25519", six, nil},
		{"v2-x25519-signed", six, key},
	} {
		for _, size := range benchSizes {
			e := &signer.Entity{Body: generated(size)}
			b.Run(fmt.Sprintf("%s/%d", test.what, size), func(b *testing.B) {
				b.SetBytes(size)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := Encrypt(io.Discard, e, []*Certificate{test.to}, test.sign, EncryptOptions{}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	g := gpg(b)
	for _, user := range []string{"rosa@example.com", "edda@example.com"} {
		k := g.key(b, user)
		for _, size := range benchSizes {
			var text bytes.Buffer
			generated(size).WriteTo(&text)
			signature := signedBy(b, text.String(), k.cert.entity.PrivateKey, nil)
			held := []*Certificate{k.Certificate()}
			b.Run(fmt.Sprintf("%s/%d", k.Algorithm(0), size), func(b *testing.B) {
				b.SetBytes(size)
				b.ReportAllocs()
				for b.Loop() {
					found, err := Verify(bytes.NewReader(text.Bytes()), signature, held, VerifyOptions{Time: day()})
					if err != nil || found[0].Integrity.Verdict != signer.Pass {
						b.Fatal(found, err)
					}
				}
			})
		}
	}
}

func BenchmarkDecrypt(b *testing.B) {
	g := gpg(b)
	six, err := ParseKey("six@example.com", first(made(b, "six@example.com", configV6)), nil)
	if err != nil {
		b.Fatal(err)
	}
	for what, k := range map[string]*Key{"v1-rsa3072": g.key(b, "rosa@example.com"), "v1-cv25519": g.key(b, "edda@example.com"), "v2-x25519": six} {
		for _, size := range benchSizes {
			held := []*Certificate{k.Certificate()}
			message := encrypted(b, &signer.Entity{Body: generated(size)}, held, k, EncryptOptions{})
			b.Run(fmt.Sprintf("%s-signed/%d", what, size), func(b *testing.B) {
				b.SetBytes(size)
				b.ReportAllocs()
				for b.Loop() {
					d, err := Decrypt(io.Discard, bytes.NewReader(message), []*Key{k}, DecryptOptions{Certificates: held, Verify: VerifyOptions{Time: day()}})
					if err != nil || d.Signatures[0].Integrity.Verdict != signer.Pass {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// What the standard library needs for the bare operations.
func BenchmarkBare(b *testing.B) {
	data := make([]byte, 1<<20)
	b.Run("sha256", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			sha256.Sum256(data)
		}
	})
	b.Run("aes256-cfb", func(b *testing.B) {
		block, _ := aes.NewCipher(make([]byte, 32))
		stream := cipher.NewCFBEncrypter(block, make([]byte, 16))
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			stream.XORKeyStream(data, data)
		}
	})
	b.Run("aes256-ocb", func(b *testing.B) {
		block, _ := aes.NewCipher(make([]byte, 32))
		aead, err := ocb.NewOCB(block)
		if err != nil {
			b.Fatal(err)
		}
		out := make([]byte, 0, aeadChunk+aead.Overhead())
		nonce := make([]byte, aead.NonceSize())
		b.SetBytes(aeadChunk)
		for b.Loop() {
			aead.Seal(out, nonce, data[:aeadChunk], nil)
		}
	})
	b.Run("base64", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			w := signer.NewBase64Writer(io.Discard)
			w.Write(data)
			w.Close()
		}
	})
}

func BenchmarkKeyring(b *testing.B) {
	g := gpg(b)
	data := g.certificate(b, "rosa@example.com")
	b.Run("parse", func(b *testing.B) {
		for b.Loop() {
			c, err := ParseCertificate("rosa@example.com", data)
			if err != nil || c.CheckEncrypt(day()) != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("remembered", func(b *testing.B) {
		var r Keyring
		for b.Loop() {
			c, err := r.Certificate("rosa@example.com", data)
			if err != nil || c.CheckEncrypt(day()) != nil {
				b.Fatal(err)
			}
		}
	})
}
