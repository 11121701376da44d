package milter

import (
	"bytes"
	"net/netip"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"waxseal/keys/directory"
	"waxseal/policies"
	"waxseal/signer"
	"waxseal/signer/pgpmime"
	"waxseal/signer/smime/trust"
	"waxseal/test/identities"
)

const incomingPolicy = `policy "incoming" {
  direction = "incoming"
  decrypt {}
  verify {}
}`

// newIncoming returns a filter for incoming mail that has the keys of Bob too.
func newIncoming(t *testing.T, set *identities.Set, policy string) *Filter {
	t.Helper()
	parsed, err := policies.Parse("p.hcl", []byte(policy))
	if err != nil {
		t.Fatal(err)
	}
	pool, err := trust.ReadPool(set.CA)
	if err != nil {
		t.Fatal(err)
	}
	return &Filter{Policies: parsed, Keys: &directory.Store{Path: set.Store}, Keyring: &pgpmime.Keyring{}, AuthservID: "mx.test",
		Anchors: trust.Store{"test": pool}}
}

// run runs a program and returns its output.
func run(t *testing.T, in string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(in)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, errs.String())
	}
	return string(out)
}

// crlf makes mail of a program's output.
func crlf(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
}

const innerEntity = "Content-Type: text/plain; charset=utf-8\r\n\r\nHello Alice\r\n"

// samples are messages to Alice from Bob as other programs make them, without
// the fields that are not MIME's.
func samples(t *testing.T, set *identities.Set) map[string]string {
	t.Helper()
	bob := []string{"-signer", set.Certificate(identities.Bob), "-inkey", set.Key(identities.Bob), "-certfile", set.Certificate("intermediate")}
	alice := set.Certificate(identities.Alice)
	openssl := func(in string, args ...string) string {
		return crlf(run(t, in, "openssl", append([]string{"cms"}, args...)...))
	}
	sign := func(in string, more ...string) string {
		return openssl(in, append(append([]string{"-sign", "-md", "sha256"}, bob...), more...)...)
	}
	gpg := func(in string, args ...string) string {
		return crlf(run(t, in, "gpg", append([]string{"--homedir", set.GnuPG(), "--batch", "--quiet", "--armor", "--trust-model", "always"}, args...)...))
	}
	pgpmime := func(armor string) string {
		return "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\r\n\r\n--b\r\n" +
			"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n" + armor + "\r\n--b--\r\n"
	}
	signed := sign(innerEntity)
	encrypt := func(in string, more ...string) string {
		return openssl(in, append(append([]string{"-encrypt"}, more...), alice)...)
	}
	detached := gpg(innerEntity, "-u", identities.Bob, "--detach-sign")
	return map[string]string{
		"plain":                 innerEntity,
		"smime signed":          signed,
		"smime opaque":          sign(innerEntity, "-nodetach"),
		"smime encrypted":       encrypt(innerEntity, "-aes256"),
		"smime gcm":             encrypt(innerEntity, "-aes-256-gcm"),
		"smime both":            encrypt(signed, "-aes256"),
		"smime signed outside":  sign(encrypt(innerEntity, "-aes256")),
		"smime triple":          sign(encrypt(signed, "-aes256")),
		"smime opaque in":       encrypt(sign(innerEntity, "-nodetach"), "-aes256"),
		"smime altered":         strings.Replace(signed, "Hello Alice", "Hello Mallory", 1),
		"smime to erin":         openssl(innerEntity, "-encrypt", "-aes256", set.Certificate(identities.Erin)),
		"smime in a list":       "Content-Type: multipart/mixed; boundary=l\r\n\r\n--l\r\n" + strings.TrimPrefix(signed, "MIME-Version: 1.0\r\n") + "\r\n--l\r\nContent-Type: text/plain\r\n\r\nfooter\r\n--l--\r\n",
		"smime attached":        "Content-Type: multipart/mixed; boundary=l\r\n\r\n--l\r\nContent-Type: message/rfc822\r\n\r\nFrom: bob@partner.example\r\n" + signed + "\r\n--l--\r\n",
		"pgp encrypted":         pgpmime(gpg(innerEntity, "--encrypt", "-r", identities.Alice)),
		"pgp both":              pgpmime(gpg(innerEntity, "--sign", "-u", identities.Bob, "--encrypt", "-r", identities.Alice)),
		"pgp signed":            "Content-Type: multipart/signed; micalg=pgp-sha512; protocol=\"application/pgp-signature\"; boundary=b\r\n\r\n--b\r\n" + innerEntity + "\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\n" + detached + "\r\n--b--\r\n",
		"pgp inline":            "Content-Type: text/plain; charset=utf-8\r\n\r\n" + gpg("Hello Alice\n", "--encrypt", "-r", identities.Alice),
		"pgp clear-signed":      "Content-Type: text/plain; charset=utf-8\r\n\r\n" + gpg("Hello Alice\n", "-u", identities.Bob, "--clearsign"),
		"pgp inline and footer": "Content-Type: text/plain; charset=utf-8\r\n\r\n" + gpg("Hello Alice\n", "--encrypt", "-r", identities.Alice) + "\r\nfooter\r\n",
	}
}

var incomingCases = []struct {
	sample  string
	policy  string
	from    string // bob if empty
	extra   string // header fields
	to      []string
	action  policies.Action
	authres string // regexp of Authentication-Results; "" for none
	report  string // regexp of Waxseal-Result
	plain   bool   // Hello Alice is readable in what is delivered
	has     []string
	hasNot  []string
}{
	{sample: "plain", authres: `smime=none; x-openpgp=none`, report: "decrypt=none", plain: true},
	{sample: "smime signed", authres: `smime=pass .*body\.smime-identifier=bob@partner\.example`, report: "decrypt=none", plain: true, has: []string{"multipart/signed"}},
	{sample: "smime opaque", authres: `smime=pass`, has: []string{"application/pkcs7-mime"}},
	{sample: "smime encrypted", authres: `smime=none`, report: `decrypt=pass \(smime aes256-cbc not authenticated alice@example\.com\)`, plain: true, hasNot: []string{"pkcs7"}},
	{sample: "smime gcm", report: `decrypt=pass \(smime aes256-gcm authenticated alice@example\.com\)`, authres: "none", plain: true},
	{sample: "smime both", authres: "smime=pass", report: "decrypt=pass", plain: true, has: []string{"multipart/signed", "pkcs7-signature"}},
	{sample: "smime signed outside", authres: "smime=pass", report: "decrypt=pass", plain: true, hasNot: []string{"multipart/signed"}},
	{sample: "smime triple", authres: "smime=pass.*smime=pass", report: "decrypt=pass", plain: true, has: []string{"multipart/signed"}},
	{sample: "smime opaque in", authres: "smime=pass", report: "decrypt=pass", has: []string{"pkcs7-mime"}},
	{sample: "smime altered", authres: "smime=fail", report: "decrypt=none", has: []string{"Hello Mallory"}},
	{sample: "smime altered", policy: strings.Replace(incomingPolicy, "decrypt {}", "on_bad_signature = \"reject\"\ndecrypt {}", 1), action: policies.Reject},
	{sample: "smime signed", from: "eve@partner.example", authres: `smime=fail \(.*address fail`, report: "decrypt=none", plain: true},
	{sample: "smime signed", from: `"bob@partner.example" <eve@evil.example>`, authres: `smime=(neutral|fail)`, report: "decrypt=none", plain: true},
	{sample: "smime signed", extra: "From: eve@evil.example\r\n", authres: `smime=neutral \(.*2 From fields`, report: "decrypt=none", plain: true},
	{sample: "smime signed", extra: "Authentication-Results: MX.Test; smime=pass\r\nAuthentication-Results: other.example; dkim=pass\r\nWaxseal-Result: x\r\n", authres: "smime=pass", report: "decrypt=none", plain: true, has: []string{"other.example"}, hasNot: []string{"MX.Test", "Waxseal-Result: x"}},
	{sample: "smime to erin", authres: "none", report: `decrypt=none \(smime: no key of ours\); verify=none`, has: []string{"pkcs7-mime"}},
	{sample: "smime encrypted", to: []string{identities.Alice, identities.Carol}, authres: "none", report: `decrypt=policy \(smime: not encrypted for every recipient\)`, has: []string{"pkcs7-mime"}},
	{sample: "smime in a list", authres: `smime=neutral \(.*covers part 1`, report: "decrypt=none", plain: true},
	{sample: "smime attached", authres: `smime=none`, report: "decrypt=none", plain: true},
	{sample: "pgp encrypted", authres: "none", report: `decrypt=pass \(pgp aes256 authenticated alice@example\.com\)`, plain: true, hasNot: []string{"pgp-encrypted"}},
	{sample: "pgp both", authres: "x-openpgp=pass", report: "decrypt=pass", plain: true, has: []string{"multipart/signed; micalg=pgp-sha512", "BEGIN PGP SIGNATURE"}, hasNot: []string{"pgp-encrypted"}},
	{sample: "pgp both", policy: strings.Replace(incomingPolicy, "verify {}", "verify {\n  strip_signature = true\n}", 1), authres: "x-openpgp=pass", report: "decrypt=pass", plain: true, hasNot: []string{"BEGIN PGP"}},
	{sample: "pgp both", policy: strings.Replace(incomingPolicy, "verify {}", "", 1), report: "decrypt=pass", plain: true, has: []string{"BEGIN PGP SIGNATURE"}},
	{sample: "pgp signed", authres: "x-openpgp=pass", report: "decrypt=none", plain: true},
	{sample: "pgp inline", authres: "none", report: "decrypt=pass", plain: true, hasNot: []string{"BEGIN PGP"}},
	{sample: "pgp clear-signed", authres: "x-openpgp=pass", report: "decrypt=none", plain: true},
	{sample: "pgp inline and footer", authres: "none", report: `decrypt=policy \(pgp: only a part`, has: []string{"BEGIN PGP", "footer"}},
	{sample: "smime both", policy: strings.Replace(incomingPolicy, "decrypt {}", "decrypt {\n  deliver = \"keep\"\n}", 1), authres: "smime=pass", report: "decrypt=pass", has: []string{"pkcs7-mime"}},
	{sample: "smime signed", policy: strings.Replace(incomingPolicy, "verify {}", "verify {\n  strip_signature = true\n}", 1), authres: "smime=pass", report: "decrypt=none", plain: true, hasNot: []string{"multipart/signed"}},
	{sample: "plain", policy: strings.Replace(incomingPolicy, "decrypt {}", "on_no_signature = \"reject\"\ndecrypt {}", 1), action: policies.Reject},
	{sample: "smime both", policy: strings.Replace(incomingPolicy, "decrypt {}", "decrypt {}\n  subject_tag {\n    decrypted = \"[was encrypted]\"\n    signed = \"[signed]\"\n  }", 1),
		extra: "Subject: [signed] hi [was encrypted]\r\n", authres: "smime=pass", report: "decrypt=pass", plain: true, has: []string{"Subject: [was encrypted] [signed] hi\r\n"}},
}

// TestGateway shares the keys, which take seconds to make.
func TestGateway(t *testing.T) {
	set := identities.Make(t)
	for name, test := range map[string]func(*testing.T, *identities.Set){
		"incoming": testIncoming, "attacks": testAttacks, "gadgets": testGadgets, "insider": testInsider,
		"many signers": testManySigners, "bombs": testBombs, "floods": testFloods,
		"forged reports": testForgedReports, "different policies": testDifferentPolicies, "too large": testTooLarge,
	} {
		t.Run(name, func(t *testing.T) { test(t, set) })
	}
}

func testIncoming(t *testing.T, set *identities.Set) {
	all := samples(t, set)
	for _, c := range incomingCases {
		t.Run(c.sample, func(t *testing.T) {
			f := newIncoming(t, set, or(c.policy, incomingPolicy))
			tx := newTestTransaction(t, "From: "+or(c.from, identities.Bob)+"\r\nTo: alice@example.com\r\n"+c.extra+all[c.sample])
			tx.Sender, tx.Recipients = identities.Bob, c.to
			if c.to == nil {
				tx.Recipients = []string{identities.Alice}
			}
			tx.Client = netip.MustParseAddr("192.0.2.1")
			out, err := f.Apply(t.Context(), tx)
			if err != nil {
				t.Fatal(err)
			}
			if string(out.Action) != or(string(c.action), "accept") {
				t.Fatalf("action %s; %s %v", out.Action, out.Reply, out.Log)
			}
			if out.Action != policies.Accept {
				return
			}
			got := resultOf(t, tx, out)
			header, _, err := signer.ReadHeader(strings.NewReader(got), 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			ours := ""
			for _, field := range header.Fields(AuthresName) {
				if strings.HasPrefix(field.Value(), "mx.test") {
					ours += field.Value()
				}
			}
			if !regexp.MustCompile(c.authres).MatchString(ours) {
				t.Errorf("Authentication-Results %q, want %q; %v", ours, c.authres, out.Log)
			}
			match(t, "report", or(c.report, "decrypt"), header.Get(ReportName))
			if c.plain != strings.Contains(got, "Hello Alice") {
				t.Errorf("readable: %v, want %v:\n%s", !c.plain, c.plain, got)
			}
			for _, want := range c.has {
				if !strings.Contains(got, want) {
					t.Errorf("result does not have %q:\n%s", want, got)
				}
			}
			for _, want := range c.hasNot {
				if strings.Contains(got, want) {
					t.Errorf("result has %q:\n%s", want, got)
				}
			}
		})
	}
}
