package policies

import (
	"fmt"
	"strings"
	"testing"
)

func TestIncomingDefaults(t *testing.T) {
	p := mustParse(t, `
policy "in" {
  direction = "incoming"
  decrypt {}
  verify {}
}
`).Policies()[0]
	if *p.Decrypt != (Decrypt{Deliver: "plain"}) {
		t.Errorf("decrypt %+v", p.Decrypt)
	}
	if got := fmt.Sprintf("%+v", *p.Verify); got != "{TrustAnchors:[] Revocation:check Signers:all StripSignature:false anchorsAt:[]}" {
		t.Errorf("verify %s", got)
	}
	if p.SubjectTag != nil || p.MaxLayers != 8 {
		t.Errorf("tag %+v, %d layers", p.SubjectTag, p.MaxLayers)
	}
	// The client must not learn from the reply what was inside.
	for name, a := range map[string]Action{"on_bad_signature": p.OnBadSignature, "on_untrusted": p.OnUntrusted,
		"on_no_signature": p.OnNoSignature, "on_decrypt_error": p.OnDecryptError} {
		if a != Accept {
			t.Errorf("%s is %q", name, a)
		}
	}
	if p.OnKeysUnavailable != Tempfail {
		t.Errorf("on_keys_unavailable is %q", p.OnKeysUnavailable)
	}
}

func TestIncomingAllSet(t *testing.T) {
	p := mustParse(t, `
policy "in" {
  direction           = "incoming"
  on_bad_signature    = "reject"
  on_untrusted        = "quarantine"
  on_no_signature     = "tempfail"
  on_decrypt_error    = "discard"
  on_keys_unavailable = "accept"
  max_layers          = 1
  decrypt {
    deliver        = "keep"
    legacy_ciphers = true
  }
  verify {
    trust_anchors   = ["partners", "everybody else"]
    revocation      = "require"
    signers         = "any"
    strip_signature = true
  }
  subject_tag {
    signed    = "[signed]"
    untrusted = "[who?]"
    bad       = "*** broken ***"
  }
}
`).Policies()[0]
	if *p.Decrypt != (Decrypt{Deliver: "keep", LegacyCiphers: true}) {
		t.Errorf("decrypt %+v", p.Decrypt)
	}
	v := p.Verify
	if got := fmt.Sprintln(v.TrustAnchors, v.Revocation, v.Signers, v.StripSignature); got != "[partners everybody else] require any true\n" {
		t.Errorf("verify %s", got)
	}
	if *p.SubjectTag != (SubjectTag{Signed: "[signed]", Untrusted: "[who?]", Bad: "*** broken ***"}) {
		t.Errorf("tag %+v", p.SubjectTag)
	}
	if got := fmt.Sprintln(p.OnBadSignature, p.OnUntrusted, p.OnNoSignature, p.OnDecryptError, p.OnKeysUnavailable,
		p.MaxLayers); got != "reject quarantine tempfail discard accept 1\n" {
		t.Errorf("actions %s", got)
	}
}

func TestMaxLayers(t *testing.T) {
	for text, want := range map[string]int{"1": 1, "8.0": 8, "32": 32, "0.0": 0, "-1": 0, "33": 0, "1.5": 0, "1e100": 0} {
		set, err := Parse("a.hcl", []byte("policy \"a\" {\n  direction = \"incoming\"\n  decrypt {}\n  max_layers = "+text+"\n}\n"))
		got := 0
		if err == nil {
			got = set.Policies()[0].MaxLayers
		}
		if got != want {
			t.Errorf("%s: got %d, want %d, error %v", text, got, want, err)
		}
	}
}

func TestStrictest(t *testing.T) {
	for _, test := range []struct {
		actions []Action
		want    Action
	}{
		{nil, Accept},
		{[]Action{""}, Accept},
		{[]Action{Accept, Quarantine}, Quarantine},
		{[]Action{Discard, Quarantine, Accept}, Quarantine},
		{[]Action{Discard, Accept}, Accept},
		{[]Action{Discard, Discard}, Discard},
		{[]Action{Discard, Tempfail}, Tempfail},
		{[]Action{Tempfail, Accept, Reject, Discard}, Reject},
	} {
		if got := Strictest(test.actions...); got != test.want {
			t.Errorf("%v: got %s, want %s", test.actions, got, test.want)
		}
	}
}

func TestCheckTrustAnchors(t *testing.T) {
	set := mustParse(t, `
policy "one" {
  direction = "incoming"
  recipient = ["one.example"]
  verify {
    trust_anchors = ["partners", "nobody"]
  }
}
policy "all" {
  direction = "incoming"
  recipient = ["two.example"]
  verify {}
}
policy "none" {
  direction = "incoming"
  recipient = ["three.example"]
}
policy "out" {
  direction = "outgoing"
}
`)
	for _, test := range []struct {
		configured []string
		want       []string
	}{
		{[]string{"nobody", "partners"}, nil},
		{[]string{"partners"}, []string{`:6:34: trust_anchors "nobody" does not exist; there are "partners"; write one of them, or add it to the configuration`}},
		{nil, []string{
			`:6:22: trust_anchors "partners" does not exist; add trust_anchors "partners" { ... } to the configuration`,
			`:6:34: trust_anchors "nobody" does not exist; add trust_anchors "nobody" { ... } to the configuration`}},
	} {
		err := set.CheckTrustAnchors(test.configured)
		var got []string
		if err != nil {
			got = strings.Split(err.Error(), "\n")
		}
		if len(got) != len(test.want) {
			t.Errorf("%v: got %v", test.configured, err)
			continue
		}
		for i := range got {
			if !strings.HasSuffix(got[i], test.want[i]) {
				t.Errorf("%v: got\n%s\nwant\n%s", test.configured, got[i], test.want[i])
			}
		}
	}
	if err := (&Set{}).CheckTrustAnchors(nil); err != nil {
		t.Errorf("without policies: %v", err)
	}
}

// A route inside the local part does not take a message out of the policy that
// verifies it.
func TestRoutesCannotDodgeVerify(t *testing.T) {
	set := mustParse(t, `
policy "exempt" {
  direction = "incoming"
  recipient = ["exempt.example"]
}
policy "decrypted" {
  direction = "incoming"
  recipient = ["decrypted.example"]
  decrypt {}
}
policy "verified" {
  direction = "incoming"
  recipient = ["verified.example"]
  verify {}
}
`)
	for address, want := range map[string]string{
		"bob%verified.example@exempt.example":    "verified",
		"bob%exempt.example@verified.example":    "verified",
		"bob%verified.example@decrypted.example": "verified",
		"bob%decrypted.example@exempt.example":   "exempt",
		"bob@decrypted.example":                  "decrypted",
	} {
		d := set.Decide(Facts{Direction: Incoming, Recipients: []string{address}})[0]
		if d.Policy == nil || d.Policy.Name != want {
			t.Errorf("%s: got %+v, want %s", address, d.Policy, want)
		}
		checkWhy(t, set, d)
	}
}
