package milter

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"waxseal/keys"
	"waxseal/keys/directory"
	"waxseal/policies"
	"waxseal/signer/pgpmime"
	"waxseal/test/identities"
)

// TestIssueOnDemand: an originator without a key gets one, if the policy says
// so, and only where it is his own S/MIME key that is missing.
func TestIssueOnDemand(t *testing.T) {
	set := identities.Make(t)
	const smime = `policy "p" {
  direction = "outgoing"
  sign "smime" {}
  issue_on_demand = true
}`
	file := func(address string) string { return filepath.Join(set.Store, "smime", address+".pem") }
	certificate, err := os.ReadFile(file(identities.Carol))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		policies, from string
		err            error // of Issue
		nothing        bool  // Issue says that it has, and has not
		asked          string
		action         policies.Action
		report, reply  string
	}{
		"issued":                  {policies: smime, from: identities.Carol, asked: identities.Carol, action: policies.Accept, report: "sign=pass .smime ecdsa"},
		"any scheme":              {policies: strings.Replace(smime, `"smime"`, `"any"`, 1), from: identities.Carol, asked: identities.Carol, action: policies.Accept, report: "sign=pass .smime"},
		"a key of another scheme": {policies: strings.Replace(smime, `"smime"`, `"any"`, 1), from: identities.Pia, action: policies.Accept, report: "sign=pass .pgp"},
		"a key":                   {policies: smime, from: identities.Alice, action: policies.Accept, report: "sign=pass"},
		"not wanted":              {policies: strings.Replace(smime, "issue_on_demand = true", "", 1), from: identities.Carol, action: policies.Reject, reply: "no S/MIME signing key for carol"},
		"refused for good":        {policies: smime, from: identities.Carol, err: fmt.Errorf("the role: %w", keys.ErrNotFound), asked: identities.Carol, action: policies.Reject, reply: "no S/MIME signing key for carol"},
		"Vault is away":           {policies: smime, from: identities.Carol, err: errors.New("away"), asked: identities.Carol, action: policies.Tempfail, reply: "^451 4.7"},
		"still none":              {policies: smime, from: identities.Carol, nothing: true, asked: identities.Carol, action: policies.Reject, reply: "no S/MIME signing key for carol"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.Remove(file(identities.Carol)); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			parsed, err := policies.Parse("p.hcl", []byte(c.policies))
			if err != nil {
				t.Fatal(err)
			}
			asked := ""
			f := &Filter{
				Policies: parsed, Keys: &directory.Store{Path: set.Store}, Keyring: &pgpmime.Keyring{}, AuthservID: "mx.test",
				Internal: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
				Issue: func(_ context.Context, address string) error {
					asked += address
					if c.err != nil || c.nothing {
						return c.err
					}
					return os.WriteFile(file(identities.Carol), certificate, 0o600)
				},
			}
			tx := newTestTransaction(t, strings.ReplaceAll(plainMessage, "alice@example.com", c.from))
			tx.Sender, tx.Recipients, tx.Client = c.from, []string{identities.Bob}, netip.MustParseAddr("127.0.0.1")
			out, err := f.Apply(t.Context(), tx)
			if err != nil {
				t.Fatal(err)
			}
			if out.Action != c.action || asked != c.asked {
				t.Errorf("action %q, asked for %q, want %q and %q; %s", out.Action, asked, c.action, c.asked, out.Reply)
			}
			match(t, "reply", c.reply, out.Reply)
			match(t, "report", c.report, reportOf(out))
			if out.Action != policies.Accept && out.Body != nil {
				t.Error("a message that is not accepted has a new body")
			}
		})
	}
}
