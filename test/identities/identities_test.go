package identities_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"waxseal/test/identities"
)

func TestMake(t *testing.T) {
	s := identities.Make(t)
	for _, file := range []string{"smime/alice@example.com.pem", "pgp/alice@example.com.asc", "recipients/bob@partner.example.asc"} {
		if matches, _ := filepath.Glob(filepath.Join(s.Store, file)); len(matches) != 1 {
			t.Errorf("there is no %s", file)
		}
	}
	verify := func(name string) string {
		out, _ := exec.Command("openssl", "verify", "-purpose", "smimesign", "-CAfile", s.CA, "-untrusted", s.Certificate("intermediate"), s.Certificate(name)).CombinedOutput()
		return string(out)
	}
	for _, name := range []string{identities.Alice, identities.Carol, identities.Ida, identities.Bob} {
		if out := verify(name); !strings.HasSuffix(out, ": OK\n") {
			t.Errorf("openssl does not accept the certificate of %s: %s", name, out)
		}
	}
	s.Expired(t, identities.Erin)
	if out := verify(identities.Erin); !strings.Contains(out, "certificate has expired") {
		t.Errorf("openssl says of an expired certificate: %s", out)
	}
}
