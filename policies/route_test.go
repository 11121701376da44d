package policies

import (
	"fmt"
	"strings"
	"testing"
)

func TestRoutes(t *testing.T) {
	for _, test := range []struct{ address, want string }{
		{"bob@bank.example", "[]"},
		{"bob%bank.example@relay.example", "[bob@bank.example]"},
		{"bank.example!bob@relay.example", "[bob@bank.example]"},
		{`"bob@BANK.example."@relay.example`, "[bob@bank.example]"},
		{"bob@bank.example@relay.example", "[bob@bank.example]"},
		{"a%b.example%c.example@d.example", "[a%b.example@c.example a@b.example]"},
		{"bob%bank.example", "[bob@bank.example]"},
		{strings.Repeat("%", 100) + "@x.example", "[" + strings.Repeat("%", 99) + " " + strings.Repeat("%", 98) + " " +
			strings.Repeat("%", 97) + " " + strings.Repeat("%", 96) + " " + strings.Repeat("%", 95) + " " +
			strings.Repeat("%", 94) + " " + strings.Repeat("%", 93) + " " + strings.Repeat("%", 92) + "]"},
	} {
		if got := fmt.Sprint(Normalise(test.address).routes()); got != test.want {
			t.Errorf("%s: got %s, want %s", test.address, got, test.want)
		}
	}
}

// A route inside the local part neither takes a recipient out of the policy that
// protects him nor into one that exempts him.
func TestRoutesCannotDodge(t *testing.T) {
	set := mustParse(t, `
policy "exempt" {
  direction = "outgoing"
  recipient = ["exempt.example"]
}
policy "signed" {
  direction = "outgoing"
  recipient = ["signed.example"]
  sign "smime" {}
}
policy "encrypted" {
  direction        = "outgoing"
  recipient        = ["bank.example"]
  encrypt "smime" {}
  on_key_not_found = "reject"
}
`)
	for address, want := range map[string]string{
		"bob%bank.example@elsewhere.example":     "encrypted",
		"bob%bank.example@exempt.example":        "encrypted",
		"bob%exempt.example@bank.example":        "encrypted",
		"bank.example!bob@signed.example":        "encrypted",
		`"bob@signed.example"@bank.example`:      "encrypted",
		`"bob@signed.example"@exempt.example`:    "signed",
		"bob%exempt.example@signed.example":      "signed",
		"bob%exempt.example@elsewhere.example":   "-",
		"bob%bank.example%a.example@b.example":   "encrypted",
		"bob%elsewhere.example@exempt.example":   "exempt",
		"bob%unknown.example@elsewhere.example":  "-",
		"bob%sub.bank.example@elsewhere.example": "-",
	} {
		d := set.Decide(Facts{Direction: Outgoing, Recipients: []string{address}})[0]
		got := "-"
		if d.Policy != nil {
			got = d.Policy.Name
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
		checkWhy(t, set, d)
	}
	why := set.Decide(Facts{Direction: Outgoing, Recipients: []string{"bob%bank.example@exempt.example"}})[0].Why
	if !strings.Contains(why[0].Failed, "another address inside") || strings.Contains(why[1].Failed, "inside") {
		t.Errorf("reasons %+v", why)
	}
}
