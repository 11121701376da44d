package pgpmime

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// made makes a key with the library and returns it armored, secret and public.
func made(t testing.TB, address string, config *packet.Config) (secret, public []byte) {
	t.Helper()
	e, err := openpgp.NewEntity("", "", address, config)
	if err != nil {
		t.Fatal(err)
	}
	return armored(t, openpgp.PrivateKeyType, func(w *bytes.Buffer) error { return e.SerializePrivateWithoutSigning(w, nil) }),
		armored(t, openpgp.PublicKeyType, func(w *bytes.Buffer) error { return e.Serialize(w) })
}

func armored(t testing.TB, kind string, write func(*bytes.Buffer) error) []byte {
	t.Helper()
	var packets, text bytes.Buffer
	if err := write(&packets); err != nil {
		t.Fatal(err)
	}
	w, err := armor.Encode(&text, kind, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(packets.Bytes())
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

var (
	configRSA     = &packet.Config{RSABits: 2048}
	configEdDSA   = &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA}
	configP256    = &packet.Config{Algorithm: packet.PubKeyAlgoECDSA, Curve: packet.CurveNistP256}
	configP384    = &packet.Config{Algorithm: packet.PubKeyAlgoECDSA, Curve: packet.CurveNistP384}
	configV6      = &packet.Config{Algorithm: packet.PubKeyAlgoEd25519, V6Keys: true, AEADConfig: &packet.AEADConfig{}}
	configEd25519 = &packet.Config{Algorithm: packet.PubKeyAlgoEd25519}
)

func TestCheckSign(t *testing.T) {
	g := gpg(t)
	for _, test := range []struct {
		name, user string
		now        time.Time
		want       error
	}{
		{"rosa@example.com", "rosa@example.com", day(), nil},
		{"Rosa@EXAMPLE.com", "rosa@example.com", day(), nil},
		{"example.com", "rosa@example.com", day(), nil},
		{"example.org", "rosa@example.com", day(), nil}, // worth a warning only
		{"solo@example.com", "solo@example.com", day(), nil},
		{"gone@example.com", "gone@example.com", day(), nil}, // it is the other subkey
		{"past@example.com", "past@example.com", time.Date(2020, 1, 2, 0, 0, 0, 0, time.UTC), nil},
		{"past@example.com", "past@example.com", day(), ErrExpired},
		{"past@example.com", "past@example.com", time.Date(2019, 12, 31, 0, 0, 0, 0, time.UTC), ErrNotYetValid},
		{"weak@example.com", "weak@example.com", day(), ErrWeakAlgorithm},
		{"dead@example.com", "dead@example.com", day(), ErrRevoked},
	} {
		k, err := ParseKey(test.name, g.secret(t, test.user), nil)
		if err != nil {
			t.Fatal(err)
		}
		err = k.CheckSign(test.now)
		if !errors.Is(err, test.want) {
			t.Errorf("%s at %v: %v, want %v", test.name, test.now, err, test.want)
		}
		if err != nil && !strings.Contains(err.Error(), test.name) {
			t.Errorf("error does not name the key: %v", err)
		}
	}
}

func TestCheckEncrypt(t *testing.T) {
	g := gpg(t)
	for _, test := range []struct {
		user string
		now  time.Time
		want error
	}{
		{"rosa@example.com", day(), nil},
		{"edda@example.com", day(), nil},
		{"nils@example.com", day(), nil},
		{"solo@example.com", day(), ErrNoUsableKey},
		{"gone@example.com", day(), ErrRevoked},
		{"past@example.com", day(), ErrExpired},
		{"weak@example.com", day(), ErrWeakAlgorithm},
		{"dead@example.com", day(), ErrRevoked},
	} {
		err := g.recipient(t, test.user).CheckEncrypt(test.now)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.user, err, test.want)
		}
	}
}

func TestUserID(t *testing.T) {
	g := gpg(t)
	_, nobody := made(t, "", configV6)
	_, idn := made(t, "post@bücher.example", configEdDSA)
	rosa, bare := g.certificate(t, "rosa@example.com"), g.certificate(t, "Bare")
	for _, test := range []struct {
		name  string
		data  []byte
		check bool // what CheckEncrypt makes of it
		warn  bool
	}{
		{"rosa@example.com", rosa, true, true},
		{"edda@example.com", rosa, false, false},
		{"rosa@example.com.example", rosa, false, false},
		{"example.com", rosa, true, true},
		{"EXAMPLE.com", rosa, true, true},
		{"sub.example.com", rosa, true, false},
		{"example.org", rosa, true, false},
		{"example.com", bare, true, true},
		{"bare@example.com", bare, false, false},
		{"example.com", nobody, true, true},
		{"post@xn--bcher-kva.example", idn, true, true},
		{"post@bücher.example", idn, true, true},
		{"bücher.example", idn, true, true},
	} {
		c, err := ParseCertificate(test.name, test.data)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		var mismatch *UserIDError
		if err := c.CheckUserID(day()); (err == nil) != test.warn || err != nil && !errors.As(err, &mismatch) {
			t.Errorf("%s: user id: %v", test.name, err)
		}
		err = c.CheckEncrypt(day())
		if (err == nil) != test.check || err != nil && !errors.As(err, &mismatch) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestParseErrors(t *testing.T) {
	g := gpg(t)
	rosa := g.certificate(t, "rosa@example.com")
	edda := g.certificate(t, "edda@example.com")
	two := g.must(t, "--export", "rosa@example.com", "edda@example.com")
	protected := g.must(t, "--armor", "--passphrase", "secret", "--export-secret-keys", "pass@example.com")
	message := []byte("-----BEGIN PGP MESSAGE-----\r\n\r\nyMoCAAA=\r\n-----END PGP MESSAGE-----\r\n")
	binary := g.must(t, "--export", "rosa@example.com")
	long := []byte("-----BEGIN PGP PUBLIC KEY BLOCK-----\nComment: " + strings.Repeat("x", 2000) + "\n\n")
	for _, test := range []struct {
		what string
		data []byte
		key  bool
		want string
	}{
		{"nothing", nil, false, "it is no OpenPGP key"},
		{"text", []byte("hello"), false, "it is no OpenPGP key"},
		{"two blocks", append(bytes.Clone(rosa), edda...), false, "2 armored blocks"},
		{"two keys", two, false, "2 primary keys"},
		{"message", message, false, "its armor is not that of a key"},
		{"cut", binary[:len(binary)-1], false, "cut short"},
		{"trailing text", append(bytes.Clone(binary), "hello"...), false, "no OpenPGP packet"},
		{"secret key as certificate", g.secret(t, "rosa@example.com"), false, "it is a secret key"},
		{"certificate as secret key", rosa, true, "no secret part"},
		{"protected key", protected, true, "protected by a passphrase"},
		{"huge", make([]byte, maxKeySize+1), false, "larger than"},
		{"long line", long, false, "line of more than"},
		{"user id alone", []byte{0xcd, 1, 'a'}, false, "0 primary keys"},
		{"compressed", []byte{0xc8, 1, 0}, false, "type 8 is not part of a key"},
		{"partial length", []byte{0xc6, 0xe9}, false, "partial length"},
		{"indeterminate length", []byte{0x9b, 0}, false, "indeterminate length"},
		{"many packets", bytes.Repeat([]byte{0xca, 1, 'P'}, maxPackets+1), false, "more than 4096 packets"},
		{"long modulus", append([]byte{0xc6, 8, 4, 0, 0, 0, 0, 1}, 0xff, 0xff), false, "key of 65535 bits"},
	} {
		var err error
		if test.key {
			_, err = ParseKey("who", test.data, nil)
		} else {
			_, err = ParseCertificate("who", test.data)
		}
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "of who") {
			t.Errorf("%s: %v, want %q", test.what, err, test.want)
		}
	}
	if _, err := ParseKey("who", protected, nil); !errors.Is(err, ErrProtected) {
		t.Errorf("protected key: %v", err)
	}
}

// A flood of self-signatures is not verified one by one.
func TestSelfSignatureBound(t *testing.T) {
	var flood []byte
	rest := gpg(t).must(t, "--export", "edda@example.com")
	for len(rest) > 0 {
		tag, _, next, err := nextPacket(rest)
		if err != nil {
			t.Fatal(err)
		}
		one := rest[:len(rest)-len(next)]
		flood = append(flood, one...)
		if tag == tagSignature {
			flood = append(flood, bytes.Repeat(one, maxSelfSignatures/2)...)
		}
		rest = next
	}
	if _, err := ParseCertificate("edda@example.com", flood); err == nil || !strings.Contains(err.Error(), "self-signatures") {
		t.Errorf("%v", err)
	}
}

func TestParseBinaryAndArmored(t *testing.T) {
	g := gpg(t)
	for _, user := range []string{"rosa@example.com", "edda@example.com", "nils@example.com"} {
		for _, args := range [][]string{{"--export"}, {"--armor", "--export"}, {"--armor", "--comment", "hello", "--export"}} {
			c, err := ParseCertificate(user, g.must(t, append(args, user)...))
			if err != nil {
				t.Fatal(err)
			}
			if want := g.fingerprint(user); c.Fingerprint() != want || c.Name() != user {
				t.Errorf("%s: fingerprint %s, want %s", c.Name(), c.Fingerprint(), want)
			}
		}
	}
}

func TestStrength(t *testing.T) {
	for _, k := range []*packet.PublicKey{{PubKeyAlgo: packet.PubKeyAlgoDSA}, {PubKeyAlgo: packet.PubKeyAlgoElGamal}} {
		if err := checkStrength(k); !errors.Is(err, ErrWeakAlgorithm) {
			t.Errorf("algorithm %d: %v", k.PubKeyAlgo, err)
		}
	}
	for _, config := range []*packet.Config{configRSA, configEdDSA, configP256, configP384, configV6, configEd25519} {
		_, public := made(t, "a@example.com", config)
		c, err := ParseCertificate("a@example.com", public)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.CheckEncrypt(day()); err != nil {
			t.Error(err)
		}
	}
	_, public := made(t, "a@example.com", &packet.Config{Algorithm: packet.PubKeyAlgoECDSA, Curve: packet.CurveSecP256k1})
	c, err := ParseCertificate("a@example.com", public)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.CheckEncrypt(day()); !errors.Is(err, ErrWeakAlgorithm) {
		t.Errorf("secp256k1: %v", err)
	}
}

func TestNotAfter(t *testing.T) {
	g := gpg(t)
	now := time.Date(2020, 1, 2, 0, 0, 0, 0, time.UTC)
	want := time.Date(2020, 1, 8, 0, 0, 0, 0, time.UTC)
	past := g.key(t, "past@example.com")
	for what, got := range map[string]time.Time{"key": past.NotAfter(now), "certificate": past.Certificate().NotAfter(now)} {
		if d := got.Sub(want); d < 0 || d > time.Minute {
			t.Errorf("%s runs out at %v, want about %v", what, got, want)
		}
	}
	if got := past.NotAfter(day()); !got.IsZero() {
		t.Errorf("key that has run out: %v", got)
	}
	if got := g.recipient(t, "rosa@example.com").NotAfter(day()); !got.IsZero() {
		t.Errorf("key without end: %v", got)
	}
}

// With the primary key offline, gpg exports a stub of it and the subkeys.
func TestOfflinePrimaryKey(t *testing.T) {
	g := gpg(t)
	user := "Away <away@example.com>"
	if err := g.generate("0", user, "rsa3072", "rsa2048"); err != nil {
		t.Fatal(err)
	}
	fingerprint := g.fingerprint(user)
	stub := g.must(t, "--armor", "--passphrase", "", "--export-secret-subkeys", user)
	k, err := ParseKey("away@example.com", stub, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.CheckSign(day()); !errors.Is(err, ErrNoUsableKey) {
		t.Errorf("without a subkey to sign with: %v", err)
	}
	g.must(t, "--passphrase", "", "--quick-add-key", fingerprint, "ed25519", "sign", "never")
	stub = g.must(t, "--armor", "--passphrase", "", "--export-secret-subkeys", user)
	if k, err = ParseKey("away@example.com", stub, nil); err != nil {
		t.Fatal(err)
	}
	if err := k.CheckSign(day()); err != nil {
		t.Fatal(err)
	}
	if got := k.Algorithm(0); got != "ed25519-sha256" {
		t.Errorf("signs with %s", got)
	}
	signed, signature := detached(t, entity("Hello\n"), k)
	expectStatus(t, g.verify(t, signed, signature), "GOODSIG", "VALIDSIG")
}

// Like gpg, encrypt to the newest subkey.
func TestNewestSubkey(t *testing.T) {
	g := gpg(t)
	user := "Anew <anew@example.com>"
	if err := g.generate("20240101T000000", user, "ed25519", "cv25519"); err != nil {
		t.Fatal(err)
	}
	fingerprint := g.fingerprint(user)
	g.must(t, "--passphrase", "", "--quick-set-expire", fingerprint, "0")
	g.must(t, "--passphrase", "", "--quick-set-expire", fingerprint, "0", "*")
	g.must(t, "--passphrase", "", "--quick-add-key", fingerprint, "rsa2048", "encr", "never")
	c, err := g.recipient(t, "anew@example.com").choose(day())
	if err != nil {
		t.Fatal(err)
	}
	if c.public.PubKeyAlgo != packet.PubKeyAlgoRSA {
		t.Errorf("encrypts to algorithm %d, not to the newer RSA subkey", c.public.PubKeyAlgo)
	}
	file := t.TempDir() + "/x"
	write(t, file, []byte("x"))
	list := g.must(t, "--encrypt", "--output", "-", "--recipient", "anew@example.com", file)
	p, err := packet.Read(bytes.NewReader(list))
	if err != nil {
		t.Fatal(err)
	}
	if id := p.(*packet.EncryptedKey).KeyId; id != c.public.KeyId {
		t.Errorf("gpg encrypts to %X, Encrypt to %X", id, c.public.KeyId)
	}
}

func TestAlgorithm(t *testing.T) {
	g := gpg(t)
	for user, want := range map[string]string{
		"rosa@example.com": "rsa3072-sha256",
		"edda@example.com": "ed25519-sha256",
		"nils@example.com": "ecdsa-p256-sha256",
		"otto@example.com": "ecdsa-p521-sha512",
	} {
		if got := g.key(t, user).Algorithm(0); got != want {
			t.Errorf("%s: %s, want %s", user, got, want)
		}
	}
}

func TestKeyring(t *testing.T) {
	g := gpg(t)
	secret, public := g.secret(t, "edda@example.com"), g.certificate(t, "edda@example.com")
	var r Keyring
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			k, err := r.Key("edda@example.com", secret, nil)
			if err == nil {
				err = k.CheckSign(day())
			}
			if err != nil {
				t.Error(err)
			}
			c, err := r.Certificate("edda@example.com", public)
			if err == nil {
				err = c.CheckEncrypt(day())
			}
			if err != nil {
				t.Error(err)
			}
			if _, err := Sign(entity("Hello\n"), k, SignOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	a, _ := r.Certificate("edda@example.com", public)
	b, _ := r.Certificate("edda@example.com", public)
	c, _ := r.Certificate("example.com", public)
	if a != b {
		t.Error("the same certificate is parsed twice")
	}
	if a == c {
		t.Error("a certificate is remembered under another name")
	}
	if _, err := r.Key("edda@example.com", public, nil); err == nil {
		t.Error("a certificate passes as a key")
	}
	if _, err := r.Certificate("edda@example.com", secret); err == nil {
		t.Error("a key passes as a certificate")
	}
}

func TestKeyringBound(t *testing.T) {
	secret, public := made(t, "a@example.com", configEdDSA)
	var r Keyring
	first, err := r.Certificate("first", public)
	if err != nil {
		t.Fatal(err)
	}
	for i := range keyringLimit + 10 {
		if _, err := r.Certificate(strings.Repeat("x", i+1), public); err != nil {
			t.Fatal(err)
		}
		if again, _ := r.Certificate("first", public); again != first {
			t.Fatal("what is used most is forgotten")
		}
	}
	if len(r.entries) != keyringLimit || r.recent.Len() != keyringLimit {
		t.Errorf("%d entries, %d in the list", len(r.entries), r.recent.Len())
	}
	if _, err := r.Key("a@example.com", secret, nil); err != nil {
		t.Error(err)
	}
}

func TestNeedsRFC9580(t *testing.T) {
	for name, test := range map[string]struct {
		config *packet.Config
		want   bool
	}{
		"RSA":            {configRSA, false},
		"P-256":          {configP256, false},
		"Ed25519, new":   {configEd25519, true},
		"version 6":      {configV6, true},
		"Ed25519 as gpg": {&packet.Config{Algorithm: packet.PubKeyAlgoEdDSA}, false},
	} {
		c, err := ParseCertificate("kind@example.com", second(made(t, "kind@example.com", test.config)))
		if err != nil {
			t.Fatal(err)
		}
		if got := c.NeedsRFC9580(); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func second(_, b []byte) []byte { return b }
