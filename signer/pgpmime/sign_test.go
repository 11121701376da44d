package pgpmime

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"waxseal/signer"
)

// detached signs and returns the signed part, to the byte, and the armor.
func detached(t testing.TB, e *signer.Entity, k *Key) (signed, signature []byte) {
	t.Helper()
	out, err := Sign(e, k, SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return split(t, out)
}

func split(t testing.TB, multipart *signer.Entity) (signed, signature []byte) {
	t.Helper()
	all := written(t, multipart)
	_, body, _ := bytes.Cut(all, []byte("\r\n\r\n"))
	p := parts(t, multipart.Header, body)
	if len(p) != 2 {
		t.Fatalf("%d parts", len(p))
	}
	return p[0], content(t, p[1])
}

func TestSignVerifiesWithGPG(t *testing.T) {
	g := gpg(t)
	texts := map[string]string{
		"plain":        "Hello\n",
		"empty":        "",
		"no end":       "Hello",
		"empty lines":  "\n\nHello\n\n\n",
		"dashes":       "- \n-- \n--=-\n",
		"no line ends": strings.Repeat("x", 1000),
		"large":        strings.Repeat("All work and no play makes Jack a dull boy.\n", 5000),
	}
	for _, user := range []string{"rosa@example.com", "edda@example.com", "nils@example.com", "otto@example.com"} {
		k := g.key(t, user)
		for what, text := range texts {
			e := entity(text)
			signed, signature := detached(t, e, k)
			if !bytes.Equal(signed, written(t, e)) {
				t.Errorf("%s, %s: the signed part differs from what was given", user, what)
			}
			expectStatus(t, g.verify(t, signed, signature), "GOODSIG", "VALIDSIG "+g.fingerprint(user))
		}
	}
}

func TestSignStructure(t *testing.T) {
	g := gpg(t)
	for user, digest := range map[string]string{"edda@example.com": "sha256", "otto@example.com": "sha512"} {
		out, err := Sign(entity("Hello\n"), g.key(t, user), SignOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Header) != 1 {
			t.Errorf("%d fields", len(out.Header))
		}
		want := `multipart/signed; micalg=pgp-` + digest + `; protocol="application/pgp-signature"; boundary=`
		if got := out.Header.Get("Content-Type"); !strings.HasPrefix(got, want) {
			t.Errorf("Content-Type: %s", got)
		}
		text := string(written(t, out))
		if strings.Contains(strings.ReplaceAll(text, "\r\n", ""), "\n") {
			t.Error("a bare LF")
		}
		for _, no := range []string{"Version:", "Comment:"} {
			if strings.Contains(text, no) {
				t.Errorf("the armor has a header %s", no)
			}
		}
		if again := string(written(t, out)); again != text {
			t.Error("the second reading differs from the first")
		}
	}
}

// The armor of a signature of 3n bytes has no padding; then GnuPG and RNP need
// the checksum to find its end.
func TestSignArmorOfEveryLength(t *testing.T) {
	g := gpg(t)
	config := []*packet.Config{configEdDSA, configP256, configP384, configRSA}
	for i, c := range config {
		secret, public := made(t, string(rune('a'+i))+"len@example.com", c)
		file := t.TempDir() + "/key"
		write(t, file, public)
		g.must(t, "--import", file)
		k, err := ParseKey("x", secret, nil)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[int]bool{}
		for range 40 {
			signed, signature := detached(t, entity("Hello\n"), k)
			block, err := armor.Decode(bytes.NewReader(signature))
			if err != nil {
				t.Fatal(err)
			}
			binary, err := io.ReadAll(block.Body)
			if err != nil {
				t.Fatal(err)
			}
			rest := len(binary) % 3
			if seen[rest] {
				continue
			}
			seen[rest] = true
			t.Logf("%s: %d bytes, %d mod 3", k.Algorithm(0), len(binary), rest)
			if lines := strings.Split(string(signature), "\r\n"); len(lines[len(lines)-3]) != 5 || lines[len(lines)-3][0] != '=' {
				t.Errorf("no checksum before the end: %q", lines)
			}
			expectStatus(t, g.verify(t, signed, signature), "GOODSIG", "VALIDSIG")
		}
	}
}

func TestSignV6(t *testing.T) {
	secret, public := made(t, "six@example.com", configV6)
	k, err := ParseKey("six@example.com", secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, signature := detached(t, entity("Hello\n"), k)
	ring, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(public))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := openpgp.VerifyArmoredDetachedSignature(ring, bytes.NewReader(signed), bytes.NewReader(signature), nil); err != nil {
		t.Error(err)
	}
}

func TestSignDigest(t *testing.T) {
	g := gpg(t)
	for _, test := range []struct {
		user   string
		digest crypto.Hash
		want   string
	}{
		{"edda@example.com", crypto.SHA512, "sha512"},
		{"rosa@example.com", crypto.SHA384, "sha384"},
		{"otto@example.com", crypto.SHA256, "sha512"},
		{"rosa@example.com", crypto.SHA1, ""},
		{"rosa@example.com", crypto.MD5, ""},
		{"rosa@example.com", crypto.Hash(99), ""},
	} {
		k := g.key(t, test.user)
		out, err := Sign(entity("Hello\n"), k, SignOptions{Digest: test.digest})
		if test.want == "" {
			if err == nil {
				t.Errorf("%v is taken", test.digest)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := out.Header.Get("Content-Type"); !strings.Contains(got, "pgp-"+test.want) {
			t.Errorf("%v: %s", test.digest, got)
		}
		if got := k.Algorithm(test.digest); !strings.HasSuffix(got, test.want) {
			t.Errorf("%v: reported as %s", test.digest, got)
		}
		signed, signature := split(t, out)
		expectStatus(t, g.verify(t, signed, signature), "GOODSIG")
	}
}

func TestSignRefuses(t *testing.T) {
	g := gpg(t)
	for user, want := range map[string]error{
		"past@example.com": ErrExpired,
		"dead@example.com": ErrRevoked,
		"weak@example.com": ErrWeakAlgorithm,
	} {
		_, err := Sign(entity("Hello\n"), g.key(t, user), SignOptions{})
		if !errors.Is(err, want) || !strings.Contains(err.Error(), user) {
			t.Errorf("%s: %v, want %v", user, err, want)
		}
	}
	broken := errors.New("disk gone")
	e := &signer.Entity{Body: failing{broken}}
	if _, err := Sign(e, g.key(t, "edda@example.com"), SignOptions{}); !errors.Is(err, broken) {
		t.Errorf("content that can't be read: %v", err)
	}
	e = &signer.Entity{Body: failing{nil}}
	if _, err := Sign(e, g.key(t, "edda@example.com"), SignOptions{}); err == nil || !strings.Contains(err.Error(), "instead of") {
		t.Errorf("content that is cut short: %v", err)
	}
}

func TestSignTime(t *testing.T) {
	g := gpg(t)
	k := g.key(t, "past@example.com")
	when := time.Date(2020, 1, 3, 4, 5, 6, 7, time.UTC)
	out, err := Sign(entity("Hello\n"), k, SignOptions{Time: when})
	if err != nil {
		t.Fatal(err)
	}
	signed, signature := split(t, out)
	// The key has run out since, which gpg says and takes the signature.
	expectStatus(t, g.verify(t, signed, signature), "EXPKEYSIG", "VALIDSIG "+g.fingerprint("past@example.com")+" 2020-01-03 "+strconv.FormatInt(when.Unix(), 10))
}

func TestRandomnessFails(t *testing.T) {
	g := gpg(t)
	k, to := g.key(t, "edda@example.com"), []*Certificate{g.recipient(t, "rosa@example.com")}
	dry := errors.New("no randomness")
	if _, err := Sign(entity("Hello\n"), k, SignOptions{Rand: iotest.ErrReader(dry)}); !errors.Is(err, dry) {
		t.Errorf("sign: %v", err)
	}
	for n := range 5 {
		// Enough for the boundary, for the session key, ...
		random := io.MultiReader(io.LimitReader(rand.Reader, int64(n*18)), iotest.ErrReader(dry))
		if _, err := Encrypt(io.Discard, entity("Hello\n"), to, k, EncryptOptions{Rand: random}); n < 3 && !errors.Is(err, dry) {
			t.Errorf("encrypt with %d random bytes: %v", n*18, err)
		}
	}
}

// failing is content that ends too early.
type failing struct{ err error }

func (failing) Size() int64 { return 1000 }

func (f failing) WriteTo(w io.Writer) (int64, error) {
	n, err := io.WriteString(w, "Hello")
	if err != nil {
		return int64(n), err
	}
	return int64(n), f.err
}
