package pgpmime

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"io"
	"strings"
	"testing"

	pgpecdsa "github.com/ProtonMail/go-crypto/openpgp/ecdsa"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// remoteSigner is a key elsewhere: only its public part is known here.
type remoteSigner struct {
	key  crypto.Signer
	sign func(digest []byte, opts crypto.SignerOpts) ([]byte, error)
}

func (r remoteSigner) Public() crypto.PublicKey { return r.key.Public() }

func (r remoteSigner) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if r.sign != nil {
		return r.sign(digest, opts)
	}
	return r.key.Sign(random, digest, opts)
}

// remoteKey makes a key, hands its certificate to gpg, and returns the
// certificate with the private part of its primary key.
func remoteKey(t *testing.T, address string, config *packet.Config) (public []byte, key crypto.Signer) {
	t.Helper()
	secret, public := made(t, address, config)
	ring, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(secret))
	if err != nil {
		t.Fatal(err)
	}
	file := t.TempDir() + "/key"
	write(t, file, public)
	gpg(t).must(t, "--import", file)
	switch k := ring[0].PrivateKey.PrivateKey.(type) {
	case *rsa.PrivateKey:
		return public, k
	case *pgpecdsa.PrivateKey:
		curve := elliptic.P256()
		if config.Curve == packet.CurveNistP384 {
			curve = elliptic.P384()
		}
		d := k.D.FillBytes(make([]byte, (curve.Params().BitSize+7)/8))
		ec, err := ecdsa.ParseRawPrivateKey(curve, d)
		if err != nil {
			t.Fatal(err)
		}
		return public, ec
	}
	t.Fatalf("key of type %T", ring[0].PrivateKey.PrivateKey)
	return nil, nil
}

func TestRemoteKey(t *testing.T) {
	g := gpg(t)
	for address, config := range map[string]*packet.Config{
		"remote-rsa@example.com":  configRSA,
		"remote-p256@example.com": configP256,
		"remote-p384@example.com": configP384,
	} {
		public, key := remoteKey(t, address, config)
		k, err := ParseKey(address, public, remoteSigner{key: key})
		if err != nil {
			t.Fatal(err)
		}
		if err := k.CheckSign(day()); err != nil {
			t.Error(err)
		}
		signed, signature := detached(t, entity("Hello\n"), k)
		expectStatus(t, g.verify(t, signed, signature), "GOODSIG", "VALIDSIG")
		to := []*Certificate{g.recipient(t, "rosa@example.com")}
		plain, status := g.decrypt(t, encrypted(t, entity("Hello\n"), to, k, EncryptOptions{}))
		expectStatus(t, status, "DECRYPTION_OKAY", "GOODSIG")
		if !bytes.Equal(plain, written(t, entity("Hello\n"))) {
			t.Errorf("comes back as %q", plain)
		}
	}
}

func TestRemoteKeyFails(t *testing.T) {
	g := gpg(t)
	sealed := errors.New("vault is sealed")
	to := []*Certificate{g.recipient(t, "rosa@example.com")}
	for address, config := range map[string]*packet.Config{
		"bad-rsa@example.com":  configRSA,
		"bad-p256@example.com": configP256,
	} {
		public, key := remoteKey(t, address, config)
		other, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		for what, test := range map[string]struct {
			sign func([]byte, crypto.SignerOpts) ([]byte, error)
			is   error
			want string
		}{
			"error":   {func([]byte, crypto.SignerOpts) ([]byte, error) { return nil, sealed }, sealed, "vault is sealed"},
			"nothing": {func([]byte, crypto.SignerOpts) ([]byte, error) { return nil, nil }, nil, "no signature"},
			"rubbish": {func([]byte, crypto.SignerOpts) ([]byte, error) { return []byte("rubbish"), nil }, nil, ""},
			"long":    {func([]byte, crypto.SignerOpts) ([]byte, error) { return make([]byte, 100000), nil }, nil, ""},
			"numbers": {func([]byte, crypto.SignerOpts) ([]byte, error) { return []byte{0x30, 6, 2, 1, 0x80, 2, 1, 0}, nil }, nil, ""},
			"other": {func(d []byte, o crypto.SignerOpts) ([]byte, error) {
				return other.Sign(rand.Reader, d, o)
			}, nil, ""},
			"other digest": {func(d []byte, o crypto.SignerOpts) ([]byte, error) {
				return key.Sign(rand.Reader, make([]byte, len(d)), o)
			}, nil, "does not verify"},
			"panic": {func([]byte, crypto.SignerOpts) ([]byte, error) { panic("out of luck") }, nil, "out of luck"},
		} {
			k, err := ParseKey(address, public, remoteSigner{key, test.sign})
			if err != nil {
				t.Fatal(err)
			}
			out, err := Sign(entity("Hello\n"), k, SignOptions{})
			if err == nil || out != nil {
				t.Errorf("%s: %s is taken", address, what)
			} else if !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), address) || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("%s: %s: %v", address, what, err)
			}
			if _, err := Encrypt(io.Discard, entity("Hello\n"), to, k, EncryptOptions{}); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: %s: encrypt: %v", address, what, err)
			}
		}
	}
}

func TestRemoteKeyOfAnotherCertificate(t *testing.T) {
	public, _ := remoteKey(t, "mine@example.com", configRSA)
	_, key := remoteKey(t, "yours@example.com", configP256)
	_, err := ParseKey("mine@example.com", public, key)
	if err == nil || !strings.Contains(err.Error(), "none of the certificate's keys") {
		t.Errorf("%v", err)
	}
}

// The library panics if an Ed25519 key is not its own.
func TestRemoteEd25519(t *testing.T) {
	g := gpg(t)
	for _, secret := range [][]byte{
		g.secret(t, "edda@example.com"),
		first(made(t, "edda@example.com", configEd25519)),
		first(made(t, "edda@example.com", configV6)),
	} {
		ring, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(secret))
		if err != nil {
			t.Fatal(err)
		}
		var seed []byte
		switch k := ring[0].PrivateKey.PrivateKey.(type) {
		case interface{ MarshalByteSecret() []byte }:
			seed = k.MarshalByteSecret()[:ed25519.SeedSize]
		default:
			t.Fatalf("%T", k)
		}
		public := armored(t, openpgp.PublicKeyType, func(w *bytes.Buffer) error { return ring[0].Serialize(w) })
		k, err := ParseKey("edda@example.com", public, ed25519.NewKeyFromSeed(seed))
		if err != nil {
			t.Fatal(err)
		}
		if err := k.CheckSign(day()); !errors.Is(err, ErrRemoteAlgorithm) {
			t.Errorf("check: %v", err)
		}
		if _, err := Sign(entity("Hello\n"), k, SignOptions{}); !errors.Is(err, ErrRemoteAlgorithm) {
			t.Errorf("sign: %v", err)
		}
		to := []*Certificate{g.recipient(t, "rosa@example.com")}
		if _, err := Encrypt(io.Discard, entity("Hello\n"), to, k, EncryptOptions{}); !errors.Is(err, ErrRemoteAlgorithm) {
			t.Errorf("encrypt: %v", err)
		}
	}
}

func first(a, _ []byte) []byte { return a }
