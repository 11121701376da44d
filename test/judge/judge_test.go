package judge_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"waxseal/test/identities"
	"waxseal/test/judge"
)

const entity = "Content-Type: text/plain; charset=us-ascii\r\n\r\nHello\r\n"

// make runs a program on the entity and returns what it printed, with CRLF.
func produce(t *testing.T, program string, args ...string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "entity")
	if err := os.WriteFile(file, []byte(entity), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, a := range args {
		if a == "FILE" {
			args[i] = file
		}
	}
	out, err := exec.Command(program, args...).Output()
	if err != nil {
		t.Fatalf("%s %s: %v", program, args, err)
	}
	return bytes.ReplaceAll(bytes.ReplaceAll(out, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
}

// TestSMIME gives the judge what openssl made, and the same with a bit changed.
func TestSMIME(t *testing.T) {
	s := identities.Make(t)
	sign := []string{"cms", "-sign", "-in", "FILE", "-signer", s.Certificate(identities.Alice), "-inkey", s.Key(identities.Alice),
		"-certfile", s.Certificate("intermediate"), "-crlfeol"}
	detached := produce(t, "openssl", sign...)
	got, err := judge.VerifySMIME(t, s, detached, identities.Alice)
	if err != nil || string(got) != entity {
		t.Errorf("signed: %q, %v", got, err)
	}
	if _, err := judge.VerifySMIME(t, s, detached, identities.Carol); err == nil {
		t.Error("the signature of another passed")
	}
	if _, err := judge.VerifySMIME(t, s, bytes.Replace(detached, []byte("Hello"), []byte("Jello"), 1), identities.Alice); err == nil {
		t.Error("a changed message passed")
	}
	if _, err := judge.VerifySMIME(t, s, []byte("Subject: x\r\n"+entity), identities.Alice); err == nil {
		t.Error("an unsigned message passed")
	}
	sealed := produce(t, "openssl", "cms", "-encrypt", "-aes-256-cbc", "-in", "FILE", s.Certificate(identities.Bob))
	got, err = judge.DecryptSMIME(t, s, sealed, identities.Bob, "aes-256-cbc")
	if err != nil || string(got) != entity {
		t.Errorf("encrypted: %q, %v", got, err)
	}
	if _, err = judge.DecryptSMIME(t, s, sealed, identities.Bob, "aes-256-gcm"); err == nil {
		t.Error("the wrong cipher passed")
	}
	if _, err = judge.DecryptSMIME(t, s, sealed, identities.Erin, "aes-256-cbc"); err == nil {
		t.Error("somebody read what is not for him")
	}
}

func TestPGP(t *testing.T) {
	s := identities.Make(t)
	gpg := []string{"--homedir", s.GnuPG(), "--batch", "--quiet", "--armor", "--trust-model", "always", "--local-user", identities.Alice, "--output", "-"}
	signature := produce(t, "gpg", append(gpg, "--detach-sign", "FILE")...)
	signed := "Content-Type: multipart/signed; micalg=pgp-sha512;\r\n protocol=\"application/pgp-signature\"; boundary=b\r\n\r\n--b\r\n" + entity +
		"\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\n" + string(signature) + "\r\n--b--\r\n"
	got, err := judge.VerifyPGP(t, s, []byte(signed), identities.Alice)
	if err != nil || string(got) != entity {
		t.Errorf("signed: %q, %v", got, err)
	}
	if _, err := judge.VerifyPGP(t, s, []byte(signed), identities.Pia); err == nil {
		t.Error("the signature of another passed")
	}
	if _, err := judge.VerifyPGP(t, s, []byte(strings.Replace(signed, "Hello", "Jello", 1)), identities.Alice); err == nil {
		t.Error("a changed message passed")
	}
	seal := func(args ...string) []byte {
		data := produce(t, "gpg", append(gpg, append(args, "--recipient", identities.Bob, "FILE")...)...)
		return []byte("Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\r\n\r\n--b\r\n" +
			"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n" + string(data) + "\r\n--b--\r\n")
	}
	both := seal("--sign", "--encrypt")
	got, err = judge.DecryptPGP(t, s, both, []string{identities.Bob}, identities.Alice)
	if err != nil || string(got) != entity {
		t.Errorf("signed and encrypted: %q, %v", got, err)
	}
	if _, err := judge.DecryptPGP(t, s, both, []string{identities.Bob, identities.Dan}, identities.Alice); err == nil {
		t.Error("Dan counts as a reader, but is none")
	}
	if _, err := judge.DecryptPGP(t, s, both, []string{identities.Bob}, ""); err == nil {
		t.Error("a signature that should not be there passed")
	}
	if _, err := judge.DecryptPGP(t, s, seal("--encrypt"), []string{identities.Bob}, identities.Alice); err == nil {
		t.Error("a missing signature passed")
	}
}

func TestCompare(t *testing.T) {
	const mail = "Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\ncaf\xc3\xa9\r\n"
	const same = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\ncaf\xc3\xa9\r\n"
	const recoded = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ncaf=C3=A9\r\n"
	const bare = "Subject: x\r\n\r\nHello\r\n"
	const multi = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\n\r\ntwo\r\n"
	for name, c := range map[string]struct {
		in, out              string
		sameBytes, sameShown bool
	}{
		"same":            {mail, same, true, true},
		"recoded":         {mail, recoded, false, true},
		"changed":         {mail, strings.Replace(same, "caf", "cof", 1), false, false},
		"field missing":   {mail, strings.Replace(same, "Content-Transfer-Encoding: 8bit\r\n", "", 1), false, true},
		"default fields":  {bare, entity, true, true},
		"last line added": {strings.TrimSuffix(bare, "\r\n"), entity, true, true},
		"boundary closed": {multi, multi + "\r\n--b--\r\n", false, true},
		"part lost":       {multi, strings.Replace(multi, "--b\r\nContent-Type: text/html", "x", 1), false, false},
	} {
		if err := judge.SameBytes([]byte(c.in), []byte(c.out)); (err == nil) != c.sameBytes {
			t.Errorf("%s: bytes: %v", name, err)
		}
		if err := judge.SameContent([]byte(c.in), []byte(c.out)); (err == nil) != c.sameShown {
			t.Errorf("%s: content: %v", name, err)
		}
	}
	if err := judge.OuterFields([]byte("A: 1\r\nB: 2\r\nContent-Type: x\r\n\r\n"), []byte("Received: x\r\nA: 1\r\nX: y\r\nB: 2\r\n\r\n")); err != nil {
		t.Error(err)
	}
	if err := judge.OuterFields([]byte("A: 1\r\nB: 2\r\n\r\n"), []byte("B: 2\r\nA: 1\r\n\r\n")); err == nil {
		t.Error("fields in another order passed")
	}
	for text, proof := range map[string]bool{"ok\r\n": true, "caf\xc3\xa9\r\n": false, strings.Repeat("x", 999) + "\r\n": false, "a\rb\r\n": false} {
		if err := judge.TransitProof([]byte("A: 1\r\n\r\n" + text)); (err == nil) != proof {
			t.Errorf("transit-proof %.20q: %v", text, err)
		}
	}
}
