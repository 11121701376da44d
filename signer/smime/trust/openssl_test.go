package trust

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

// opensslVerifies asks openssl verify about a certificate.
func opensslVerifies(t *testing.T, address string, root, leaf *identity, others []*identity, lists [][]byte) (bool, string) {
	t.Helper()
	program, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatal("openssl is missing: install the openssl package")
	}
	args := []string{"verify", "-purpose", "smimesign", "-verify_email", address, "-attime", strconv.FormatInt(now.Unix(), 10),
		"-CAfile", writePEM(t, "root.pem", "CERTIFICATE", root.cert.Raw)}
	if len(others) > 0 {
		args = append(args, "-untrusted", writePEM(t, "others.pem", "CERTIFICATE", raws(certs(others...))...))
	}
	if len(lists) > 0 {
		args = append(args, "-crl_check_all", "-CRLfile", writePEM(t, "lists.pem", "X509 CRL", lists...))
	}
	out, err := exec.Command(program, append(args, writePEM(t, "leaf.pem", "CERTIFICATE", leaf.cert.Raw))...).CombinedOutput()
	return err == nil, string(out)
}

// der makes DER of a value.
func der(t testing.TB, value any) []byte {
	t.Helper()
	data, err := asn1.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// smtpUTF8Name is the subjectAltName with one SmtpUTF8Mailbox.
func smtpUTF8Name(t testing.TB, address string) []byte {
	type other struct {
		ID    asn1.ObjectIdentifier
		Value string `asn1:"explicit,tag:0,utf8"`
	}
	name := der(t, other{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 9}, address})
	name[0] = 0xa0
	return der(t, []asn1.RawValue{{FullBytes: name}})
}

// TestOpenSSL compares with openssl verify, certificate by certificate.
func TestOpenSSL(t *testing.T) {
	root := issue(t, "root", nil, ca)
	sub := issue(t, "sub", root, ca)
	other := issue(t, "other root", nil, ca)
	const alice = "alice@example.com"
	email := func(address string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{
				Type:  asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1},
				Value: asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte(address)},
			}}
		}
	}
	limited := func(change func(*x509.Certificate)) *identity {
		return issue(t, "limited", root, both(ca, change))
	}
	at := limited(func(c *x509.Certificate) { c.PermittedEmailAddresses = []string{"example.com"} })
	below := limited(func(c *x509.Certificate) { c.PermittedEmailAddresses = []string{".example.com"} })
	single := limited(func(c *x509.Certificate) { c.PermittedEmailAddresses = []string{alice} })
	without := limited(func(c *x509.Certificate) { c.ExcludedEmailAddresses = []string{"example.com"} })
	ip := limited(func(c *x509.Certificate) {
		c.PermittedIPRanges = []*net.IPNet{{IP: net.IP{10, 0, 0, 0}, Mask: net.IPMask{255, 0, 0, 0}}}
	})
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaCA := issueKey(t, "rsa", rsaKey, root, ca)
	pathZero := issue(t, "zero", root, both(ca, func(c *x509.Certificate) { c.MaxPathLenZero = true }))
	tooDeep := issue(t, "deep", pathZero, ca)
	usage := func(usages ...x509.ExtKeyUsage) *identity {
		return issue(t, "usage", root, both(ca, func(c *x509.Certificate) { c.ExtKeyUsage = usages }))
	}
	forWeb, forMail := usage(x509.ExtKeyUsageServerAuth), usage(x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageEmailProtection)
	belowAt := issue(t, "below", at, ca)
	pss := func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA256WithRSAPSS }
	old := func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) }
	good := issue(t, "good", sub, mailer(alice))
	rootList := revoke(t, root, nil)
	subList := revoke(t, sub, nil)

	tests := []struct {
		name    string
		leaf    *identity
		others  []*identity
		lists   [][]byte
		address string
		want    bool
		// differs is why openssl says otherwise; "" if it agrees.
		differs string
	}{
		{name: "good", leaf: good, others: []*identity{sub}, want: true},
		{name: "signed by the root", leaf: issue(t, "x", root, mailer(alice)), want: true},
		{name: "intermediate missing", leaf: good},
		{name: "superfluous certificates", leaf: good, others: []*identity{other, sub, at, below}, want: true},
		{name: "another root", leaf: issue(t, "x", other, mailer(alice)), others: []*identity{other}},
		{name: "signs itself", leaf: issue(t, "x", nil, mailer(alice))},
		{name: "the root's name and another key", leaf: issue(t, "x", issue(t, "root", nil, ca), mailer(alice))},
		{name: "Ed25519", leaf: issueKey(t, "x", edKey, sub, mailer(alice)), others: []*identity{sub}, want: true},
		{name: "RSA", leaf: issue(t, "x", rsaCA, mailer(alice)), others: []*identity{rsaCA}, want: true},
		{name: "RSA-PSS", leaf: issue(t, "x", rsaCA, both(mailer(alice), pss)), others: []*identity{rsaCA}, want: true},

		{name: "expired", leaf: issue(t, "x", sub, both(mailer(alice), old)), others: []*identity{sub}},
		{name: "not yet valid", leaf: issue(t, "x", sub, both(mailer(alice), func(c *x509.Certificate) { c.NotBefore = now.Add(time.Minute) })), others: []*identity{sub}},
		{name: "no authority", leaf: issue(t, "x", good, mailer(alice)), others: []*identity{sub, good}},
		{name: "path too long", leaf: issue(t, "x", tooDeep, mailer(alice)), others: []*identity{pathZero, tooDeep}},
		{name: "path just long enough", leaf: issue(t, "x", pathZero, mailer(alice)), others: []*identity{pathZero}, want: true},
		{name: "authority for the web alone", leaf: issue(t, "x", forWeb, mailer(alice)), others: []*identity{forWeb}},
		{name: "authority for mail too", leaf: issue(t, "x", forMail, mailer(alice)), others: []*identity{forMail}, want: true},
		{name: "another address", leaf: issue(t, "x", sub, mailer("bob@example.com")), others: []*identity{sub}},
		{name: "one of its addresses", leaf: issue(t, "x", sub, mailer("bob@example.com", alice)), others: []*identity{sub}, want: true},
		{name: "no address", leaf: issue(t, "x", sub, mailer()), others: []*identity{sub}},
		{name: "domain in capitals", leaf: issue(t, "x", sub, mailer("alice@EXAMPLE.com")), others: []*identity{sub}, want: true},
		{name: "local part in capitals", leaf: issue(t, "x", sub, mailer("Alice@example.com")), others: []*identity{sub}, want: true,
			differs: "openssl compares local parts with regard to case"},
		{name: "address in the subject", leaf: issue(t, "x", sub, both(mailer(), email(alice))), others: []*identity{sub}, want: true},
		{name: "address in the subject, another one beside", leaf: issue(t, "x", sub, both(mailer("bob@example.com"), email(alice))), others: []*identity{sub}},
		{name: "internationalised address", leaf: issue(t, "x", sub, both(mailer(), extend(oidSubjectAltName, false, smtpUTF8Name(t, "älice@example.com")))), others: []*identity{sub}, address: "älice@example.com", want: true},

		{name: "for servers", leaf: issue(t, "x", sub, both(mailer(alice), func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })), others: []*identity{sub}},
		{name: "for any use", leaf: issue(t, "x", sub, both(mailer(alice), func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} })), others: []*identity{sub}, want: true,
			differs: "openssl does not take anyExtendedKeyUsage for mail; RFC 8550, Section 4.4.4, does"},
		{name: "no extended usage", leaf: issue(t, "x", sub, both(mailer(alice), func(c *x509.Certificate) { c.ExtKeyUsage = nil })), others: []*identity{sub}, want: true},
		{name: "for encryption", leaf: issue(t, "x", sub, both(mailer(alice), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement })), others: []*identity{sub}},
		{name: "non-repudiation", leaf: issue(t, "x", sub, both(mailer(alice), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageContentCommitment })), others: []*identity{sub}, want: true},
		{name: "no key usage", leaf: issue(t, "x", sub, both(mailer(alice), func(c *x509.Certificate) { c.KeyUsage = 0 })), others: []*identity{sub}, want: true},
		{name: "unknown critical extension", leaf: issue(t, "x", sub, both(mailer(alice), extend("1.2.3.4", true, []byte{5, 0}))), others: []*identity{sub}},
		{name: "unknown extension", leaf: issue(t, "x", sub, both(mailer(alice), extend("1.2.3.4", false, []byte{5, 0}))), others: []*identity{sub}, want: true},

		{name: "permitted host", leaf: issue(t, "x", at, mailer(alice)), others: []*identity{at}, want: true},
		{name: "host below the permitted", leaf: issue(t, "x", at, mailer("alice@mail.example.com")), others: []*identity{at}, address: "alice@mail.example.com"},
		{name: "permitted subdomains", leaf: issue(t, "x", below, mailer("alice@mail.example.com")), others: []*identity{below}, address: "alice@mail.example.com", want: true},
		{name: "above the permitted subdomains", leaf: issue(t, "x", below, mailer(alice)), others: []*identity{below}},
		{name: "permitted mailbox", leaf: issue(t, "x", single, mailer(alice)), others: []*identity{single}, want: true},
		{name: "another mailbox", leaf: issue(t, "x", single, mailer("bob@example.com")), others: []*identity{single}, address: "bob@example.com"},
		{name: "excluded host", leaf: issue(t, "x", without, mailer(alice)), others: []*identity{without}},
		{name: "excluded host in capitals", leaf: issue(t, "x", without, mailer("alice@EXAMPLE.COM")), others: []*identity{without}},
		{name: "one permitted, one not", leaf: issue(t, "x", at, mailer(alice, "ceo@bank.example")), others: []*identity{at}},
		{name: "subject's address not permitted", leaf: issue(t, "x", at, both(mailer(), email("ceo@bank.example"))), others: []*identity{at}, address: "ceo@bank.example"},
		{name: "subject's address not permitted, host name beside", leaf: issue(t, "x", at, both(mailer(), email("ceo@bank.example"), func(c *x509.Certificate) { c.DNSNames = []string{"example.com"} })), others: []*identity{at}, address: "ceo@bank.example"},
		{name: "internationalised address not permitted", leaf: issue(t, "x", at, both(mailer(), extend(oidSubjectAltName, false, smtpUTF8Name(t, "çeo@bank.example")))), others: []*identity{at}, address: "çeo@bank.example"},
		{name: "constraint below a constraint", leaf: issue(t, "x", belowAt, mailer("ceo@bank.example")), others: []*identity{at, belowAt}, address: "ceo@bank.example"},
		{name: "address constraint does not bind hosts", leaf: issue(t, "x", ip, mailer(alice)), others: []*identity{ip}, want: true},

		{name: "not revoked", leaf: good, others: []*identity{sub}, lists: [][]byte{rootList, subList}, want: true},
		{name: "revoked", leaf: good, others: []*identity{sub}, lists: [][]byte{rootList, revoke(t, sub, nil, good)}},
		{name: "authority revoked", leaf: good, others: []*identity{sub}, lists: [][]byte{revoke(t, root, nil, sub), subList}},
		{name: "no list", leaf: good, others: []*identity{sub}, lists: [][]byte{rootList}},
		{name: "old list", leaf: good, others: []*identity{sub}, lists: [][]byte{rootList, revoke(t, sub, func(l *x509.RevocationList) { l.ThisUpdate, l.NextUpdate = now.Add(-2*time.Hour), now.Add(-time.Hour) })}},
		{name: "list of another authority", leaf: good, others: []*identity{sub}, lists: [][]byte{rootList, revoke(t, other, nil)}},
		{name: "list with the authority's name and another key", leaf: good, others: []*identity{sub}, lists: [][]byte{rootList, revoke(t, issue(t, "sub", other, ca), nil)}},
		{name: "list for authorities only", leaf: good, others: []*identity{sub}, lists: [][]byte{rootList, revoke(t, sub, func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: []byte{0x30, 3, 0x82, 1, 0xff}}}
		})}},
		{name: "list with an unknown critical extension", leaf: good, others: []*identity{sub}, lists: [][]byte{rootList, revoke(t, sub, func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
		})}},
	}
	agree := 0
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.address == "" {
				test.address = alice
			}
			v := &Validator{Anchors: mustPool(t, root.cert)}
			if test.lists != nil {
				v.RequireRevocation, v.Revocation = true, revocationOf(t, test.lists...)
			}
			r := validate(v, test.address, test.leaf, test.others...)
			if got := passes(r); got != test.want {
				t.Errorf("got %v\n%+v", got, r)
			}
			theirs, out := opensslVerifies(t, test.address, root, test.leaf, test.others, test.lists)
			if agrees := theirs == test.want; agrees != (test.differs == "") {
				t.Errorf("openssl agrees: %v, recorded: %q\n%s", agrees, test.differs, out)
			} else if agrees {
				agree++
			}
		})
	}
	t.Logf("openssl agrees with %d of %d", agree, len(tests))
}
