package pgpmime

import (
	"encoding/base64"
	"io"
	"strings"
	"testing"

	"waxseal/signer"
)

// What Exchange makes of PGP/MIME is found, and nothing that only looks so.
func TestFindEncrypted(t *testing.T) {
	g := gpg(t)
	edda := g.key(t, "edda@example.com")
	armored := crlf(string(g.encryptWithGPG(t, "Hello\n", "--armor", "-r", "edda@example.com", "--encrypt")))
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	lines := func(s string) (out string) { // with a blank at each end
		for ; len(s) > 60; s = s[60:] {
			out += s[:60] + " \n"
		}
		return out + s
	}
	text := func(s string) string { return "Content-Type: text/plain\n\n" + s }
	control := "Content-Type: application/pgp-encrypted\n\nVersion: 1\n"
	data := "Content-Type: application/octet-stream; name=\"encrypted.asc\"\n\n" + armored
	const encrypted = `multipart/encrypted; protocol="application/pgp-encrypted"`
	for what, test := range map[string]struct {
		kind  string
		parts []string
		want  string // "", "whole" or "mangled"
	}{
		"whole":          {encrypted, []string{control, data}, "whole"},
		"other protocol": {`multipart/encrypted; protocol="application/x"`, []string{control, data}, ""},
		"no protocol":    {`multipart/encrypted`, []string{control, data}, ""},
		"exchange":       {"multipart/mixed", []string{text(""), control, data}, "mangled"},
		"exchange lines": {"multipart/mixed", []string{text("\n \n"), control, data}, "mangled"},
		"exchange base64": {"multipart/mixed", []string{"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n", "Content-Type: application/pgp-encrypted; name=\"ATT00001\"\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment\n\n" + b64("Version: 1\r\n\r\n"),
			"Content-Type: application/octet-stream; name=\"encrypted.asc\"\nContent-Transfer-Encoding: base64\n\n" + lines(b64(armored))}, "mangled"},
		"quoted-printable": {"multipart/mixed", []string{text(""), control,
			"Content-Type: application/octet-stream\nContent-Transfer-Encoding: quoted-printable\n\n" + strings.ReplaceAll(armored, "=", "=3D")}, "mangled"},
		"bridge":            {"multipart/mixed", []string{"Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\nEmpty=\n Message", control, data}, "mangled"},
		"without text":      {"multipart/mixed", []string{control, data}, "mangled"},
		"with a text":       {"multipart/mixed", []string{text("Look at this:"), control, data}, ""},
		"html":              {"multipart/mixed", []string{"Content-Type: text/html\n\n", control, data}, ""},
		"exfiltration":      {"multipart/mixed", []string{"Content-Type: text/html\n\n<img src=\"http://x/", control, data, "Content-Type: text/html\n\n\">"}, ""},
		"another part":      {"multipart/mixed", []string{text(""), control, data, text("")}, ""},
		"large text":        {"multipart/mixed", []string{text(strings.Repeat(" ", 5000)), control, data}, ""},
		"no version":        {"multipart/mixed", []string{text(""), "Content-Type: application/pgp-encrypted\n\nVersion: 2\n", data}, ""},
		"turned around":     {"multipart/mixed", []string{data, control}, ""},
		"alternative":       {"multipart/alternative", []string{control, data}, ""},
		"broken base64":     {"multipart/mixed", []string{text(""), "Content-Type: application/pgp-encrypted\nContent-Transfer-Encoding: base64\n\n!!", data}, ""},
		"unknown encoding":  {"multipart/mixed", []string{text(""), "Content-Type: application/pgp-encrypted\nContent-Transfer-Encoding: x\n\nVersion: 1", data}, ""},
		"one part":          {encrypted, []string{control}, ""},
		"encrypted in text": {encrypted, []string{control, strings.Replace(data, "application/octet-stream", "text/plain", 1)}, ""},
	} {
		body := "--=b\n" + strings.Join(test.parts, "\n--=b\n") + "\n--=b--\n"
		src := strings.NewReader(crlf(body))
		field, err := signer.NewField("Content-Type", test.kind+`; boundary="=b"`)
		if err != nil {
			t.Fatal(err)
		}
		root, err := signer.Slice(signer.Header{field}, src)
		if err != nil {
			t.Fatal(err)
		}
		found, err := FindEncrypted(root, src)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if found != nil {
			got = map[bool]string{false: "whole", true: "mangled"}[found.Mangled]
			message, err := io.ReadAll(found.Data.Open(src))
			if err != nil {
				t.Fatal(err)
			}
			if text, _ := decrypted(t, message, []*Key{edda}, DecryptOptions{}); string(text) != "Hello\n" {
				t.Errorf("%s: %q", what, text)
			}
		}
		if got != test.want {
			t.Errorf("%s: %q, not %q", what, got, test.want)
		}
	}
}
