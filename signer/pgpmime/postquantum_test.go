package pgpmime

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"waxseal/signer"
)

// Post-quantum keys read always, and write when they are allowed to.
func TestPostQuantum(t *testing.T) {
	config := &packet.Config{Algorithm: packet.PubKeyAlgoMldsa65Ed25519, V6Keys: true, AEADConfig: &packet.AEADConfig{}}
	secret, public := made(t, "pq@example.com", config)
	held, err := ParseCertificate("pq@example.com", public)
	if err != nil {
		t.Fatal(err)
	}
	careful, err := ParseKey("pq@example.com", secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"encrypt": held.CheckEncrypt(day()),
		"sign":    careful.CheckSign(day()),
		"encrypting": func() error {
			_, err := Encrypt(io.Discard, entity("Hello\n"), []*Certificate{held}, nil, EncryptOptions{})
			return err
		}(),
		"signing": func() error { _, err := Sign(entity("Hello\n"), careful, SignOptions{}); return err }(),
	} {
		if !errors.Is(err, ErrNoUsableKey) || !strings.Contains(err.Error(), "experimental") {
			t.Errorf("%s: %v", what, err)
		}
	}
	ring := Keyring{Options: ParseOptions{PostQuantum: true}}
	k, err := ring.Key("pq@example.com", secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	to, err := ring.Certificate("pq@example.com", public)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(k.CheckSign(day()), to.CheckEncrypt(day())); err != nil {
		t.Error(err)
	}
	if got := k.Algorithm(0); got != "mldsa65-ed25519-sha256" {
		t.Errorf("algorithm %s", got)
	}
	// Made with them, read without.
	e := entity("Hello\n")
	message := encrypted(t, e, []*Certificate{to}, k, EncryptOptions{})
	text, d := decrypted(t, message, []*Key{careful}, DecryptOptions{Certificates: []*Certificate{held}, Verify: VerifyOptions{Address: "pq@example.com"}})
	if !bytes.Equal(text, written(t, e)) || d.Cipher != "aes256-ocb" || len(d.Signatures) != 1 || d.Signatures[0].Result().Verdict != signer.Pass {
		t.Errorf("%+v", d)
	}
	// The recipient has a key of the other kind too.
	signed, signature := detached(t, e, k)
	if v := verified(t, string(signed), signature, []*Certificate{held}, VerifyOptions{Address: "pq@example.com"}); v.Result().Verdict != signer.Pass {
		t.Errorf("%+v", v)
	}
}

// Who has a post-quantum key is not written to with another as well.
func TestPostQuantumAlone(t *testing.T) {
	old, quantum := &packet.PublicKey{PubKeyAlgo: packet.PubKeyAlgoX25519}, &packet.PublicKey{PubKeyAlgo: packet.PubKeyAlgoMlkem768X25519}
	for what, test := range map[string]struct{ keys, want []candidate }{
		"both":  {[]candidate{{public: old}, {public: quantum}, {public: quantum}}, []candidate{{public: quantum}, {public: quantum}}},
		"older": {[]candidate{{public: old}, {public: old}}, []candidate{{public: old}, {public: old}}},
	} {
		if got := strongest(test.keys); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v", what, got)
		}
	}
}

// All keys of a recipient are used.
func TestEncryptAllKeys(t *testing.T) {
	g := gpg(t)
	const user = "many@example.com"
	if err := g.generate("0", "Many <"+user+">", "ed25519", "cv25519"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		g.must(t, "--passphrase", "", "--quick-add-key", g.fingerprint(user), "cv25519", "encr", "never")
	}
	to := []*Certificate{g.recipient(t, user)}
	all := encrypted(t, entity("Hello\n"), to, g.key(t, user), EncryptOptions{})
	if n := len(packets(t, all)); n != 4 {
		t.Errorf("%d packets for three keys", n)
	}
	keys := g.key(t, user)
	subkeys := keys.cert.entity.Subkeys
	for i := range subkeys { // each on its own
		keys.cert.entity.Subkeys = subkeys[i : i+1]
		if text, _ := decrypted(t, all, []*Key{keys}, DecryptOptions{}); !bytes.Equal(text, written(t, entity("Hello\n"))) {
			t.Errorf("subkey %d: %q", i, text)
		}
	}
	_, status := g.decrypt(t, all)
	expectStatus(t, status, "DECRYPTION_OKAY", "GOODSIG")
}

// GCM is taken if all recipients would rather have it.
func TestEncryptGCM(t *testing.T) {
	suites := func(modes ...packet.AEADMode) *Key {
		k, err := ParseKey("six@example.com", first(made(t, "six@example.com", configV6)), nil)
		if err != nil {
			t.Fatal(err)
		}
		self := k.cert.entity.DirectSignatures[0].Packet
		self.PreferredCipherSuites = nil
		for _, m := range modes {
			self.PreferredCipherSuites = append(self.PreferredCipherSuites, [2]uint8{uint8(packet.CipherAES256), uint8(m)})
		}
		return k
	}
	gcm, ocb := suites(packet.AEADModeGCM, packet.AEADModeOCB), suites(packet.AEADModeOCB, packet.AEADModeGCM)
	eax, none := suites(packet.AEADModeEAX, packet.AEADModeGCM), suites()
	for _, test := range []struct {
		to   []*Key
		want string
	}{
		{[]*Key{gcm}, "aes256-gcm"},
		{[]*Key{gcm, eax}, "aes256-gcm"},
		{[]*Key{ocb}, "aes256-ocb"},
		{[]*Key{none}, "aes256-ocb"},
		{[]*Key{gcm, none}, "aes256-ocb"},
		{[]*Key{gcm, ocb}, "aes256-ocb"},
		{[]*Key{gcm, gpg(t).key(t, "edda@example.com")}, "aes256"},
	} {
		var to []*Certificate
		for _, k := range test.to {
			to = append(to, k.Certificate())
		}
		if got := Cipher(to, EncryptOptions{}); got != test.want {
			t.Errorf("%s, not %s", got, test.want)
		}
		for _, k := range test.to {
			text, d := decrypted(t, encrypted(t, entity("Hello\n"), to, nil, EncryptOptions{}), []*Key{k}, DecryptOptions{})
			if d.Cipher != test.want || !bytes.Equal(text, written(t, entity("Hello\n"))) {
				t.Errorf("%s: %+v", test.want, d)
			}
		}
	}
}
