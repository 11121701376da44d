package cms

import (
	"bytes"
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// envelopeParts are what a message is put together from, so that each of them
// may be wrong.
type envelopeParts struct {
	oid, contentType []int
	recipients       [][]byte
	algorithm        []byte
	ciphertext       []byte
	attributes, mac  []byte // nil to leave them out
}

func (p envelopeParts) der(t testing.TB) []byte {
	t.Helper()
	out, err := build("test", func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(p.oid)
			b.AddASN1(tagExplicit0, func(b *cryptobyte.Builder) {
				b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1Int64(0)
					b.AddASN1(casn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(slices.Concat(p.recipients...)) })
					b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1ObjectIdentifier(p.contentType)
						b.AddBytes(p.algorithm)
						b.AddASN1(tagImplicit0, func(b *cryptobyte.Builder) { b.AddBytes(p.ciphertext) })
					})
					b.AddBytes(p.attributes)
					if p.mac != nil {
						b.AddASN1OctetString(p.mac)
					}
				})
			})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// rsaRecipient is a KeyTransRecipientInfo with whatever stands for the encrypted
// key.
func rsaRecipient(t testing.TB, cert *x509.Certificate, encrypted []byte, algorithm func(b *cryptobyte.Builder)) []byte {
	t.Helper()
	out, err := build("test", func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(0)
			addIssuerAndSerialNumber(b, cert)
			algorithm(b)
			b.AddASN1OctetString(encrypted)
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func rsa15Algorithm(b *cryptobyte.Builder) {
	addAlgorithm(b, oidRSAEncryption, func(b *cryptobyte.Builder) { b.AddASN1NULL() })
}

// rawRSA encrypts a block as it is.
func rawRSA(pub *rsa.PublicKey, block []byte) []byte {
	m := new(big.Int).Exp(new(big.Int).SetBytes(block), big.NewInt(int64(pub.E)), pub.N)
	return m.FillBytes(make([]byte, pub.Size()))
}

// paddings are blocks of PKCS #1 v1.5 that hold a key, all wrong but the first.
func paddings(key []byte, size int) map[string][]byte {
	block := func(change func(b []byte)) []byte {
		b := bytes.Repeat([]byte{0x55}, size)
		b[0], b[1], b[size-len(key)-1] = 0, 2, 0
		copy(b[size-len(key):], key)
		change(b)
		return b
	}
	return map[string][]byte{
		"right":           block(func([]byte) {}),
		"first octet":     block(func(b []byte) { b[0] = 1 }),
		"block type":      block(func(b []byte) { b[1] = 1 }),
		"zero too early":  block(func(b []byte) { b[5] = 0 }),
		"no zero":         block(func(b []byte) { copy(b[2:], bytes.Repeat([]byte{0x55}, size-2)) }),
		"longer key":      block(func(b []byte) { b[size-len(key)-1], b[size-len(key)-2] = 7, 0 }),
		"shorter key":     block(func(b []byte) { b[size-len(key)-1], b[size-len(key)] = 7, 0 }),
		"half as long":    block(func(b []byte) { b[size-len(key)-1], b[size-len(key)/2-1] = 7, 0 }),
		"nothing":         block(func(b []byte) { copy(b[2:], bytes.Repeat([]byte{0x55}, size-3)); b[size-1] = 0 }),
		"random":          randomKey(size - 1),
		"another one":     block(func(b []byte) { b[size-1] ^= 2 }),
		"zeros":           make([]byte, size),
		"separator twice": block(func(b []byte) { b[size-len(key)-2] = 0 }),
	}
}

// remote is a key that is elsewhere. It can't keep its answers in constant time,
// and says what is wrong with a ciphertext.
type remote struct{ *rsa.PrivateKey }

func (r remote) Decrypt(_ io.Reader, ciphertext []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	if _, ok := opts.(*rsa.PKCS1v15DecryptOptions); ok {
		opts = &rsa.PKCS1v15DecryptOptions{}
	}
	return r.PrivateKey.Decrypt(rand.Reader, ciphertext, opts)
}

// TestOracle has all that can be wrong with keys, padding and authentication. All
// of it gives the same error, after the whole content has been decrypted with
// some key, and nothing else can be learned.
func TestOracle(t *testing.T) {
	cert, private := newRecipient(t)
	content := bytes.Repeat([]byte("Content\r\n"), 10_000)
	for _, c := range []Cipher{AES256CBC, AES128CBC, AES256GCM, AES128GCM, TripleDESCBC, AES192CBC} {
		s := suites[c]
		key, iv := randomKey(s.key), randomKey(s.ivSize())
		p := sealed(t, c, key, iv, content)
		for name, decrypter := range map[string]crypto.Decrypter{"memory": private, "remote": remote{private}} {
			decrypt := func(what string, p envelopeParts, right bool) {
				t.Helper()
				var out bytes.Buffer
				_, err := Decrypt(&out, bytes.NewReader(p.der(t)), []Key{{cert, decrypter}}, DecryptOptions{Legacy: true})
				switch {
				case right:
					if err != nil || !bytes.Equal(out.Bytes(), content) {
						t.Errorf("%v, %s, %s: got %v, want the content", c, name, what, err)
					}
					return
				case err == nil && !s.gcm && !bytes.Equal(out.Bytes(), content):
					// One random key in 256 makes padding that is right.
				case err != ErrDecrypt || err.Error() != ErrDecrypt.Error():
					t.Errorf("%v, %s, %s: got %v, want ErrDecrypt", c, name, what, err)
				}
				if out.Len() < len(content)-16 {
					t.Errorf("%v, %s, %s: stopped after %d of %d bytes", c, name, what, out.Len(), len(content))
				}
			}
			for what, block := range paddings(key, private.Size()) {
				p.recipients = [][]byte{rsaRecipient(t, cert, rawRSA(&private.PublicKey, block), rsa15Algorithm)}
				decrypt(what, p, what == "right")
			}
			for what, encrypted := range map[string][]byte{
				"no ciphertext":         {},
				"short ciphertext":      make([]byte, 100),
				"long ciphertext":       bytes.Repeat([]byte{0x77}, 1000),
				"above the modulus":     bytes.Repeat([]byte{0xff}, private.Size()),
				"a ciphertext of zeros": make([]byte, private.Size()),
			} {
				p.recipients = [][]byte{rsaRecipient(t, cert, encrypted, rsa15Algorithm)}
				decrypt(what, p, false)
			}
			oaep := func(b *cryptobyte.Builder) { addOAEP(b, crypto.SHA256) }
			for what, block := range paddings(key, private.Size()) {
				p.recipients = [][]byte{rsaRecipient(t, cert, rawRSA(&private.PublicKey, block), oaep)}
				decrypt("OAEP, "+what, p, false)
			}
			right := rawRSA(&private.PublicKey, paddings(key, private.Size())["right"])
			p.recipients = [][]byte{rsaRecipient(t, cert, right, rsa15Algorithm)}
			for _, at := range []int{1, 2, 15, 16, 17, 18, 32} {
				damaged := p
				damaged.ciphertext = bytes.Clone(p.ciphertext)
				damaged.ciphertext[len(p.ciphertext)-at] ^= 0x80
				decrypt(fmt.Sprintf("octet %d from the end", at), damaged, false)
			}
			if s.gcm {
				for i := range p.mac {
					damaged := p
					damaged.mac = bytes.Clone(p.mac)
					damaged.mac[i] ^= 1
					decrypt("tag", damaged, false)
				}
			}
		}
	}
}

// BenchmarkOracle shows how long each kind of failure takes, and success: the
// median of each, in times of success. They take turns, so that whatever else the
// machine does strikes all. They differ by nothing that stands out.
func BenchmarkOracle(b *testing.B) {
	cert, private := newRecipient(b)
	content := bytes.Repeat([]byte("Content\r\n"), 1000)
	key := randomKey(32)
	p := sealed(b, AES256CBC, key, randomKey(aes.BlockSize), content)
	blocks := paddings(key, private.Size())
	cases := map[string][]byte{}
	for name := range blocks {
		p.recipients = [][]byte{rsaRecipient(b, cert, rawRSA(&private.PublicKey, blocks[name]), rsa15Algorithm)}
		cases["key/"+name] = p.der(b)
	}
	p.recipients = [][]byte{rsaRecipient(b, cert, rawRSA(&private.PublicKey, blocks["right"]), rsa15Algorithm)}
	p.ciphertext[len(p.ciphertext)-17] ^= 0x80
	cases["content/padding"] = p.der(b)
	names := slices.Sorted(maps.Keys(cases))
	took := map[string][]time.Duration{}
	for b.Loop() {
		mathrand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		for _, name := range names {
			start := time.Now()
			// A random key now and then makes padding that is right.
			if _, err := Decrypt(io.Discard, bytes.NewReader(cases[name]), []Key{{cert, private}}, DecryptOptions{}); err != nil && err != ErrDecrypt {
				b.Fatal(err)
			}
			took[name] = append(took[name], time.Since(start))
		}
	}
	median := func(name string) float64 {
		slices.Sort(took[name])
		return float64(took[name][len(took[name])/2])
	}
	for _, name := range names {
		b.ReportMetric(median(name)/median("key/right"), strings.ReplaceAll(name, " ", "-"))
	}
}

// sealed encrypts with crypto/cipher alone.
func sealed(t testing.TB, c Cipher, key, iv, content []byte) envelopeParts {
	t.Helper()
	s := suites[c]
	block, err := s.block(key)
	if err != nil {
		t.Fatal(err)
	}
	p := envelopeParts{oid: oidEnvelopedData, contentType: oidData}
	if s.gcm {
		p.oid = oidAuthEnvelopedData
		aead, err := cipher.NewGCM(block)
		if err != nil {
			t.Fatal(err)
		}
		out := aead.Seal(nil, iv, content, nil)
		p.ciphertext, p.mac = out[:len(content)], out[len(content):]
	} else {
		size := block.BlockSize()
		pad := size - len(content)%size
		p.ciphertext = append(bytes.Clone(content), bytes.Repeat([]byte{byte(pad)}, pad)...)
		cipher.NewCBCEncrypter(block, iv).CryptBlocks(p.ciphertext, p.ciphertext)
	}
	if _, p.algorithm, err = s.newContentCipher(key, iv); err != nil {
		t.Fatal(err)
	}
	return p
}

// unusable is a key that fails in one way.
type unusable struct {
	*rsa.PrivateKey
	err error
}

func (u unusable) Decrypt(io.Reader, []byte, crypto.DecrypterOpts) ([]byte, error) {
	return []byte("rubbish"), u.err
}

type temporaryError bool

func (temporaryError) Error() string     { return "sealed" }
func (e temporaryError) Temporary() bool { return bool(e) }

// TestKeyUnavailable tells what a key says about itself from what it says about
// a ciphertext.
func TestKeyUnavailable(t *testing.T) {
	cert, private := newRecipient(t)
	for _, o := range []EncryptOptions{{Cipher: AES256GCM}, {Cipher: AES256GCM, KeyTransport: OAEPSHA256}} {
		der := encryptedTo(t, o, []byte("content"), cert)
		for _, tc := range []struct {
			err    error
			passed bool
		}{
			{nil, false},
			{errors.New("vault: 500: crypto/rsa: decryption error"), false},
			{rsa.ErrDecryption, false},
			{temporaryError(false), false},
			{temporaryError(true), true},
			{fmt.Errorf("ask vault: %w", temporaryError(true)), true},
			{context.DeadlineExceeded, true},
			{context.Canceled, true},
		} {
			_, err := Decrypt(io.Discard, bytes.NewReader(der), []Key{{cert, unusable{private, tc.err}}}, DecryptOptions{})
			if tc.passed && !errors.Is(err, tc.err) || !tc.passed && err != ErrDecrypt {
				t.Errorf("%v: key says %v, Decrypt %v", o.KeyTransport, tc.err, err)
			}
		}
	}
}

// encryptedTo encrypts as a stream.
func encryptedTo(t testing.TB, o EncryptOptions, content []byte, to ...*x509.Certificate) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewEncrypter(&out, to, o, int64(len(content)))
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestAuthenticatedAttributes has attributes that were authenticated, made with
// crypto/cipher (RFC 5083, Section 2.2).
func TestAuthenticatedAttributes(t *testing.T) {
	cert, private := newRecipient(t)
	key, iv, content := randomKey(16), randomKey(nonceSize), []byte("Content")
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	attribute := func(oid []int, value []int) []byte {
		der, err := build("test", func(b *cryptobyte.Builder) {
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oid)
				b.AddASN1(casn1.SET, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(value) })
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	typeData, typeSigned := attribute(oidContentType, oidData), attribute(oidContentType, oidSignedData)
	other := attribute([]int{1, 2, 3}, []int{1, 2, 3, 4})
	p := sealed(t, AES128GCM, key, iv, content)
	p.recipients = [][]byte{rsaRecipient(t, cert, rawRSA(&private.PublicKey, paddings(key, private.Size())["right"]), rsa15Algorithm)}
	for _, tc := range []struct {
		name          string
		authenticated []byte // what the sender computed the tag over
		sent          []byte
		want          string
	}{
		{"one", typeData, typeData, ""},
		{"sorted", slices.Concat(other, typeData), slices.Concat(other, typeData), ""},
		{"sent in another order", slices.Concat(other, typeData), slices.Concat(typeData, other), ""},
		{"empty set", []byte{}, []byte{}, ""},
		{"other type", typeSigned, typeSigned, "content type"},
		{"left out", typeData, nil, ErrDecrypt.Error()},
		{"added", nil, typeData, ErrDecrypt.Error()},
		{"changed", slices.Concat(other, typeData), typeData, ErrDecrypt.Error()},
		{"malformed", typeData, typeData[1:], "malformed"},
	} {
		var aad []byte
		if tc.authenticated != nil {
			aad = open(casn1.SET, tc.authenticated, 0)
		}
		out := aead.Seal(nil, iv, content, aad)
		q := p
		q.mac = out[len(content):]
		if tc.sent != nil {
			q.attributes = open(tagExplicit1, tc.sent, 0)
		}
		var plain bytes.Buffer
		_, err := Decrypt(&plain, bytes.NewReader(q.der(t)), []Key{{cert, private}}, DecryptOptions{})
		if tc.want == "" && (err != nil || !bytes.Equal(plain.Bytes(), content)) || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
}
