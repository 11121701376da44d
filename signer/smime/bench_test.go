package smime

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"testing"
	"time"

	"waxseal/signer"
)

var benchSizes = []struct {
	name string
	size int64
}{{"4KB", 4 << 10}, {"1MB", 1 << 20}, {"25MB", 25 << 20}}

// memory is the content of a message as a spool gives it out.
func memory(b *testing.B, size int64) *signer.Entity {
	e := generatedEntity(size)
	e.Body = signer.NewContent(written(b, e.Body))
	return e
}

// BenchmarkSign signs and writes the result. x-bare is how much longer that
// takes than the two bare operations, SHA-256 over the content and the key's
// signature.
func BenchmarkSign(b *testing.B) {
	for _, kind := range []string{"rsa2048", "p256"} {
		for _, s := range benchSizes {
			b.Run(kind+"/"+s.name, func(b *testing.B) {
				id, e := as(kind), memory(b, s.size)
				text := written(b, e)
				b.ReportAllocs()
				b.SetBytes(s.size)
				compare(b, func() error {
					signed, err := Sign(e, id.chain, id.key, SignOptions{})
					if err != nil {
						return err
					}
					_, err = signed.WriteTo(io.Discard)
					return err
				}, func() error {
					digest := sha256.Sum256(text)
					_, err := id.key.Sign(rand.Reader, digest[:], crypto.SHA256)
					return err
				})
			})
		}
	}
}

// BenchmarkEncrypt encrypts to one recipient. x-bare is how much longer that
// takes than the bare operations: RSA, encryption in one piece, and base64.
func BenchmarkEncrypt(b *testing.B) {
	for _, c := range ciphers {
		for _, s := range benchSizes {
			b.Run(c.String()+"/"+s.name, func(b *testing.B) {
				to, e := certsOf([]*identity{as("rsa2048")}), memory(b, s.size)
				bare := bareEncryption(b, c, to[0].PublicKey.(*rsa.PublicKey), written(b, e))
				b.ReportAllocs()
				b.SetBytes(s.size)
				compare(b, func() error {
					_, err := Encrypt(io.Discard, e, to, EncryptOptions{Cipher: c})
					return err
				}, bare)
			})
		}
	}
}

// bareEncryption encrypts text in memory and encodes it without lines.
func bareEncryption(b *testing.B, c Cipher, pub *rsa.PublicKey, text []byte) func() error {
	key := make([]byte, bareKeySize(c))
	block, err := aes.NewCipher(key)
	if err != nil {
		b.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		b.Fatal(err)
	}
	whole := text[:len(text)-len(text)%aes.BlockSize]
	out := make([]byte, len(text)+32)
	encoded := make([]byte, base64.StdEncoding.EncodedLen(len(out)))
	return func() error {
		if _, err := rsa.EncryptPKCS1v15(rand.Reader, pub, key); err != nil {
			return err
		}
		if !c.Authenticates() {
			cipher.NewCBCEncrypter(block, make([]byte, aes.BlockSize)).CryptBlocks(out, whole)
		} else {
			aead.Seal(out[:0], make([]byte, 12), text, nil)
		}
		base64.StdEncoding.Encode(encoded, out[:len(text)])
		return nil
	}
}

// bareKeySize is the length of a cipher's key, in octets.
func bareKeySize(c Cipher) int {
	if c == CipherAES128CBC || c == CipherAES128GCM {
		return 16
	}
	return 32
}

// compare measures ours, takes turns with the bare operation, so that whatever
// else the machine does strikes both, and reports the ratio.
func compare(b *testing.B, ours, bare func() error) {
	var took time.Duration
	for b.Loop() {
		if err := ours(); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		start := time.Now()
		if err := bare(); err != nil {
			b.Fatal(err)
		}
		took += time.Since(start)
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed())/float64(took), "x-bare")
}

// BenchmarkAssemble is all of a signature but the content's digest, with a key
// that takes no time to sign: what assembling SignedData costs.
func BenchmarkAssemble(b *testing.B) {
	id := as("p256")
	a, err := algorithmFor(id.cert(), 0, false)
	if err != nil {
		b.Fatal(err)
	}
	a.verify = func([]byte, []byte) bool { return true }
	signature := make([]byte, 71)
	key := fakeKey{id.key.Public(), func([]byte) ([]byte, error) { return signature, nil }}
	digest, o := make([]byte, 32), SignOptions{Time: time.Now()}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := signedData(a, digest, id.chain, key, o); err != nil {
			b.Fatal(err)
		}
	}
}
