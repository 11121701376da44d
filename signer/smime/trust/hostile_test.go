package trust

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waxseal/signer"
)

// TestThousandIntermediates has more certificates with the issuer's name than
// anyone should check, with the right one among them and without.
func TestThousandIntermediates(t *testing.T) {
	root := issue(t, "root", nil, ca)
	sub := issue(t, "sub", root, ca)
	leaf := issue(t, "leaf", sub, mailer("a@example.com"))
	stranger := issue(t, "root", nil, ca)
	key := newKey(t)
	var crowd []*identity
	for range 1000 {
		crowd = append(crowd, issueKey(t, "sub", key, stranger, ca))
	}
	v := &Validator{Anchors: mustPool(t, root.cert)}
	start := time.Now()
	r := validate(v, "a@example.com", leaf, crowd...)
	t.Logf("without the right one: %v", time.Since(start))
	if r.Chain.Verdict != signer.Fail {
		t.Errorf("chain is %v", r.Chain)
	}
	// The key identifier points to the right one, wherever it stands.
	crowd = append(crowd[:500], sub)
	start = time.Now()
	r = validate(v, "a@example.com", leaf, crowd...)
	t.Logf("with the right one: %v", time.Since(start))
	if !passes(r) {
		t.Errorf("got %+v", r)
	}
}

// TestCostlyKeys has authorities with keys of all sizes that can't be what they
// say: the longer a signature takes, the fewer are checked.
func TestCostlyKeys(t *testing.T) {
	root := issue(t, "root", nil, ca)
	sub := issue(t, "sub", root, ca)
	leaf := issue(t, "leaf", sub, mailer("a@example.com"))
	v := &Validator{Anchors: mustPool(t, root.cert)}
	rsaKey := func(bits uint, e int) func() crypto.PublicKey {
		n := new(big.Int).Lsh(big.NewInt(1), bits)
		return func() crypto.PublicKey {
			n = new(big.Int).Sub(n, big.NewInt(2))
			if n.Bit(0) == 0 {
				n.Sub(n, big.NewInt(1))
			}
			return &rsa.PublicKey{N: n, E: e}
		}
	}
	curve := func(c elliptic.Curve) func() crypto.PublicKey {
		return func() crypto.PublicKey {
			key, err := ecdsa.GenerateKey(c, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			return key.Public()
		}
	}
	for _, tc := range []struct {
		name string
		key  func() crypto.PublicKey
		most int // signatures that are checked
	}{
		{"P-256", curve(elliptic.P256()), 200},
		{"P-384", curve(elliptic.P384()), 34},
		{"P-521", curve(elliptic.P521()), 17},
		{"RSA with 2048 bits", rsaKey(2048, 65537), 200},
		{"RSA with 2048 bits and a large exponent", rsaKey(2048, 1<<31-1), 50},
		{"RSA with 4096 bits", rsaKey(4096, 65537), 50},
		{"RSA with 8192 bits", rsaKey(8192, 65537), 13},
		{"RSA with 8192 bits and a large exponent", rsaKey(8192, 1<<31-1), 4},
	} {
		s := newSearch(context.Background(), v, now)
		for range 250 {
			template := &x509.Certificate{SerialNumber: big.NewInt(1), RawSubject: sub.cert.RawSubject, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), SubjectKeyId: sub.cert.SubjectKeyId}
			ca(template)
			raw, err := x509.CreateCertificate(rand.Reader, template, root.cert, tc.key(), root.key)
			if err != nil {
				t.Fatal(err)
			}
			c, err := readCertificate(mustCertificate(t, raw))
			if err != nil {
				t.Fatal(err)
			}
			s.message.add(c)
		}
		c, err := readCertificate(leaf.cert)
		if err != nil {
			t.Fatal(err)
		}
		if key, ok := tc.key().(*rsa.PublicKey); ok {
			c.algorithm = der(t, pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, Parameters: asn1.NullRawValue})
			c.signature = make([]byte, key.Size())
			c.signature[key.Size()-1] = 2
		}
		start := time.Now()
		s.best(c)
		t.Logf("%s: %d signatures in %v", tc.name, len(s.checked), time.Since(start))
		if !s.exhausted || len(s.checked) != tc.most {
			t.Errorf("%s: %d signatures were checked, want %d", tc.name, len(s.checked), tc.most)
		}
	}
}

// TestManyPaths has authorities that all issue certificates for each other, so
// that there are more paths than can be tried.
func TestManyPaths(t *testing.T) {
	const count = 14
	root := issue(t, "root", nil, ca)
	var cas []*identity
	for i := range count {
		cas = append(cas, issue(t, fmt.Sprint("ca", i), nil, ca))
	}
	var cross []*identity
	for i, subject := range cas {
		for j, issuer := range cas {
			if i != j {
				cross = append(cross, issueKey(t, fmt.Sprint("ca", i), subject.key, issuer, ca))
			}
		}
	}
	leaf := issue(t, "leaf", cas[0], mailer("a@example.com"))
	v := &Validator{Anchors: mustPool(t, root.cert)}
	start := time.Now()
	r := validate(v, "a@example.com", leaf, append(cross, cas...)...)
	t.Logf("no way out: %v", time.Since(start))
	if r.Chain.Verdict != signer.Fail || !strings.Contains(r.Chain.Reason, "too many") {
		t.Errorf("chain is %v", r.Chain)
	}

	// Two authorities that certify each other, and one has a way out.
	a, b := cas[0], cas[1]
	loop := []*identity{issueKey(t, "ca0", a.key, b, ca), issueKey(t, "ca1", b.key, a, ca), issueKey(t, "ca1", b.key, root, ca)}
	if r := validate(v, "a@example.com", leaf, loop...); !passes(r) || len(r.Path) != 4 {
		t.Errorf("through the loop: %+v", r)
	}
}

// TestHiddenRevocation has a message bring so many certificates with the
// authority's name that none of the checks is left for the CRL.
func TestHiddenRevocation(t *testing.T) {
	root := issue(t, "root", nil, ca)
	sub := issue(t, "sub", root, ca)
	leaf := issue(t, "leaf", sub, mailer("a@example.com"))
	stranger := issue(t, "root", nil, ca)
	v := &Validator{Anchors: mustPool(t, root.cert)}
	for _, hard := range []bool{false, true} {
		for count := 185; count < 205; count++ {
			v.RequireRevocation, v.Revocation = hard, revocationOf(t, revoke(t, root, nil), revoke(t, sub, nil, leaf))
			var crowd []*identity
			for range count {
				// Nothing but its signature tells it from the right one.
				crowd = append(crowd, issueKey(t, "sub", newKey(t), stranger, both(ca, func(c *x509.Certificate) { c.SubjectKeyId = sub.cert.SubjectKeyId })))
			}
			if r := validate(v, "a@example.com", leaf, append(crowd, sub)...); passes(r) {
				t.Fatalf("%d certificates hide it: %+v", count, r)
			}
		}
	}
}

// TestCancelled ends the search with its context.
func TestCancelled(t *testing.T) {
	root := issue(t, "root", nil, ca)
	sub := issue(t, "sub", root, ca)
	leaf := issue(t, "leaf", sub, mailer("a@example.com"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	v := &Validator{Anchors: mustPool(t, root.cert)}
	r := v.Validate(ctx, leaf.cert, certs(sub), now, "a@example.com")
	if r.Chain.Verdict != signer.TempError {
		t.Errorf("chain is %v", r.Chain)
	}
}

// TestHugeCertificates has names and constraints of a size that nobody needs.
func TestHugeCertificates(t *testing.T) {
	root := issue(t, "root", nil, ca)
	v := &Validator{Anchors: mustPool(t, root.cert)}
	var names []string
	for i := range 2500 {
		names = append(names, fmt.Sprintf("a%d@example.com", i))
	}
	crowded := issue(t, "crowded", root, both(ca, func(c *x509.Certificate) {
		c.PermittedEmailAddresses = names
	}))
	many := issue(t, "many", crowded, mailer(names...))
	start := time.Now()
	r := validate(v, "a1@example.com", many, crowded)
	t.Logf("names and constraints: %v", time.Since(start))
	if r.Chain.Verdict != signer.Fail || !strings.Contains(r.Chain.Reason, "too many") {
		t.Errorf("chain is %v", r.Chain)
	}

	long := issue(t, strings.Repeat("x", 200<<10), root, mailer("a@example.com"))
	if r := validate(v, "a@example.com", long); r.Certificate.Verdict != signer.PermError {
		t.Errorf("certificate is %v", r.Certificate)
	}
	wide := issue(t, "", root, both(mailer("a@example.com"), func(c *x509.Certificate) {
		for i := range 1000 {
			c.Subject.ExtraNames = append(c.Subject.ExtraNames, pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{1, 2, i}, Value: "x"})
		}
	}))
	if r := validate(v, "a@example.com", wide); r.Certificate.Verdict != signer.PermError {
		t.Errorf("certificate is %v", r.Certificate)
	}
	// A reason is for a log line and a header field.
	evil := issue(t, "evil\r\nX-Injected: yes"+strings.Repeat("y", 1000), root, both(ca, func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) }))
	r = validate(v, "a@example.com", issue(t, "x", evil, mailer("a@example.com")), evil)
	if r.Chain.Verdict != signer.Fail || strings.ContainsAny(r.Chain.Reason, "\r\n") || len(r.Chain.Reason) > 400 {
		t.Errorf("chain is %q", r.Chain.Reason)
	}
}

// TestPolicyExplosion has what made policy trees exponential: two policies that
// each map to both on every level.
func TestPolicyExplosion(t *testing.T) {
	p1, p2 := asn1.ObjectIdentifier{1, 2, 3, 1}, asn1.ObjectIdentifier{1, 2, 3, 2}
	type pair struct{ A, B asn1.ObjectIdentifier }
	mappings := der(t, []pair{{p1, p1}, {p1, p2}, {p2, p1}, {p2, p2}})
	policies := der(t, []struct{ ID asn1.ObjectIdentifier }{{p1}, {p2}})
	root := issue(t, "root", nil, ca)
	issuer, path := root, []*identity(nil)
	for i := range maxPath - 2 {
		issuer = issue(t, fmt.Sprint("ca", i), issuer, both(ca, extend(oidPolicies, false, policies), extend(oidPolicyMappings, true, mappings)))
		path = append(path, issuer)
	}
	leaf := issue(t, "leaf", issuer, both(mailer("a@example.com"), extend(oidPolicies, false, policies)))
	v := &Validator{Anchors: mustPool(t, root.cert), Rules: Rules{RequireExplicitPolicy: true, Policies: []string{"1.2.3.2"}}}
	start := time.Now()
	r := validate(v, "a@example.com", leaf, path...)
	t.Logf("%d levels: %v", len(path), time.Since(start))
	if !passes(r) {
		t.Errorf("got %+v", r)
	}
	v.Rules.Policies = []string{"1.2.3.4"}
	if r := validate(v, "a@example.com", leaf, path...); r.Chain.Verdict != signer.Fail {
		t.Errorf("chain is %v", r.Chain)
	}
}

// TestRules has what a system may demand beyond the RFCs.
func TestRules(t *testing.T) {
	root := issue(t, "root", nil, ca)
	leaf := issue(t, "leaf", root, mailer("a@example.com"))
	if r := validate(&Validator{}, "a@example.com", leaf, root); r.Chain.Verdict != signer.Fail || passes(r) {
		t.Errorf("without anchors: %+v", r)
	}
	// A partner's certificate may be trusted itself.
	if r := validate(&Validator{Anchors: mustPool(t, leaf.cert)}, "a@example.com", leaf); !passes(r) || len(r.Path) != 1 {
		t.Errorf("trusted itself: %+v", r)
	}
	// What a trust anchor says of itself holds.
	limited := issue(t, "limited", nil, both(ca, func(c *x509.Certificate) { c.PermittedEmailAddresses = []string{"example.com"} }))
	v := &Validator{Anchors: mustPool(t, limited.cert)}
	if r := validate(v, "a@bank.example", issue(t, "x", limited, mailer("a@bank.example"))); r.Chain.Verdict != signer.Fail {
		t.Errorf("outside of the anchor's constraints: %+v", r)
	}
	// The zero time is no time at which anything is valid.
	v = &Validator{Anchors: mustPool(t, root.cert)}
	if r := v.Validate(context.Background(), leaf.cert, nil, time.Time{}, ""); r.Certificate.Verdict != signer.Fail || r.Address.Verdict != signer.None {
		t.Errorf("at no time: %+v", r)
	}
	if r := v.Validate(context.Background(), nil, nil, now, ""); r.Certificate.Verdict != signer.PermError {
		t.Errorf("no certificate: %+v", r)
	}
}

// TestRFC9216 validates the sample certificates, straight and cross-signed.
func TestRFC9216(t *testing.T) {
	dir := corpusDir(t, "smime/rfc9216")
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	byNumber := map[string]*x509.Certificate{}
	for _, f := range files {
		if strings.Contains(f.Name(), "Certificate") {
			certs, err := readPEM(filepath.Join(dir, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			byNumber[f.Name()[:3]] = certs[0].x
		}
	}
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct{ leaf, address, root, others string }{
		{"4.1", "alice@smime.example", "3.1", ""},
		{"5.1", "bob@smime.example", "3.1", ""},
		{"7.1", "carlos@smime.example", "6.1", ""},
		{"8.1", "dna@smime.example", "6.1", ""},
		{"4.1", "alice@smime.example", "6.1", "3.3"},
		{"7.1", "carlos@smime.example", "3.1", "6.3"},
		{"7.1", "carlos@smime.example", "3.1", "3.3 6.3 6.1"},
	} {
		v := &Validator{Anchors: mustPool(t, byNumber[test.root])}
		var others []*x509.Certificate
		for _, number := range strings.Fields(test.others) {
			others = append(others, byNumber[number])
		}
		r := v.Validate(context.Background(), byNumber[test.leaf], others, at, test.address)
		want := test.address != "dna@smime.example"
		if passes(r) != want {
			t.Errorf("%+v: got %+v", test, r)
		}
		// The encryption certificates are not for signatures.
		encryption := byNumber[test.leaf[:1]+".3"]
		if r := v.Validate(context.Background(), encryption, others, at, test.address); r.Certificate.Verdict != signer.Fail {
			t.Errorf("%+v: encryption certificate is %v", test, r.Certificate)
		}
	}
}
