package pgpmime

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"waxseal/signer"
)

// What is left can be used as before, and gpg says so.
func TestMinimise(t *testing.T) {
	g := gpg(t)
	// Signed by others, with a user id that is revoked and a second that is not.
	user := "min@example.com"
	if err := g.generate("0", "Min <"+user+">", "ed25519", "cv25519"); err != nil {
		t.Fatal(err)
	}
	g.must(t, "--passphrase", "", "--quick-add-uid", g.fingerprint(user), "Min Two <two@example.com>")
	g.must(t, "--passphrase", "", "--quick-add-uid", g.fingerprint(user), "Min Gone <gone2@example.com>")
	g.must(t, "--passphrase", "", "--quick-revoke-uid", g.fingerprint(user), "Min Gone <gone2@example.com>")
	g.must(t, "--passphrase", "", "--quick-add-key", g.fingerprint(user), "ed25519", "sign", "never")
	for _, other := range []string{"rosa@example.com", "nils@example.com"} {
		g.must(t, "--passphrase", "", "-u", other, "--quick-sign-key", g.fingerprint(user))
	}
	full := g.certificate(t, user)
	small, err := Minimise(full, day())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes become %d", len(full), len(small))
	if len(small) >= len(full)*3/4 {
		t.Error("hardly smaller")
	}
	again, err := Minimise(small, day())
	if err != nil || !bytes.Equal(again, small) {
		t.Errorf("not the same the second time: %v", err)
	}
	c, err := ParseCertificate(user, small)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.CheckEncrypt(day()); err != nil {
		t.Error(err)
	}
	if got := strings.Join(c.addresses(day()), " "); got != "min@example.com two@example.com" {
		t.Errorf("addresses: %s", got)
	}
	for _, id := range c.entity.Identities {
		if len(id.OtherCertifications) != 0 || len(id.SelfCertifications) != 1 || strings.Contains(id.Name, "Gone") {
			t.Errorf("%+v", id)
		}
	}
	v := verified(t, "Hello", g.sign(t, "Hello", "-u", user), []*Certificate{c}, VerifyOptions{Address: user})
	if v.Result().Verdict != signer.Pass {
		t.Errorf("%+v", v)
	}
	// gpg finds nothing wrong with it.
	other := gnupg{t.TempDir()}
	file := other.home + "/key"
	write(t, file, small)
	list := string(other.must(t, "--import-options", "show-only", "--with-colons", "--import", file))
	if strings.Count(list, "\nuid:") != 2 || strings.Count(list, "\nsub:") != 2 || strings.Contains(list, "Gone") {
		t.Errorf("gpg:\n%s", list)
	}

	binary := g.must(t, "--export", user)
	if small, err := Minimise(binary, day()); err != nil || small[0]&0x80 == 0 {
		t.Errorf("binary: %v", err)
	}
}

func TestMinimiseOdd(t *testing.T) {
	g := gpg(t)
	_, six := made(t, "six@example.com", configV6)
	for what, test := range map[string]struct {
		data    []byte
		subkeys int
		err     string
	}{
		"v6":             {six, 1, ""},
		"revoked subkey": {g.certificate(t, "gone@example.com"), 0, ""},
		"revoked":        {g.certificate(t, "dead@example.com"), 1, ""},
		"ended":          {g.certificate(t, "past@example.com"), 0, ""},
		"secret":         {g.secret(t, "edda@example.com"), 0, "secret key"},
		"rubbish":        {[]byte("rubbish"), 0, "no OpenPGP key"},
		"no user id":     {g.must(t, "--export-filter", "drop-subkey=usage=~e", "--export-filter", "keep-uid=uid=x", "--export", "edda@example.com"), 0, "no valid user id"},
	} {
		small, err := Minimise(test.data, day())
		if err != nil || test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) || test.err == "" {
				t.Errorf("%s: %v", what, err)
			}
			continue
		}
		c, err := ParseCertificate("x", small)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if len(c.entity.Subkeys) != test.subkeys {
			t.Errorf("%s: %d subkeys", what, len(c.entity.Subkeys))
		}
		full, err := ParseCertificate("x", test.data)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := full.CheckEncrypt(day()), c.CheckEncrypt(day()); (a == nil) != (b == nil) {
			t.Errorf("%s: %v, %v", what, a, b)
		}
	}
}

// A subkey that has been put beside another's primary key, with the binding that
// it has at its owner's, is not encrypted to.
func TestForeignSubkey(t *testing.T) {
	g := gpg(t)
	both, rest := g.must(t, "--export", "solo@example.com"), g.must(t, "--export", "rosa@example.com")
	bound := 0
	for len(rest) > 0 {
		tag, body, after, err := nextPacket(rest)
		if err != nil {
			t.Fatal(err)
		}
		if tag == tagPublicSubkey || tag == tagSignature && bound > 0 {
			both = appendPacket(both, tag, body)
			bound++
		}
		rest = after
	}
	if bound != 2 {
		t.Fatalf("%d packets of a subkey", bound)
	}
	for what, data := range map[string][]byte{"as it is": both, "minimised": minimised(t, both)} {
		c, err := ParseCertificate("solo@example.com", data)
		if err != nil {
			continue // nothing is encrypted to it
		}
		if err := c.CheckEncrypt(day()); !errors.Is(err, ErrNoUsableKey) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func minimised(t *testing.T, data []byte) []byte {
	t.Helper()
	small, err := Minimise(data, day())
	if err != nil {
		t.Fatal(err)
	}
	return small
}
