package smime

import (
	"bytes"
	"context"
	"crypto/x509"
	"io"
	"slices"
	"strings"
	"testing"

	"waxseal/signer"
)

// FuzzVerify verifies anything, begun with the signatures of the corpus and with
// all that we write. Whatever comes, there is a verdict with its reason, and no
// signature is one of two contents.
func FuzzVerify(f *testing.F) {
	for i, s := range corpusSignatures(f) {
		// Of the many that differ in their certificates alone, a few.
		if len(s.der) < 20_000 && (!strings.Contains(s.name, "pkits") || i%20 == 0) {
			f.Add(s.content, s.der)
		}
	}
	e := entityOf(entities["text"])
	keyed := issue("keyed", newKey("p384"), nil, func(c *x509.Certificate) { c.SubjectKeyId = []byte("a key identifier") })
	for _, id := range []*identity{as("rsa2048"), as("p256"), as("ed25519"), keyed} {
		for _, mode := range []string{Detached, Opaque} {
			o := SignOptions{Mode: mode, PSS: true, EncryptionCertificate: as("other").cert()}
			if id == keyed {
				o.SignerID = SubjectKeyID
			}
			signed, err := Sign(e, id.chain[:1], id.key, o)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(written(f, e), signedDataOf(f, signed))
		}
	}
	o := trusting("p256@example.com")
	f.Fuzz(func(t *testing.T, content, data []byte) {
		ctx := context.Background()
		found, err := Verify(ctx, bytes.NewReader(content), bytes.NewReader(data), o)
		checkSane(t, found, err)
		other, err := Verify(ctx, bytes.NewReader(append(slices.Clip(content), 'x')), bytes.NewReader(data), o)
		checkSane(t, other, err)
		for i := range found {
			if fits(&found[i]) && fits(&other[i]) {
				t.Errorf("a signature of two contents: %+v", found[i])
			}
		}
		opaque, err := VerifyOpaque(ctx, io.Discard, bytes.NewReader(data), o)
		checkSane(t, opaque, err)
	})
}

func fits(v *signer.Verification) bool {
	return v.Integrity.Verdict == signer.Pass || v.Integrity.Verdict == signer.Policy
}

// checkSane checks what is true of all verifications.
func checkSane(t *testing.T, found []signer.Verification, err error) {
	t.Helper()
	if err != nil || len(found) == 0 {
		t.Fatalf("%v, %v", found, err)
	}
	for _, v := range found {
		if v.Scheme != "smime" || v.Integrity.Verdict == "" || v.Integrity.Verdict != signer.Pass && v.Integrity.Reason == "" {
			t.Errorf("no verdict or no reason: %+v", v)
		}
		if v.Result().Verdict == signer.Pass && (v.X509 == nil || len(v.Addresses) == 0 || v.Algorithm == "") {
			t.Errorf("a pass of nobody: %+v", v)
		}
		if len(v.Identifier) > 2*maxIdentifier || len(v.Integrity.Reason) > 1000 {
			t.Errorf("%d bytes of identifier, %d of reason", len(v.Identifier), len(v.Integrity.Reason))
		}
	}
}
