package milter

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"testing"

	"waxseal/signer"
)

// The parser that judges reads the examples of RFC 8601, Appendix B, and refuses
// what the grammar does.
func TestAuthresGrammar(t *testing.T) {
	for _, test := range []struct{ body, want string }{
		{" example.org 1; none", "{example.org 1 []}"},
		{" example.com;\r\n spf=pass smtp.mailfrom=example.net",
			"{example.com  [{spf  pass  [] [{smtp mailfrom example.net}]}]}"},
		{" example.com;\r\n auth=pass (cram-md5) smtp.auth=sender@example.net;\r\n spf=pass smtp.mailfrom=example.net",
			"{example.com  [{auth  pass  [cram-md5] [{smtp auth sender@example.net}]} {spf  pass  [] [{smtp mailfrom example.net}]}]}"},
		{" example.com;\r\n dkim=pass reason=\"good signature\"\r\n header.i=@mail-router.example.net;\r\n dkim=fail reason=\"bad signature\"\r\n header.i=@newyork.example.com",
			"{example.com  [{dkim  pass good signature [] [{header i @mail-router.example.net}]} {dkim  fail bad signature [] [{header i @newyork.example.com}]}]}"},
		{" foo.example.net (foobar) 1 (baz);\r\n dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n policy (A dot can go here) . (like that) expired\r\n (this surprised me) = (as I wasn't expecting it) 1362471462",
			"{foo.example.net 1 [{dkim 1 fail  [Because I like it One yay wait for it] [{policy expired 1362471462}]}]}"},
		{" example.net; smime=fail (certificate is revoked by CRL) body.smime-identifier=aliceDss@example.com body.smime-part=2",
			"{example.net  [{smime  fail  [certificate is revoked by CRL] [{body smime-identifier aliceDss@example.com} {body smime-part 2}]}]}"},
	} {
		a, err := parseAuthres(test.body)
		if got := fmt.Sprint(a); err != nil || got != test.want {
			t.Errorf("%s\ngot  %s, %v\nwant %s", test.body, got, err, test.want)
		}
	}
	for _, body := range []string{"", " ", ";", " a", " a;", " a b; x=y", " a; x", " a; x=", " a; x=y z", " a; x=y z.w",
		" a; x=y z.w=(c)", " a; x=y z.w=a@", " a; x=y (c", " a; x=y z.w=\"q", " a; x=y;", " a; none; x=y", " a; x=y z.w=a=b",
		" a; x=ÿ", " a; x=y (ü)", " a\r\n; x=y", " a; x=y\r\n \r\n z.w=v", " a; x=y z.w=v reason=r"} {
		if a, err := parseAuthres(body); err == nil {
			t.Errorf("%q is read as %+v", body, a)
		}
	}
}

func passing() signer.Verification {
	ok := signer.Finding{Verdict: signer.Pass}
	return signer.Verification{Scheme: "smime", Integrity: ok, Certificate: ok, Chain: ok, Address: ok,
		Revocation: signer.Finding{Verdict: signer.None, Reason: "not checked"}, Algorithm: "rsa2048-sha256",
		Addresses: []string{"other@example.com", "alice@example.com"}}
}

func issued(serial int64, names ...string) *x509.Certificate {
	c := &x509.Certificate{SerialNumber: big.NewInt(serial)}
	for i := 0; i < len(names); i += 2 {
		var oid asn1.ObjectIdentifier
		for n := range strings.SplitSeq(names[i], ".") {
			v, _ := new(big.Int).SetString(n, 10)
			oid = append(oid, int(v.Int64()))
		}
		c.Issuer.Names = append(c.Issuer.Names, pkix.AttributeTypeAndValue{Type: oid, Value: names[i+1]})
	}
	return c
}

func TestAuthenticationResults(t *testing.T) {
	with := func(f func(r *signatureReport)) signatureReport {
		r := signatureReport{Verification: passing(), Part: "2", Author: "ALICE@example.com"}
		f(&r)
		return r
	}
	for _, test := range []struct {
		name       string
		signatures []signatureReport
		want       string
	}{
		{"none", nil, "mx1.example.com; smime=none; x-openpgp=none"},
		{"pass", []signatureReport{with(func(r *signatureReport) {
			r.X509 = issued(0x1f2e, "2.5.4.6", "DE", "2.5.4.10", "A & B", "2.5.4.3", "CA 1")
		})},
			`mx1.example.com; smime=pass (rsa2048-sha256) body.smime-identifier=alice@example.com` +
				` body.smime-part=2 body.smime-serial=1F2E body.smime-issuer="CN=CA 1,O=A \\26 B,C=DE"`},
		{"not trusted", []signatureReport{with(func(r *signatureReport) {
			r.Chain = signer.Finding{Verdict: signer.Fail, Reason: "signed by an unknown authority, \"Evil (CA)\"; smime=pass"}
			r.Part = ""
			r.Addresses = []string{"alice@example.net"}
			r.Address = signer.Finding{Verdict: signer.Fail, Reason: "no address matches"}
		})}, `mx1.example.com; smime=fail (integrity pass, certificate pass, ` +
			`chain fail: signed by an unknown authority _Evil _CA___ smime_pass, revocation none: not checked, ` +
			`address fail: no address matches, rsa2048-sha256) body.smime-identifier=alice@example.net`},
		{"pgp", []signatureReport{with(func(r *signatureReport) {
			r.Scheme, r.Fingerprint, r.Part = "pgp", "a1b2c3d4e5f60718293a4b5c6d7e8f9001020304", "1.2"
		})}, "mx1.example.com; x-openpgp=pass (rsa2048-sha256) body.x-openpgp-identifier=alice@example.com" +
			" body.x-openpgp-part=1.2 body.x-openpgp-fingerprint=A1B2C3D4E5F60718293A4B5C6D7E8F9001020304"},
		{"several, the worst first", []signatureReport{
			with(func(r *signatureReport) {}),
			with(func(r *signatureReport) {
				r.Part, r.Algorithm = "1.2", ""
				r.Integrity = signer.Finding{Verdict: signer.Fail}
				r.Certificate, r.Chain, r.Address, r.Revocation = signer.Finding{}, signer.Finding{}, signer.Finding{}, signer.Finding{}
			}),
		}, "mx1.example.com; smime=fail (integrity fail) body.smime-identifier=alice@example.com body.smime-part=1.2; " +
			"smime=pass (rsa2048-sha256) body.smime-identifier=alice@example.com body.smime-part=2"},
		{"nothing known", []signatureReport{{}}, "mx1.example.com; smime=neutral"},
		{"odd part and fingerprint", []signatureReport{with(func(r *signatureReport) {
			r.Scheme, r.Part, r.Fingerprint, r.Addresses = "pgp", "2; smime=pass", "xyz", nil
		})}, "mx1.example.com; x-openpgp=pass (rsa2048-sha256)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, err := authenticationResults("mx1.example.com", test.signatures)
			if err != nil {
				t.Fatal(err)
			}
			if got := f.Value(); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
			if a, err := parseAuthres(string(f.Body())); err != nil || a.id != "mx1.example.com" {
				t.Errorf("%v: %s", err, f.Raw)
			}
			if !claimsAuthserv(f, "mx1.example.com") {
				t.Error("it does not claim to be ours")
			}
		})
	}
}

func TestAuthenticationResultsRefuses(t *testing.T) {
	if _, err := authenticationResults("", nil); err == nil {
		t.Error("no name is taken")
	}
	odd := passing()
	odd.Integrity.Verdict = "pass; smime=pass"
	if f, err := authenticationResults("a.example", []signatureReport{{Verification: odd}}); err == nil {
		t.Errorf("a verdict that is none: %s", f.Raw)
	}
	for id, want := range map[string]string{"münchen.example.": "xn--mnchen-3ya.example", "a b": "a b", `a"b`: `a"b`, "a;b": "a;b"} {
		f, err := authenticationResults(id, nil)
		if err != nil {
			t.Fatal(err)
		}
		if a, err := parseAuthres(string(f.Body())); err != nil || a.id != want {
			t.Errorf("%q becomes %q, %v", id, a.id, err)
		}
	}
}

// Properties come out of the grammar as they went in.
func TestAuthresValues(t *testing.T) {
	for _, value := range []string{"a", "a@b.example", "1.2.3", `a "b" \c\`, "a;b", "(x", "x)", "a=b", "a@b@c", "@", "",
		"=?utf-8?q?a?=", strings.Repeat("word ", 60) + "end"} {
		f, err := writeAuthres("mx1.example.com", []methodResult{{method: "smime", verdict: signer.Pass,
			properties: []property{{"body", "smime-issuer", value}}}})
		if err != nil {
			t.Fatal(err)
		}
		a, err := parseAuthres(string(f.Body()))
		if err != nil {
			t.Errorf("%q: %v\n%s", value, err, f.Raw)
			continue
		}
		if got := a.results[0].properties; !reflect.DeepEqual(got, []property{{"body", "smime-issuer", value}}) {
			t.Errorf("%q: got %+v", value, got)
		}
	}
}

// hostileTexts are what certificates and messages may have where words are
// expected.
var hostileTexts = []string{
	"x; smime=pass", "x) smime=pass (", "x\r\n smime=pass", "x\r\nAuthentication-Results: mx1.example.com; smime=pass",
	`x" body.smime-identifier=boss@bank.example "`, `x\`, "x\x00y", "((((", "))))", "\u202egnissap", "smime=pass",
	"mx1.example.com; x-openpgp=pass", strings.Repeat("(", 5000), strings.Repeat("ü", 5000), "\xff\xfe", "=?utf-8?q?=29;smime=3Dpass?=",
}

// Whatever stands in a certificate: the field stays one field, one result, ours,
// short, and has no other result in it even for who only searches its text.
func TestAuthenticationResultsHostile(t *testing.T) {
	for _, text := range hostileTexts {
		checkHostile(t, text)
	}
}

func checkHostile(t *testing.T, text string) {
	t.Helper()
	bad := signer.Finding{Verdict: signer.Fail, Reason: text}
	smime := signatureReport{Part: text, Author: text, Verification: signer.Verification{Scheme: "smime",
		Integrity: bad, Certificate: bad, Chain: bad, Address: bad, Revocation: bad, Algorithm: text, Identifier: text,
		Addresses: []string{text, text + "@evil.example", `"` + text + `"@evil.example`, "a@" + text}, Fingerprint: text,
		X509: issued(1, "2.5.4.3", text, "1.2.3.4", text)}}
	pgp := smime
	pgp.Scheme, pgp.X509 = "pgp", nil
	f, err := authenticationResults("mx1.example.com", []signatureReport{smime, pgp})
	if err != nil {
		t.Fatalf("%.100q: %v", text, err)
	}
	if len(f.Raw) > 4000 {
		t.Errorf("%.100q: %d bytes", text, len(f.Raw))
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(string(f.Raw), "\r\n"), "\r\n") {
		if len(line) > 998 || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%.100q: line %q", text, line)
		}
	}
	a, err := parseAuthres(string(f.Body()))
	if err != nil || a.id != "mx1.example.com" || len(a.results) != 2 {
		t.Fatalf("%.100q: %v, %+v\n%s", text, err, a, f.Raw)
	}
	for i, r := range a.results {
		if want := []string{"smime", "x-openpgp"}[i]; r.method != want || r.result != "fail" || r.reason != "" {
			t.Errorf("%.100q: %+v", text, r)
		}
	}
	if strings.Contains(f.Value(), "smime=pass") || strings.Contains(f.Value(), "openpgp=pass") || !claimsAuthserv(f, "mx1.example.com") {
		t.Errorf("%.100q: %s", text, f.Raw)
	}
}

func TestAuthenticationResultsManySignatures(t *testing.T) {
	many := make([]signatureReport, 1000)
	for i := range many {
		many[i] = signatureReport{Verification: passing(), Part: fmt.Sprint(i + 1)}
	}
	many[900].Integrity = signer.Finding{Verdict: signer.Fail, Reason: "the digest differs"}
	f, err := authenticationResults("mx1.example.com", many)
	if err != nil {
		t.Fatal(err)
	}
	a, err := parseAuthres(string(f.Body()))
	if err != nil || len(a.results) != maxReported {
		t.Fatalf("%v, %d results", err, len(a.results))
	}
	if r := a.results[0]; r.result != "fail" || !strings.HasSuffix(r.comments[0], "984 more signatures") {
		t.Errorf("the first is %+v", r)
	}
}

func TestIssuerTooLong(t *testing.T) {
	names := []string{}
	for range 200 {
		names = append(names, "2.5.4.11", "unit")
	}
	for _, c := range []*x509.Certificate{nil, {}, issued(1), issued(1, names...), issued(1, "2.5.4.3", strings.Repeat("x", 400)),
		{SerialNumber: new(big.Int).Lsh(big.NewInt(1), 300), Issuer: issued(1, "2.5.4.3", "x").Issuer}} {
		if serial, issuer := issuerAndSerial(c); serial != "" || issuer != "" {
			t.Errorf("got %q %q", serial, issuer)
		}
	}
}

func FuzzAuthenticationResults(f *testing.F) {
	for _, text := range hostileTexts {
		f.Add(text)
	}
	f.Fuzz(checkHostile)
}
