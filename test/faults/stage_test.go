// Package faults has the tests for which a scenario file is too little: large
// and interrupted messages, killed daemons, key stores that are away. All of
// them guard the same promise: what policy wants protected never leaves in
// clear, and nothing that a client was told is accepted gets lost.
package faults_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"waxseal/test/daemon"
	"waxseal/test/identities"
	"waxseal/test/judge"
	"waxseal/test/mta"
)

// secret is in every message that is to be encrypted.
const secret = "the secret plan"

// protect signs and encrypts what goes to partners and signs the rest.
const protect = `
policy "partners" {
  direction = "outgoing"
  recipient = ["*@partner.example"]
  sign    "smime" {}
  encrypt "smime" {}
  on_key_not_found = "reject"
}
policy "rest" {
  direction = "outgoing"
  sign "smime" {}
  on_key_not_found = "reject"
}
`

var servers = map[string]func(testing.TB, mta.Options) *mta.MTA{"postfix": mta.StartPostfix, "sendmail": mta.StartSendmail}

// stage is a mail server with a daemon.
type stage struct {
	set    *identities.Set
	config *daemon.Configuration
	daemon *daemon.Daemon
	server *mta.MTA
}

func newStage(t *testing.T, name string, set *identities.Set) *stage {
	t.Helper()
	s := &stage{set: set}
	s.config = &daemon.Configuration{Dir: mta.Dir(t), Keys: s.set.Store, Policies: map[string]string{"10.hcl": protect}}
	s.server = servers[name](t, mta.Options{Milter: s.config.Socket()})
	s.daemon = daemon.Start(t, s.config)
	return s
}

// onBoth runs a test with each mail server.
func onBoth(t *testing.T, test func(*testing.T, *stage)) {
	t.Helper()
	set := identities.Make(t)
	for name := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newStage(t, name, set))
		})
	}
}

// mail is a message with a token of its own and a body of about so many bytes.
func mail(to, token string, size int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: Alice <alice@example.com>\r\nTo: %s\r\nSubject: %s\r\nDate: Mon, 02 Mar 2026 12:00:00 +0000\r\n"+
		"Message-ID: <%s@example.com>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n%s\r\n", to, token, token, secret)
	for n := 0; b.Len() < size; n++ {
		fmt.Fprintf(&b, "%08d This line stands for a part of a file, which may be anything at all.\r\n", n)
	}
	return b.Bytes()
}

// encrypted checks that a delivered message is signed, encrypted to Bob, and
// what went in.
func (s *stage) encrypted(t *testing.T, original, delivered []byte) {
	t.Helper()
	if bytes.Contains(delivered, []byte(secret)) {
		t.Fatalf("delivered in clear:\n%.2000s", delivered)
	}
	signed, err := judge.DecryptSMIME(t, s.set, delivered, identities.Bob, "aes-256-cbc")
	if err != nil {
		t.Fatal(err)
	}
	s.same(t, original, signed)
}

// same checks that a message is signed by Alice, and what went in.
func (s *stage) same(t *testing.T, original, signed []byte) {
	t.Helper()
	entity, err := judge.VerifySMIME(t, s.set, signed, identities.Alice)
	if err == nil {
		err = judge.SameBytes(original, entity)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// waitFor waits until a condition holds.
func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !condition(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited half a minute for: %s", what)
		}
	}
}
