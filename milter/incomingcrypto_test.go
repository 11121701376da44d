package milter

import (
	"bytes"
	"compress/zlib"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"waxseal/policies"
	"waxseal/test/identities"
)

// smimeMessage is a CMS structure as a message.
func smimeMessage(der []byte) string {
	return "MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n" + wrap(base64.StdEncoding.EncodeToString(der))
}

// enveloped lets openssl encrypt to somebody, in DER without indefinite lengths:
// the ciphertext is what it ends with.
func enveloped(t *testing.T, set *identities.Set, entity string, to ...string) []byte {
	t.Helper()
	args := []string{"cms", "-encrypt", "-binary", "-aes256", "-outform", "DER"}
	for _, name := range to {
		args = append(args, set.Certificate(name))
	}
	return []byte(run(t, entity, "openssl", args...))
}

// turn makes of a block of known plaintext another one, as whoever carries the
// message can: the block before it becomes random. n counts from the first
// block of the plaintext, which has size bytes.
func turn(der []byte, size, n int, known, wanted string) []byte {
	der = bytes.Clone(der)
	padded := size/16*16 + 16
	before := len(der) - padded + 16*(n-1)
	for i := range 16 {
		der[before+i] ^= known[i] ^ wanted[i]
	}
	return der
}

// testGadgets puts chosen text into messages that are encrypted with AES-CBC
// without knowing a key ("Efail", Section 5).
func testGadgets(t *testing.T, set *identities.Set) {
	f := newIncoming(t, set, incomingPolicy)
	html := "Content-Type: text/html; charset=utf-8\r\nContent-Language: en\r\n\r\n<html><body><p>" +
		strings.Repeat("0123456789abcdef", 16) + " " + secret + "</p></body></html>\r\n"
	text := "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\nContent-Language: en\r\n\r\n" + secret + "\r\n"
	block := func(entity string, n int) string { return entity[16*n : 16*n+16] }
	t.Run("as it was", func(t *testing.T) {
		for _, entity := range []string{html, text} {
			attack{message: smimeMessage(enveloped(t, set, entity, identities.Alice)), report: "decrypt=pass", shown: true}.check(t, f)
		}
	})
	t.Run("a picture in HTML", func(t *testing.T) {
		der := enveloped(t, set, html, identities.Alice)
		for i, wanted := range []string{"<img ignore=\"    ", "\" src=\"//e.exampl", "e/?             ", "\">              "} {
			n := 8 + 3*i
			der = turn(der, len(html), n, block(html, n), wanted[:16])
		}
		attack{message: smimeMessage(der), report: `decrypt=permerror \(smime: what is inside is damaged`}.check(t, f)
	})
	t.Run("HTML of a text", func(t *testing.T) {
		der := enveloped(t, set, text, identities.Alice)
		// The first block is turned by the initialisation vector, and leaves no trace.
		iv := len(der) - (len(text)/16*16 + 16) - 16 - 2 - lengthOf(len(text)/16*16+16)
		for i := range 16 {
			der[iv+i] ^= text[i] ^ "Content-Type: te"[i]
		}
		der = turn(der, len(text), 2, block(text, 2), "\r\nContent-Type:te")
		attack{message: smimeMessage(der), report: `decrypt=permerror \(smime: what is inside is damaged`}.check(t, f)
	})
	t.Run("a padding oracle", func(t *testing.T) {
		// Whatever is wrong with the last block, the client gets the same answer.
		said := map[string]bool{}
		der := enveloped(t, set, text, identities.Alice)
		for i := range 16 {
			bad := bytes.Clone(der)
			bad[len(bad)-17-i] ^= 0x55
			out, _ := deliveredWith(t, f, attack{message: smimeMessage(bad)})
			said[fmt.Sprint(out.Action, out.Reply)] = true
		}
		if len(said) != 1 {
			t.Errorf("%d different answers: %v", len(said), said)
		}
	})
	t.Run("a feedback gadget in OpenPGP", func(t *testing.T) {
		armored := run(t, innerEntity, "gpg", "--homedir", set.GnuPG(), "--batch", "--quiet", "--trust-model", "always", "--encrypt", "-r", identities.Alice)
		data := []byte(armored)
		for _, at := range []int{len(data) - 30, len(data) - 50, len(data) - 1} {
			bad := bytes.Clone(data)
			bad[at] ^= 1
			message := "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\r\n\r\n--b\r\n" +
				"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n" +
				"-----BEGIN PGP MESSAGE-----\r\n\r\n" + wrap(base64.StdEncoding.EncodeToString(bad)) + "-----END PGP MESSAGE-----\r\n\r\n--b--\r\n"
			attack{message: message, report: `decrypt=permerror \(pgp: it can't be decrypted\)`}.check(t, f)
		}
	})
}

// lengthOf is how many octets DER's length takes beyond the first.
func lengthOf(n int) int {
	switch {
	case n < 128:
		return 0
	case n < 256:
		return 1
	}
	return 2
}

// testInsider sends a message of one recipient to that one and to somebody else
// of the same system.
func testInsider(t *testing.T, set *identities.Set) {
	f := newIncoming(t, set, incomingPolicy)
	both := []string{identities.Alice, identities.Ida}
	der := enveloped(t, set, innerEntity, both...)
	attack{name: "for both", message: smimeMessage(der), to: both, report: "decrypt=pass", shown: true}.check(t, f)
	attack{name: "for one", message: smimeMessage(enveloped(t, set, innerEntity, identities.Alice)), to: both, report: `decrypt=policy \(smime: not encrypted for every`}.check(t, f)
	attack{name: "without a key", message: smimeMessage(der), to: append(both, "guest@example.com"), report: `decrypt=policy \(smime: not encrypted for every`}.check(t, f)
	attack{name: "a name and a wrong key", message: smimeMessage(spoilKey(t, set, der, identities.Ida)), to: both, report: `decrypt=policy \(smime: not encrypted for every`}.check(t, f)
	var many []string
	for i := range maxDecryptRecipients {
		many = append(many, fmt.Sprintf("%d@example.com", i))
	}
	attack{name: "to many", message: smimeMessage(der), to: append(many, identities.Alice), report: `decrypt=policy \(smime: too many recipients`}.check(t, f)

	// With AES-CBC a wrong key gives some content once in 256 times.
	decrypt := func(w io.Writer, key string) (string, error) {
		if key == "away" {
			return "", errAway
		}
		_, err := io.WriteString(w, strings.TrimSuffix(key, "'"))
		return key, err
	}
	none := func(string, string) bool { return false }
	final := func(err error) bool { return false }
	for _, c := range []struct {
		sets []string
		want error
	}{
		{[]string{"a"}, nil}, {[]string{"a", "a'"}, nil}, {[]string{"a", "b"}, errNotForAll}, {[]string{"a", "a'", "b"}, errNotForAll},
		{[]string{"a", "away"}, errAway}, {[]string{"away", "a"}, errAway},
	} {
		var b bytes.Buffer
		if _, err := decryptForAll(&b, c.sets, decrypt, none, final); !errors.Is(err, c.want) {
			t.Errorf("%v: %v, want %v", c.sets, err, c.want)
		} else if err == nil && b.String() != "a" {
			t.Errorf("%v: wrote %q", c.sets, b.String())
		}
	}
}

// spoilKey damages the encrypted key of somebody in an EnvelopedData.
func spoilKey(t *testing.T, set *identities.Set, der []byte, name string) []byte {
	t.Helper()
	// RecipientInfo names the certificate by issuer and serial number, then comes
	// the algorithm, then 256 octets.
	b, err := os.ReadFile(set.Certificate(name))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	serial := run(t, string(block.Bytes), "openssl", "x509", "-inform", "DER", "-noout", "-serial")
	number, err := hex.DecodeString(strings.TrimPrefix(strings.TrimSpace(serial), "serial="))
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(der, number)
	if at < 0 {
		t.Fatal("no such recipient")
	}
	der = bytes.Clone(der)
	der[at+len(number)+100] ^= 1
	return der
}

// Parts of CMS, to build what no program makes.
type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"explicit,tag:0"`
}

type signedData struct {
	Version int
	Digests asn1.RawValue
	Encap   asn1.RawValue
	Certs   asn1.RawValue   `asn1:"optional,tag:0"`
	Signers []asn1.RawValue `asn1:"set"`
}

type compressedData struct {
	Version   int
	Algorithm struct{ OID asn1.ObjectIdentifier }
	Encap     struct {
		OID     asn1.ObjectIdentifier
		Content []byte `asn1:"explicit,tag:0"`
	}
}

// compressed makes a compressed-data of an entity (RFC 3274).
func compressed(t *testing.T, entity string) []byte {
	t.Helper()
	var squeezed bytes.Buffer
	z, _ := zlib.NewWriterLevel(&squeezed, zlib.BestCompression)
	io.WriteString(z, entity)
	z.Close()
	c := compressedData{}
	c.Algorithm.OID = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 8}
	c.Encap.OID, c.Encap.Content = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}, squeezed.Bytes()
	return wrapInfo(t, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 9}, c)
}

func wrapInfo(t *testing.T, oid asn1.ObjectIdentifier, content any) []byte {
	t.Helper()
	inner, err := asn1.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	der, err := asn1.Marshal(contentInfo{Type: oid, Content: asn1.RawValue{FullBytes: inner}})
	if err != nil {
		t.Fatal(err)
	}
	// FullBytes takes the place of the explicit tag too.
	if len(der) > 0 && !bytes.Contains(der[:20], []byte{0xa0}) {
		explicit, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: inner})
		if err != nil {
			t.Fatal(err)
		}
		der, err = asn1.Marshal(contentInfo{Type: oid, Content: asn1.RawValue{FullBytes: explicit}})
		if err != nil {
			t.Fatal(err)
		}
	}
	return der
}

func testManySigners(t *testing.T, set *identities.Set) {
	f := newIncoming(t, set, incomingPolicy)
	opaque := run(t, innerEntity, "openssl", "cms", "-sign", "-binary", "-nodetach", "-md", "sha256", "-outform", "DER",
		"-signer", set.Certificate(identities.Bob), "-inkey", set.Key(identities.Bob), "-certfile", set.Certificate("intermediate"))
	var info contentInfo
	var data signedData
	if _, err := asn1.Unmarshal([]byte(opaque), &info); err != nil {
		t.Fatal(err)
	}
	inner := info.Content
	if inner.Class == asn1.ClassContextSpecific {
		inner.FullBytes = inner.Bytes
	}
	if _, err := asn1.Unmarshal(inner.FullBytes, &data); err != nil {
		t.Fatal(err)
	}
	one := data.Signers[0]
	for n, want := range map[int]string{0: "smime=none", 1: "smime=pass", 2: "smime=pass", 1000: "smime=permerror .*more signers.*smime=pass"} {
		data.Signers = nil
		for range n {
			data.Signers = append(data.Signers, one)
		}
		a := attack{name: fmt.Sprint(n), message: smimeMessage(wrapInfo(t, info.Type, data)), authres: want, report: "verify="}
		if n == 1000 {
			a.report = "verify=permerror"
		}
		a.check(t, f)
	}
}

func testBombs(t *testing.T, set *identities.Set) {
	all := samples(t, set)
	f := newIncoming(t, set, incomingPolicy)
	f.MaxPlain = 2 << 20
	zeros := "Content-Type: text/plain\r\n\r\n" + strings.Repeat(strings.Repeat("0", 70)+"\r\n", 100_000)
	bomb := string(smimeMessage(compressed(t, zeros)))
	attack{message: bomb, report: `structure=permerror \(compressed data`}.check(t, f)
	attack{message: smimeMessage(compressed(t, bomb)), report: `structure=permerror`}.check(t, f)
	attack{message: smimeMessage(enveloped(t, set, bomb, identities.Alice)), report: `decrypt=pass.*structure=permerror`}.check(t, f)
	pgp := crlf(run(t, zeros, "gpg", "--homedir", set.GnuPG(), "--batch", "--quiet", "--armor", "--trust-model", "always", "--encrypt", "-r", identities.Alice))
	attack{message: "Content-Type: text/plain\r\n\r\n" + pgp, report: `decrypt=permerror \(pgp: it is too large`}.check(t, f)
	attack{message: smimeMessage(compressed(t, innerEntity)), report: "decrypt=none", shown: true}.check(t, f)
	attack{message: smimeMessage(enveloped(t, set, smimeMessage(compressed(t, innerEntity)), identities.Alice)), report: "decrypt=pass", shown: true}.check(t, f)
	attack{message: smimeMessage(compressed(t, all["smime signed"])), report: "verify=pass", authres: "smime=pass", shown: true}.check(t, f)

	// Layers without end.
	deep := innerEntity
	for range 12 {
		deep = smimeMessage(compressed(t, deep))
	}
	attack{message: deep, report: `structure=permerror \(more than 8 layers`}.check(t, f)
	encrypted := innerEntity
	for range 12 {
		encrypted = smimeMessage(enveloped(t, set, encrypted, identities.Alice))
	}
	attack{message: encrypted, report: `(decrypt=pass[^;]*; ){8}verify=none; structure=permerror \(more than 8 layers`}.check(t, f)

	// What all messages together may take.
	spools, err := NewSpools(filepath.Join(t.TempDir(), "spool"), 64<<10, 100<<10)
	if err != nil {
		t.Fatal(err)
	}
	tx := newTestTransaction(t, "From: bob@partner.example\r\n"+smimeMessage(compressed(t, strings.Repeat(zeros[:1<<20], 1))))
	tx.Recipients, tx.spools = []string{identities.Alice}, spools
	tx.Client = netip.MustParseAddr("192.0.2.1")
	out, err := f.Apply(t.Context(), tx)
	if err != nil || out.Action != policies.Tempfail || out.Reply.Code != 451 {
		t.Errorf("%v %v", out, err)
	}
	if spools.Used() > 100<<10 {
		t.Errorf("%d bytes are spooled", spools.Used())
	}
	tx.Close()
	if spools.Used() != 0 {
		t.Errorf("%d bytes are left", spools.Used())
	}
}

func testFloods(t *testing.T, set *identities.Set) {
	all := samples(t, set)
	f := newIncoming(t, set, incomingPolicy)
	many := func(n int, text string) string { return strings.Repeat(text, n) }
	var nested strings.Builder
	for i := range 60 {
		fmt.Fprintf(&nested, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	var parts []string
	for range 200 {
		parts = append(parts, part(all["smime signed"]))
	}
	for name, a := range map[string]attack{
		"10,000 parts":            {message: multipart("mixed", strings.Split(strings.TrimSuffix(many(10_000, "Content-Type: text/plain\r\n\r\nx|"), "|"), "|")...), report: "structure=permerror"},
		"10,000 parts encrypted":  {message: smimeMessage(enveloped(t, set, multipart("mixed", strings.Split(strings.TrimSuffix(many(10_000, "Content-Type: text/plain\r\n\r\nx|"), "|"), "|")...), identities.Alice)), report: "decrypt=permerror"},
		"60 levels":               {message: nested.String() + innerEntity, report: "structure=permerror", shown: true},
		"200 signed parts":        {message: multipart("mixed", parts...), authres: "(?s)smime=neutral.*, " /* in the comment */, report: "verify=none; structure=permerror .more than 16", shown: true},
		"20,000 reports":          {header: many(20_000, "Authentication-Results: mx.test; smime=pass\r\n"), message: all["smime altered"], authres: "smime=fail", report: "verify=fail"},
		"fields of a megabyte":    {header: "X: " + many(10_000, strings.Repeat("x", 90)+"\r\n ") + "\r\n", message: all["smime signed"], authres: "smime=pass", report: "verify=pass", shown: true},
		"many fields inside":      {message: smimeMessage(enveloped(t, set, many(2000, "Content-X: y\r\n")+innerEntity, identities.Alice)), report: "decrypt=pass", shown: true},
		"different fields inside": {message: smimeMessage(enveloped(t, set, numbered(2000)+innerEntity, identities.Alice)), report: `decrypt=permerror \(smime: the header`},
		"a long field inside":     {message: smimeMessage(enveloped(t, set, "Content-Description: "+many(500, "lorem ipsum ")+"\r\n"+innerEntity, identities.Alice)), report: "decrypt=pass", shown: true},
	} {
		t.Run(name, func(t *testing.T) {
			a.check(t, f)
			out, _ := deliveredWith(t, f, a)
			if _, err := encodeEdits(out.Edits, true); err != nil {
				t.Errorf("the MTA can't be told: %v", err)
			}
		})
	}
}

func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "Content-X%d: y\r\n", i)
	}
	return b.String()
}
