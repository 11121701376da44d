package cms

import (
	"bytes"
	"compress/zlib"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// newECRecipient makes a self-signed certificate with a key of a curve.
func newECRecipient(t testing.TB, curve elliptic.Curve) Key {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(77),
		Subject:      pkix.Name{CommonName: "recipient on a curve"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		SubjectKeyId: []byte("key id"),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return Key{cert, key}
}

// TestDecryptDamaged changes and cuts every octet of messages. Whatever comes of
// it is one of the errors that there are, or the content.
func TestDecryptDamaged(t *testing.T) {
	cert, private := newRecipient(t)
	ec := newECRecipient(t, elliptic.P256())
	keys := []Key{{cert, private}, ec}
	content := []byte("Content that is longer than two blocks")
	for _, o := range []EncryptOptions{
		{Cipher: AES256CBC},
		{Cipher: AES128GCM, RecipientID: SubjectKeyID, KeyTransport: OAEPSHA256},
		{Cipher: AES256GCM, UserKeyingMaterial: []byte("ukm")},
	} {
		to := []*x509.Certificate{cert, ec.Certificate}[:1]
		if o.UserKeyingMaterial != nil {
			to = []*x509.Certificate{ec.Certificate}
		}
		der := encryptedTo(t, o, content, to...)
		for i := range der {
			damaged := bytes.Clone(der)
			damaged[i] ^= byte(1 + i%255)
			var out bytes.Buffer
			_, err := Decrypt(&out, bytes.NewReader(damaged), keys, DecryptOptions{})
			if !allowed(err) {
				t.Errorf("%+v, octet %d changed: %v", o, i, err)
			}
			if err == nil && o.Cipher.Authenticates() && !bytes.Equal(out.Bytes(), content) {
				t.Errorf("%+v, octet %d changed: authenticated %q", o, i, out.Bytes())
			}
			_, err = Decrypt(io.Discard, bytes.NewReader(der[:i]), keys, DecryptOptions{})
			var syntax *SyntaxError
			if !errors.As(err, &syntax) {
				t.Errorf("%+v, cut after %d: got %v, want a SyntaxError", o, i, err)
			}
		}
		if _, err := Decrypt(io.Discard, bytes.NewReader(append(bytes.Clone(der), 0)), keys, DecryptOptions{}); !allowed(err) || err == nil {
			t.Errorf("%+v, longer: %v", o, err)
		}
	}
}

// allowed are the errors of a message, and none.
func allowed(err error) bool {
	var syntax *SyntaxError
	var unsupported *UnsupportedError
	return err == nil || err == ErrDecrypt || err == ErrNoKey || errors.As(err, &syntax) || errors.As(err, &unsupported)
}

// counted counts how often a key is used.
type counted struct {
	*rsa.PrivateKey
	times int
}

func (c *counted) Decrypt(r io.Reader, ciphertext []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	c.times++
	return c.PrivateKey.Decrypt(r, ciphertext, opts)
}

// TestManyRecipients names the same recipient thousands of times, which must not
// cost thousands of uses of the key.
func TestManyRecipients(t *testing.T) {
	cert, private := newRecipient(t)
	p := sealed(t, AES128GCM, randomKey(16), randomKey(nonceSize), []byte("content"))
	rubbish := make([]byte, private.Size())
	for range 2000 {
		p.recipients = append(p.recipients,
			rsaRecipient(t, cert, rubbish, rsa15Algorithm),
			rsaRecipient(t, cert, rubbish, func(b *cryptobyte.Builder) { addOAEP(b, crypto.SHA256) }))
	}
	key := &counted{private, 0}
	if _, err := Decrypt(io.Discard, bytes.NewReader(p.der(t)), []Key{{cert, key}}, DecryptOptions{}); err != ErrDecrypt {
		t.Errorf("got %v, want ErrDecrypt", err)
	}
	if key.times != maxAttempts+1 {
		t.Errorf("the key was used %d times, want %d", key.times, maxAttempts+1)
	}
}

// TestDecryptKeys has several keys, of which the right one has to be found, and
// keys of a kind that does not fit.
func TestDecryptKeys(t *testing.T) {
	cert, private := newRecipient(t)
	ec := newECRecipient(t, elliptic.P384())
	exchanger, err := ec.Key.(*ecdsa.PrivateKey).ECDH()
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	otherCert, otherPrivate := newRecipient(t)
	otherCert.SerialNumber = big.NewInt(4711)
	history := []Key{{otherCert, otherPrivate}, {cert, private}}
	toRSA := encryptedTo(t, EncryptOptions{}, []byte("content"), cert)
	toEC := encryptedTo(t, EncryptOptions{}, []byte("content"), ec.Certificate)
	toBoth := encryptedTo(t, EncryptOptions{Cipher: AES256GCM}, []byte("content"), ec.Certificate, cert)
	for _, tc := range []struct {
		name string
		der  []byte
		keys []Key
		want error
	}{
		{"history", toRSA, history, nil},
		{"both", toBoth, append(history, ec), nil},
		{"as an exchanger", toEC, []Key{{ec.Certificate, exchanger}}, nil},
		{"of another curve", toEC, []Key{{ec.Certificate, other}}, ErrNoKey},
		{"of another certificate", toRSA, []Key{{cert, otherPrivate}}, ErrNoKey},
		{"of another certificate, and the right one", toRSA, []Key{{cert, otherPrivate}, {cert, private}, {cert, exchanger}, {cert, other}}, nil},
		{"for each certificate", toBoth, []Key{{cert, private}, {cert, exchanger}, {ec.Certificate, private}, {ec.Certificate, exchanger}}, nil},
		{"that is wrong, and one that is right", toBoth, []Key{{ec.Certificate, other}, {cert, private}}, nil},
		{"of another kind", toEC, []Key{{ec.Certificate, private}}, ErrNoKey},
		{"of the other kind", toRSA, []Key{{cert, exchanger}}, ErrNoKey},
		{"missing", toRSA, []Key{{cert, nil}}, ErrNoKey},
		{"none", toRSA, nil, ErrNoKey},
	} {
		var out bytes.Buffer
		_, err := Decrypt(&out, bytes.NewReader(tc.der), tc.keys, DecryptOptions{})
		if !errors.Is(err, tc.want) || err == nil && out.String() != "content" {
			t.Errorf("a key %s: got %v and %q, want %v", tc.name, err, out.String(), tc.want)
		}
	}
	if _, err := Decrypt(io.Discard, bytes.NewReader(toRSA), []Key{{nil, private}}, DecryptOptions{}); err == nil {
		t.Error("no error for a key without a certificate")
	}
}

// TestDecryptUnsupported has what is not supported, or not allowed, and not ours
// to decrypt.
func TestDecryptUnsupported(t *testing.T) {
	cert, private := newRecipient(t)
	iv := randomKey(8)
	des := sealed(t, TripleDESCBC, randomKey(24), iv, []byte("content"))
	des.recipients = [][]byte{rsaRecipient(t, cert, make([]byte, 256), rsa15Algorithm)}
	gcm := sealed(t, AES128GCM, randomKey(16), randomKey(12), []byte("content"))
	gcm.recipients = des.recipients
	aes192 := sealed(t, AES192GCM, randomKey(24), randomKey(12), []byte("content"))
	aes192.recipients = des.recipients
	gcmInEnveloped, cbcInAuthenticated, rc2, signed, kem, nonce := gcm, des, des, des, des, gcm
	gcmInEnveloped.oid, gcmInEnveloped.mac = oidEnvelopedData, nil
	cbcInAuthenticated.oid = oidAuthEnvelopedData
	algorithm := func(oid asn1.ObjectIdentifier, parameters func(b *cryptobyte.Builder)) []byte {
		der, err := build("test", func(b *cryptobyte.Builder) { addAlgorithm(b, oid, parameters) })
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	rc2.algorithm = algorithm(asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 99}, nil)
	signed.oid = oidSignedData
	kem.recipients = [][]byte{rsaRecipient(t, cert, nil, func(b *cryptobyte.Builder) { addAlgorithm(b, asn1.ObjectIdentifier{1, 2, 3}, nil) })}
	nonce.algorithm = algorithm(oidAES128GCM, func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1OctetString(make([]byte, 16)) })
	})
	short := nonce
	short.algorithm = algorithm(oidAES128GCM, func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1OctetString(make([]byte, 12))
			b.AddASN1Int64(4)
		})
	})
	shortMAC := gcm
	shortMAC.mac = gcm.mac[:12]
	odd := des
	odd.ciphertext = des.ciphertext[:5]
	empty := des
	empty.ciphertext = nil
	for name, tc := range map[string]struct {
		p    envelopeParts
		o    DecryptOptions
		want string
	}{
		"Triple DES":                {des, DecryptOptions{}, "not supported: des-ede3-cbc, which is not allowed here"},
		"Triple DES, allowed":       {des, DecryptOptions{Legacy: true}, ErrDecrypt.Error()},
		"AES-192":                   {aes192, DecryptOptions{}, "not supported: aes192-gcm, which is not allowed here"},
		"AES-192, allowed":          {aes192, DecryptOptions{Legacy: true}, ErrDecrypt.Error()},
		"other cipher":              {rc2, DecryptOptions{Legacy: true}, "content encryption not supported: 1.2.840.113549.3.99"},
		"other content type":        {signed, DecryptOptions{}, "content type not supported: signed-data"},
		"other key transport":       {kem, DecryptOptions{}, "key transport not supported: 1.2.3"},
		"GCM in EnvelopedData":      {gcmInEnveloped, DecryptOptions{}, "not for this content type"},
		"CBC in AuthEnvelopedData":  {cbcInAuthenticated, DecryptOptions{Legacy: true}, "not for this content type"},
		"nonce of 16":               {nonce, DecryptOptions{}, "nonce that is not 12 octets"},
		"tag of 4":                  {short, DecryptOptions{}, "malformed CMS: the parameters of GCM"},
		"tag shorter than it says":  {shortMAC, DecryptOptions{}, "malformed CMS: the length of the authentication tag"},
		"ciphertext of odd length":  {odd, DecryptOptions{Legacy: true}, "malformed CMS: the length of the encrypted content"},
		"no ciphertext":             {empty, DecryptOptions{Legacy: true}, "malformed CMS: the length of the encrypted content"},
		"more than the limit holds": {des, DecryptOptions{Legacy: true, Limits: Limits{Held: 100}}, "more than 100 octets"},
		"longer than the limit":     {des, DecryptOptions{Legacy: true, Limits: Limits{Size: 100}}, "longer than 100 octets"},
	} {
		_, err := Decrypt(io.Discard, bytes.NewReader(tc.p.der(t)), []Key{{cert, private}}, tc.o)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}

// compressedData is CompressedData (RFC 3274) around what is said to be zlib.
func compressedData(t testing.TB, content []byte, algorithm asn1.ObjectIdentifier) []byte {
	t.Helper()
	out, err := build("test", func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidCompressedData)
			b.AddASN1(tagExplicit0, func(b *cryptobyte.Builder) {
				b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1Int64(0)
					addAlgorithm(b, algorithm, nil)
					b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1ObjectIdentifier(oidData)
						b.AddASN1(tagExplicit0, func(b *cryptobyte.Builder) { b.AddASN1OctetString(content) })
					})
				})
			})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func deflated(t testing.TB, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	if _, err := z.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestDecompress has content around the limit, and content that is damaged.
func TestDecompress(t *testing.T) {
	content := bytes.Repeat([]byte("All work and no play\r\n"), 50_000)
	zipped := deflated(t, content)
	size := int64(len(content))
	damaged := bytes.Clone(zipped)
	damaged[len(damaged)-1] ^= 1
	for name, tc := range map[string]struct {
		der   []byte
		limit int64
		want  string
	}{
		"exactly":         {compressedData(t, zipped, oidZlib), size, ""},
		"one byte more":   {compressedData(t, zipped, oidZlib), size - 1, "larger than 1099999 bytes"},
		"far more":        {compressedData(t, zipped, oidZlib), 1, "larger than 1 bytes"},
		"nothing":         {compressedData(t, deflated(t, nil), oidZlib), 0, ""},
		"checksum":        {compressedData(t, damaged, oidZlib), size, "malformed"},
		"cut off":         {compressedData(t, zipped[:len(zipped)/2], oidZlib), size, "malformed"},
		"not zlib":        {compressedData(t, []byte("text"), oidZlib), size, "malformed"},
		"empty":           {compressedData(t, nil, oidZlib), size, "malformed"},
		"more behind":     {compressedData(t, append(bytes.Clone(zipped), "more"...), oidZlib), size, "malformed"},
		"other algorithm": {compressedData(t, zipped, oidData), size, "compression not supported"},
		"other type":      {signedData(t, zipped), size, "content type not supported: signed-data"},
		"no CMS":          {[]byte("text"), size, "malformed"},
		"CMS cut off":     {compressedData(t, zipped, oidZlib)[:2000], size, "cut off"},
		"data behind":     {append(compressedData(t, zipped, oidZlib), 0), size, "data after the end"},
	} {
		var out bytes.Buffer
		contentType, err := Decompress(&out, bytes.NewReader(tc.der), tc.limit)
		if tc.want != "" {
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: got %v, want %q", name, err, tc.want)
			}
			if int64(out.Len()) > tc.limit {
				t.Errorf("%s: %d bytes written, want at most %d", name, out.Len(), tc.limit)
			}
			continue
		}
		if err != nil || contentType != "data" || !bytes.Equal(out.Bytes(), content[:min(tc.limit, size)]) {
			t.Errorf("%s: got %d bytes of %s, %v", name, out.Len(), contentType, err)
		}
	}
	broken := errors.New("disk is full")
	if _, err := Decompress(brokenWriter{broken}, bytes.NewReader(compressedData(t, zipped, oidZlib)), size); !errors.Is(err, broken) {
		t.Errorf("got %v, want the writer's error", err)
	}
}

// FuzzDecompress checks that no more than the limit comes out, and that all
// errors are those that there are.
func FuzzDecompress(f *testing.F) {
	zipped := deflated(f, []byte("All work and no play"))
	f.Add(compressedData(f, zipped, oidZlib))
	f.Add(compressedData(f, deflated(f, make([]byte, 100_000)), oidZlib))
	f.Add(signedData(f, zipped))
	f.Fuzz(func(t *testing.T, ber []byte) {
		var out bytes.Buffer
		_, err := Decompress(&out, bytes.NewReader(ber), 50_000)
		var large *TooLargeError
		if !allowed(err) && !errors.As(err, &large) {
			t.Error(err)
		}
		if out.Len() > 50_000 {
			t.Errorf("%d bytes", out.Len())
		}
	})
}

type brokenWriter struct{ err error }

func (b brokenWriter) Write([]byte) (int, error) { return 0, b.err }
