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

	"waxseal/signer"
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

// The library panics if an Ed25519 key is not its own; it works all the same.
func TestRemoteEd25519(t *testing.T) {
	g := gpg(t)
	rosa := g.key(t, "rosa@example.com")
	for what, secret := range map[string][]byte{
		"old form": g.secret(t, "edda@example.com"),
		"new form": first(made(t, "edda@example.com", configEd25519)),
		"v6":       first(made(t, "edda@example.com", configV6)),
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
		key := ed25519.NewKeyFromSeed(seed)
		k, err := ParseKey("edda@example.com", public, remoteSigner{key: key})
		if err != nil {
			t.Fatal(err)
		}
		if err := k.CheckSign(day()); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		for range 3 { // numbers may be short
			signed, signature := detached(t, entity("Hello\n"), k)
			if v := verified(t, string(signed), signature, []*Certificate{k.Certificate()}, VerifyOptions{Address: "edda@example.com"}); v.Result().Verdict != signer.Pass {
				t.Errorf("%s: %+v", what, v)
			}
			if what == "old form" {
				expectStatus(t, g.verify(t, signed, signature), "GOODSIG", "VALIDSIG "+g.fingerprint("edda@example.com"))
			}
		}
		message := encrypted(t, entity("Hello\n"), []*Certificate{rosa.Certificate()}, k, EncryptOptions{})
		_, d := decrypted(t, message, []*Key{rosa}, DecryptOptions{Certificates: []*Certificate{k.Certificate()}})
		if len(d.Signatures) != 1 || d.Signatures[0].Integrity.Verdict != signer.Pass {
			t.Errorf("%s: %+v", what, d.Signatures)
		}
		if what == "old form" {
			_, status := g.decrypt(t, message)
			expectStatus(t, status, "DECRYPTION_OKAY", "GOODSIG")
		}

		sealed := errors.New("vault is sealed")
		for what, sign := range map[string]func([]byte, crypto.SignerOpts) ([]byte, error){
			"error":   func([]byte, crypto.SignerOpts) ([]byte, error) { return nil, sealed },
			"nothing": func([]byte, crypto.SignerOpts) ([]byte, error) { return nil, nil },
			"short":   func([]byte, crypto.SignerOpts) ([]byte, error) { return make([]byte, 63), nil },
			"zeros":   func([]byte, crypto.SignerOpts) ([]byte, error) { return make([]byte, 64), nil },
			"other digest": func(d []byte, o crypto.SignerOpts) ([]byte, error) {
				return key.Sign(nil, make([]byte, len(d)), o)
			},
		} {
			k.remote = remoteSigner{key: key, sign: sign}
			_, err := Sign(entity("Hello\n"), k, SignOptions{})
			if err == nil || what == "error" && !errors.Is(err, sealed) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	// Ed448 has no remote form.
	if err := checkRemote(&packet.PublicKey{PubKeyAlgo: packet.PubKeyAlgoEd448}); !errors.Is(err, ErrRemoteAlgorithm) {
		t.Errorf("%v", err)
	}
}

func first(a, _ []byte) []byte { return a }
