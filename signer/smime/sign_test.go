package smime

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"waxseal/signer"
)

func certsOf(ids []*identity) []*x509.Certificate {
	var certs []*x509.Certificate
	for _, id := range ids {
		certs = append(certs, id.cert())
	}
	return certs
}

// entities are what is signed and encrypted in most tests; each has an edge.
var entities = map[string]string{
	"text":              "Content-Type: text/plain; charset=us-ascii\r\n\r\nHello\r\n",
	"no header":         "\r\n\r\nHello\r\n",
	"empty body":        "Content-Type: text/plain\r\n\r\n",
	"no last line end":  "Content-Type: text/plain\r\n\r\nHello",
	"empty lines after": "Content-Type: text/plain\r\n\r\nHello\r\n\r\n\r\n",
	"dashes":            "Content-Type: text/plain\r\n\r\n--\r\n--=_\r\n--b--\r\n",
	"folded":            "Content-Type: text/plain;\r\n charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\nHello\r\n",
	"multipart":         "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n",
	"long":              "Content-Type: text/plain\r\n\r\n" + strings.Repeat("All work and no play.\r\n", 9000),
}

// TestSignDetached has OpenSSL verify multipart/signed with each kind of key.
func TestSignDetached(t *testing.T) {
	for _, tc := range []struct{ kind, micalg string }{
		{"rsa2048", "sha-256"}, {"p256", "sha-256"}, {"p384", "sha-384"}, {"p521", "sha-512"},
	} {
		for name, text := range entities {
			t.Run(tc.kind+"/"+name, func(t *testing.T) {
				e := entityOf(text)
				id := as(tc.kind)
				signed, err := Sign(e, id.chain, id.key, SignOptions{})
				if err != nil {
					t.Fatal(err)
				}
				contentType := signed.Header.Get("Content-Type")
				for _, want := range []string{"multipart/signed;", `protocol="application/pkcs7-signature"`, "micalg=" + tc.micalg + ";"} {
					if !strings.Contains(contentType, want) {
						t.Errorf("Content-Type %q lacks %q", contentType, want)
					}
				}
				checkLines(t, written(t, signed))
				want := written(t, e)
				if got := opensslVerify(t, written(t, signed)); !bytes.Equal(got, want) {
					t.Errorf("OpenSSL's content differs: got %q, want %q", got, want)
				}
				if again := written(t, signed); !bytes.Equal(again, written(t, signed)) {
					t.Error("the signed entity is another one when it is written again")
				}
			})
		}
	}
}

// TestSignDetachedDER gives OpenSSL signature and content apart, so that its
// reading of multipart/signed has no part in the verdict.
func TestSignDetachedDER(t *testing.T) {
	for name, text := range entities {
		t.Run(name, func(t *testing.T) {
			e := entityOf(text)
			id := as("p256")
			signed, err := Sign(e, id.chain, id.key, SignOptions{Boundary: "the boundary"})
			if err != nil {
				t.Fatal(err)
			}
			body := written(t, signed.Body)
			want := written(t, e)
			first := "--the boundary\r\n" + string(want) + "\r\n--the boundary\r\n"
			if !strings.HasPrefix(string(body), first) || !strings.HasSuffix(string(body), "\r\n--the boundary--\r\n") {
				t.Errorf("the parts are not where they should be: %q", body)
			}
			content := writeFile(t, t.TempDir(), "content", want)
			got := mustOpenSSL(t, signaturePart(t, body), "cms", "-verify", "-binary", "-inform", "DER",
				"-content", content, "-purpose", "smimesign", "-CAfile", rootFile(t))
			if !bytes.Equal(got, want) {
				t.Error("OpenSSL's content differs")
			}
			changed := writeFile(t, t.TempDir(), "changed", append(want, "\r\n"...))
			if _, _, err := openssl(t, signaturePart(t, body), "cms", "-verify", "-binary", "-inform", "DER",
				"-content", changed, "-CAfile", rootFile(t)); err == nil {
				t.Error("OpenSSL accepts a content with a line end more")
			}
		})
	}
}

// TestSignOpaque has OpenSSL verify application/pkcs7-mime.
func TestSignOpaque(t *testing.T) {
	for _, kind := range []string{"rsa2048", "p256", "p384"} {
		for name, text := range entities {
			t.Run(kind+"/"+name, func(t *testing.T) {
				e := entityOf(text)
				id := as(kind)
				signed, err := Sign(e, id.chain, id.key, SignOptions{Mode: Opaque})
				if err != nil {
					t.Fatal(err)
				}
				if got := signed.Header.Get("Content-Type"); got != `application/pkcs7-mime; smime-type=signed-data; name="smime.p7m"` {
					t.Errorf("Content-Type: %s", got)
				}
				checkLines(t, written(t, signed))
				want := written(t, e)
				if got := opensslVerify(t, written(t, signed)); !bytes.Equal(got, want) {
					t.Errorf("OpenSSL's content differs: got %q, want %q", got, want)
				}
			})
		}
	}
}

// TestSignDigest has each digest that is asked for used, and the weak refused.
func TestSignDigest(t *testing.T) {
	id, e := as("rsa2048"), entityOf(entities["text"])
	for digest, micalg := range map[crypto.Hash]string{crypto.SHA256: "sha-256", crypto.SHA384: "sha-384", crypto.SHA512: "sha-512"} {
		signed, err := Sign(e, id.chain, id.key, SignOptions{Digest: digest})
		if err != nil {
			t.Fatal(err)
		}
		if got := signed.Header.Get("Content-Type"); !strings.Contains(got, "micalg="+micalg+";") {
			t.Errorf("%v: Content-Type %s", digest, got)
		}
		opensslVerify(t, written(t, signed))
	}
	for _, digest := range []crypto.Hash{crypto.MD5, crypto.SHA1, crypto.MD5SHA1, crypto.SHA224, crypto.SHA3_256} {
		if _, err := Sign(e, id.chain, id.key, SignOptions{Digest: digest}); err == nil || !strings.Contains(err.Error(), "not allowed") {
			t.Errorf("%v: got %v, want an error that says it is not allowed", digest, err)
		}
	}
}

// TestSignedDataStructure reads what OpenSSL prints of a signature.
func TestSignedDataStructure(t *testing.T) {
	id := as("rsa2048")
	for _, tc := range []struct {
		at   time.Time
		want string
	}{
		{time.Date(2049, 12, 31, 23, 59, 59, 999, time.FixedZone("", -3600)), "GENERALIZEDTIME:Jan 1 00:59:59 2050 GMT"},
		{time.Date(2049, 12, 31, 23, 59, 59, 999, time.UTC), "UTCTIME:Dec 31 23:59:59 2049 GMT"},
		{time.Date(2024, 2, 29, 1, 2, 3, 0, time.FixedZone("", 7200)), "UTCTIME:Feb 28 23:02:03 2024 GMT"},
	} {
		signed, err := Sign(entityOf(entities["text"]), id.chain, id.key, SignOptions{Time: tc.at})
		if err != nil {
			t.Fatal(err)
		}
		der := signedDataOf(t, signed)
		text := printed(t, der)
		hash := sha256.Sum256(id.cert().Raw)
		for _, want := range []string{
			tc.want,
			"version: 1",
			"digestAlgorithms: algorithm: sha256 (2.16.840.1.101.3.4.2.1) parameter: <ABSENT>",
			"eContentType: pkcs7-data",
			"eContent: <ABSENT>",
			"signatureAlgorithm: algorithm: rsaEncryption (1.2.840.113549.1.1.1) parameter: NULL",
			"object: contentType", "object: messageDigest", "object: signingTime",
			"object: S/MIME Capabilities", "object: id-smime-aa-signingCertificateV2",
			":aes-256-gcm", ":aes-256-cbc", ":aes-128-gcm", ":aes-128-cbc",
			"unsignedAttrs: <ABSENT>",
			strings.ToUpper(hex.EncodeToString(hash[:])),
		} {
			if !strings.Contains(text, want) {
				t.Errorf("OpenSSL's text of the signature lacks %q:\n%s", want, text)
			}
		}
		if n := strings.Count(text, "d.certificate:"); n != 2 {
			t.Errorf("the signature holds %d certificates, want the signer's and the intermediate one", n)
		}
		leaf, intermediate := bytes.Index(der, id.chain[0].Raw), bytes.Index(der, id.chain[1].Raw)
		if leaf < 0 || intermediate < leaf {
			t.Error("the signer's certificate is not the first")
		}
	}
}

// TestSignedDataDER has OpenSSL read a signature and write it again. It has one
// certificate, since OpenSSL sorts them and we begin with the signer's.
func TestSignedDataDER(t *testing.T) {
	for _, mode := range []string{Detached, Opaque} {
		id := as("p256")
		signed, err := Sign(entityOf(entities["long"]), id.chain[:1], id.key, SignOptions{Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		der := signedDataOf(t, signed)
		if again := mustOpenSSL(t, der, "cms", "-cmsout", "-inform", "DER", "-outform", "DER"); !bytes.Equal(der, again) {
			t.Errorf("%s: the signature is not DER", mode)
		}
	}
}

// TestSigningCertificate has OpenSSL check signingCertificateV2 as CAdES does.
func TestSigningCertificate(t *testing.T) {
	for _, kind := range []string{"rsa2048", "p384"} {
		id := as(kind)
		signed, err := Sign(entityOf(entities["text"]), id.chain, id.key, SignOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_, msg, err := openssl(t, written(t, signed), "cms", "-verify", "-cades", "-CAfile", rootFile(t))
		if err != nil || !strings.Contains(msg, "CAdES Verification successful") {
			t.Errorf("%s: %v: %s", kind, err, msg)
		}
	}
}

// TestSignEd25519 checks the signature itself with OpenSSL, since OpenSSL 3.0
// has no Ed25519 in CMS.
func TestSignEd25519(t *testing.T) {
	id := as("ed25519")
	recorder := &recordingKey{Signer: id.key}
	signed, err := Sign(entityOf(entities["text"]), id.chain, recorder, SignOptions{Digest: crypto.SHA256})
	if err != nil {
		t.Fatal(err)
	}
	if got := signed.Header.Get("Content-Type"); !strings.Contains(got, "micalg=sha-512") {
		t.Errorf("Content-Type: %s", got)
	}
	if recorder.opts != crypto.Hash(0) || !bytes.HasPrefix(recorder.signed, []byte{0x31}) {
		t.Errorf("signed %x with %v, want a SET OF attributes and no digest", recorder.signed, recorder.opts)
	}
	der := signedDataOf(t, signed)
	if !bytes.Contains(der, recorder.signature) {
		t.Error("the signature is not in the SignedData")
	}
	// The same attributes stand in the SignerInfo, under the tag [0].
	if !bytes.Contains(der, append([]byte{0xa0}, recorder.signed[1:]...)) {
		t.Error("the signed attributes are not in the SignedData")
	}
	text := printed(t, der)
	for _, want := range []string{"algorithm: ED25519 (1.3.101.112) parameter: <ABSENT>", "algorithm: sha512"} {
		if !strings.Contains(text, want) {
			t.Errorf("OpenSSL's text of the signature lacks %q:\n%s", want, text)
		}
	}
	cert, _ := id.files(t)
	dir := t.TempDir()
	mustOpenSSL(t, nil, "pkeyutl", "-verify", "-certin", "-inkey", cert, "-rawin",
		"-in", writeFile(t, dir, "signed", recorder.signed), "-sigfile", writeFile(t, dir, "signature", recorder.signature))
}

// recordingKey keeps what it was asked to sign.
type recordingKey struct {
	crypto.Signer
	signed, signature []byte
	opts              crypto.SignerOpts
}

func (k *recordingKey) Sign(r io.Reader, signed []byte, opts crypto.SignerOpts) ([]byte, error) {
	signature, err := k.Signer.Sign(r, signed, opts)
	k.signed, k.signature, k.opts = bytes.Clone(signed), signature, opts
	return signature, err
}

// fakeKey is a crypto.Signer that does what its function does.
type fakeKey struct {
	public crypto.PublicKey
	sign   func(digest []byte) ([]byte, error)
}

func (k fakeKey) Public() crypto.PublicKey { return k.public }

func (k fakeKey) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	return k.sign(digest)
}

// TestSignFaultyKey has keys fail and lie.
func TestSignFaultyKey(t *testing.T) {
	errAway := errors.New("vault is sealed")
	for _, kind := range []string{"rsa2048", "p256", "ed25519"} {
		id := as(kind)
		another := newKey(kind)
		whole := func(digest []byte) crypto.SignerOpts {
			if kind == "ed25519" {
				return crypto.Hash(0)
			}
			return crypto.SHA256
		}
		for name, tc := range map[string]struct {
			key  crypto.Signer
			want string
		}{
			"fails":       {fakeKey{id.key.Public(), func([]byte) ([]byte, error) { return nil, errAway }}, errAway.Error()},
			"nothing":     {fakeKey{id.key.Public(), func([]byte) ([]byte, error) { return nil, nil }}, "does not fit"},
			"rubbish":     {fakeKey{id.key.Public(), func([]byte) ([]byte, error) { return make([]byte, 256), nil }}, "does not fit"},
			"text":        {fakeKey{id.key.Public(), func([]byte) ([]byte, error) { return []byte("vault:v1:AAAA"), nil }}, "does not fit"},
			"other key":   {fakeKey{id.key.Public(), func(d []byte) ([]byte, error) { return another.Sign(nil, d, whole(d)) }}, "does not fit"},
			"known other": {another, "is not that of certificate"},
			"no public":   {fakeKey{nil, nil}, "is not that of certificate"},
			"none":        {nil, "no key"},
		} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				signed, err := Sign(entityOf(entities["text"]), id.chain, tc.key, SignOptions{})
				if err == nil || signed != nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("got %v, want an error with %q", err, tc.want)
				}
				if name == "fails" && !errors.Is(err, errAway) {
					t.Errorf("%v does not wrap the key's error", err)
				}
			})
		}
	}
}

// shifting is a content whose length is not what Size says, from the given
// writing on.
type shifting struct {
	text  string
	sound int
	more  string
}

func (s *shifting) Size() int64 { return int64(len(s.text)) }

func (s *shifting) WriteTo(w io.Writer) (int64, error) {
	text := s.text
	if s.sound--; s.sound < 0 {
		text += s.more
	}
	n, err := io.WriteString(w, text)
	return int64(n), err
}

// broken is a content that can't be read.
type broken struct{ err error }

func (broken) Size() int64 { return 5 }

func (b broken) WriteTo(io.Writer) (int64, error) { return 0, b.err }

// TestSignUnreadable has the message fail while it is read.
func TestSignUnreadable(t *testing.T) {
	id, errDisk := as("p256"), errors.New("disk is gone")
	if _, err := Sign(&signer.Entity{Body: broken{errDisk}}, id.chain, id.key, SignOptions{}); !errors.Is(err, errDisk) {
		t.Errorf("got %v, want the disk's error", err)
	}
	if _, err := Sign(&signer.Entity{Body: &shifting{"text", 0, "more"}}, id.chain, id.key, SignOptions{}); err == nil {
		t.Error("no error for a message that is longer than it says")
	}
	for _, mode := range []string{Detached, Opaque} {
		signed, err := Sign(&signer.Entity{Body: &shifting{"text", 1, "more"}}, id.chain, id.key, SignOptions{Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := signed.WriteTo(io.Discard); err == nil {
			t.Errorf("%s: no error for a message that has grown since it was signed", mode)
		}
	}
}

// TestSignRefuses has what is asked for be impossible.
func TestSignRefuses(t *testing.T) {
	id := as("p256")
	weak := issue("weak", newKey("p224"), pki().intermediate, nil)
	for name, tc := range map[string]struct {
		chain []*x509.Certificate
		key   crypto.Signer
		o     SignOptions
		want  string
	}{
		"no certificate": {nil, id.key, SignOptions{}, "no certificate"},
		"unknown mode":   {id.chain, id.key, SignOptions{Mode: "clear"}, `unknown mode "clear"`},
		"curve":          {weak.chain, weak.key, SignOptions{}, "elliptic curve"},
	} {
		if _, err := Sign(entityOf(entities["text"]), tc.chain, tc.key, tc.o); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, tc.want)
		}
	}
}

// TestSelfSigned keeps a self-signed certificate that is the signer's own.
func TestSelfSigned(t *testing.T) {
	id := issue("alone", newKey("p256"), nil, nil)
	signed, err := Sign(entityOf(entities["text"]), id.chain, id.key, SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := id.files(t)
	mustOpenSSL(t, written(t, signed), "cms", "-verify", "-CAfile", cert)
}

func TestSignatureAlgorithm(t *testing.T) {
	for _, tc := range []struct {
		kind   string
		digest crypto.Hash
		want   string
	}{
		{"rsa2048", 0, "rsa2048-sha256"},
		{"rsa2048", crypto.SHA512, "rsa2048-sha512"},
		{"rsa2048", crypto.SHA1, "unknown"},
		{"p256", 0, "ecdsa-p256-sha256"},
		{"p384", 0, "ecdsa-p384-sha384"},
		{"p384", crypto.SHA256, "ecdsa-p384-sha256"},
		{"p521", 0, "ecdsa-p521-sha512"},
		{"ed25519", 0, "ed25519"},
		{"ed25519", crypto.SHA256, "ed25519"},
	} {
		if got := SignatureAlgorithm(as(tc.kind).cert(), SignOptions{Digest: tc.digest}); got != tc.want {
			t.Errorf("%s with %v: got %s, want %s", tc.kind, tc.digest, got, tc.want)
		}
		suits := DefaultDigest(as(tc.kind).cert())
		if got := SignatureAlgorithm(as(tc.kind).cert(), SignOptions{Digest: suits}); tc.digest == 0 && got != tc.want {
			t.Errorf("%s: the default digest is %v, which gives %s, want %s", tc.kind, suits, got, tc.want)
		}
	}
	if got := DefaultDigest(&x509.Certificate{}); got != 0 {
		t.Errorf("no key: got digest %v, want none", got)
	}
}

// TestSignRandomness has every message get a boundary of its own.
func TestSignRandomness(t *testing.T) {
	id, seen := as("p256"), map[string]bool{}
	for range 20 {
		signed, err := Sign(entityOf(entities["text"]), id.chain, id.key, SignOptions{})
		if err != nil {
			t.Fatal(err)
		}
		seen[signed.Header.Get("Content-Type")] = true
	}
	if len(seen) != 20 {
		t.Errorf("%d boundaries in 20 messages", len(seen))
	}
}
