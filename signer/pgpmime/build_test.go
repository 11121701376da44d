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
	"fmt"
	"strings"
	"testing"
	"time"

	"waxseal/signer"
)

// Certificates for keys elsewhere: gpg imports those of version 4, verifies what
// they sign and encrypts to them.
func TestBuild(t *testing.T) {
	g := gpg(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	keys := map[string]crypto.Signer{"rsa": rsaKey, "ed25519": edKey}
	for name, curve := range map[string]elliptic.Curve{"p256": elliptic.P256(), "p384": elliptic.P384(), "p521": elliptic.P521()} {
		if keys[name], err = ecdsa.GenerateKey(curve, rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	for name, key := range keys {
		for _, version := range []int{4, 6} {
			what := fmt.Sprintf("%s-v%d", name, version)
			address := what + "@build.example"
			built, err := Build(remoteSigner{key: key}, BuildOptions{
				UserIDs:    []string{"Ä Key <" + address + ">", "other <other@build.example>"},
				Version:    version,
				Lifetime:   24 * time.Hour,
				Encryption: true,
			})
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			public, err := ParseCertificate(address, built.Certificate)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			k, err := ParseKey(address, built.Secret, remoteSigner{key: key})
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if err := errors.Join(public.CheckEncrypt(day()), k.CheckSign(day())); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if left := time.Until(k.NotAfter(day())); left < 23*time.Hour || left > 25*time.Hour {
				t.Errorf("%s: valid for %v", what, left)
			}
			if err := public.CheckEncrypt(day().Add(25 * time.Hour)); !errors.Is(err, ErrExpired) {
				t.Errorf("%s: %v", what, err)
			}
			if want := map[int]string{4: "aes256", 6: "aes256-ocb"}[version]; Cipher([]*Certificate{public}, EncryptOptions{}) != want {
				t.Errorf("%s: not %s", what, want)
			}
			message := encrypted(t, entity("Hello\n"), []*Certificate{public}, k, EncryptOptions{})
			_, d := decrypted(t, message, []*Key{k}, DecryptOptions{Certificates: []*Certificate{public}, Verify: VerifyOptions{Address: address}})
			if len(d.Signatures) != 1 || d.Signatures[0].Result().Verdict != signer.Pass || d.Signatures[0].Identifier != "Ä Key <"+address+">" {
				t.Errorf("%s: %+v", what, d.Signatures)
			}
			if version == 6 {
				continue // gpg can't
			}
			file := t.TempDir() + "/key"
			write(t, file, built.Certificate)
			g.must(t, "--import", file)
			signed, signature := detached(t, entity("Hello\n"), k)
			expectStatus(t, g.verify(t, signed, signature), "GOODSIG", "VALIDSIG "+k.cert.Fingerprint())
			fromGPG := g.encryptWithGPG(t, "Hello", "-r", "other@build.example", "-r", address, "--encrypt")
			if text, _ := decrypted(t, fromGPG, []*Key{k}, DecryptOptions{}); string(text) != "Hello" {
				t.Errorf("%s: %q", what, text)
			}
			list := string(g.must(t, "--with-colons", "--check-signatures", k.cert.Fingerprint()))
			if strings.Count(list, "\nsig:!:") != 3 {
				t.Errorf("%s: gpg does not like each signature:\n%s", what, list)
			}
		}
	}
	// An RSA subkey elsewhere, nothing secret here.
	sub, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, _ = ed25519.GenerateKey(rand.Reader)
	built, err := Build(edKey, BuildOptions{UserIDs: []string{"far <far@build.example>"}, Subkey: &sub.PublicKey})
	if err != nil || built.Secret != nil {
		t.Fatalf("%v, %d bytes", err, len(built.Secret))
	}
	file := t.TempDir() + "/key"
	write(t, file, built.Certificate)
	g.must(t, "--import", file)
	k, err := ParseKey("far@build.example", built.Certificate, &remoteRSA{PrivateKey: sub})
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := decrypted(t, g.encryptWithGPG(t, "Hello", "-r", "far@build.example", "--encrypt"), []*Key{k}, DecryptOptions{}); string(text) != "Hello" {
		t.Errorf("%q", text)
	}
	if err := k.CheckSign(day()); !errors.Is(err, ErrNoUsableKey) {
		t.Errorf("the subkey signs: %v", err)
	}
	// The new form of Ed25519 in version 4.
	built, err = Build(edKey, BuildOptions{UserIDs: []string{"new <new@build.example>"}, NewEd25519: true})
	if err != nil {
		t.Fatal(err)
	}
	if k, err := ParseKey("new@build.example", built.Certificate, edKey); err != nil || k.cert.entity.PrimaryKey.PubKeyAlgo != 27 {
		t.Errorf("%v", err)
	}
}

func TestBuildRefuses(t *testing.T) {
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sealed := errors.New("vault is sealed")
	alice := []string{"Alice <alice@example.com>"}
	for what, test := range map[string]struct {
		key  crypto.Signer
		o    BuildOptions
		want string
	}{
		"no user id":    {key, BuildOptions{}, "needs a user id"},
		"empty user id": {key, BuildOptions{UserIDs: []string{" "}}, "empty"},
		"line in it":    {key, BuildOptions{UserIDs: []string{"a\nb"}}, "control"},
		"version 5":     {key, BuildOptions{UserIDs: alice, Version: 5}, "version 5"},
		"for ever":      {key, BuildOptions{UserIDs: alice, Lifetime: 1 << 62}, "out of range"},
		"short":         {short, BuildOptions{UserIDs: alice}, "too weak"},
		"short subkey":  {key, BuildOptions{UserIDs: alice, Subkey: &short.PublicKey}, "too weak"},
		"curve":         {p224, BuildOptions{UserIDs: alice}, "not supported"},
		"sealed": {remoteSigner{key: key, sign: func([]byte, crypto.SignerOpts) ([]byte, error) { return nil, sealed }},
			BuildOptions{UserIDs: alice}, "vault is sealed"},
		"rubbish": {remoteSigner{key: key, sign: func([]byte, crypto.SignerOpts) ([]byte, error) { return bytes.Repeat([]byte{1}, 64), nil }},
			BuildOptions{UserIDs: alice}, "read it back"},
		"no randomness": {key, BuildOptions{UserIDs: alice, Version: 6, Rand: strings.NewReader("few")}, "salt"},
	} {
		b, err := Build(test.key, test.o)
		if err == nil || b != nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
