package vault_test

import (
	"crypto/aes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"math/big"
	"testing"

	"waxseal/test/vaulttest"
)

// importKey brings a private key into Transit, as "vault transit import" does:
// wrapped with an AES key that is wrapped with the server's RSA key.
func importKey(t *testing.T, s *vaulttest.Server, name, kind string, private any) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := s.Read("transit/wrapping_key")["public_key"].(string)
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatal("Transit has no wrapping key")
	}
	wrapping, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	kek := make([]byte, 32)
	rand.Read(kek)
	sealed, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, wrapping.(*rsa.PublicKey), kek, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Write("transit/keys/"+name+"/import", map[string]any{
		"type": kind, "hash_function": "SHA256", "ciphertext": base64.StdEncoding.EncodeToString(append(sealed, wrap(t, kek, der)...)),
	})
}

// wrap is the AES key wrap with padding of RFC 5649, for keys of more than one
// block.
func wrap(t *testing.T, kek, key []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(kek)
	if err != nil {
		t.Fatal(err)
	}
	out := binary.BigEndian.AppendUint32([]byte{0xa6, 0x59, 0x59, 0xa6}, uint32(len(key)))
	out = append(out, key...)
	for len(out)%8 != 0 {
		out = append(out, 0)
	}
	n := len(out)/8 - 1
	var b [16]byte
	for j := range 6 {
		for i := 1; i <= n; i++ {
			copy(b[:8], out[:8])
			copy(b[8:], out[8*i:])
			block.Encrypt(b[:], b[:])
			binary.BigEndian.PutUint64(out, binary.BigEndian.Uint64(b[:8])^uint64(n*j+i))
			copy(out[8*i:], b[8:])
		}
	}
	return out
}

// primaryKey reads the RSA primary key of what gpg --export-secret-keys has
// written, without a passphrase (RFC 9580, Section 5.5.3).
func primaryKey(t *testing.T, packets []byte) *rsa.PrivateKey {
	t.Helper()
	if len(packets) < 10 || packets[0] != 0x95 {
		t.Fatalf("gpg has written something else than a secret key packet: %x", packets[:min(10, len(packets))])
	}
	in := packets[3 : 3+int(binary.BigEndian.Uint16(packets[1:]))]
	if in[0] != 4 || in[5] != 1 {
		t.Fatalf("a key of version %d with algorithm %d, want an RSA key of version 4", in[0], in[5])
	}
	in = in[6:]
	number := func() *big.Int {
		n := (int(binary.BigEndian.Uint16(in)) + 7) / 8
		x := new(big.Int).SetBytes(in[2 : 2+n])
		in = in[2+n:]
		return x
	}
	k := &rsa.PrivateKey{}
	k.N, k.E = number(), int(number().Int64())
	if in[0] != 0 {
		t.Fatal("the key has a passphrase")
	}
	in = in[1:]
	k.D, k.Primes = number(), []*big.Int{number(), number()}
	k.Precompute()
	if err := k.Validate(); err != nil {
		t.Fatal(err)
	}
	return k
}
