package pgpmime

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"waxseal/signer"
)

// encrypted encrypts and returns the OpenPGP message.
func encrypted(t testing.TB, e *signer.Entity, to []*Certificate, sign *Key, o EncryptOptions) []byte {
	t.Helper()
	var body bytes.Buffer
	header, err := Encrypt(&body, e, to, sign, o)
	if err != nil {
		t.Fatal(err)
	}
	p := parts(t, header, body.Bytes())
	if len(p) != 2 {
		t.Fatalf("%d parts", len(p))
	}
	if got := string(content(t, p[0])); got != "Version: 1\r\n" {
		t.Errorf("first part: %q", got)
	}
	return content(t, p[1])
}

// packets returns the types of a message's packets, those outside of the
// encryption.
func packets(t testing.TB, message []byte) (found []packet.Packet) {
	t.Helper()
	block, err := armor.Decode(bytes.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	r := packet.NewReader(block.Body)
	for {
		p, err := r.Next()
		if err == io.EOF {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, p)
		if se, ok := p.(*packet.SymmetricallyEncrypted); ok {
			io.Copy(io.Discard, se.Contents)
		}
	}
}

func TestEncryptDecryptsWithGPG(t *testing.T) {
	g := gpg(t)
	texts := map[string]string{
		"plain":  "Hello\n",
		"empty":  "",
		"no end": "Hello",
		"large":  strings.Repeat("All work and no play makes Jack a dull boy.\n", 20000),
	}
	for _, user := range []string{"rosa@example.com", "edda@example.com", "nils@example.com", "otto@example.com"} {
		to, key := []*Certificate{g.recipient(t, user)}, g.key(t, "rosa@example.com")
		for what, text := range texts {
			e := entity(text)
			message := encrypted(t, e, to, nil, EncryptOptions{})
			if int64(len(message)) < e.Size() {
				t.Errorf("%s, %s: %d bytes have become %d: it is compressed", user, what, e.Size(), len(message))
			}
			plain, status := g.decrypt(t, message)
			if !bytes.Equal(plain, written(t, e)) {
				t.Errorf("%s, %s: %d bytes come back for %d", user, what, len(plain), e.Size())
			}
			expectStatus(t, status, "DECRYPTION_OKAY", "GOODMDC", "DECRYPTION_INFO 2 9", "PLAINTEXT 62 0 ")
			if strings.Contains(status, "GOODSIG") {
				t.Error("signed without a key")
			}

			plain, status = g.decrypt(t, encrypted(t, e, to, key, EncryptOptions{}))
			if !bytes.Equal(plain, written(t, e)) {
				t.Errorf("%s, %s, signed: %d bytes come back for %d", user, what, len(plain), e.Size())
			}
			expectStatus(t, status, "DECRYPTION_OKAY", "GOODMDC", "GOODSIG", "VALIDSIG "+g.fingerprint("rosa@example.com"))
		}
	}
}

func TestEncryptSignedByEveryKind(t *testing.T) {
	g := gpg(t)
	to := []*Certificate{g.recipient(t, "edda@example.com")}
	for _, user := range []string{"rosa@example.com", "edda@example.com", "nils@example.com", "otto@example.com", "solo@example.com"} {
		_, status := g.decrypt(t, encrypted(t, entity("Hello\n"), to, g.key(t, user), EncryptOptions{}))
		expectStatus(t, status, "DECRYPTION_OKAY", "GOODSIG", "VALIDSIG "+g.fingerprint(user))
	}
}

func TestEncryptStructure(t *testing.T) {
	g := gpg(t)
	var body bytes.Buffer
	header, err := Encrypt(&body, entity("Hello\n"), []*Certificate{g.recipient(t, "edda@example.com")}, nil, EncryptOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := `multipart/encrypted; protocol="application/pgp-encrypted"; boundary=`
	if got := header.Get("Content-Type"); !strings.HasPrefix(got, want) || len(header) != 1 {
		t.Errorf("Content-Type: %s", got)
	}
	text := body.String()
	for _, want := range []string{
		"\r\nContent-Type: application/pgp-encrypted\r\n",
		"\r\nContent-Type: application/octet-stream; name=\"encrypted.asc\"\r\n",
		"\r\nContent-Disposition: inline; filename=\"encrypted.asc\"\r\n",
		"\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\n",
		"\r\n-----END PGP MESSAGE-----\r\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
	for line := range strings.Lines(text) {
		if !strings.HasSuffix(line, "\r\n") || len(line) > 78 {
			t.Errorf("line %q", line)
		}
	}
}

func TestEncryptRecipients(t *testing.T) {
	g := gpg(t)
	rosa, edda := g.recipient(t, "rosa@example.com"), g.recipient(t, "edda@example.com")
	own := g.key(t, "rosa@example.com").Certificate() // the same key once more
	message := encrypted(t, entity("Hello\n"), []*Certificate{rosa, edda, own, rosa}, nil, EncryptOptions{})
	p := packets(t, message)
	if len(p) != 3 {
		t.Fatalf("%d packets", len(p))
	}
	ids := map[uint64]bool{}
	for _, p := range p[:2] {
		ids[p.(*packet.EncryptedKey).KeyId] = true
	}
	for _, c := range []*Certificate{rosa, edda} {
		chosen, err := c.choose(day())
		if err != nil || !ids[chosen.public.KeyId] {
			t.Errorf("not for %s", c.Name())
		}
	}
	if _, err := Encrypt(io.Discard, entity("Hello\n"), nil, nil, EncryptOptions{}); err == nil {
		t.Error("encrypts to nobody")
	}
}

func TestEncryptHidden(t *testing.T) {
	g := gpg(t)
	to := []*Certificate{g.recipient(t, "rosa@example.com"), g.recipient(t, "edda@example.com")}
	message := encrypted(t, entity("Hello\n"), to, g.key(t, "nils@example.com"), EncryptOptions{Hidden: true})
	for _, p := range packets(t, message) {
		if k, ok := p.(*packet.EncryptedKey); ok && k.KeyId != 0 {
			t.Errorf("key id %X is shown", k.KeyId)
		}
	}
	plain, status := g.decrypt(t, message)
	if !bytes.Equal(plain, written(t, entity("Hello\n"))) {
		t.Errorf("comes back as %q", plain)
	}
	expectStatus(t, status, "DECRYPTION_OKAY", "GOODSIG")
	for _, user := range []string{"rosa@example.com", "edda@example.com"} {
		if details := read(t, g, user, g.secret(t, user), message); len(details.Signature.IntendedRecipients) != 0 {
			t.Error("the signature names the recipients")
		}
	}
	open := encrypted(t, entity("Hello\n"), to, g.key(t, "nils@example.com"), EncryptOptions{})
	if details := read(t, g, "rosa@example.com", g.secret(t, "rosa@example.com"), open); len(details.Signature.IntendedRecipients) != 2 {
		t.Error("the signature does not name the recipients")
	}
}

// Blind copies are not named, whoever else has the same certificate is.
func TestEncryptBlind(t *testing.T) {
	g := gpg(t)
	rosa, edda, otto := g.recipient(t, "rosa@example.com"), g.recipient(t, "edda@example.com"), g.recipient(t, "otto@example.com")
	o := EncryptOptions{Blind: []*Certificate{otto, rosa}}
	message := encrypted(t, entity("Hello\n"), []*Certificate{rosa, edda}, g.key(t, "nils@example.com"), o)
	var shown []uint64
	for _, p := range packets(t, message) {
		if k, ok := p.(*packet.EncryptedKey); ok {
			shown = append(shown, k.KeyId)
		}
	}
	var want []uint64
	for _, c := range []*Certificate{rosa, edda} {
		chosen, err := c.choose(day())
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, chosen.public.KeyId)
	}
	if want = append(want, 0); !slices.Equal(shown, want) {
		t.Errorf("key ids %X, not %X", shown, want)
	}
	held := []*Certificate{g.recipient(t, "nils@example.com")}
	for _, user := range []string{"rosa@example.com", "edda@example.com", "otto@example.com"} {
		if details := read(t, g, user, g.secret(t, user), message); len(details.Signature.IntendedRecipients) != 0 {
			t.Error("the signature names recipients")
		}
		text, d := decrypted(t, message, []*Key{g.key(t, user)}, DecryptOptions{Certificates: held, Verify: VerifyOptions{Address: "nils@example.com"}})
		if !bytes.Equal(text, written(t, entity("Hello\n"))) || d.Hidden != (user == "otto@example.com") ||
			len(d.Signatures) != 1 || d.Signatures[0].Result().Verdict != signer.Pass {
			t.Errorf("%s: %+v", user, d)
		}
	}
	// There may be blind copies only.
	message = encrypted(t, entity("Hello\n"), nil, nil, EncryptOptions{Blind: []*Certificate{otto}})
	if p := packets(t, message); len(p) != 2 || p[0].(*packet.EncryptedKey).KeyId != 0 {
		t.Errorf("%+v", p)
	}
	if got := Cipher(nil, EncryptOptions{Blind: []*Certificate{otto}}); got != "aes256" {
		t.Errorf("cipher %s", got)
	}
}

// read decrypts and verifies with the library.
func read(t testing.TB, g gnupg, user string, secret, message []byte) *openpgp.MessageDetails {
	t.Helper()
	ring, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(secret))
	if err != nil {
		t.Fatal(err)
	}
	nils, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(g.certificate(t, "nils@example.com")))
	if err != nil {
		t.Fatal(err)
	}
	block, err := armor.Decode(bytes.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	details, err := openpgp.ReadMessage(block.Body, append(ring, nils...), nil, nil)
	if err != nil {
		t.Fatalf("%s: %v", user, err)
	}
	if _, err := io.Copy(io.Discard, details.UnverifiedBody); err != nil {
		t.Fatal(err)
	}
	if details.SignatureError != nil || details.Signature == nil {
		t.Fatalf("signature: %v", details.SignatureError)
	}
	return details
}

// Certificates that announce it get version 2 with OCB, if all of them do.
func TestEncryptVersion2(t *testing.T) {
	g := gpg(t)
	secret, public := made(t, "six@example.com", configV6)
	six, err := ParseCertificate("six@example.com", public)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ParseKey("six@example.com", secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	rosa := g.recipient(t, "rosa@example.com")
	for _, test := range []struct {
		to     []*Certificate
		v2     bool
		cipher string
	}{
		{[]*Certificate{six}, true, "aes256-ocb"},
		{[]*Certificate{six, rosa}, false, "aes256"},
		{[]*Certificate{rosa}, false, "aes256"},
	} {
		if got := Cipher(test.to, EncryptOptions{}); got != test.cipher {
			t.Errorf("reported as %s", got)
		}
		for _, hidden := range []bool{false, true} {
			e := entity(strings.Repeat("Hello\n", 100000))
			sign := key
			if !test.v2 {
				sign = nil // gpg reads no v6 signature
			}
			message := encrypted(t, e, test.to, sign, EncryptOptions{Hidden: hidden})
			p := packets(t, message)
			se := p[len(p)-1].(*packet.SymmetricallyEncrypted)
			if want := map[bool]int{false: 1, true: 2}[test.v2]; se.Version != want {
				t.Errorf("version %d, want %d", se.Version, want)
			}
			if test.v2 && (se.Cipher != packet.CipherAES256 || se.Mode != packet.AEADModeOCB) {
				t.Errorf("cipher %d, mode %d", se.Cipher, se.Mode)
			}
			if test.to[0] == six {
				checkWithLibrary(t, e, secret, message, test.v2)
			}
			if test.to[len(test.to)-1] == rosa {
				plain, status := g.decrypt(t, message)
				expectStatus(t, status, "DECRYPTION_OKAY")
				if !bytes.Equal(plain, written(t, e)) {
					t.Error("comes back different")
				}
			}
		}
	}
}

// checkWithLibrary decrypts and verifies a message of somebody to himself.
func checkWithLibrary(t testing.TB, e *signer.Entity, secret, message []byte, signed bool) {
	t.Helper()
	ring, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(secret))
	if err != nil {
		t.Fatal(err)
	}
	block, err := armor.Decode(bytes.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	details, err := openpgp.ReadMessage(block.Body, ring, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(details.UnverifiedBody)
	if err != nil || details.SignatureError != nil || (details.SignedBy != nil) != signed {
		t.Fatalf("read: %v; signature: %v", err, details.SignatureError)
	}
	if !bytes.Equal(plain, written(t, e)) {
		t.Error("comes back different")
	}
}

func TestEncryptRefuses(t *testing.T) {
	g := gpg(t)
	rosa := g.recipient(t, "rosa@example.com")
	for user, want := range map[string]error{
		"solo@example.com": ErrNoUsableKey,
		"gone@example.com": ErrRevoked,
		"past@example.com": ErrExpired,
		"weak@example.com": ErrWeakAlgorithm,
		"dead@example.com": ErrRevoked,
	} {
		var out bytes.Buffer
		_, err := Encrypt(&out, entity("Hello\n"), []*Certificate{rosa, g.recipient(t, user)}, nil, EncryptOptions{})
		if !errors.Is(err, want) || !strings.Contains(err.Error(), user) {
			t.Errorf("%s: %v, want %v", user, err, want)
		}
		if out.Len() > 0 {
			t.Errorf("%s: writes before it refuses", user)
		}
	}
	_, err := Encrypt(io.Discard, entity("Hello\n"), []*Certificate{rosa}, g.key(t, "past@example.com"), EncryptOptions{})
	if !errors.Is(err, ErrExpired) {
		t.Errorf("key that has run out: %v", err)
	}
	broken := errors.New("disk gone")
	if _, err := Encrypt(io.Discard, &signer.Entity{Body: failing{broken}}, []*Certificate{rosa}, nil, EncryptOptions{}); !errors.Is(err, broken) {
		t.Errorf("content that can't be read: %v", err)
	}
	if _, err := Encrypt(io.Discard, &signer.Entity{Body: failing{nil}}, []*Certificate{rosa}, nil, EncryptOptions{}); err == nil {
		t.Error("content that is cut short is taken")
	}
	for n := range 6 {
		w := &fullDisk{left: n * 6000, err: broken}
		if _, err := Encrypt(w, entity(strings.Repeat("x", 24000)), []*Certificate{rosa}, nil, EncryptOptions{}); !errors.Is(err, broken) {
			t.Errorf("full after %d bytes: %v", n*6000, err)
		}
	}
}

// fullDisk takes so many bytes.
type fullDisk struct {
	left int
	err  error
}

func (f *fullDisk) Write(p []byte) (int, error) {
	if len(p) > f.left {
		return 0, f.err
	}
	f.left -= len(p)
	return len(p), nil
}
