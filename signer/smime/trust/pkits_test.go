package trust

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waxseal/signer"
)

// pkitsTime is when the tests of NIST PKITS are judged.
var pkitsTime = time.Date(2011, time.June, 1, 0, 0, 0, 0, time.UTC)

// pkitsExceptions are the tests whose verdict is not the right one, with the
// reason.
var pkitsExceptions = map[string]string{}

func pkitsValidator(t testing.TB) *Validator {
	dir := corpusDir(t, "pkits/smime")
	root := mustCertificate(t, mustRead(t, filepath.Join(dir, "certs", "TrustAnchorRootCertificate.crt")))
	revocation, err := NewRevocation(RevocationConfig{CRLs: []string{filepath.Join(dir, "crls")}, Hard: true})
	if err != nil {
		t.Fatal(err)
	}
	return &Validator{
		Anchors:    mustPool(t, root),
		Revocation: revocation,
		Rules:      Rules{AllowSHA1: true, AllowDSA: true},
	}
}

// TestPKITS runs the mails of the NIST Public Key Interoperability Test Suite
// whose name says what is right.
func TestPKITS(t *testing.T) {
	v := pkitsValidator(t)
	dir := filepath.Join(corpusDir(t, "pkits/smime"), "smime")
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	right, valid, invalid := 0, 0, 0
	for _, f := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(f.Name(), "Signed"), ".eml")
		want := strings.HasPrefix(name, "Valid")
		switch {
		case want:
			valid++
		case strings.HasPrefix(name, "Invalid"):
			invalid++
		default:
			continue // depends on initial settings
		}
		leaf, others := mailCertificates(t, mustRead(t, filepath.Join(dir, f.Name())))
		r := v.Validate(context.Background(), leaf, others, pkitsTime, "")
		got := r.Chain.Verdict == signer.Pass && r.Certificate.Verdict == signer.Pass && r.Revocation.Verdict == signer.Pass
		if got == want {
			right++
			if why, ok := pkitsExceptions[name]; ok {
				t.Errorf("%s: is right now, but listed as an exception: %s", name, why)
			}
		} else if _, ok := pkitsExceptions[name]; !ok {
			t.Errorf("%s: got %v\nchain %v\ncertificate %v\nrevocation %v", name, got, r.Chain, r.Certificate, r.Revocation)
		}
	}
	t.Logf("%d of %d verdicts are right (%d valid, %d invalid)", right, valid+invalid, valid, invalid)
	if valid+invalid != 202 {
		t.Errorf("there are %d mails with a right answer, not 202", valid+invalid)
	}
}
