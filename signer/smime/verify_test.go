package smime

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"waxseal/signer"
	"waxseal/signer/smime/trust"
)

// trusting are options with which our test certificates are good.
func trusting(address string) VerifyOptions {
	chain := pki().intermediate.chain
	return VerifyOptions{Address: address, Trust: &trust.Validator{Anchors: pool(chain[len(chain)-1])}}
}

func pool(certs ...*x509.Certificate) *trust.Pool {
	p, err := trust.NewPool(certs...)
	if err != nil {
		panic(err)
	}
	return p
}

// checkDetached verifies a detached signature in DER.
func checkDetached(t testing.TB, content, der []byte, o VerifyOptions) []signer.Verification {
	t.Helper()
	found, err := Verify(context.Background(), bytes.NewReader(content), bytes.NewReader(der), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatal("no verification")
	}
	return found
}

// checkOpaque verifies SignedData with its content and returns that too.
func checkOpaque(t testing.TB, der []byte, o VerifyOptions) ([]byte, []signer.Verification) {
	t.Helper()
	var content bytes.Buffer
	found, err := VerifyOpaque(context.Background(), &content, bytes.NewReader(der), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatal("no verification")
	}
	return content.Bytes(), found
}

// want compares a finding: its verdict, and a part of its reason.
func want(t testing.TB, name string, got signer.Finding, verdict signer.Verdict, reason string) {
	t.Helper()
	if got.Verdict != verdict || !strings.Contains(got.Reason, reason) || (reason == "") != (got.Reason == "") {
		t.Errorf("%s: %s (%s), want %s (%s)", name, got.Verdict, got.Reason, verdict, reason)
	}
}

// TestVerifyOwn verifies what Sign makes, with each kind of key, option and mode.
func TestVerifyOwn(t *testing.T) {
	keyed := issue("keyed", newKey("p256"), pki().intermediate, func(c *x509.Certificate) { c.SubjectKeyId = []byte("a key identifier") })
	for _, tc := range []struct {
		id        *identity
		o         SignOptions
		algorithm string
	}{
		{as("rsa2048"), SignOptions{}, "rsa2048-sha256"},
		{as("rsa2048"), SignOptions{Digest: crypto.SHA512}, "rsa2048-sha512"},
		{as("rsa2048"), SignOptions{PSS: true}, "rsa2048-pss-sha256"},
		{as("rsa2048"), SignOptions{PSS: true, Digest: crypto.SHA384}, "rsa2048-pss-sha384"},
		{as("p256"), SignOptions{}, "ecdsa-p256-sha256"},
		{as("p384"), SignOptions{}, "ecdsa-p384-sha384"},
		{as("p521"), SignOptions{}, "ecdsa-p521-sha512"},
		{as("ed25519"), SignOptions{}, "ed25519"},
		{keyed, SignOptions{SignerID: SubjectKeyID}, "ecdsa-p256-sha256"},
		{as("p256"), SignOptions{EncryptionCertificate: as("other").cert()}, "ecdsa-p256-sha256"},
	} {
		for name, text := range entities {
			at := time.Now().Truncate(time.Second)
			tc.o.Time = at
			e := entityOf(text)
			address := tc.id.cert().EmailAddresses[0]
			for _, mode := range []string{Detached, Opaque} {
				tc.o.Mode = mode
				signed, err := Sign(e, tc.id.chain, tc.id.key, tc.o)
				if err != nil {
					t.Fatal(err)
				}
				content := written(t, e)
				var found []signer.Verification
				if mode == Detached {
					found = checkDetached(t, content, signedDataOf(t, signed), trusting(address))
				} else {
					var got []byte
					got, found = checkOpaque(t, signedDataOf(t, signed), trusting(address))
					if !bytes.Equal(got, content) {
						t.Errorf("%s: another content comes out: %q", name, got)
					}
				}
				v := found[0]
				if len(found) != 1 || v.Result().Verdict != signer.Pass {
					t.Errorf("%s, %s, %s: %+v", tc.algorithm, name, mode, found)
				}
				if v.Algorithm != tc.algorithm || v.Algorithm != SignatureAlgorithm(tc.id.cert(), tc.o) {
					t.Errorf("algorithm %s, want %s", v.Algorithm, tc.algorithm)
				}
				if v.Scheme != "smime" || !v.SignedAt.Equal(at) || !v.X509.Equal(tc.id.cert()) ||
					!slices.Equal(v.Addresses, []string{address}) || v.Identifier != tc.id.cert().Subject.ToRDNSequence().String() {
					t.Errorf("%+v", v)
				}
			}
		}
	}
}

// TestVerifyAltered changes what was signed, bit by bit.
func TestVerifyAltered(t *testing.T) {
	e := entityOf(entities["text"])
	content := written(t, e)
	for _, kind := range []string{"rsa2048", "p256", "ed25519"} {
		id := as(kind)
		signed, err := Sign(e, id.chain, id.key, SignOptions{})
		if err != nil {
			t.Fatal(err)
		}
		der := signedDataOf(t, signed)
		for name, other := range map[string][]byte{
			"empty": nil, "shorter": content[:len(content)-1], "longer": append(bytes.Clone(content), 'x'),
			"other line end": append(bytes.Clone(content), "\r\n"...), "changed": bytes.Replace(content, []byte("Hello"), []byte("Hallo"), 1),
		} {
			want(t, name, checkDetached(t, other, der, trusting(""))[0].Integrity, signer.Fail, "not the one that was signed")
		}
		bare := bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n"))
		want(t, "bare LF", checkDetached(t, bare, der, trusting(""))[0].Integrity, signer.Fail, "do not end with CRLF")
		// Any bit of the signed data: never anything but this one pass.
		for i := range der {
			changed := bytes.Clone(der)
			changed[i] ^= 1 << (i % 8)
			for _, v := range checkDetached(t, content, changed, trusting(id.cert().EmailAddresses[0])) {
				if v.Result().Verdict == signer.Pass && (!v.X509.Equal(id.cert()) || len(v.Addresses) != 1) {
					t.Errorf("octet %d changed: passes for %v", i, v.Addresses)
				}
				if v.Integrity.Verdict != signer.Pass && v.Integrity.Reason == "" {
					t.Errorf("octet %d changed: %s without a reason", i, v.Integrity.Verdict)
				}
			}
		}
		for _, n := range []int{0, 1, len(der) / 2, len(der) - 1} {
			want(t, "cut", checkDetached(t, content, der[:n], trusting(""))[0].Integrity, signer.PermError, "malformed CMS")
		}
		want(t, "trailing data", checkDetached(t, content, append(bytes.Clone(der), 0), trusting(""))[0].Integrity, signer.PermError, "after the end")
	}
}

// TestVerifyTells keeps integrity, chain, certificate and address apart.
func TestVerifyTells(t *testing.T) {
	id := as("p256")
	e := entityOf(entities["text"])
	content := written(t, e)
	signed, err := Sign(e, id.chain, id.key, SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	der := signedDataOf(t, signed)
	good := trusting("p256@example.com")

	v := checkDetached(t, content, der, good)[0]
	want(t, "good", v.Integrity, signer.Pass, "")
	if v.Chain.Verdict != signer.Pass || v.Certificate.Verdict != signer.Pass || v.Address.Verdict != signer.Pass {
		t.Errorf("%+v", v)
	}

	v = checkDetached(t, content, der, trusting("somebody@example.com"))[0]
	if v.Address.Verdict == signer.Pass || v.Result().Verdict == signer.Pass || v.Integrity.Verdict != signer.Pass || v.Chain.Verdict != signer.Pass {
		t.Errorf("another's address: %+v", v)
	}

	v = checkDetached(t, content, der, VerifyOptions{Address: "p256@example.com", Trust: &trust.Validator{}})[0]
	if v.Chain.Verdict == signer.Pass || v.Result().Verdict == signer.Pass || v.Integrity.Verdict != signer.Pass {
		t.Errorf("no anchors: %+v", v)
	}

	v = checkDetached(t, content, der, VerifyOptions{})[0]
	if v.Integrity.Verdict != signer.Pass || v.Result().Verdict != signer.Neutral {
		t.Errorf("nothing but integrity asked for: %+v", v)
	}

	later := good
	later.At = time.Now().Add(48 * time.Hour)
	v = checkDetached(t, content, der, later)[0]
	if v.Integrity.Verdict != signer.Pass || v.Result().Verdict == signer.Pass {
		t.Errorf("received when the certificate had expired: %+v", v)
	}

	early := good
	early.At = time.Now().Add(-30 * time.Hour)
	v = checkDetached(t, content, der, early)[0]
	want(t, "signed after it was received", v.Integrity, signer.Pass, "after the message was received")

	// An altered message's certificate is still told.
	v = checkDetached(t, []byte("x"), der, good)[0]
	if v.Integrity.Verdict != signer.Fail || v.Chain.Verdict != signer.Pass || v.Address.Verdict != signer.Pass {
		t.Errorf("altered: %+v", v)
	}
}

// TestVerifyCertificateElsewhere has the signer's certificate not in the message.
func TestVerifyCertificateElsewhere(t *testing.T) {
	id := as("rsa2048")
	cert, key := id.files(t)
	content := []byte("Content-Type: text/plain\r\n\r\nHello\r\n")
	der := mustOpenSSL(t, content, "cms", "-sign", "-binary", "-nocerts", "-signer", cert, "-inkey", key, "-outform", "DER")
	v := checkDetached(t, content, der, trusting("rsa2048@example.com"))[0]
	want(t, "no certificate", v.Integrity, signer.Neutral, "certificate is not there")
	if !strings.HasPrefix(v.Identifier, "serial number ") || !strings.Contains(v.Identifier, "CN=Intermediate") || v.X509 != nil {
		t.Errorf("%q", v.Identifier)
	}
	want(t, "altered", checkDetached(t, []byte("x"), der, VerifyOptions{})[0].Integrity, signer.Fail, "not the one that was signed")

	o := trusting("rsa2048@example.com")
	asked := 0
	o.Certificates = func(context.Context) ([]*x509.Certificate, error) {
		asked++
		return []*x509.Certificate{as("other").cert(), id.cert()}, nil
	}
	if v := checkDetached(t, content, der, o)[0]; v.Integrity.Verdict != signer.Pass || !v.X509.Equal(id.cert()) || asked != 1 {
		t.Errorf("known certificate, asked %d times: %+v", asked, v)
	}
	complete := mustOpenSSL(t, content, "cms", "-sign", "-binary", "-signer", cert, "-inkey", key, "-outform", "DER")
	if v := checkDetached(t, content, complete, o)[0]; v.Integrity.Verdict != signer.Pass || asked != 1 {
		t.Errorf("certificate in the message, asked %d times: %+v", asked, v)
	}
	away := errors.New("away")
	o.Certificates = func(context.Context) ([]*x509.Certificate, error) { return nil, away }
	if _, err := Verify(context.Background(), bytes.NewReader(content), bytes.NewReader(der), o); !errors.Is(err, away) {
		t.Errorf("certificates that can't be had: got %v, want the error", err)
	}
	// An anchor may be the signer's certificate itself.
	anchored := VerifyOptions{Trust: &trust.Validator{Anchors: pool(id.cert())}}
	if v := checkDetached(t, content, der, anchored)[0]; v.Integrity.Verdict != signer.Pass {
		t.Errorf("anchored certificate: %+v", v)
	}
}

// TestVerifyNoSigners has SignedData that nobody signed.
func TestVerifyNoSigners(t *testing.T) {
	cert, _ := as("p256").files(t)
	der := mustOpenSSL(t, nil, "crl2pkcs7", "-nocrl", "-certfile", cert, "-outform", "DER")
	want(t, "certificates", checkDetached(t, []byte("x"), der, VerifyOptions{})[0].Integrity, signer.None, "nobody has signed")
	_, found := checkOpaque(t, der, VerifyOptions{})
	want(t, "certificates, opaque", found[0].Integrity, signer.None, "nobody has signed")
}

// TestVerifyModes has content where it should not be, or none.
func TestVerifyModes(t *testing.T) {
	id, e := as("p256"), entityOf(entities["text"])
	for _, mode := range []string{Detached, Opaque} {
		signed, err := Sign(e, id.chain, id.key, SignOptions{Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		der := signedDataOf(t, signed)
		if mode == Detached {
			_, found := checkOpaque(t, der, VerifyOptions{})
			want(t, mode, found[0].Integrity, signer.PermError, "has no content")
			continue
		}
		want(t, mode, checkDetached(t, written(t, e), der, VerifyOptions{})[0].Integrity, signer.PermError, "a content of its own")
	}
}

// failing is a reader and writer that fails.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error)         { return 0, f.err }
func (f failing) Write([]byte) (int, error)        { return 0, f.err }
func (f failing) WriteTo(io.Writer) (int64, error) { return 0, f.err }

// TestVerifyErrors has reading and writing fail, which is no verdict.
func TestVerifyErrors(t *testing.T) {
	id, e, errDisk := as("p256"), entityOf(entities["text"]), errors.New("disk is gone")
	ctx := context.Background()
	detached, err := Sign(e, id.chain, id.key, SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	opaque, err := Sign(e, id.chain, id.key, SignOptions{Mode: Opaque})
	if err != nil {
		t.Fatal(err)
	}
	der, whole := signedDataOf(t, detached), signedDataOf(t, opaque)
	half := func(der []byte) io.Reader { return io.MultiReader(bytes.NewReader(der[:len(der)/2]), failing{errDisk}) }
	for name, run := range map[string]func() ([]signer.Verification, error){
		"content": func() ([]signer.Verification, error) {
			return Verify(ctx, failing{errDisk}, bytes.NewReader(der), VerifyOptions{})
		},
		"signature": func() ([]signer.Verification, error) { return Verify(ctx, e, half(der), VerifyOptions{}) },
		"opaque": func() ([]signer.Verification, error) {
			return VerifyOpaque(ctx, io.Discard, half(whole), VerifyOptions{})
		},
		"opaque, output": func() ([]signer.Verification, error) {
			return VerifyOpaque(ctx, failing{errDisk}, bytes.NewReader(whole), VerifyOptions{})
		},
	} {
		if found, err := run(); !errors.Is(err, errDisk) || found != nil {
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Verify(gone, e, bytes.NewReader(der), VerifyOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestDecisive has several verifications be one.
func TestDecisive(t *testing.T) {
	pass := signer.Finding{Verdict: signer.Pass}
	good := signer.Verification{Integrity: pass, Certificate: pass, Chain: pass, Address: pass, Identifier: "good"}
	list, altered := good, good
	list.Address, list.Identifier = signer.Finding{Verdict: signer.Fail}, "list"
	altered.Integrity, altered.Identifier = signer.Finding{Verdict: signer.Fail}, "altered"
	for _, tc := range []struct {
		found    []signer.Verification
		any, all string
	}{
		{[]signer.Verification{good}, "good", "good"},
		{[]signer.Verification{altered}, "altered", "altered"},
		{[]signer.Verification{good, list}, "good", "list"},
		{[]signer.Verification{list, good}, "good", "list"},
		{[]signer.Verification{altered, list}, "list", "altered"},
		{[]signer.Verification{altered, list, good}, "good", "altered"},
	} {
		for rule, want := range map[string]string{AnySigner: tc.any, "": tc.any, AllSigners: tc.all} {
			if got := Decisive(tc.found, rule).Identifier; got != want {
				t.Errorf("%q of %d: %s, want %s", rule, len(tc.found), got, want)
			}
		}
	}
}
