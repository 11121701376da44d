// Package incoming_test sends mail that other programs have signed and encrypted
// through real mail servers, and looks at what a mailbox gets of it.
package incoming_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"waxseal/test/daemon"
	"waxseal/test/identities"
	"waxseal/test/judge"
	"waxseal/test/mta"
)

// outside is a client that is not internal.
const outside = "127.0.0.2"

const policy = `policy "incoming" {
  direction = "incoming"
  decrypt {}
  verify {}
}
`

var servers = map[string]func(testing.TB, mta.Options) *mta.MTA{"postfix": mta.StartPostfix, "sendmail": mta.StartSendmail}

// everywhere runs a test with each mail server. The daemon is started with the
// configuration, whose directory is made.
func everywhere(t *testing.T, config daemon.Configuration, run func(*testing.T, *mta.MTA, *daemon.Daemon)) {
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := config
			c.Dir = mta.Dir(t)
			server := start(t, mta.Options{Milter: c.Socket()})
			run(t, server, daemon.Start(t, &c))
		})
	}
}

// configuration is that of a gateway which has the keys of the set.
func configuration(set *identities.Set, policies string) daemon.Configuration {
	return daemon.Configuration{Keys: set.Store, Policies: map[string]string{"10.hcl": policies}, Settings: anchors(set.CA)}
}

func anchors(file string) string {
	return fmt.Sprintf("trust_anchors \"test\" {\n  files = [%q]\n}\n", file)
}

// entities are what is protected: each with its line ends as in mail.
var entities = map[string]string{
	"text": "Content-Type: text/plain; charset=us-ascii\r\n\r\nHello Alice\r\n.\r\n..two\r\nFrom here on\r\n\r\n",
	"8bit": "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße an Alice\r\n",
	"multipart": "Content-Type: multipart/mixed; boundary=\"=_1\"\r\n\r\npreamble\r\n--=_1\r\nContent-Type: text/html; charset=us-ascii\r\n\r\n<p>Hello Alice</p>\r\n" +
		"--=_1\r\nContent-Type: application/octet-stream;\r\n\tname=\"a b.bin\"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAwQFBgcICQ==\r\n--=_1--\r\nepilogue\r\n",
}

// smimeMail is a CMS structure as a message.
func smimeMail(header string, der []byte) []byte {
	return []byte(header + "MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n" + wrap(der))
}

func wrap(data []byte) string {
	text := base64.StdEncoding.EncodeToString(data)
	var b strings.Builder
	for len(text) > 76 {
		b.WriteString(text[:76] + "\r\n")
		text = text[76:]
	}
	return b.String() + text + "\r\n"
}

// smimeSigned is a multipart/signed entity.
func smimeSigned(entity string, der []byte) string {
	return "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=\"=_s\"\r\n\r\n--=_s\r\n" + entity +
		"\r\n--=_s\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n" + wrap(der) + "\r\n--=_s--\r\n"
}

func pgpSigned(entity string, armor []byte) string {
	return "Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; micalg=pgp-sha512; boundary=\"=_s\"\r\n\r\n--=_s\r\n" + entity +
		"\r\n--=_s\r\nContent-Type: application/pgp-signature; name=signature.asc\r\n\r\n" + crlf(string(armor)) + "\r\n--=_s--\r\n"
}

func pgpMail(header string, armor []byte) []byte {
	return []byte(header + "MIME-Version: 1.0\r\nContent-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=\"=_e\"\r\n\r\n--=_e\r\n" +
		"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n--=_e\r\nContent-Type: application/octet-stream\r\n\r\n" + crlf(string(armor)) + "\r\n--=_e--\r\n")
}

func crlf(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
}

func header(from, to string) string {
	return "From: " + from + "\r\nTo: " + to + "\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nDate: Mon, 02 Mar 2026 12:00:00 +0000\r\nMessage-ID: <1@partner.example>\r\nX-Odd:  two  blanks \r\n"
}

// arrives sends a message from outside and returns it as it is delivered, with
// our reports on it.
func arrives(t *testing.T, server *mta.MTA, from string, to []string, message []byte) (delivered judge.Message, data []byte) {
	t.Helper()
	c := mta.Dial(t, server.Addr, outside)
	defer c.Close()
	if r := c.Send(from, to, message); r.Code != 250 {
		t.Fatalf("the server answered: %s", r)
	}
	mail := server.Sink.Next(t)
	if mail.From != from {
		t.Errorf("the sender is %q", mail.From)
	}
	return judge.Cut(mail.Data), mail.Data
}

// reads checks that a mailbox gets just this entity, and which reports.
func reads(t *testing.T, message, delivered []byte, entity string, reports ...string) {
	t.Helper()
	m := judge.Cut(delivered)
	// The fields of the entity are there, among the others.
	inner, rest := judge.Cut([]byte(entity)), m.Fields
	for _, field := range inner.Fields {
		i := slices.Index(rest, field)
		if i < 0 {
			t.Errorf("%q is not in the header:\n%s", field, strings.Join(m.Fields, ""))
			continue
		}
		rest = slices.Delete(slices.Clone(rest), i, i+1)
	}
	for _, field := range rest {
		if strings.HasPrefix(judge.Name(field), "content-") {
			t.Errorf("%q is left in the header", field)
		}
	}
	if err := judge.SameBytes(append([]byte("\r\n"), inner.Body...), append([]byte("\r\n"), m.Body...)); err != nil {
		t.Errorf("%v\n%.3000s", err, delivered)
	}
	if err := judge.OuterFields(message, delivered); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"MIME-Version", "Content-Type", "Waxseal-Result", "Authentication-Results"} {
		if n := len(m.Values(name)); n != 1 {
			t.Errorf("%d fields %s", n, name)
		}
	}
	said := m.Value("Waxseal-Result") + "\n" + m.Value("Authentication-Results")
	for _, want := range reports {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in the reports:\n%s", want, said)
		}
	}
}

func copyFile(t *testing.T, to string, from ...string) {
	t.Helper()
	var all []byte
	for _, f := range from {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, all, 0o600); err != nil {
		t.Fatal(err)
	}
}
