package scenarios_test

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"waxseal/test/daemon"
	"waxseal/test/identities"
	"waxseal/test/judge"
	"waxseal/test/mta"
	"waxseal/test/scenarios"
)

// TestScenarios runs every file of this folder everywhere.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	set := identities.Make(t)
	daemon.Binary(t)
	t.Run("filter", func(t *testing.T) {
		t.Parallel()
		dir := mta.Dir(t)
		each(t, files, "filter", func(t *testing.T, s *scenarios.Scenario) { throughFilter(t, set, dir, s) })
	})
	for name, start := range map[string]func(testing.TB, mta.Options) *mta.MTA{"postfix": mta.StartPostfix, "sendmail": mta.StartSendmail} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := mta.Dir(t)
			server := start(t, mta.Options{Milter: (&daemon.Configuration{Dir: dir}).Socket()})
			each(t, files, name, func(t *testing.T, s *scenarios.Scenario) { throughServer(t, set, dir, server, s) })
		})
	}
}

func each(t *testing.T, files []string, where string, run func(*testing.T, *scenarios.Scenario)) {
	for _, file := range files {
		s, err := scenarios.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(s.On, where) {
			t.Run(strings.TrimSuffix(file, ".txt"), func(t *testing.T) { run(t, s) })
		}
	}
}

func configuration(set *identities.Set, dir string, s *scenarios.Scenario) *daemon.Configuration {
	return &daemon.Configuration{Dir: dir, Keys: set.Store, Policies: s.Policies, Settings: s.Settings}
}

var reply = regexp.MustCompile(`(?m)^reply: (.*)$`)

// throughFilter runs a scenario without a mail server.
func throughFilter(t *testing.T, set *identities.Set, dir string, s *scenarios.Scenario) {
	got := daemon.Filter(t, configuration(set, dir, s), daemon.Envelope{From: s.From, To: s.To, Login: s.Login, Client: s.Client}, s.Message)
	if status := map[string]int{"accept": 0, "reject": 1, "tempfail": 75}[s.Expect.Outcome]; got.Status != status {
		t.Fatalf("exit status %d, not %d:\n%s", got.Status, status, got.Notes)
	}
	if s.Expect.Outcome == "accept" {
		if err := check(t, set, s, got.Message); err != nil {
			t.Errorf("%v\n%s\n%.6000s", err, got.Notes, got.Message)
		}
		return
	}
	if len(got.Message) > 0 {
		t.Errorf("a refused message came out: %q", got.Message)
	}
	said := reply.FindStringSubmatch(got.Notes)
	if said == nil || !s.Expect.Reply.MatchString(said[1]) {
		t.Errorf("the reply does not match %s:\n%s", s.Expect.Reply, got.Notes)
	}
}

// throughServer runs a scenario through a mail server: on one connection, a
// transaction that is given up, the message, and the message again.
func throughServer(t *testing.T, set *identities.Set, dir string, server *mta.MTA, s *scenarios.Scenario) {
	server.Sink.SevenBit.Store(s.SevenBit)
	t.Cleanup(func() {
		if t.Failed() {
			settle(t, server)
		}
	})
	d := daemon.Start(t, configuration(set, dir, s))
	c := mta.Dial(t, server.Addr, s.Client)
	defer c.Close()
	if s.Login != "" {
		c.Login(s.Login)
	}
	if r := c.Mail("mallory@example.com", nil); r.Code != 250 {
		t.Fatal(r)
	}
	if r := c.Rcpt("victim@example.net"); r.Code != 250 {
		t.Fatal(r)
	}
	c.Must(250, "RSET")
	c.SMTPUTF8 = s.SMTPUTF8
	for n := range 2 {
		r := c.Send(s.From, s.To, s.Message)
		if class := map[string]int{"accept": 2, "reject": 5, "tempfail": 4}[s.Expect.Outcome]; r.Code/100 != class {
			t.Fatalf("message %d: the server answered: %s", n+1, r)
		}
		if s.Expect.Outcome != "accept" {
			if !s.Expect.Reply.MatchString(r.String()) {
				t.Errorf("message %d: the reply does not match %s: %s", n+1, s.Expect.Reply, r)
			}
			continue
		}
		for rest := slices.Clone(s.To); len(rest) > 0; {
			mail := server.Sink.Next(t)
			if mail.From != s.From {
				t.Errorf("message %d: the sender is %q", n+1, mail.From)
			}
			before := len(rest)
			rest = slices.DeleteFunc(rest, func(to string) bool { return slices.Contains(mail.To, to) })
			if before-len(rest) != len(mail.To) {
				t.Fatalf("message %d: delivered to %q, still due %q", n+1, mail.To, rest)
			}
			if err := check(t, set, s, mail.Data); err != nil {
				t.Errorf("message %d: %v\n%.6000s", n+1, err, mail.Data)
			}
		}
	}
	if s.Expect.Outcome != "accept" && !server.QueueEmpty(t) {
		t.Errorf("a refused message is in the queue:\n%s", server.Queue(t))
	}
	server.Sink.None(t)
	d.Stop(t)
}

// settle waits for what a failed scenario has left behind and throws it away,
// so that the next one does not take it for its own.
func settle(t *testing.T, server *mta.MTA) {
	server.QueueEmpty(t)
	server.Sink.Drain()
}

// check judges a message that was delivered.
func check(t *testing.T, set *identities.Set, s *scenarios.Scenario, delivered []byte) error {
	e := s.Expect
	m := judge.Cut(delivered)
	results := m.Values("Waxseal-Result")
	if e.Result == nil && len(results) > 0 || e.Result != nil && (len(results) != 1 || !e.Result.MatchString(results[0])) {
		return fmt.Errorf("the results are %q, not one %v", results, e.Result)
	}
	for _, pattern := range e.Has {
		if !pattern.Match(delivered) {
			return fmt.Errorf("nothing matches %s", pattern)
		}
	}
	for _, pattern := range e.HasNot {
		if found := pattern.Find(delivered); found != nil {
			return fmt.Errorf("%q matches %s", found, pattern)
		}
	}
	if err := judge.OuterFields(s.Message, delivered, e.Changed...); err != nil {
		return err
	}
	if e.Treatment[0] == "untouched" {
		if s.SevenBit {
			return judge.SameContent(s.Message, delivered)
		}
		return judge.SameBytes(s.Message, delivered)
	}
	for _, name := range []string{"MIME-Version", "Content-Type"} {
		if n := len(m.Values(name)); n != 1 {
			return fmt.Errorf("there are %d fields %s", n, name)
		}
	}
	if err := judge.TransitProof(delivered); err != nil {
		return err
	}
	entity, err := unwrap(t, set, e, delivered)
	if err != nil {
		return err
	}
	switch e.Content {
	case "any":
		return nil
	case "shown":
		return judge.SameContent(s.Message, entity)
	}
	return judge.SameBytes(s.Message, entity)
}

// unwrap lets the programs decrypt and verify as the treatment says.
func unwrap(t *testing.T, set *identities.Set, e scenarios.Expect, message []byte) ([]byte, error) {
	has := func(word string) bool { return slices.Contains(e.Treatment, word) }
	if has("pgp") {
		if has("encrypt") {
			return judge.DecryptPGP(t, set, message, e.Readers, e.Signer)
		}
		return judge.VerifyPGP(t, set, message, e.Signer)
	}
	var account strings.Builder
	if has("encrypt") {
		cipher := e.Treatment[len(e.Treatment)-1]
		for _, stranger := range e.Strangers {
			if _, err := judge.DecryptSMIME(t, set, message, stranger, cipher); err == nil {
				return nil, fmt.Errorf("%s can read it", stranger)
			}
		}
		if err := structure(t, e, message, &account); err != nil {
			return nil, err
		}
		var inner []byte
		for _, reader := range e.Readers {
			got, err := judge.DecryptSMIME(t, set, message, reader, cipher)
			if err != nil {
				return nil, err
			}
			if inner != nil && !bytes.Equal(inner, got) {
				return nil, fmt.Errorf("%s reads something else", reader)
			}
			inner = got
		}
		message = inner
	}
	if has("sign") {
		if err := structure(t, e, message, &account); err != nil {
			return nil, err
		}
	}
	for _, pattern := range e.Structure {
		if !pattern.MatchString(account.String()) {
			return nil, fmt.Errorf("openssl's account of the structure does not match %s:\n%.4000s", pattern, account.String())
		}
	}
	if !has("sign") {
		return message, nil
	}
	if mediaType, _ := judge.Cut(message).MediaType(); has("opaque") == (mediaType == "multipart/signed") {
		return nil, fmt.Errorf("the signed message is %s", mediaType)
	}
	return judge.VerifySMIME(t, set, message, e.Signer)
}

// structure adds what openssl says of a message's CMS structure, in one line, to
// the account, if the scenario asks for it.
func structure(t *testing.T, e scenarios.Expect, message []byte, account *strings.Builder) error {
	if e.Structure == nil {
		return nil
	}
	cmd := exec.Command("openssl", "cms", "-cmsout", "-print", "-noout", "-inform", "SMIME")
	cmd.Stdin = bytes.NewReader(message)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("openssl cms -cmsout: %w\n%s", err, out)
	}
	account.WriteString(strings.Join(strings.Fields(string(out)), " ") + " ")
	return nil
}
