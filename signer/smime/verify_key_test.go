package smime

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/cryptobyte"

	"waxseal/signer"
	"waxseal/signer/smime/cms"
)

// TestPSSParameters reads RSASSA-PSS-params of all forms.
func TestPSSParameters(t *testing.T) {
	idMGF1 := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}
	sha256ID := sequence(value(idSHA256), asn1.NullBytes)
	mgf := func(digest []byte) []byte { return tagged(0xa1, sequence(value(idMGF1), digest)) }
	written, err := cms.PSSParameters(idSHA512, 64)
	if err != nil {
		t.Fatal(err)
	}
	bad := scheme{method: rsaPSS, malformed: true}
	for _, tc := range []struct {
		name string
		der  []byte
		want scheme
	}{
		{"ours", written, scheme{method: rsaPSS, hash: crypto.SHA512, mask: crypto.SHA512, salt: 64}},
		{"none", nil, scheme{method: rsaPSS, hash: crypto.SHA1, mask: crypto.SHA1, salt: 20}},
		{"defaults", sequence(), scheme{method: rsaPSS, hash: crypto.SHA1, mask: crypto.SHA1, salt: 20}},
		{"hash alone", sequence(tagged(0xa0, sha256ID)), scheme{method: rsaPSS, hash: crypto.SHA256, mask: crypto.SHA1, salt: 20}},
		{"trailer 1", sequence(tagged(0xa3, value(1))), scheme{method: rsaPSS, hash: crypto.SHA1, mask: crypto.SHA1, salt: 20}},
		{"other mask", sequence(tagged(0xa1, sequence(value(typeIDData), sha256ID))), scheme{method: rsaPSS, hash: crypto.SHA1, salt: 20}},
		{"mask without digest", sequence(tagged(0xa1, sequence(value(idMGF1)))), scheme{method: rsaPSS, hash: crypto.SHA1, salt: 20}},
		{"unknown hash", sequence(tagged(0xa0, sequence(value(typeIDData)))), scheme{method: rsaPSS, mask: crypto.SHA1, salt: 20}},
		{"in order", sequence(tagged(0xa0, sha256ID), mgf(sha256ID), tagged(0xa2, value(0))), scheme{method: rsaPSS, hash: crypto.SHA256, mask: crypto.SHA256}},
		{"out of order", sequence(mgf(sha256ID), tagged(0xa0, sha256ID)), bad},
		{"trailer 2", sequence(tagged(0xa3, value(2))), bad},
		{"salt below 0", sequence(tagged(0xa2, value(-1))), bad},
		{"salt above all", sequence(tagged(0xa2, value(1<<20))), bad},
		{"salt is a text", sequence(tagged(0xa2, value("x"))), bad},
		{"hash is a number", sequence(tagged(0xa0, value(1))), bad},
		{"mask is a number", sequence(tagged(0xa1, value(1))), bad},
		{"more", sequence(tagged(0xa4, value(1))), bad},
		{"a number", value(1), bad},
	} {
		if got := pssScheme(tc.der); got != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

// TestPSSSalt takes the salt's length from the parameters.
func TestPSSSalt(t *testing.T) {
	key := as("rsa2048").key.(*rsa.PrivateKey)
	digest := sha256.Sum256([]byte("Hello"))
	signature, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: 20})
	if err != nil {
		t.Fatal(err)
	}
	for salt, want := range map[int]bool{19: false, 20: true, 21: false, 32: false} {
		s := scheme{method: rsaPSS, hash: crypto.SHA256, mask: crypto.SHA256, salt: salt}
		if got := (&publicKey{key: &key.PublicKey}).verify(s, crypto.SHA256, digest[:], nil, signature); got != want {
			t.Errorf("a salt of 20 octets, parameters with %d: %v, want %v", salt, got, want)
		}
	}
}

// TestKeyFits has keys and schemes that do not go together.
func TestKeyFits(t *testing.T) {
	pub := as("rsa2048").cert().PublicKey.(*rsa.PublicKey)
	pss := func(h crypto.Hash, salt int) scheme { return scheme{method: rsaPSS, hash: h, mask: h, salt: salt} }
	only := &publicKey{key: pub, onlyPSS: true}
	restricted := &publicKey{key: pub, onlyPSS: true, restricted: pss(crypto.SHA384, 48)}
	for _, tc := range []struct {
		name    string
		key     *publicKey
		scheme  scheme
		hash    crypto.Hash
		verdict signer.Verdict
	}{
		{"any", &publicKey{key: pub}, pss(crypto.SHA256, 0), crypto.SHA256, signer.Pass},
		{"only PSS", only, pss(crypto.SHA256, 0), crypto.SHA256, signer.Pass},
		{"only PSS, PKCS #1", only, scheme{method: rsaPKCS1}, crypto.SHA256, signer.PermError},
		{"restricted", restricted, pss(crypto.SHA384, 48), crypto.SHA384, signer.Pass},
		{"restricted, longer salt", restricted, pss(crypto.SHA384, 50), crypto.SHA384, signer.Pass},
		{"restricted, shorter salt", restricted, pss(crypto.SHA384, 47), crypto.SHA384, signer.PermError},
		{"restricted, other digest", restricted, pss(crypto.SHA256, 48), crypto.SHA256, signer.PermError},
		{"other digest of the message", only, pss(crypto.SHA256, 32), crypto.SHA512, signer.PermError},
		{"malformed", only, scheme{method: rsaPSS, malformed: true}, crypto.SHA256, signer.PermError},
		{"ECDSA", only, scheme{method: ecdsaDSS}, crypto.SHA256, signer.PermError},
		{"Ed25519", only, scheme{method: eddsa}, crypto.SHA512, signer.PermError},
	} {
		if got := tc.key.fits(tc.scheme, tc.hash, true); got.Verdict != tc.verdict {
			t.Errorf("%s: %+v, want %s", tc.name, got, tc.verdict)
		}
	}
}

// TestVerifyShortRSA tells right signatures from wrong ones also where neither
// counts.
func TestVerifyShortRSA(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	mustOpenSSL(t, nil, "genrsa", "-out", file("key"), "512")
	mustOpenSSL(t, nil, "req", "-x509", "-new", "-key", file("key"), "-sha256", "-subj", "/CN=short", "-out", file("cert"))
	for _, digest := range []string{"md5", "sha1", "sha256", "sha224"} {
		data := mustOpenSSL(t, []byte("Hello\r\n"), "cms", "-sign", "-binary", "-nodetach", "-outform", "DER", "-md", digest,
			"-signer", file("cert"), "-inkey", file("key"))
		_, found := checkOpaque(t, data, VerifyOptions{})
		if v := found[0]; v.Integrity.Verdict != signer.Policy || v.Algorithm != "rsa512-"+digest {
			t.Errorf("%s: %+v", digest, v)
		}
		for i := 1; i < 65; i += 9 {
			changed := bytes.Clone(data)
			changed[len(changed)-i] ^= 0x10
			if _, found := checkOpaque(t, changed, VerifyOptions{}); found[0].Integrity.Verdict != signer.Fail && found[0].Integrity.Verdict != signer.PermError {
				t.Errorf("%s, signature changed: %+v", digest, found[0].Integrity)
			}
		}
	}
}

// TestReadKey has keys that can't sign.
func TestReadKey(t *testing.T) {
	algorithm := func(id ...int) []byte { return sequence(value(asn1.ObjectIdentifier(id))) }
	bits := der(func(b *cryptobyte.Builder) { b.AddASN1BitString(make([]byte, 32)) })
	for name, spki := range map[string][]byte{
		"nothing":       nil,
		"number":        value(1),
		"no key":        sequence(algorithm(1, 2, 840, 113549, 1, 1, 1)),
		"no algorithm":  sequence(sequence(), bits),
		"RSA of zeros":  sequence(sequence(value(idRSA), asn1.NullBytes), bits),
		"PSS of zeros":  sequence(algorithm(1, 2, 840, 113549, 1, 1, 10), bits),
		"X25519":        sequence(algorithm(1, 3, 101, 110), bits),
		"Ed448":         sequence(algorithm(1, 3, 101, 113), bits),
		"ML-DSA-65":     sequence(algorithm(2, 16, 840, 1, 101, 3, 4, 3, 18), bits),
		"unknown":       sequence(algorithm(1, 2, 3), bits),
		"curve unknown": sequence(sequence(value(asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}), value(asn1.ObjectIdentifier{1, 3, 132, 0, 10})), bits),
	} {
		if key, err := readKey(spki); err == nil {
			t.Errorf("%s: read as %s", name, key.kind())
		}
	}
	for _, kind := range []string{"rsa2048", "p256", "ed25519"} {
		if _, err := readKey(as(kind).cert().RawSubjectPublicKeyInfo); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
