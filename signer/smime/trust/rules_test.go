package trust

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"strings"
	"testing"

	"waxseal/signer"
)

// TestWeak has keys that are too short for the rules.
func TestWeak(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	root := issue(t, "root", nil, ca)
	weakCA := issueKey(t, "weak", short, root, ca)
	weakLeaf := issueKey(t, "leaf", short, root, mailer("a@example.com"))
	v := &Validator{Anchors: mustPool(t, root.cert)}
	if r := validate(v, "a@example.com", weakLeaf); r.Certificate.Verdict != signer.Policy || !strings.Contains(r.Certificate.Reason, "1024") || r.Chain.Verdict != signer.Pass {
		t.Errorf("certificate: %+v", r)
	}
	if r := validate(v, "a@example.com", issue(t, "x", weakCA, mailer("a@example.com")), weakCA); r.Chain.Verdict != signer.Policy || r.Certificate.Verdict != signer.Pass {
		t.Errorf("authority: %+v", r)
	}
	v.Rules.MinRSABits = 1024
	if r := validate(v, "a@example.com", weakLeaf); !passes(r) {
		t.Errorf("allowed: %+v", r)
	}

	// A path without weakness is preferred, wherever it stands.
	strong := issue(t, "weak", root, ca)
	v.Rules.MinRSABits = 0
	leaf := issue(t, "x", strong, mailer("a@example.com"))
	if r := validate(v, "a@example.com", leaf, weakCA, strong); !passes(r) {
		t.Errorf("strong path: %+v", r)
	}
}

// TestWeakSignature takes SHA-1 and DSA only where they are allowed.
func TestWeakSignature(t *testing.T) {
	for _, test := range []struct {
		oid  string
		want string
	}{
		{"1.2.840.113549.1.1.5", "signed with SHA-1"},
		{"1.2.840.10045.4.1", "signed with SHA-1"},
		{"1.2.840.113549.1.1.11", ""},
		{"2.16.840.1.101.3.4.3.2", "signed with DSA"},
		{"1.3.101.112", ""},
		{"1.2.840.113549.1.1.4", "unknown signature algorithm"}, // MD5
		{"1.2.840.113549.1.1.10", "RSASSA-PSS"},                 // without parameters: SHA-1
	} {
		id, err := x509.ParseOID(test.oid)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := id.MarshalBinary()
		if got := oidText(body); got != test.oid {
			t.Errorf("%s is read as %s", test.oid, got)
		}
		der := append([]byte{0x30, byte(len(body) + 2), 6, byte(len(body))}, body...)
		rules := &Rules{}
		if got := rules.pathWeakness(&certificate{algorithm: der}); !strings.Contains(got, test.want) || (got == "") != (test.want == "") {
			t.Errorf("%s: %q", test.oid, got)
		}
	}
}

func TestOIDText(t *testing.T) {
	for text, content := range map[string][]byte{
		"0.0":     {0},
		"1.39":    {79},
		"2.5.29":  {0x55, 29},
		"2.999":   {0x88, 0x37},
		"2.100.3": {0x81, 0x34, 3},
		"#":       {},
		"#80":     {0x80},
		"#558001": {0x55, 0x80, 1}, // not the shortest form
		"#5581":   {0x55, 0x81},
	} {
		if got := oidText(content); got != text {
			t.Errorf("%x: %s, not %s", content, got, text)
		}
	}
}
