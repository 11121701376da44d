package milter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"waxseal/keys"
	"waxseal/keys/directory"
	"waxseal/policies"
	"waxseal/signer"
	"waxseal/signer/pgpmime"
	"waxseal/test/identities"
)

// faultyStore fails for some entries as a Vault that is away does.
type faultyStore struct {
	keys.Store
	faulty string
}

var errAway = errors.New("the store is away")

func (s *faultyStore) Key(ctx context.Context, scheme keys.Scheme, name string) (*keys.Key, error) {
	if name == s.faulty {
		return nil, errAway
	}
	return s.Store.Key(ctx, scheme, name)
}

func (s *faultyStore) Certificate(ctx context.Context, scheme keys.Scheme, name string) (*keys.Certificate, error) {
	if name == s.faulty {
		return nil, errAway
	}
	return s.Store.Certificate(ctx, scheme, name)
}

const (
	signAndEncrypt = `policy "p" {
  direction  = "outgoing"
  sign "any" {}
  encrypt "any" {}
  on_key_not_found = "reject"
}`
	plainMessage = "From: Alice <alice@example.com>\r\nTo: x@partner.example\r\nSubject: s\r\n\r\nHello\r\n"
)

var filterCases = []struct {
	name     string
	policies string
	message  string // plainMessage if empty
	from     string // alice if empty
	login    string
	client   string // 127.0.0.1 if empty
	to       []string
	faulty   string // entry that can't be read
	limit    int64
	action   policies.Action
	reply    string   // regexp
	report   string   // regexp of the Waxseal-Result, "" for none
	has      []string // in the result
	hasNot   []string
}{
	{name: "signed and encrypted with S/MIME", policies: signAndEncrypt, to: []string{identities.Bob},
		action: policies.Accept, report: `^mx\.test; policy=p; sign=pass \(smime rsa2048-sha256 alice@example\.com\); encrypt=pass \(smime aes256-cbc, 1 recipient\); id=\w+$`,
		has: []string{"Content-Type: application/pkcs7-mime", "MIME-Version: 1.0", "Subject: s"}, hasNot: []string{"Hello"}},
	{name: "PGP where the recipient has nothing else", policies: signAndEncrypt, to: []string{identities.Dan},
		action: policies.Accept, report: `sign=pass \(pgp rsa2048-sha256 alice@example\.com\); encrypt=pass \(pgp aes256`,
		has: []string{"multipart/encrypted"}, hasNot: []string{"Hello"}},
	{name: "one scheme that all recipients have", policies: signAndEncrypt, to: []string{identities.Bob, identities.Dan},
		action: policies.Accept, report: `encrypt=pass \(pgp aes256[^,]*, 2 recipients\)`, hasNot: []string{"Hello"}},
	{name: "recipients without a common scheme", policies: signAndEncrypt, to: []string{identities.Erin, identities.Dan},
		action: policies.Reject, reply: `^550 5\.7\.1 .*send separately to: erin@partner\.example \(.*smime\); to: dan@partner\.example \(.*pgp\)`},
	{name: "no certificate", policies: signAndEncrypt, to: []string{identities.Bob, identities.Nobody},
		action: policies.Reject, reply: `^550 5\.7\.1 no S/MIME or OpenPGP certificate for nobody@partner\.example`},
	{name: "no certificate yet", policies: strings.Replace(signAndEncrypt, "reject", "tempfail", 1), to: []string{identities.Nobody},
		action: policies.Tempfail, reply: `^451 4\.7\.1 no S/MIME or OpenPGP certificate for nobody`},
	{name: "no certificate, accepted", policies: strings.Replace(signAndEncrypt, "reject", "accept", 1), to: []string{identities.Nobody},
		action: policies.Accept, report: `sign=pass \(smime .*; encrypt=none`, has: []string{"multipart/signed", "Hello"}},
	{name: "no certificate, held", policies: strings.Replace(signAndEncrypt, "reject", "quarantine", 1), to: []string{identities.Nobody},
		action: policies.Quarantine, reply: "no S/MIME or OpenPGP certificate for nobody"},
	{name: "no certificate, thrown away", policies: strings.Replace(signAndEncrypt, "reject", "discard", 1), to: []string{identities.Nobody},
		action: policies.Discard, reply: "no S/MIME or OpenPGP certificate for nobody"},
	{name: "no certificate of an archive", to: []string{identities.Bob},
		policies: strings.Replace(signAndEncrypt, `encrypt "any" {`, `encrypt "any" { also_to = ["archive@nowhere.example"]`, 1),
		action:   policies.Reject, reply: `certificate for archive@nowhere\.example`},
	{name: "no certificate of an archive, which may be missing", to: []string{identities.Bob},
		policies: strings.Replace(strings.Replace(signAndEncrypt, `encrypt "any" {`, `encrypt "any" { also_to = ["archive@nowhere.example"]`, 1), "reject", "accept", 1),
		action:   policies.Accept, report: `encrypt=pass \(smime aes256-cbc, 1 recipient\)`, hasNot: []string{"Hello"}},
	{name: "an archive that is a recipient without a certificate", to: []string{identities.Nobody},
		policies: strings.Replace(strings.Replace(signAndEncrypt, `encrypt "any" {`, `encrypt "any" { also_to = ["`+identities.Nobody+`"]`, 1), "reject", "accept", 1),
		action:   policies.Accept, report: `encrypt=none \(no certificate\)`, has: []string{"Hello"}},
	{name: "accepted for one, encrypted for another", policies: strings.Replace(signAndEncrypt, "reject", "accept", 1), to: []string{identities.Bob, identities.Nobody},
		action: policies.Reject, reply: `bob@partner\.example \(signed smime, encrypted smime\); to: nobody@partner\.example \(signed smime, not encrypted\)`},
	{name: "no own key", policies: signAndEncrypt, from: "nokey@example.com", to: []string{identities.Bob},
		message: "From: nokey@example.com\r\n\r\nHello\r\n",
		action:  policies.Reject, reply: `no S/MIME signing key for nokey@example\.com`},
	{name: "store away", policies: signAndEncrypt, to: []string{identities.Bob}, faulty: identities.Bob,
		action: policies.Tempfail, reply: `^451 4\.7\.5 the keys for this message can't be had`},
	{name: "store away for the own key", policies: signAndEncrypt, to: []string{identities.Bob}, faulty: identities.Alice,
		action: policies.Tempfail, reply: `^451 4\.7\.5`},
	{name: "no policy", policies: strings.Replace(signAndEncrypt, "direction", "recipient = [\"other.example\"]\ndirection", 1), to: []string{identities.Bob},
		action: policies.Accept, has: []string{"Hello"}, hasNot: []string{"Waxseal"}},
	{name: "foreign client", policies: signAndEncrypt, to: []string{identities.Bob}, client: "192.0.2.1",
		action: policies.Accept, has: []string{"Hello"}},
	{name: "foreign client that logs in", policies: signAndEncrypt, to: []string{identities.Bob}, client: "192.0.2.1", login: "alice",
		action: policies.Accept, report: "encrypt=pass", hasNot: []string{"Hello"}},
	{name: "login and From differ", to: []string{identities.Bob}, login: "mallory@example.com", from: "mallory@example.com",
		policies: strings.Replace(signAndEncrypt, "direction", "require_login_match = true\ndirection", 1),
		action:   policies.Reject, reply: `^550 5\.7\.1 the From address is neither`},
	{name: "two originators", policies: signAndEncrypt, to: []string{identities.Bob},
		message: "From: alice@example.com, carol@example.com\r\n\r\nHello\r\n",
		action:  policies.Reject, reply: `^550 5\.7\.1 the message has no From address, or more than one`},
	{name: "two From fields", policies: signAndEncrypt, to: []string{identities.Bob},
		message: "From: alice@example.com\r\nFrom: carol@example.com\r\n\r\nHello\r\n",
		action:  policies.Reject, reply: `more than one`},
	{name: "forged report", policies: signAndEncrypt, to: []string{identities.Bob},
		message: "Waxseal-Result: mx.test; encrypt=pass\r\nwaxseal-result: x\r\n" + plainMessage,
		action:  policies.Accept, report: `^mx\.test; policy=p`, hasNot: []string{"waxseal-result", "Hello"}},
	{name: "forged report without a policy", policies: signAndEncrypt, to: []string{identities.Bob}, client: "192.0.2.1",
		message: "Waxseal-Result: mx.test; encrypt=pass\r\n" + plainMessage,
		action:  policies.Accept, has: []string{"Hello"}, hasNot: []string{"Waxseal-Result"}},
	{name: "trigger that is taken out", to: []string{identities.Bob},
		policies: strings.Replace(signAndEncrypt, "direction", "header \"Subject\" {\ncontains = \"[encrypt]\"\nstrip = true\n}\ndirection", 1),
		message:  "From: alice@example.com\r\nSubject: [Encrypt] s\r\n\r\nHello\r\n",
		action:   policies.Accept, report: "encrypt=pass", has: []string{"Subject: s\r\n"}, hasNot: []string{"Hello"}},
	{name: "larger than the MTA takes", policies: signAndEncrypt, to: []string{identities.Bob}, limit: 1000,
		action: policies.Reject, reply: `^552 5\.3\.4 the message would be \d+ bytes once protected, and 1000 are allowed`},
	{name: "two Content-Type fields", policies: signAndEncrypt, to: []string{identities.Bob},
		message: "From: alice@example.com\r\nContent-Type: text/html\r\ncontent-language: de\r\nMIME-version: 1.0\r\nContent-type: text/plain\r\n\r\nHello\r\n",
		action:  policies.Reject, reply: "^550 5.6.0"},
	{name: "Content fields move, once each", policies: signAndEncrypt, to: []string{identities.Bob},
		message: "From: alice@example.com\r\ncontent-type: text/html\r\ncontent-language: de\r\nMIME-version: 1.0\r\nContent-description: d\r\n\r\nHello\r\n",
		action:  policies.Accept, report: "encrypt=pass",
		has: []string{"content-type: application/pkcs7-mime", "MIME-version: 1.0\r\n"}, hasNot: []string{"content-language", "text/html", "MIME-Version"}},
	{name: "an exemption", policies: `policy "p" { direction = "outgoing" }`, to: []string{identities.Bob},
		action: policies.Accept, has: []string{"Hello"}, hasNot: []string{"Waxseal"}},
	{name: "two policies that differ", to: []string{identities.Bob, "else@other.example"},
		policies: strings.Replace(signAndEncrypt, "direction", "recipient = [\"partner.example\"]\ndirection", 1),
		action:   policies.Reject, reply: `bob@partner\.example \(signed smime, encrypted smime\); to: else@other\.example \(as it is\)`},
}

func TestFilter(t *testing.T) {
	set := identities.Make(t)
	for _, c := range filterCases {
		t.Run(c.name, func(t *testing.T) {
			parsed, err := policies.Parse("p.hcl", []byte(c.policies))
			if err != nil {
				t.Fatal(err)
			}
			f := &Filter{
				Policies:   parsed,
				Keys:       &faultyStore{Store: &directory.Store{Path: set.Store}, faulty: c.faulty},
				Keyring:    &pgpmime.Keyring{},
				AuthservID: "mx.test",
				Internal:   []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
				MaxResult:  c.limit,
			}
			tx := newTestTransaction(t, or(c.message, plainMessage))
			tx.Sender, tx.Recipients, tx.Login = or(c.from, identities.Alice), c.to, c.login
			tx.Client = netip.MustParseAddr(or(c.client, "127.0.0.1"))
			out, err := f.Apply(t.Context(), tx)
			if err != nil {
				t.Fatal(err)
			}
			if out.Action != c.action {
				t.Errorf("action %q, want %q; %s %v", out.Action, c.action, out.Reply, out.Log)
			}
			match(t, "reply", c.reply, out.Reply)
			if c.action != policies.Accept {
				if out.Body != nil {
					t.Error("a message that is not accepted has a new body")
				}
				return
			}
			result := resultOf(t, tx, out)
			match(t, "report", c.report, reportOf(out))
			for _, want := range c.has {
				if !strings.Contains(result, want) {
					t.Errorf("result does not have %q:\n%s", want, result)
				}
			}
			for _, want := range c.hasNot {
				if strings.Contains(result, want) {
					t.Errorf("result has %q:\n%s", want, result)
				}
			}
		})
	}
}

func match(t *testing.T, what, pattern string, got any) {
	t.Helper()
	text := fmt.Sprint(got)
	if r, ok := got.(Reply); ok && r == (Reply{}) {
		text = ""
	}
	if pattern == "" && text != "" || !regexp.MustCompile(pattern).MatchString(text) {
		t.Errorf("%s is %q, want %q", what, text, pattern)
	}
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

func newTestTransaction(t *testing.T, message string) *Transaction {
	t.Helper()
	spools, err := NewSpools(filepath.Join(t.TempDir(), "spool"), 256<<10, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	tx := NewTransaction(spools)
	t.Cleanup(tx.Close)
	header, body, err := signer.ReadHeader(strings.NewReader(message), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	tx.Header = header
	if _, err := io.Copy(tx.Body, body); err != nil {
		t.Fatal(err)
	}
	return tx
}

// resultOf is the message as the MTA would send it on.
func resultOf(t *testing.T, tx *Transaction, out *Outcome) string {
	t.Helper()
	var b bytes.Buffer
	for _, f := range EditedHeader(tx.Header, out.Edits) {
		b.Write(f.Raw)
	}
	b.WriteString("\r\n")
	var body signer.Content = tx.Body
	if out.Body != nil {
		body = out.Body
	}
	n, err := body.WriteTo(&b)
	if err != nil {
		t.Fatal(err)
	}
	if n != body.Size() {
		t.Errorf("the body says that it is %d bytes, and is %d", body.Size(), n)
	}
	return b.String()
}

func reportOf(out *Outcome) string {
	for _, e := range out.Edits {
		if e.Kind == Insert && e.Name == ReportName {
			return strings.ReplaceAll(e.Value, "\r\n", "")
		}
	}
	return ""
}

// TestLogSaysNothingPrivate holds subject, body and key material out of what
// the session logs.
func TestLogSaysNothingPrivate(t *testing.T) {
	set := identities.Make(t)
	parsed, err := policies.Parse("p.hcl", []byte(signAndEncrypt))
	if err != nil {
		t.Fatal(err)
	}
	f := &Filter{Policies: parsed, Keys: &directory.Store{Path: set.Store}, Keyring: &pgpmime.Keyring{}, AuthservID: "mx.test"}
	for _, to := range []string{identities.Bob, identities.Dan, identities.Nobody} {
		tx := newTestTransaction(t, "From: alice@example.com\r\nSubject: wintermute\r\n\r\nneuromancer\r\n")
		tx.Sender, tx.Recipients = identities.Alice, []string{to}
		out, err := f.Apply(t.Context(), tx)
		if err != nil {
			t.Fatal(err)
		}
		var line bytes.Buffer
		slog.New(slog.NewTextHandler(&line, nil)).LogAttrs(t.Context(), slog.LevelInfo, "message", out.Log...)
		for _, private := range []string{"wintermute", "neuromancer", "PRIVATE KEY"} {
			if strings.Contains(line.String(), private) {
				t.Errorf("the log line has %q: %s", private, line.String())
			}
		}
	}
}
