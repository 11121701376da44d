package pgpmime

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"waxseal/signer"
)

// decrypted decrypts a message that has to be good.
func decrypted(t testing.TB, message []byte, keys []*Key, o DecryptOptions) ([]byte, *Decrypted) {
	t.Helper()
	if o.Verify.Time.IsZero() {
		o.Verify.Time = day()
	}
	var text bytes.Buffer
	d, err := Decrypt(&text, bytes.NewReader(message), keys, o)
	if err != nil {
		t.Fatalf("%v\n%.300s", err, message)
	}
	if d.Size != int64(text.Len()) {
		t.Errorf("%d bytes are written and %d reported", text.Len(), d.Size)
	}
	return text.Bytes(), d
}

// encryptWithGPG has gpg make a message of a text.
func (g gnupg) encryptWithGPG(t testing.TB, text string, args ...string) []byte {
	t.Helper()
	out, err := g.command(text, append([]string{"--passphrase", ""}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var gpgUsers = []string{"rosa@example.com", "edda@example.com", "nils@example.com", "otto@example.com"}

// What gpg makes, with every kind of key, cipher, compression and encoding.
func TestDecryptWhatGPGMakes(t *testing.T) {
	g := gpg(t)
	texts := []string{"Hello\r\n", "", strings.Repeat("All work and no play makes Jack a dull boy.\r\n", 5000)}
	keys := map[string]*Key{}
	for _, user := range gpgUsers {
		keys[user] = g.key(t, user)
	}
	held := []*Certificate{keys["rosa@example.com"].Certificate(), keys["nils@example.com"].Certificate(), keys["edda@example.com"].Certificate()}
	turn := 0
	for _, test := range []struct {
		args       []string
		signatures int
	}{
		{nil, 0},
		{[]string{"--no-armor"}, 0},
		{[]string{"--cipher-algo", "AES"}, 0},
		{[]string{"--cipher-algo", "3DES"}, 0},
		{[]string{"--compress-algo", "zip"}, 0},
		{[]string{"--compress-algo", "zlib"}, 0},
		{[]string{"--compress-algo", "bzip2"}, 0},
		{[]string{"--compress-algo", "none"}, 0},
		{[]string{"--throw-keyids"}, 0},
		{[]string{"-r", "nils@example.com", "-r", "rosa@example.com"}, 0},
		{[]string{"--symmetric", "--passphrase", "secret"}, 0},
		{[]string{"--textmode"}, 0},
		{[]string{"--sign", "-u", "nils@example.com"}, 1},
		{[]string{"--sign", "-u", "rosa@example.com", "--compress-algo", "zip"}, 1},
		{[]string{"--sign", "-u", "rosa@example.com", "-u", "edda@example.com"}, 2},
	} {
		for _, text := range texts {
			user := gpgUsers[turn%len(gpgUsers)]
			turn++
			message := g.encryptWithGPG(t, text, slices.Concat([]string{"--armor", "-r", user}, test.args, []string{"--encrypt"})...)
			got, d := decrypted(t, message, []*Key{keys[user]}, DecryptOptions{Certificates: held})
			if string(got) != text {
				t.Errorf("%s, %s: %d bytes come back for %d", user, test.args, len(got), len(text))
			}
			if !d.Authenticated || d.Name != user || d.Fingerprint != keys[user].cert.Fingerprint() || d.Hidden != slices.Contains(test.args, "--throw-keyids") {
				t.Errorf("%s, %s: %+v", user, test.args, d)
			}
			if len(d.Signatures) != test.signatures {
				t.Errorf("%s, %s: %d signatures", user, test.args, len(d.Signatures))
			}
			for _, s := range d.Signatures {
				if s.Result().Verdict != signer.Neutral || s.Integrity.Verdict != signer.Pass {
					t.Errorf("%s, %s: %+v", user, test.args, s)
				}
			}
		}
	}
}

// What this package makes comes back, in both versions of the encrypted data.
func TestDecryptOwn(t *testing.T) {
	g := gpg(t)
	secret, public := made(t, "six@example.com", configV6)
	six, err := ParseKey("six@example.com", secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	sixth, err := ParseCertificate("six@example.com", public)
	if err != nil {
		t.Fatal(err)
	}
	edda := g.key(t, "edda@example.com")
	for _, test := range []struct {
		key    *Key
		to     *Certificate
		cipher string
	}{{six, sixth, "aes256-ocb"}, {edda, edda.Certificate(), "aes256"}} {
		for _, hidden := range []bool{false, true} {
			e := entity("Hello\n")
			message := encrypted(t, e, []*Certificate{test.to}, six, EncryptOptions{Hidden: hidden})
			o := DecryptOptions{Certificates: []*Certificate{sixth}, Verify: VerifyOptions{Address: "six@example.com"}}
			got, d := decrypted(t, message, []*Key{g.key(t, "rosa@example.com"), test.key}, o)
			if !bytes.Equal(got, written(t, e)) || d.Cipher != test.cipher || d.Format != 'b' || d.Hidden != hidden {
				t.Errorf("%+v: %q", d, got)
			}
			if len(d.Signatures) != 1 || d.Signatures[0].Result().Verdict != signer.Pass {
				t.Errorf("%+v", d.Signatures)
			}
		}
	}
}

// A signature that was meant for others is not one for us.
func TestDecryptSentOn(t *testing.T) {
	g := gpg(t)
	nils, edda, rosa := g.key(t, "nils@example.com"), g.key(t, "edda@example.com"), g.key(t, "rosa@example.com")
	// Edda takes what Nils has signed for her and encrypts it to Rosa.
	var inner bytes.Buffer
	s, err := newSignature(nils, 0, environment{})
	if err != nil {
		t.Fatal(err)
	}
	to, err := chooseRecipients([]*Certificate{edda.Certificate()}, day(), EncryptOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.packet.IntendedRecipients = intended(s.packet.Version, to)
	if err := s.onePass().Serialize(&inner); err != nil {
		t.Fatal(err)
	}
	if err := writeLiteral(&inner, io.MultiWriter(s, &inner), entity("I love you\n")); err != nil {
		t.Fatal(err)
	}
	made, err := s.finish()
	if err != nil {
		t.Fatal(err)
	}
	inner.Write(made)
	for _, k := range []*Key{edda, rosa} {
		_, d := decrypted(t, sealed(t, inner.Bytes(), k.Certificate()), []*Key{k}, DecryptOptions{Certificates: []*Certificate{nils.Certificate()}})
		want := signer.Pass
		if k == rosa {
			want = signer.Policy
		}
		if got := d.Signatures[0].Integrity; got.Verdict != want {
			t.Errorf("for %s: %+v", k.cert.name, got)
		}
	}
}

// sealed encrypts packets as they are.
func sealed(t testing.TB, plain []byte, to *Certificate) []byte {
	t.Helper()
	var out bytes.Buffer
	c, err := to.choose(day())
	if err != nil {
		t.Fatal(err)
	}
	config := environment{}.config()
	session := make([]byte, 32)
	rand.Read(session)
	v2 := c.primary.SEIPDv2
	if err := packet.SerializeEncryptedKeyAEAD(&out, c.public, packet.CipherAES256, v2, session, config); err != nil {
		t.Fatal(err)
	}
	w, err := newSEIPD(&out, suiteOf(v2), session, config)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(plain)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// literal is a text as a packet.
func literal(text string) []byte {
	return appendPacket(nil, tagLiteral, append([]byte{'b', 0, 0, 0, 0, 0}, text...))
}

// compressed is packets in a compressed packet.
func compressed(t testing.TB, algorithm packet.CompressionAlgo, plain []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := packet.SerializeCompressed(nopCloser{&out}, algorithm, &packet.CompressionConfig{Level: 9})
	if err != nil {
		t.Fatal(err)
	}
	w.Write(plain)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// Whatever is wrong, with one of three words.
func TestDecryptRefuses(t *testing.T) {
	g := gpg(t)
	edda := g.key(t, "edda@example.com")
	good := sealed(t, literal("Hello\r\n"), edda.Certificate())
	seal := func(packets ...[]byte) []byte { return sealed(t, bytes.Join(packets, nil), edda.Certificate()) }
	deep := literal("Hello")
	for range 5 {
		deep = compressed(t, packet.CompressionZIP, deep)
	}
	onePass := appendPacket(nil, tagOnePass, []byte{3, 0, 8, 22, 0, 0, 0, 0, 0, 0, 0, 1, 1})
	marker := appendPacket(nil, tagMarker, []byte("PGP"))
	for what, test := range map[string]struct {
		message []byte
		want    error
	}{
		"nothing":            {nil, ErrMalformed},
		"text":               {[]byte("Hello\r\n"), ErrMalformed},
		"no data":            {good[:100], ErrMalformed},
		"cut":                {good[:len(good)-1], ErrDecrypt},
		"more after":         {append(bytes.Clone(good), literal("more")...), ErrMalformed},
		"rubbish after":      {append(bytes.Clone(good), "more"...), ErrMalformed},
		"a literal":          {literal("Hello"), ErrMalformed},
		"two texts":          {seal(literal("one"), literal("two")), ErrMalformed},
		"no text":            {seal(marker), ErrMalformed},
		"empty":              {seal(), ErrMalformed},
		"one-pass after":     {seal(literal("one"), onePass), ErrMalformed},
		"a key":              {seal(appendPacket(nil, tagPublicKey, []byte("key")), literal("one")), ErrMalformed},
		"encrypted in it":    {seal(good), ErrMalformed},
		"cut text":           {seal(literal("one")[:9]), ErrMalformed},
		"compressed rubbish": {seal(appendPacket(nil, tagCompressed, []byte("\x01rubbish"))), ErrMalformed},
		"compressed nothing": {seal(appendPacket(nil, tagCompressed, nil)), ErrMalformed},
		"compressed text":    {seal(compressed(t, packet.CompressionZLIB, literal("1")), literal("2")), ErrMalformed},
		"two in compressed":  {seal(compressed(t, packet.CompressionZLIB, append(literal("1"), literal("2")...))), ErrMalformed},
		"deep":               {seal(deep), ErrMalformed},
		"many packets":       {seal(bytes.Repeat(marker, 10000), literal("one")), ErrMalformed},
		"bare literal tag":   {seal([]byte{0xcb}), ErrMalformed},
		"a tag of 0":         {seal([]byte{0xc0, 0}, literal("one")), ErrMalformed},
		"armor of a key":     {[]byte("-----BEGIN PGP PUBLIC KEY BLOCK-----\r\n\r\nAAAA\r\n-----END PGP PUBLIC KEY BLOCK-----\r\n"), ErrMalformed},
		"too many for":       {append(bytes.Repeat(appendPacket(nil, tagPublicKeySession, make([]byte, 20)), maxSessionKeys+1), good...), ErrMalformed},
		"version 9":          {append(bytes.Clone(good[:bytes.LastIndex(good, []byte{0xd2, 0xff})]), appendPacket(nil, tagProtected, []byte("\x09rubbish"))...), ErrMalformed},
	} {
		var text bytes.Buffer
		d, err := Decrypt(&text, bytes.NewReader(test.message), []*Key{edda}, DecryptOptions{})
		if !errors.Is(err, test.want) || d != nil {
			t.Errorf("%s: %v, not %v", what, err, test.want)
		}
	}
	// Some that are harmless.
	padding := appendPacket(nil, tagPadding, make([]byte, 1000))
	private := appendPacket(nil, 60, []byte("whatever"))
	for what, message := range map[string][]byte{
		"padded":        seal(marker, literal("Hello"), padding),
		"noncritical":   seal(private, literal("Hello"), private),
		"padding after": append(seal(literal("Hello")), padding...),
		"marker before": append(bytes.Clone(marker), seal(literal("Hello"))...),
		"twice zipped":  seal(compressed(t, packet.CompressionZIP, compressed(t, packet.CompressionZLIB, literal("Hello")))),
	} {
		if text, _ := decrypted(t, message, []*Key{edda}, DecryptOptions{}); string(text) != "Hello" {
			t.Errorf("%s: %q", what, text)
		}
	}
}

// One bit anywhere in the encrypted data, and the answer is always the same.
func TestDecryptDamaged(t *testing.T) {
	g := gpg(t)
	secret, _ := made(t, "six@example.com", configV6)
	six, err := ParseKey("six@example.com", secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []*Key{g.key(t, "edda@example.com"), six, g.key(t, "rosa@example.com")} {
		plain := compressed(t, packet.CompressionZLIB, literal("Hello, this is some text to change\r\n"))
		good := sealed(t, plain, k.Certificate())
		data := bytes.LastIndex(good, []byte{0xd2}) // the last packet, or a byte in it
		for data >= 0 && !bytes.HasPrefix(good[data:], []byte{0xd2, 0xff}) {
			data = bytes.LastIndex(good[:data], []byte{0xd2})
		}
		start := data + 7
		if data < 0 { // version 2 has lengths of its own
			start = len(good) - 60
		}
		for i := start; i < len(good); i++ {
			bad := bytes.Clone(good)
			bad[i] ^= 0x01
			if _, err := Decrypt(io.Discard, bytes.NewReader(bad), []*Key{k}, DecryptOptions{}); err == nil || err.Error() != ErrDecrypt.Error() {
				t.Fatalf("%s: byte %d of %d: %v", k.cert.name, i, len(good), err)
			}
		}
		// The session key.
		for i := 20; i < 60; i++ {
			bad := bytes.Clone(good)
			bad[i] ^= 0x01
			_, err := Decrypt(io.Discard, bytes.NewReader(bad), []*Key{k}, DecryptOptions{})
			if !errors.Is(err, ErrDecrypt) && !errors.Is(err, ErrNoKey) && !errors.Is(err, ErrMalformed) {
				t.Fatalf("%s: byte %d: %v", k.cert.name, i, err)
			}
		}
	}
}

// Data without integrity protection, and for whom.
func TestDecryptUnprotected(t *testing.T) {
	g := gpg(t)
	edda := g.key(t, "edda@example.com")
	good := sealed(t, literal("Hello"), edda.Certificate())
	i := bytes.LastIndex(good, []byte{0xd2, 0xff})
	bare := append(bytes.Clone(good[:i]), appendPacket(nil, tagUnprotected, good[i+7:])...)
	for what, test := range map[string]struct {
		key  *Key
		want error
	}{
		"ours":   {edda, ErrUnprotected},
		"theirs": {g.key(t, "rosa@example.com"), ErrNoKey},
	} {
		var text bytes.Buffer
		if _, err := Decrypt(&text, bytes.NewReader(bare), []*Key{test.key}, DecryptOptions{}); !errors.Is(err, test.want) || text.Len() > 0 {
			t.Errorf("%s: %v, %d bytes", what, err, text.Len())
		}
	}
}

func TestDecryptNotForUs(t *testing.T) {
	g := gpg(t)
	message := encrypted(t, entity("Hello\n"), []*Certificate{g.recipient(t, "rosa@example.com")}, nil, EncryptOptions{})
	hidden := encrypted(t, entity("Hello\n"), []*Certificate{g.recipient(t, "rosa@example.com")}, nil, EncryptOptions{Hidden: true})
	other, _ := made(t, "other@example.com", configRSA)
	k, err := ParseKey("other@example.com", other, nil)
	if err != nil {
		t.Fatal(err)
	}
	for what, test := range map[string]struct {
		message []byte
		keys    []*Key
	}{
		"no keys":            {message, nil},
		"other":              {message, []*Key{k, g.key(t, "edda@example.com")}},
		"hidden":             {hidden, []*Key{k, g.key(t, "edda@example.com")}},
		"a key to sign with": {message, []*Key{g.key(t, "solo@example.com")}},
		"a password":         {g.encryptWithGPG(t, "Hello", "--symmetric", "--passphrase", "secret"), []*Key{k}},
	} {
		if _, err := Decrypt(io.Discard, bytes.NewReader(test.message), test.keys, DecryptOptions{}); !errors.Is(err, ErrNoKey) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Old keys decrypt old messages; a revoked subkey too.
func TestDecryptWithOldKeys(t *testing.T) {
	g := gpg(t)
	past := g.key(t, "past@example.com")
	var out bytes.Buffer
	config := environment{}.config()
	session := make([]byte, 32)
	if err := packet.SerializeEncryptedKeyAEAD(&out, past.cert.entity.Subkeys[0].PublicKey, packet.CipherAES256, false, session, config); err != nil {
		t.Fatal(err)
	}
	w, err := newSEIPD(&out, suiteOf(false), session, config)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(literal("Hello"))
	w.Close()
	if text, _ := decrypted(t, out.Bytes(), []*Key{g.key(t, "edda@example.com"), past}, DecryptOptions{}); string(text) != "Hello" {
		t.Errorf("%q", text)
	}
}

// The forms of session key and data that don't belong together.
func TestDecryptMixedVersions(t *testing.T) {
	six, err := ParseKey("six@example.com", first(made(t, "six@example.com", configV6)), nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := six.Certificate().choose(day())
	if err != nil {
		t.Fatal(err)
	}
	for _, keyForm := range []bool{false, true} {
		for _, dataForm := range []bool{false, true} {
			var out bytes.Buffer
			config, session := environment{}.config(), make([]byte, 32)
			if err := packet.SerializeEncryptedKeyAEAD(&out, c.public, packet.CipherAES256, keyForm, session, config); err != nil {
				t.Fatal(err)
			}
			w, err := newSEIPD(&out, suiteOf(dataForm), session, config)
			if err != nil {
				t.Fatal(err)
			}
			w.Write(literal("Hello"))
			w.Close()
			_, err = Decrypt(io.Discard, &out, []*Key{six}, DecryptOptions{})
			if keyForm == dataForm && err != nil || keyForm != dataForm && !errors.Is(err, ErrNoKey) {
				t.Errorf("key for version 2: %v, data of version 2: %v: %v", keyForm, dataForm, err)
			}
		}
	}
}

// One of our keys is away and another one decrypts: that will do.
func TestDecryptOneKeyAway(t *testing.T) {
	g := gpg(t)
	secret, public := made(t, "away@example.com", configRSA)
	ring, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(secret))
	if err != nil {
		t.Fatal(err)
	}
	sealedVault := errors.New("vault is sealed")
	away, err := ParseKey("away@example.com", public, &remoteRSA{
		PrivateKey: ring[0].Subkeys[0].PrivateKey.PrivateKey.(*rsa.PrivateKey),
		decrypt:    func([]byte) ([]byte, error) { return nil, sealedVault },
	})
	if err != nil {
		t.Fatal(err)
	}
	edda := g.key(t, "edda@example.com")
	message := encrypted(t, entity("Hello\n"), []*Certificate{away.Certificate(), edda.Certificate()}, nil, EncryptOptions{})
	if _, d := decrypted(t, message, []*Key{away, edda}, DecryptOptions{}); d.Name != "edda@example.com" {
		t.Errorf("%+v", d)
	}
	if _, err := Decrypt(io.Discard, bytes.NewReader(message), []*Key{away}, DecryptOptions{}); !errors.Is(err, sealedVault) || errors.Is(err, ErrDecrypt) {
		t.Errorf("%v", err)
	}
}

// A key to sign with does not decrypt, even if its algorithm could: who can have
// it decrypt can have it sign.
func TestDecryptWithSigningKey(t *testing.T) {
	rosa := gpg(t).key(t, "rosa@example.com")
	var out bytes.Buffer
	config, session := environment{}.config(), make([]byte, 32)
	if err := packet.SerializeEncryptedKeyAEAD(&out, rosa.cert.entity.PrimaryKey, packet.CipherAES256, false, session, config); err != nil {
		t.Fatal(err)
	}
	w, err := newSEIPD(&out, suiteOf(false), session, config)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(literal("Hello"))
	w.Close()
	if _, err := Decrypt(io.Discard, &out, []*Key{rosa}, DecryptOptions{}); !errors.Is(err, ErrNoKey) {
		t.Errorf("%v", err)
	}
}
