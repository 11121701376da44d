package pgpmime

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"waxseal/signer"
)

// A megabyte that would become a thousand of them.
func TestDecryptBomb(t *testing.T) {
	const limit = 10 << 20
	g := gpg(t)
	edda := g.key(t, "edda@example.com")
	for algorithm, size := range map[packet.CompressionAlgo]int64{packet.CompressionZIP: 64 << 20, packet.CompressionZLIB: 256 << 20} {
		bomb := sealed(t, bombOf(t, algorithm, size), edda.Certificate())
		var text counted
		total := allocated(func() {
			_, err := Decrypt(&text, bytes.NewReader(bomb), []*Key{edda}, DecryptOptions{Verify: VerifyOptions{MaxSize: limit}})
			if !errors.Is(err, ErrTooLarge) {
				t.Errorf("%v", err)
			}
		})
		t.Logf("%d KiB: %d bytes written, %d KiB allocated", len(bomb)>>10, text, total>>10)
		if text > limit {
			t.Errorf("%d bytes are written", text)
		}
		if total > 4<<20 {
			t.Errorf("%d KiB allocated", total>>10)
		}
	}
	// Exactly the limit is taken, one byte more is not.
	for _, size := range []int{limit, limit + 1} {
		message := sealed(t, literal(strings.Repeat("a", size)), edda.Certificate())
		_, err := Decrypt(io.Discard, bytes.NewReader(message), []*Key{edda}, DecryptOptions{Verify: VerifyOptions{MaxSize: limit}})
		if (err == nil) != (size == limit) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// bombOf is a text of zeros, compressed twice.
func bombOf(t testing.TB, algorithm packet.CompressionAlgo, size int64) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := packet.SerializeCompressed(nopCloser{&out}, algorithm, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := packet.SerializeLiteral(nopCloser{w}, true, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 1<<20)
	for range size >> 20 {
		text.Write(block)
	}
	text.Close()
	w.Close()
	return out.Bytes()
}

type counted int64

func (c *counted) Write(p []byte) (int, error) { *c += counted(len(p)); return len(p), nil }

// The errors of what is read and written are seen.
func TestDecryptSourceAndSinkFail(t *testing.T) {
	g := gpg(t)
	edda := g.key(t, "edda@example.com")
	good := sealed(t, literal(strings.Repeat("Hello\r\n", 50000)), edda.Certificate())
	broken := errors.New("disk is gone")
	for n := 0; n < len(good); n += 50000 {
		r := io.MultiReader(bytes.NewReader(good[:n]), iotest.ErrReader(broken))
		if _, err := Decrypt(io.Discard, r, []*Key{edda}, DecryptOptions{}); !errors.Is(err, broken) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
	if _, err := Decrypt(brokenWriter{broken}, bytes.NewReader(good), []*Key{edda}, DecryptOptions{}); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	if text, _ := decrypted(t, good, []*Key{edda}, DecryptOptions{}); len(text) != 350000 {
		t.Errorf("%d bytes", len(text))
	}
	if d, err := Decrypt(io.Discard, iotest.OneByteReader(bytes.NewReader(good)), []*Key{edda}, DecryptOptions{}); err != nil || d.Size != 350000 {
		t.Errorf("byte by byte: %v", err)
	}
}

type brokenWriter struct{ err error }

func (f brokenWriter) Write([]byte) (int, error) { return 0, f.err }

// remoteRSA is a private RSA key elsewhere, which decrypts too.
type remoteRSA struct {
	*rsa.PrivateKey
	decrypt func([]byte) ([]byte, error)
	calls   int
}

func (r *remoteRSA) Decrypt(random io.Reader, c []byte, o crypto.DecrypterOpts) ([]byte, error) {
	r.calls++
	if r.decrypt != nil {
		return r.decrypt(c)
	}
	if _, ok := o.(*rsa.PKCS1v15DecryptOptions); !ok {
		return nil, errors.New("not PKCS #1 v1.5")
	}
	return r.PrivateKey.Decrypt(random, c, o)
}

func TestDecryptRemote(t *testing.T) {
	g := gpg(t)
	secret, public := made(t, "far@example.com", configRSA)
	ring, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(secret))
	if err != nil {
		t.Fatal(err)
	}
	remote := &remoteRSA{PrivateKey: ring[0].Subkeys[0].PrivateKey.PrivateKey.(*rsa.PrivateKey)}
	k, err := ParseKey("far@example.com", public, remote)
	if err != nil {
		t.Fatal(err)
	}
	file := t.TempDir() + "/key"
	write(t, file, public)
	g.must(t, "--import", file)
	message := g.encryptWithGPG(t, "Hello", "--armor", "-r", "far@example.com", "--encrypt")
	if text, d := decrypted(t, message, []*Key{k}, DecryptOptions{}); string(text) != "Hello" || d.Name != "far@example.com" {
		t.Errorf("%q, %+v", text, d)
	}
	if remote.calls != 1 {
		t.Errorf("%d calls", remote.calls)
	}

	sealedVault := errors.New("vault is sealed")
	for what, test := range map[string]struct {
		decrypt func([]byte) ([]byte, error)
		want    error
	}{
		"away":       {func([]byte) ([]byte, error) { return nil, sealedVault }, sealedVault},
		"bad":        {func([]byte) ([]byte, error) { return nil, rsa.ErrDecryption }, ErrDecrypt},
		"nothing":    {func([]byte) ([]byte, error) { return nil, nil }, ErrDecrypt},
		"short":      {func([]byte) ([]byte, error) { return []byte{9}, nil }, ErrDecrypt},
		"rubbish":    {func([]byte) ([]byte, error) { return make([]byte, 35), nil }, ErrDecrypt},
		"other key":  {func([]byte) ([]byte, error) { return append([]byte{9}, make([]byte, 34)...), nil }, ErrDecrypt},
		"other size": {func([]byte) ([]byte, error) { return append([]byte{7}, make([]byte, 34)...), nil }, ErrDecrypt},
		"long":       {func([]byte) ([]byte, error) { return make([]byte, 1000), nil }, ErrDecrypt},
	} {
		k.remote = &remoteRSA{PrivateKey: remote.PrivateKey, decrypt: test.decrypt}
		if _, err := Decrypt(io.Discard, bytes.NewReader(message), []*Key{k}, DecryptOptions{}); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// What can't be a ciphertext is not sent to the store.
	var out bytes.Buffer
	n := remote.N
	body := append([]byte{3, 0, 0, 0, 0, 0, 0, 0, 0, 1}, byte(n.BitLen()>>8), byte(n.BitLen()))
	out.Write(appendPacket(nil, tagPublicKeySession, append(body, n.Bytes()...)))
	out.Write(appendPacket(nil, tagProtected, append([]byte{1}, make([]byte, 100)...)))
	spy := &remoteRSA{PrivateKey: remote.PrivateKey}
	k.remote = spy
	if _, err := Decrypt(io.Discard, &out, []*Key{k}, DecryptOptions{}); !errors.Is(err, ErrNoKey) || spy.calls != 0 {
		t.Errorf("%v, %d calls", err, spy.calls)
	}
}

// A message to thousands that we may be among does not cost thousands of
// operations with our keys.
func TestDecryptAttempts(t *testing.T) {
	secret, public := made(t, "far@example.com", configRSA)
	ring, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(secret))
	if err != nil {
		t.Fatal(err)
	}
	remote := &remoteRSA{
		PrivateKey: ring[0].Subkeys[0].PrivateKey.PrivateKey.(*rsa.PrivateKey),
		decrypt:    func([]byte) ([]byte, error) { return nil, rsa.ErrDecryption },
	}
	k, err := ParseKey("far@example.com", public, remote)
	if err != nil {
		t.Fatal(err)
	}
	bits := remote.N.BitLen() - 1
	body := []byte{3, 0, 0, 0, 0, 0, 0, 0, 0, 1, byte(bits >> 8), byte(bits), 0x40}
	body = append(body, make([]byte, remote.Size()-1)...)
	var out bytes.Buffer
	for range 2000 {
		out.Write(appendPacket(nil, tagPublicKeySession, body))
	}
	out.Write(appendPacket(nil, tagProtected, append([]byte{1}, make([]byte, 100)...)))
	if _, err := Decrypt(io.Discard, &out, []*Key{k}, DecryptOptions{}); !errors.Is(err, ErrNoKey) {
		t.Errorf("%v", err)
	}
	if remote.calls != maxAttempts {
		t.Errorf("%d calls", remote.calls)
	}
}

// A message that names nobody may be for somebody else, so nothing that goes
// wrong with it says that it is for us.
func TestDecryptHiddenDamaged(t *testing.T) {
	g := gpg(t)
	for _, k := range []*Key{g.key(t, "edda@example.com"), g.key(t, "rosa@example.com")} {
		message := encrypted(t, entity("Hello\n"), []*Certificate{k.Certificate()}, nil, EncryptOptions{Hidden: true})
		packets, _, err := unarmor(bytes.NewReader(message))
		if err != nil {
			t.Fatal(err)
		}
		good, err := io.ReadAll(packets)
		if err != nil {
			t.Fatal(err)
		}
		if _, d := decrypted(t, good, []*Key{k}, DecryptOptions{}); !d.Hidden {
			t.Error("not hidden")
		}
		for i := 30; i < len(good); i += 7 {
			bad := bytes.Clone(good)
			bad[i] ^= 1
			if _, err := Decrypt(io.Discard, bytes.NewReader(bad), []*Key{k}, DecryptOptions{}); !errors.Is(err, ErrNoKey) && !errors.Is(err, ErrMalformed) {
				t.Fatalf("byte %d of %d: %v", i, len(good), err)
			}
		}
	}
}

// Keys and certificates are used by many messages at once.
func TestReadAtOnce(t *testing.T) {
	g := gpg(t)
	k := g.key(t, "edda@example.com")
	held := []*Certificate{k.Certificate()}
	message := encrypted(t, entity("Hello\n"), held, k, EncryptOptions{})
	signed, signature := detached(t, entity("Hello\n"), k)
	k = g.key(t, "edda@example.com") // nothing of it has been verified yet
	held = []*Certificate{k.Certificate()}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			d, err := Decrypt(io.Discard, bytes.NewReader(message), []*Key{k}, DecryptOptions{Certificates: held, Verify: VerifyOptions{Time: day()}})
			if err != nil || verdicts(d.Signatures[0]) != "pass pass pass none pass" {
				t.Errorf("%+v, %v", d, err)
			}
		})
		group.Go(func() {
			found, err := Verify(bytes.NewReader(signed), signature, held, VerifyOptions{Time: day(), Address: "edda@example.com"})
			if err != nil || found[0].Result().Verdict != signer.Pass {
				t.Errorf("%+v, %v", found, err)
			}
		})
	}
	group.Wait()
}
