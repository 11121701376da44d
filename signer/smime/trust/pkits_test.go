package trust

import (
	"context"
	"crypto/x509"
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
	revocation, err := NewRevocation(RevocationConfig{CRLs: []string{filepath.Join(dir, "crls")}})
	if err != nil {
		t.Fatal(err)
	}
	return &Validator{
		Anchors:    mustPool(t, root),
		Revocation: revocation,
		Rules:      Rules{AllowSHA1: true, AllowDSA: true},

		RequireRevocation: true,
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

// TestPKITSPolicies runs what the suite has for other initial settings, which a
// mail's name can't say.
func TestPKITSPolicies(t *testing.T) {
	base := pkitsValidator(t)
	certs := filepath.Join(corpusDir(t, "pkits/smime"), "certs")
	right, count := 0, 0
	for line := range strings.Lines(string(mustRead(t, "testdata/pkits-policies.txt"))) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "; ")
		if len(f) != 5 {
			t.Fatalf("not five fields: %s", line)
		}
		v := *base
		for _, policy := range strings.Fields(f[2]) {
			if policy == "any" {
				v.Rules.Policies = append(v.Rules.Policies, oidAnyPolicy)
			} else {
				v.Rules.Policies = append(v.Rules.Policies, "2.16.840.1.101.3.2.1.48."+policy)
			}
		}
		v.Rules.RequireExplicitPolicy = strings.Contains(f[3], "explicit")
		v.Rules.InhibitPolicyMapping = strings.Contains(f[3], "nomapping")
		v.Rules.InhibitAnyPolicy = strings.Contains(f[3], "noany")
		var path []*x509.Certificate
		for _, name := range strings.Fields(f[1]) {
			path = append(path, mustCertificate(t, mustRead(t, filepath.Join(certs, name+".crt"))))
		}
		r := v.Validate(context.Background(), path[0], path[1:], pkitsTime, "")
		got := r.Chain.Verdict == signer.Pass && r.Certificate.Verdict == signer.Pass && r.Revocation.Verdict == signer.Pass
		count++
		if got == (f[4] == "valid") {
			right++
		} else {
			t.Errorf("%s: got %v\nchain %v\nrevocation %v", line, got, r.Chain, r.Revocation)
		}
	}
	t.Logf("%d of %d verdicts are right for other initial settings", right, count)
}
