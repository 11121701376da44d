package cms

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"math/rand/v2"
	"testing"
)

// TestGCMEqualsStandardLibrary compares the chunked GCM with crypto/cipher for
// every length around the sizes of blocks and chunks, and for random ones.
func TestGCMEqualsStandardLibrary(t *testing.T) {
	var lengths []int
	for n := range 520 {
		lengths = append(lengths, n)
	}
	for _, middle := range []int{chunkSize, 2 * chunkSize, 5 * chunkSize} {
		for n := middle - 33; n <= middle+33; n++ {
			lengths = append(lengths, n)
		}
	}
	rnd := rand.NewChaCha8([32]byte{1})
	lengthOf := rand.New(rnd)
	for range 100 {
		lengths = append(lengths, lengthOf.IntN(4*chunkSize))
	}
	for _, n := range lengths {
		secret := make([]byte, 32+nonceSize+n)
		rnd.Read(secret)
		key, nonce, plain := secret[:32], secret[32:32+nonceSize], secret[32+nonceSize:]

		block, err := aes.NewCipher(key)
		if err != nil {
			t.Fatal(err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			t.Fatal(err)
		}
		want := aead.Seal(nil, nonce, plain, nil)
		got := gcmChunked(t, key, nonce, plain)
		if !bytes.Equal(got, want) {
			t.Fatalf("%d octets: the chunked GCM differs from crypto/cipher", n)
		}
	}
}

// TestGCMVector is case 16 of the GCM specification's appendix B without its
// additional data, that is case 15.
func TestGCMVector(t *testing.T) {
	key := unhex(t, "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308")
	nonce := unhex(t, "cafebabefacedbaddecaf888")
	plain := unhex(t, "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"+
		"1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255")
	want := unhex(t, "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"+
		"8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"+
		"b094dac5d93471bdec1a502270e3cc6c")
	if got := gcmChunked(t, key, nonce, plain); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

// gcmChunked encrypts plain as encrypter does and returns ciphertext and tag.
func gcmChunked(t testing.TB, key, nonce, plain []byte) []byte {
	t.Helper()
	body, _, err := suites[AES256GCM].newContentCipher(key, nonce)
	if err != nil {
		t.Fatal(err)
	}
	out := bytes.Clone(plain)
	rest := out
	for len(rest) >= chunkSize {
		body.encrypt(rest[:chunkSize])
		rest = rest[chunkSize:]
	}
	body.last(rest)
	return append(out, body.mac()...)
}

func TestPower(t *testing.T) {
	e := element{0x0123456789abcdef, 0xfedcba9876543210}
	want := e
	for n := 1; n < 70; n++ {
		if got := e.power(n); got != want {
			t.Fatalf("e to the %d: got %x, want %x", n, got, want)
		}
		want = want.mul(e)
	}
}

// BenchmarkContent is the encryption of content alone, without DER or base64.
func BenchmarkContent(b *testing.B) {
	for _, c := range []Cipher{AES256CBC, AES256GCM} {
		b.Run(c.String(), func(b *testing.B) {
			body, _, err := suites[c].newContentCipher(make([]byte, 32), make([]byte, suites[c].ivSize()))
			if err != nil {
				b.Fatal(err)
			}
			chunk := make([]byte, chunkSize)
			b.SetBytes(chunkSize)
			for b.Loop() {
				body.encrypt(chunk)
			}
		})
	}
	b.Run("crypto/cipher GCM", func(b *testing.B) {
		block, err := aes.NewCipher(make([]byte, 32))
		if err != nil {
			b.Fatal(err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			b.Fatal(err)
		}
		nonce, chunk := make([]byte, nonceSize), make([]byte, chunkSize, chunkSize+tagSize)
		b.SetBytes(chunkSize)
		for b.Loop() {
			aead.Seal(chunk[:0], nonce, chunk, nil)
		}
	})
}

// TestGCMAdditionalData compares with crypto/cipher, for all lengths of tags.
func TestGCMAdditionalData(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		secret := make([]byte, 16+nonceSize+random.IntN(3*chunkSize))
		aad := make([]byte, random.IntN(100))
		if random.IntN(10) == 0 {
			aad = make([]byte, random.IntN(3*chunkSize))
		}
		for _, b := range [][]byte{secret, aad} {
			for i := range b {
				b[i] = byte(random.Uint32())
			}
		}
		key, nonce, plain := secret[:16], secret[16:16+nonceSize], secret[16+nonceSize:]
		if random.IntN(5) == 0 {
			plain = plain[:0]
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			t.Fatal(err)
		}
		tag := 12 + random.IntN(5)
		aead, err := cipher.NewGCMWithTagSize(block, tag)
		if err != nil {
			t.Fatal(err)
		}
		sealed := aead.Seal(nil, nonce, plain, aad)
		ciphertext, mac := sealed[:len(plain)], sealed[len(plain):]

		body, err := contentAlgorithm{AES128GCM, suites[AES128GCM], nonce, tag}.newContentReader(key)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := body.decrypt(&out, bytes.NewReader(ciphertext)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), plain) || body.sound(aad, mac) != 1 {
			t.Fatalf("%d octets and %d of additional data, tag of %d: not what crypto/cipher has", len(plain), len(aad), tag)
		}
		mac[random.IntN(tag)] ^= 1
		if body.sound(aad, mac) != 0 || body.sound(append(aad, 0), sealed[len(plain):]) != 0 || body.sound(aad, mac[:tag-1]) != 0 {
			t.Fatal("a wrong tag is right")
		}
	}
}

// TestUnpad has every padding octet with a right and a wrong block.
func TestUnpad(t *testing.T) {
	for _, size := range []int{8, 16} {
		for pad := range 256 {
			last := bytes.Repeat([]byte{byte(pad)}, size)
			left, good := unpad(last)
			wantGood, wantLeft := 0, 0
			if pad >= 1 && pad <= size {
				wantGood, wantLeft = 1, size-pad
			}
			if left != wantLeft || good != wantGood {
				t.Errorf("block of %d, padding %d: got %d, %d", size, pad, left, good)
			}
			for i := max(0, size-pad); wantGood == 1 && i < size-1; i++ {
				last[i] ^= 0x80
				if left, good := unpad(last); left != 0 || good != 0 {
					t.Errorf("block of %d, padding %d, octet %d changed: got %d, %d", size, pad, i, left, good)
				}
				last[i] ^= 0x80
			}
			for i := range max(0, size-pad) * wantGood {
				last[i] ^= 0x80
				if left, good := unpad(last); left != wantLeft || good != 1 {
					t.Errorf("block of %d, padding %d, content octet %d changed: got %d, %d", size, pad, i, left, good)
				}
			}
		}
	}
}
