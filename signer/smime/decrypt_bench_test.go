package smime

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"io"
	"runtime"
	"testing"

	"waxseal/signer"
)

// BenchmarkDecrypt decrypts a message in DER. x-bare is how much longer that
// takes than the bare operations: RSA, and decryption in one piece.
func BenchmarkDecrypt(b *testing.B) {
	for _, c := range ciphers {
		for _, s := range benchSizes {
			b.Run(c.String()+"/"+s.name, func(b *testing.B) {
				id, e := as("rsa2048"), memory(b, s.size)
				der := unbase64(b, written(b, encrypted(b, e, c, id).Body))
				bare := bareDecryption(b, c, id.key.(*rsa.PrivateKey), written(b, e))
				b.ReportAllocs()
				b.SetBytes(s.size)
				compare(b, func() error {
					_, err := Decrypt(io.Discard, bytes.NewReader(der), []DecryptionKey{keyOf(id)}, DecryptOptions{})
					return err
				}, bare)
			})
		}
	}
}

// bareDecryption decrypts what it encrypted in memory.
func bareDecryption(b *testing.B, c Cipher, key *rsa.PrivateKey, text []byte) func() error {
	size := bareKeySize(c)
	block, err := aes.NewCipher(make([]byte, size))
	if err != nil {
		b.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		b.Fatal(err)
	}
	encrypted, err := rsa.EncryptPKCS1v15(rand.Reader, &key.PublicKey, make([]byte, size))
	if err != nil {
		b.Fatal(err)
	}
	whole := text[:len(text)-len(text)%aes.BlockSize]
	sealed := aead.Seal(nil, make([]byte, 12), text, nil)
	out := make([]byte, len(text)+32)
	return func() error {
		err := rsa.DecryptPKCS1v15SessionKey(nil, key, encrypted, make([]byte, size))
		if c.Authenticates() && err == nil {
			_, err = aead.Open(out[:0], make([]byte, 12), sealed, nil)
			return err
		}
		cipher.NewCBCDecrypter(block, make([]byte, aes.BlockSize)).CryptBlocks(out, whole)
		return err
	}
}

// BenchmarkRecipients encrypts and decrypts next to nothing, for each kind of
// key.
func BenchmarkRecipients(b *testing.B) {
	keys := map[string]DecryptionKey{"x25519": sample(b, "7.3", "7.4")}
	for _, kind := range []string{"rsa2048", "p256", "p384", "p521"} {
		keys[kind] = keyOf(withKeyID()[kind])
	}
	for kind, k := range keys {
		to := []*x509.Certificate{k.Certificate}
		encrypt := func(w io.Writer) error {
			_, err := Encrypt(w, memory(b, 100), to, EncryptOptions{})
			return err
		}
		b.Run("encrypt/"+kind, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := encrypt(io.Discard); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("decrypt/"+kind, func(b *testing.B) {
			var out bytes.Buffer
			if err := encrypt(&out); err != nil {
				b.Fatal(err)
			}
			der := unbase64(b, out.Bytes())
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Decrypt(io.Discard, bytes.NewReader(der), []DecryptionKey{k}, DecryptOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestDecryptMemory decrypts 100 MiB that nobody holds: they are encrypted and
// encoded at one end of a pipe, and decoded and decrypted at the other. All that
// is allocated on both ways, in use at the same time or not, has to stay below 4
// MiB.
func TestDecryptMemory(t *testing.T) {
	const size, limit = 100 << 20, 4 << 20
	id := as("rsa2048")
	for _, c := range ciphers {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		in, out := io.Pipe()
		go func() {
			w := bufio.NewWriterSize(out, 64<<10)
			_, err := Encrypt(w, &signer.Entity{Body: generated(size)}, certsOf([]*identity{id}), EncryptOptions{Cipher: c})
			if err == nil {
				err = w.Flush()
			}
			out.CloseWithError(err)
		}()
		plain := &counter{w: io.Discard}
		_, err := Decrypt(plain, base64.NewDecoder(base64.StdEncoding, in), []DecryptionKey{keyOf(id)}, DecryptOptions{})
		in.Close()
		runtime.ReadMemStats(&after)
		allocated := after.TotalAlloc - before.TotalAlloc
		t.Logf("%v: %d KiB allocated for a message of %d MiB", c, allocated>>10, size>>20)
		if err != nil || plain.n != size+2 || allocated > limit {
			t.Errorf("%v: %v, %d bytes decrypted, %d allocated, want at most %d", c, err, plain.n, allocated, limit)
		}
	}
}

// TestDecryptHostile has what costs other readers much.
func TestDecryptHostile(t *testing.T) {
	keys := []DecryptionKey{keyOf(as("rsa2048"))}
	for name, in := range map[string][]byte{
		"indefinite": bytes.Repeat([]byte{0x30, 0x80}, 3_000_000),
		"zeros":      make([]byte, 6_000_000),
		"empty set":  {0x30, 0x80, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03, 0xa0, 0x80, 0x30, 0x80, 2, 1, 0, 0x31, 0},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Decrypt(io.Discard, bytes.NewReader(in), keys, DecryptOptions{})
		runtime.ReadMemStats(&after)
		if allocated := after.TotalAlloc - before.TotalAlloc; err == nil || allocated > 100<<10 {
			t.Errorf("%s: %v, %d bytes allocated", name, err, allocated)
		}
	}
	// Many recipients, none of whom is us. Most of what is allocated is not in use
	// for longer than one of them takes.
	one := []byte{0x30, 0x1c, 2, 1, 0, 0x30, 0x05, 0x30, 0, 2, 1, 1, 0x30, 0x0b, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 4, 0x01, 0}
	one[1] = byte(len(one) - 2)
	for _, n := range []int{1000, 30_000, 130_000} {
		head := []byte{0x30, 0x80, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03, 0xa0, 0x80, 0x30, 0x80, 2, 1, 0, 0x31, 0x80}
		in := append(head, bytes.Repeat(one, n)...)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Decrypt(io.Discard, bytes.NewReader(append(in, 0, 0)), keys, DecryptOptions{})
		runtime.ReadMemStats(&after)
		allocated := after.TotalAlloc - before.TotalAlloc
		t.Logf("%d recipients: %d kB for %d kB: %v", n, allocated/1000, len(in)/1000, err)
		if err == nil || allocated > 5*uint64(len(in))+100<<10 {
			t.Errorf("%d recipients: %v, %d bytes allocated for %d", n, err, allocated, len(in))
		}
	}
}
