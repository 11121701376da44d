package signer

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// plainText is the entity that the samples protect.
const plainText = "Content-Type: text/plain; charset=us-ascii\r\n\r\nThe secret is 42.\r\n"

// run runs a program and returns its output.
func run(t testing.TB, dir, input, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("this test needs %s: apt-get install openssl gnupg", name)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(input)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, stderr.String())
	}
	return out.String()
}

// openssl is a directory with an RSA key and an EC key, each with a certificate.
type openssl struct {
	t   testing.TB
	dir string
}

func newOpenSSL(t testing.TB) openssl {
	t.Helper()
	o := openssl{t, t.TempDir()}
	for name, key := range map[string][]string{
		"rsa": {"-newkey", "rsa:2048"},
		"ec":  {"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"},
	} {
		run(t, o.dir, "", "openssl", append([]string{"req", "-x509", "-nodes", "-days", "2",
			"-subj", "/CN=a@a.example", "-keyout", name + ".key", "-out", name + ".pem"}, key...)...)
	}
	return o
}

// cms runs openssl cms. Its output is a message, or DER with -outform DER.
func (o openssl) cms(input string, args ...string) string {
	o.t.Helper()
	return run(o.t, o.dir, input, "openssl", append([]string{"cms", "-binary"}, args...)...)
}

// gpg is a key ring with one key.
type gpg struct {
	t    testing.TB
	home string
}

func newGPG(t testing.TB) gpg {
	t.Helper()
	home, err := os.MkdirTemp("", "gpg") // short: it holds sockets
	if err != nil {
		t.Fatal(err)
	}
	g := gpg{t, home}
	t.Cleanup(func() {
		run(t, home, "", "gpgconf", "--homedir", home, "--kill", "all")
		if err := os.RemoveAll(home); err != nil {
			t.Error(err)
		}
	})
	g.run("", "--passphrase", "", "--quick-generate-key", "a@a.example", "future-default", "default", "never")
	return g
}

func (g gpg) run(input string, args ...string) string {
	g.t.Helper()
	return run(g.t, g.home, input, "gpg", append([]string{"--homedir", g.home, "--batch", "--quiet",
		"--pinentry-mode", "loopback", "--trust-model", "always", "-u", "a@a.example"}, args...)...)
}

// encrypted builds a PGP/MIME message (RFC 3156, Section 4).
func encrypted(armor string) string {
	return "Subject: x\nMIME-Version: 1.0\n" +
		"Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\n\n" +
		"This is an OpenPGP/MIME encrypted message (RFC 4880 and 3156)\n" +
		"--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n\n" +
		"--b\nContent-Type: application/octet-stream; name=encrypted.asc\n\n" + armor + "\n--b--\n"
}

// signed builds a PGP/MIME message (RFC 3156, Section 5).
func signed(content, armor string) string {
	return "Subject: x\nMIME-Version: 1.0\n" +
		"Content-Type: multipart/signed; micalg=pgp-sha256; protocol=\"application/pgp-signature\"; boundary=s\n\n" +
		"--s\n" + content + "\n--s\nContent-Type: application/pgp-signature\n\n" + armor + "\n--s--\n"
}

// base64Of is base64 in lines of 76.
func base64Of(data string) string {
	var lines strings.Builder
	for text := base64.StdEncoding.EncodeToString([]byte(data)); text != ""; {
		n := min(len(text), 76)
		lines.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	return lines.String()
}

// onePart builds a message of one part.
func onePart(contentType, encoding, body string) string {
	return fmt.Sprintf("Subject: x\nMIME-Version: 1.0\nContent-Type: %s\nContent-Transfer-Encoding: %s\n\n%s", contentType, encoding, body)
}

// inspect inspects a message and fails the test if that is an error or if what it
// says contradicts itself.
func inspect(t testing.TB, message string) Protection {
	t.Helper()
	p, err := Inspect(parseMessage(t, message))
	if err != nil {
		t.Fatal(err)
	}
	return *p
}

func TestInspectOpenSSL(t *testing.T) {
	o := newOpenSSL(t)
	envelope := o.cms(plainText, "-encrypt", "-aes256", "rsa.pem")
	large := plainText + strings.Repeat("0123456789abcdef\r\n", 20_000)
	legacy := []string{"-provider", "legacy", "-provider", "default"}
	bundle := run(t, o.dir, "", "openssl", "crl2pkcs7", "-nocrl", "-certfile", "rsa.pem", "-outform", "PEM")
	bundle = strings.NewReplacer("-----BEGIN PKCS7-----\n", "", "-----END PKCS7-----\n", "").Replace(bundle)
	for _, test := range []struct {
		name, message string
		want          Protection
	}{
		{"cbc", envelope, Protection{Encrypted: true, Kind: "smime enveloped-data"}},
		{"stream", o.cms(large, "-encrypt", "-aes256", "-stream", "rsa.pem"), Protection{Encrypted: true, Kind: "smime enveloped-data"}},
		{"no stream", o.cms(large, "-encrypt", "-aes128", "-noindef", "rsa.pem"), Protection{Encrypted: true, Kind: "smime enveloped-data"}},
		{"gcm", o.cms(plainText, "-encrypt", "-aes-256-gcm", "rsa.pem"), Protection{Encrypted: true, Kind: "smime authEnveloped-data"}},
		{"gcm stream", o.cms(large, "-encrypt", "-aes-256-gcm", "-stream", "rsa.pem"), Protection{Encrypted: true, Kind: "smime authEnveloped-data"}},
		{"3des", o.cms(plainText, "-encrypt", "-des3", "rsa.pem"), Protection{Encrypted: true, Kind: "smime enveloped-data"}},
		{"oaep and key id", o.cms(plainText, "-encrypt", "-keyid", "-recip", "rsa.pem", "-keyopt", "rsa_padding_mode:oaep"), Protection{Encrypted: true, Kind: "smime enveloped-data"}},
		{"key agreement", o.cms(plainText, "-encrypt", "-aes256", "ec.pem"), Protection{Encrypted: true, Kind: "smime enveloped-data"}},
		{"two recipients", o.cms(plainText, "-encrypt", "-aes256", "ec.pem", "rsa.pem"), Protection{Encrypted: true, Kind: "smime enveloped-data"}},
		{"password", o.cms(plainText, "-encrypt", "-aes256", "-pwri_password", "x"), Protection{Encrypted: true, Kind: "smime enveloped-data"}},
		{"kek", o.cms(plainText, "-encrypt", "-aes256", "-secretkey", "000102030405060708090A0B0C0D0E0F", "-secretkeyid", "01"), Protection{Encrypted: true, Kind: "smime enveloped-data"}},
		{"signed, encrypted", o.cms(o.cms(plainText, "-sign", "-signer", "rsa.pem", "-inkey", "rsa.key"), "-encrypt", "-aes256", "rsa.pem"), Protection{Encrypted: true, Kind: "smime enveloped-data"}},

		{"detached", o.cms(plainText, "-sign", "-signer", "rsa.pem", "-inkey", "rsa.key"), Protection{Signed: true, Kind: "smime multipart/signed"}},
		{"detached ec", o.cms(plainText, "-sign", "-md", "sha256", "-signer", "ec.pem", "-inkey", "ec.key"), Protection{Signed: true, Kind: "smime multipart/signed"}},
		{"two signers", o.cms(plainText, "-sign", "-signer", "ec.pem", "-inkey", "ec.key", "-signer", "rsa.pem", "-inkey", "rsa.key", "-nocerts", "-keyid"), Protection{Signed: true, Kind: "smime multipart/signed"}},
		{"no attributes", o.cms(plainText, "-sign", "-noattr", "-signer", "rsa.pem", "-inkey", "rsa.key"), Protection{Signed: true, Kind: "smime multipart/signed"}},
		{"opaque", o.cms(plainText, "-sign", "-nodetach", "-signer", "rsa.pem", "-inkey", "rsa.key"), Protection{Signed: true, Kind: "smime signed-data"}},
		{"opaque stream", o.cms(large, "-sign", "-nodetach", "-stream", "-signer", "rsa.pem", "-inkey", "rsa.key"), Protection{Signed: true, Kind: "smime signed-data"}},
		{"opaque no stream", o.cms(large, "-sign", "-nodetach", "-noindef", "-signer", "rsa.pem", "-inkey", "rsa.key"), Protection{Signed: true, Kind: "smime signed-data"}},
		{"encrypted, signed", o.cms(strings.ReplaceAll(envelope, "\n", "\r\n"), "-sign", "-signer", "rsa.pem", "-inkey", "rsa.key"), Protection{Signed: true, Encrypted: true, Kind: "smime multipart/signed, smime enveloped-data"}},
		{"encrypted, signed opaque", o.cms(envelope, "-sign", "-nodetach", "-signer", "rsa.pem", "-inkey", "rsa.key"), Protection{Signed: true, Kind: "smime signed-data"}},

		{"des", o.cms(plainText, append(legacy, "-encrypt", "-des", "rsa.pem")...), Protection{Why: "not an S/MIME message: enveloped-data: content cipher is weak or unknown"}},
		{"rc2", o.cms(plainText, append(legacy, "-encrypt", "-rc2-40", "rsa.pem")...), Protection{Why: "not an S/MIME message: enveloped-data: content cipher is weak or unknown"}},
		{"data", o.cms(plainText, "-data_create"), Protection{Why: "S/MIME data protects nothing"}},
		{"digest", o.cms(plainText, "-digest_create"), Protection{Why: "S/MIME content of another type protects nothing"}},
		{"no recipients", o.cms(plainText, "-EncryptedData_encrypt", "-aes128", "-secretkey", "000102030405060708090A0B0C0D0E0F"), Protection{Why: "S/MIME content of another type protects nothing"}},
		{"certificates", onePart("application/pkcs7-mime; smime-type=certs-only", "base64", bundle), Protection{Why: "S/MIME certificates, not a message"}},
		{"certificates as envelope", onePart("application/pkcs7-mime; smime-type=enveloped-data", "base64", bundle), Protection{Why: "S/MIME certificates, not a message"}},
		{"footer", envelope + "\n-- \nSent by the list\n", Protection{Why: "not an S/MIME message: malformed base64"}},
		{"footer in base64", strings.TrimSpace(envelope) + "\n\nSGVsbG8=\n", Protection{Why: "not an S/MIME message"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.want.Kind != "" {
				test.want.Scheme = "smime"
			}
			got := inspect(t, test.message)
			checkProtection(t, &got)
			if test.name == "footer in base64" { // the padding of what is before decides what is wrong
				got.Why, _, _ = strings.Cut(got.Why, ":")
			}
			if got != test.want {
				t.Errorf("%+v, want %+v", got, test.want)
			}
		})
	}
}

// The name of a type decides nothing, and what is inside is found under all
// names that programs know.
func TestInspectCMSNames(t *testing.T) {
	o := newOpenSSL(t)
	der := o.cms(plainText, "-encrypt", "-aes256", "-outform", "DER", "rsa.pem")
	_, body, _ := strings.Cut(o.cms(plainText, "-encrypt", "-aes256", "rsa.pem"), "\n\n")
	for contentType, want := range map[string]bool{
		"application/pkcs7-mime":                                    true,
		"application/x-pkcs7-mime; name=smime.p7m":                  true,
		"APPLICATION/PKCS7-MIME; smime-type=signed-data":            true,
		"application/pkcs7-mime; smime-type=compressed-data":        true,
		"application/octet-stream; name=\"smime.P7M\"":              true,
		"application/octet-stream; name*=utf-8''smime.p7m":          true,
		"application/pkcs7-signature; name=smime.p7s":               true,
		"application/x-unknown; name=\" a.p7z \"":                   true,
		"application/octet-stream; name=smime.p7m.txt":              false,
		"application/octet-stream":                                  false,
		"text/plain; name=smime.p7m":                                false,
		"text/html; name=smime.p7m":                                 false,
		"application/pkcs7-mime\nContent-Type: text/plain":          false,
		"application/pkcs7-mime\nContent-Transfer-Encoding: 7bit":   false,
		"application/pkcs7-mime\nContent-Transfer-Encoding: binary": false,
	} {
		if got := inspect(t, onePart(contentType, "base64", body)); got.Encrypted != want {
			t.Errorf("%s: %+v", contentType, got)
		}
	}
	if got := inspect(t, onePart("application/octet-stream\nContent-Disposition: attachment; filename=smime.p7m", "base64", body)); !got.Encrypted {
		t.Errorf("file name in Content-Disposition: %+v", got)
	}
	for encoding, want := range map[string]bool{
		"base64": true, "BASE64": true, "Base64 (comment)": true,
		"7bit": false, "binary": false, "quoted-printable": false, "x-uuencode": false,
	} {
		if got := inspect(t, onePart("application/pkcs7-mime", encoding, body)); got.Encrypted != want {
			t.Errorf("%s: %+v", encoding, got)
		}
	}
	var quoted strings.Builder
	for i := range len(der) {
		fmt.Fprintf(&quoted, "=%02X", der[i])
		if i%20 == 19 {
			quoted.WriteString("=\r\n")
		}
	}
	if got := inspect(t, onePart("application/pkcs7-mime", "quoted-printable", quoted.String())); !got.Encrypted {
		t.Errorf("quoted-printable: %+v", got)
	}
	m := parseMessage(t, onePart("application/pkcs7-mime", "binary", ""))
	for name, text := range map[string]string{"": der, "a byte more": der + "\n", "a byte less": der[:len(der)-1], "nothing": ""} {
		m.Body = strings.NewReader(text)
		if got, err := Inspect(m); err != nil || got.Encrypted != (name == "") {
			t.Errorf("binary, %s: %+v, %v", name, got, err)
		}
	}
}

func TestInspectGPG(t *testing.T) {
	g := newGPG(t)
	large := plainText + strings.Repeat("0123456789abcdef\r\n", 20_000)
	armor := g.run(plainText, "--armor", "--encrypt", "-r", "a@a.example")
	detached := g.run(plainText, "--armor", "--detach-sign")
	clear := g.run("Hello\n- -- \nFrom me\n-dash\n", "--clearsign")
	key := g.run("", "--armor", "--export")
	for _, test := range []struct {
		name, message string
		want          Protection
	}{
		{"encrypted", encrypted(armor), Protection{Encrypted: true, Kind: "pgp multipart/encrypted"}},
		{"encrypted and signed", encrypted(g.run(plainText, "--armor", "--sign", "--encrypt", "-r", "a@a.example")), Protection{Encrypted: true, Kind: "pgp multipart/encrypted"}},
		{"hidden recipient", encrypted(g.run(plainText, "--armor", "--encrypt", "-R", "a@a.example")), Protection{Encrypted: true, Kind: "pgp multipart/encrypted"}},
		{"password", encrypted(g.run(plainText, "--armor", "--passphrase", "x", "--symmetric")), Protection{Encrypted: true, Kind: "pgp multipart/encrypted"}},
		{"password and key", encrypted(g.run(plainText, "--armor", "--passphrase", "x", "--symmetric", "--encrypt", "-r", "a@a.example")), Protection{Encrypted: true, Kind: "pgp multipart/encrypted"}},
		{"large", encrypted(g.run(large, "--armor", "--encrypt", "-z", "0", "-r", "a@a.example")), Protection{Encrypted: true, Kind: "pgp multipart/encrypted"}},
		{"with comments", encrypted(g.run(plainText, "--armor", "--comment", "a comment", "--emit-version", "--encrypt", "-r", "a@a.example")), Protection{Encrypted: true, Kind: "pgp multipart/encrypted"}},
		{"signed", signed(plainText, detached), Protection{Signed: true, Kind: "pgp multipart/signed"}},
		{"inline", onePart("text/plain", "7bit", armor), Protection{Encrypted: true, Kind: "pgp inline"}},
		{"inline, white space", onePart("text/plain", "7bit", "\n \t\n"+armor+"\n\n  \n"), Protection{Encrypted: true, Kind: "pgp inline"}},
		{"inline, no type", "Subject: x\n\n" + armor, Protection{Encrypted: true, Kind: "pgp inline"}},
		{"clear-signed", onePart("text/plain", "7bit", clear), Protection{Signed: true, Kind: "pgp clear-signed"}},
		{"encrypted, signed", signed(strings.TrimPrefix(encrypted(armor), "Subject: x\n"), detached), Protection{Signed: true, Encrypted: true, Kind: "pgp multipart/signed, pgp multipart/encrypted"}},
		{"clear-signed, signed", signed("Content-Type: text/plain\n\n"+clear, detached), Protection{Signed: true, Kind: "pgp multipart/signed"}},

		{"signed message", encrypted(g.run(plainText, "--armor", "--sign")), Protection{Why: "PGP/MIME message: packet of type 8, not encrypted data"}},
		{"signed message, inline", onePart("text/plain", "7bit", g.run(plainText, "--armor", "-z", "0", "--sign")), Protection{Why: "inline PGP message: packet of type 4, not encrypted data"}},
		{"stored message", encrypted(g.run(plainText, "--armor", "-z", "0", "--store")), Protection{Why: "PGP/MIME message: packet of type 11, not encrypted data"}},
		{"signature as message", encrypted(detached), Protection{Why: "PGP/MIME message: armor of another kind"}},
		{"relabelled signature", encrypted(strings.ReplaceAll(detached, "SIGNATURE", "MESSAGE")), Protection{Why: "PGP/MIME message: packet of type 2, not encrypted data"}},
		{"message as signature", signed(plainText, strings.ReplaceAll(armor, "MESSAGE", "SIGNATURE")), Protection{Why: "PGP/MIME signature: packet of type 1, not a signature"}},
		{"key", onePart("text/plain", "7bit", key), Protection{Why: "inline PGP message: armor of another kind"}},
		{"greeting", onePart("text/plain", "7bit", "Hello,\n\n"+armor), Protection{}},
		{"footer", onePart("text/plain", "7bit", armor+"\n-- \nSent by the list\n"), Protection{Why: "inline PGP message: text after its armor"}},
		{"two messages", onePart("text/plain", "7bit", armor+armor), Protection{Why: "inline PGP message: text after its armor"}},
		{"clear-signed, footer", onePart("text/plain", "7bit", clear+"and more\n"), Protection{Why: "clear-signed text: text after its armor"}},
		{"clear-signed, cut", onePart("text/plain", "7bit", clear[:strings.Index(clear, "-----BEGIN PGP SIGNATURE")]), Protection{Why: "clear-signed text: no signature"}},
		{"clear-signed, dash", onePart("text/plain", "7bit", strings.Replace(clear, "- -dash", "-dash", 1)), Protection{Why: "clear-signed text: line that begins with a dash"}},
		{"clear-signed, header", onePart("text/plain", "7bit", strings.Replace(clear, "Hash:", "Comment:", 1)), Protection{Why: "clear-signed text: malformed armor"}},
		{"html", onePart("text/html", "7bit", armor), Protection{}},
		{"in a multipart/mixed", "Subject: x\n" + "Content-Type: multipart/mixed; boundary=m\n\n--m\n" + strings.TrimPrefix(encrypted(armor), "Subject: x\n") + "--m--\n", Protection{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.want.Kind != "" {
				test.want.Scheme = "pgp"
			}
			got := inspect(t, test.message)
			checkProtection(t, &got)
			if got != test.want {
				t.Errorf("%+v, want %+v", got, test.want)
			}
		})
	}
	// The same in transfer encodings.
	if got := inspect(t, onePart("text/plain", "base64", base64Of(armor))); got.Kind != "pgp inline" {
		t.Errorf("base64: %+v", got)
	}
	if got := inspect(t, onePart("text/plain", "quoted-printable", strings.ReplaceAll(armor, "=", "=3D"))); got.Kind != "pgp inline" {
		t.Errorf("quoted-printable: %+v", got)
	}
	if got := inspect(t, onePart("text/plain", "x-unknown", armor)); got.Encrypted {
		t.Errorf("unknown encoding: %+v", got)
	}
	// A byte changed is found by the checksum.
	changed := []byte(armor)
	at := strings.Index(armor, "\n\n") + 70
	changed[at] ^= 1
	if changed[at] == '\n' || armor[at] == '\n' {
		t.Fatal("choose another byte")
	}
	if got := inspect(t, encrypted(string(changed))); got.Encrypted {
		t.Errorf("damaged armor: %+v", got)
	}
}
