package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"waxseal/milter"
	"waxseal/test/identities"
)

// program runs a program on a text and makes mail of its output.
func program(t *testing.T, in, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(in)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, errs.String())
	}
	return strings.ReplaceAll(strings.ReplaceAll(string(out), "\r\n", "\n"), "\n", "\r\n")
}

func inspected(t *testing.T, f inspectFlags, message string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if err := inspectMessage(t.Context(), f, strings.NewReader(message), &out, &errs); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out.String(), errs.String())
	}
	if strings.Contains(out.String(), "Hello") {
		t.Errorf("text of the message is shown:\n%s", out.String())
	}
	return out.String()
}

// TestInspect reads what openssl and gpg have made.
func TestInspect(t *testing.T) {
	set := identities.Make(t)
	const header, entity = "From: Bob <bob@partner.example>\r\nTo: alice@example.com\r\nSubject: s\r\n", "Content-Type: text/plain\r\n\r\nHello\r\n"
	sign := func(in string) string {
		return program(t, in, "openssl", "cms", "-sign", "-md", "sha256", "-signer", set.Certificate(identities.Bob),
			"-inkey", set.Key(identities.Bob), "-certfile", set.Certificate("intermediate"))
	}
	encrypt := func(in string) string {
		return program(t, in, "openssl", "cms", "-encrypt", "-aes256", set.Certificate(identities.Alice))
	}
	signed := sign(entity)
	triple := sign(encrypt(signed))
	gpg := func(in string, args ...string) string {
		return program(t, in, "gpg", append([]string{"--homedir", set.GnuPG(), "--batch", "--quiet", "--armor", "--trust-model", "always"}, args...)...)
	}
	pgp := "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\r\n\r\n--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n--b\r\n" +
		"Content-Type: application/octet-stream\r\n\r\n" + gpg(entity, "--sign", "-u", identities.Bob, "--encrypt", "-r", identities.Alice) + "\r\n--b--\r\n"
	key, pgpKey := filepath.Join(set.Store, "smime", identities.Alice+".pem"), filepath.Join(set.Store, "pgp", identities.Alice+".asc")
	bob := filepath.Join(set.Store, "recipients", identities.Bob+".asc")
	dir := t.TempDir()
	config := filepath.Join(dir, "waxseal.hcl")
	if err := os.MkdirAll(filepath.Join(dir, "policies"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		config:                                   fmt.Sprintf("authserv_id = \"mx.test\"\npolicies = \"policies\"\nkeys \"directory\" {\n  path = %q\n}\ntrust_anchors \"test\" {\n  files = [%q]\n}\n", set.Store, set.CA),
		filepath.Join(dir, "policies", "10.hcl"): "policy \"in\" {\n  direction = \"incoming\"\n  verify {}\n}\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	anchors := []string{set.CA}
	for _, c := range []struct {
		name, message string
		flags         inspectFlags
		want          []string // expressions, each for a line or more, in this order
	}{
		{"plain", entity, inspectFlags{}, []string{`^author: bob@partner\.example$`, "^no layers: ", "^inside: text/plain$", "^verdict: none, the message as a whole"}},
		{"signed", signed, inspectFlags{trust: anchors}, []string{`^layer 1: signed, multipart/signed \(S/MIME\)$`, "signer: CN=bob@", "algorithm: rsa2048-sha256", "certificate: CN=bob@",
			"by CN=Test Intermediate, serial", "certificate: CN=Test Intermediate$", "certificate: CN=Test Root", "integrity: pass", "chain: pass", "address: pass", "this signature: pass", "^verdict: pass$"}},
		{"without anchors", signed, inspectFlags{}, []string{"integrity: pass", "chain: fail: ", "^verdict: fail: ", "^note: there are no trust anchors"}},
		{"another author", signed, inspectFlags{trust: anchors, from: "eve@evil.example"}, []string{"^author: eve@", "integrity: pass", "address: fail: the certificate is for bob@", "^verdict: fail"}},
		{"too late", signed, inspectFlags{trust: anchors, at: "2066-01-01"}, []string{"certificate: fail: the certificate expired", "^verdict: fail"}},
		{"altered", strings.Replace(signed, "Hello", "Bye", 1), inspectFlags{trust: anchors}, []string{"integrity: fail: ", "^verdict: fail"}},
		{"encrypted", encrypt(entity), inspectFlags{}, []string{`^layer 1: encrypted \(S/MIME\)`, "cipher: aes256-cbc$", "for: key transport, serial .* of .*Test Intermediate", "not decrypted", "^verdict: none, since what is encrypted"}},
		{"decrypted", encrypt(entity), inspectFlags{keys: []string{key}}, []string{"cipher: aes256-cbc, not authenticated", "decrypted with: alice@example.com.pem", "^inside: text/plain", "^verdict: none, the message"}},
		{"wrapped three times", triple, inspectFlags{keys: []string{key}, trust: anchors}, []string{"^layer 1: signed", "^layer 2: encrypted", "^layer 3: signed", "^verdict: pass"}},
		{"with a configuration", triple, inspectFlags{config: config}, []string{"^layer 1: signed", "^layer 2: encrypted", "decrypted with: alice@example.com$", "^layer 3: signed", "^verdict: pass"}},
		{"for somebody else", triple, inspectFlags{config: config, to: []string{identities.Carol}}, []string{"^layer 2: encrypted", "not decrypted .none.: no key of ours"}},
		{"OpenPGP", pgp, inspectFlags{keys: []string{pgpKey}, certs: []string{bob}}, []string{`^layer 1: encrypted \(OpenPGP\)`, "cipher: aes256, authenticated", "for: key [0-9A-F]{16}", "decrypted with: alice", "^layer 2: signed, OpenPGP message", "key: [0-9A-F]{40}", "chain: pass", "^verdict: pass"}},
		{"OpenPGP without the signer", pgp, inspectFlags{keys: []string{pgpKey}}, []string{"integrity: neutral: the signer's key .* is not known here", "^verdict: neutral"}},
		{"a part", "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" + strings.TrimPrefix(signed, "MIME-Version: 1.0\r\n") + "\r\n--x--\r\n", inspectFlags{trust: anchors},
			[]string{"^layer 1: signed, .* part 1, which is not all of the message$", "integrity: neutral", "^verdict: none"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := inspected(t, c.flags, header+c.message)
			rest := got
			for _, want := range c.want {
				at := regexp.MustCompile("(?m)" + want).FindStringIndex(rest)
				if at == nil {
					t.Fatalf("no %q in its place:\n%s", want, got)
				}
				rest = rest[at[1]:]
			}
			c.flags.json = true
			var i milter.Inspection
			if err := json.Unmarshal([]byte(inspected(t, c.flags, header+c.message)), &i); err != nil {
				t.Fatal(err)
			}
			if layers := strings.Count(got, "\nlayer "); len(i.Layers) != layers || !strings.Contains(got, "verdict: "+string(i.Verdict)) {
				t.Errorf("the JSON says %+v, the words\n%s", i, got)
			}
		})
	}
}

// TestInspectHostile writes nothing to a terminal that is not text.
func TestInspectHostile(t *testing.T) {
	for _, message := range []string{
		"From: \"\x1b[2J\" <a@b.example>\r\nContent-Type: multipart/signed; boundary=\"\x1b]0;x\a\"\r\n\r\nHello\r\n",
		"From: a@b.example\x1b[31m\r\nContent-Type: application/pkcs7-mime\x1b[31m\r\n\r\nnothing\r\n",
		"Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\nMIIBAAYJ\r\n",
	} {
		got := inspected(t, inspectFlags{}, message)
		if strings.ContainsAny(got, "\x1b\a") {
			t.Errorf("%q", got)
		}
	}
}

// TestInspectErrors says what is wrong with what it was given.
func TestInspectErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "x")
	if err := os.WriteFile(file, []byte("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, f := range map[string]inspectFlags{
		"-key " + file:      {keys: []string{file}},
		"-cert " + file:     {certs: []string{file}},
		"-anchors: ":        {trust: []string{file}},
		"is no time; write": {at: "yesterday"},
		"no such file":      {keys: []string{filepath.Join(dir, "none")}},
		"it has no header":  {},
		"exit status 1":     {config: filepath.Join(dir, "none.hcl")},
	} {
		var out, errs bytes.Buffer
		if err := inspectMessage(t.Context(), f, strings.NewReader("\r\nHello\r\n"), &out, &errs); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", f, err, want)
		}
	}
}
