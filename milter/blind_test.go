package milter

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"waxseal/keys/directory"
	"waxseal/policies"
	"waxseal/signer/pgpmime"
	"waxseal/test/identities"
	"waxseal/test/judge"
)

// gnupg runs gpg with everybody's keys.
func gnupg(t *testing.T, set *identities.Set, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.Command("gpg", append([]string{"--homedir", set.GnuPG(), "--batch", "--pinentry-mode", "loopback", "--passphrase", ""}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("gpg %q: %v\n%s", args, err, said.String())
	}
	return string(out)
}

// encryptionKey is the key id of somebody's subkey.
func encryptionKey(t *testing.T, set *identities.Set, name string) string {
	t.Helper()
	for _, line := range strings.Split(gnupg(t, set, "", "--with-colons", "--list-keys", name), "\n") {
		if fields := strings.Split(line, ":"); fields[0] == "sub" {
			return fields[4]
		}
	}
	t.Fatalf("%s has no subkey", name)
	return ""
}

// TestBlindCopies has gpg list for whom messages say that they are.
func TestBlindCopies(t *testing.T) {
	set := identities.Make(t)
	bob, dan, pia := encryptionKey(t, set, identities.Bob), encryptionKey(t, set, identities.Dan), encryptionKey(t, set, identities.Pia)
	const nobody = "0000000000000000"
	for name, c := range map[string]struct {
		header, encrypt string
		want            []string
	}{
		"only one":          {"To: list@partner.example\r\n", "", []string{dan}},
		"all are shown":     {"To: Bob <bob@partner.example>\r\nCc: friends: =?utf-8?q?D=C3=A4n?= <DAN@Partner.example>;\r\n", "", []string{bob, dan}},
		"one is not":        {"To: Bob <bob@partner.example>\r\n", "", []string{bob, nobody}},
		"the other is not":  {"Cc: dan@partner.example\r\n", "", []string{dan, nobody}},
		"only in Bcc":       {"To: bob@partner.example\r\nBcc: dan@partner.example\r\n", "", []string{bob, nobody}},
		"in a display name": {"To: \"dan@partner.example\" <bob@partner.example>\r\n", "", []string{bob, nobody}},
		"nobody":            {"To: undisclosed-recipients:;\r\n", "", []string{nobody, nobody}},
		"sent on":           {"To: x@partner.example\r\nResent-To: dan@partner.example\r\nResent-Cc: bob@partner.example\r\n", "", []string{bob, dan}},
		"an archive":        {"To: bob@partner.example\r\n", "also_to = [\"pia@example.com\"]", []string{bob, pia, nobody}},
		"hidden":            {"To: bob@partner.example\r\nCc: dan@partner.example\r\n", "hidden = true", []string{nobody, nobody}},
	} {
		parsed, err := policies.Parse("p.hcl", []byte("policy \"p\" {\ndirection = \"outgoing\"\nsign \"pgp\" {}\nencrypt \"pgp\" {\n"+c.encrypt+"\n}\non_key_not_found = \"reject\"\n}\n"))
		if err != nil {
			t.Fatal(err)
		}
		f := &Filter{Policies: parsed, Keys: &directory.Store{Path: set.Store}, Keyring: &pgpmime.Keyring{}, AuthservID: "mx.test"}
		tx := newTestTransaction(t, "From: alice@example.com\r\n"+c.header+"Subject: s\r\n\r\nHello\r\n")
		tx.Sender, tx.Recipients, tx.Login = identities.Alice, []string{identities.Bob, identities.Dan}, "alice"
		if len(c.want) == 1 {
			tx.Recipients = tx.Recipients[1:]
		}
		out, err := f.Apply(t.Context(), tx)
		if err != nil || out.Action != policies.Accept {
			t.Fatalf("%s: %+v, %v", name, out, err)
		}
		message, err := judge.EncryptedPartPGP([]byte(resultOf(t, tx, out)))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, found := range regexp.MustCompile(`:pubkey enc packet: .* keyid ([0-9A-F]{16})`).FindAllStringSubmatch(gnupg(t, set, string(message), "--list-packets"), -1) {
			got = append(got, found[1])
		}
		slices.Sort(got)
		want := slices.Sorted(slices.Values(c.want))
		if !slices.Equal(got, want) {
			t.Errorf("%s: key ids %v, want %v", name, got, want)
		}
		if plain := gnupg(t, set, string(message), "--decrypt"); !strings.Contains(plain, "Hello") {
			t.Errorf("%s: %q", name, plain)
		}
		if report := reportOf(out); !strings.Contains(report, map[int]string{1: "1 recipient)", 2: "2 recipients", 3: "3 recipients"}[len(c.want)]) {
			t.Errorf("%s: %s", name, report)
		}
	}
}

// A recipient and a blind copy with one certificate, that of their domain, hide
// nothing.
func TestBlindCopyOfSharedCertificate(t *testing.T) {
	set := identities.Make(t)
	if err := os.Rename(filepath.Join(set.Store, "recipients", identities.Dan+".asc"), filepath.Join(set.Store, "recipients", "shared.example.asc")); err != nil {
		t.Fatal(err)
	}
	parsed, err := policies.Parse("p.hcl", []byte(strings.ReplaceAll(signAndEncrypt, `"any"`, `"pgp"`)))
	if err != nil {
		t.Fatal(err)
	}
	f := &Filter{Policies: parsed, Keys: &directory.Store{Path: set.Store}, Keyring: &pgpmime.Keyring{}, AuthservID: "mx.test"}
	tx := newTestTransaction(t, "From: alice@example.com\r\nTo: one@shared.example\r\n\r\nHello\r\n")
	tx.Sender, tx.Recipients, tx.Login = identities.Alice, []string{"two@shared.example", "one@shared.example"}, "alice"
	out, err := f.Apply(t.Context(), tx)
	if err != nil || out.Action != policies.Accept {
		t.Fatalf("%+v, %v", out, err)
	}
	if report := reportOf(out); !strings.Contains(report, "1 recipient)") {
		t.Error(report)
	}
	message, err := judge.EncryptedPartPGP([]byte(resultOf(t, tx, out)))
	if err != nil {
		t.Fatal(err)
	}
	if list := gnupg(t, set, string(message), "--list-packets"); !strings.Contains(list, "keyid "+encryptionKey(t, set, identities.Dan)) {
		t.Error(list)
	}
}

// TestSignOnlyCertificate takes a certificate that nothing can be encrypted to
// for none, and says why.
func TestSignOnlyCertificate(t *testing.T) {
	set := identities.Make(t)
	const solo = "solo@partner.example"
	gnupg(t, set, "", "--quick-gen-key", "Solo <"+solo+">", "ed25519", "sign", "30d")
	certificate := gnupg(t, set, "", "--armor", "--export", solo)
	if err := os.WriteFile(filepath.Join(set.Store, "recipients", solo+".asc"), []byte(certificate), 0o600); err != nil {
		t.Fatal(err)
	}
	for action, want := range map[policies.Action]string{
		policies.Reject:   `^550 5\.7\.1 no OpenPGP certificate for solo@partner\.example \(none of the keys of the certificate may encrypt\)`,
		policies.Tempfail: `^451 4\.7\.1 no OpenPGP certificate for solo@partner\.example \(none`,
		policies.Accept:   "",
	} {
		parsed, err := policies.Parse("p.hcl", []byte(strings.ReplaceAll(strings.ReplaceAll(signAndEncrypt, `"any"`, `"pgp"`), "reject", string(action))))
		if err != nil {
			t.Fatal(err)
		}
		f := &Filter{Policies: parsed, Keys: &directory.Store{Path: set.Store}, Keyring: &pgpmime.Keyring{}, AuthservID: "mx.test"}
		tx := newTestTransaction(t, plainMessage)
		tx.Sender, tx.Recipients, tx.Login = identities.Alice, []string{solo}, "alice"
		out, err := f.Apply(t.Context(), tx)
		if err != nil || out.Action != action {
			t.Fatalf("%+v, %v", out, err)
		}
		match(t, "reply", want, out.Reply)
		if action == policies.Accept && !strings.Contains(reportOf(out), "encrypt=none") {
			t.Error(reportOf(out))
		}
	}
}
