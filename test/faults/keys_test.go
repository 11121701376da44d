package faults_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"waxseal/test/daemon"
	"waxseal/test/identities"
	"waxseal/test/mta"
)

// TestUnusableEntries: an entry that is there and can't be used is not "not
// found": whatever the policy says about missing keys, the message waits.
func TestUnusableEntries(t *testing.T) {
	set := identities.Make(t)
	set.Expired(t, identities.Erin)
	entry := func(name string) string { return filepath.Join(set.Store, name) }
	truncate := func(name string, size int64) {
		if err := os.Truncate(entry(name), size); err != nil {
			t.Fatal(err)
		}
	}
	truncate("recipients/"+identities.Bob+".pem", 500)
	truncate("smime/"+identities.Carol+".pem", 300)
	lenient := strings.ReplaceAll(protect, `"reject"`, `"accept"`)
	s := &stage{set: set, config: &daemon.Configuration{Dir: mta.Dir(t), Keys: set.Store, Policies: map[string]string{"10.hcl": lenient}}}
	s.server = mta.StartPostfix(t, mta.Options{Milter: s.config.Socket()})
	s.daemon = daemon.Start(t, s.config)
	c := mta.Dial(t, s.server.Addr, "")
	for what, m := range map[string]struct{ from, to string }{
		"expired certificate":      {identities.Alice, identities.Erin},
		"certificate cut off":      {identities.Alice, identities.Bob},
		"key cut off":              {identities.Carol, "x@example.net"},
		"one of two is cut off":    {identities.Alice, identities.Bob + "," + identities.Erin},
		"one of two has no entry":  {identities.Alice, identities.Bob + "," + identities.Nobody},
		"both key and certificate": {identities.Carol, identities.Erin},
	} {
		message := bytes.Replace(mail(m.to, "unusable", 0), []byte("alice@example.com"), []byte(m.from), 1)
		if r := c.Send(m.from, strings.Split(m.to, ","), message); r.Code != 451 {
			t.Errorf("%s: %s", what, r)
		}
		s.server.Sink.None(t)
	}
	if !s.server.QueueEmpty(t) {
		t.Errorf("in the queue:\n%s", s.server.Queue(t))
	}
	s.server.Sink.None(t)
}

// TestHeld: a policy may hold or throw away what it has no key for; neither
// leaves in clear.
func TestHeld(t *testing.T) {
	onBoth(t, func(t *testing.T, s *stage) {
		for _, action := range []string{"quarantine", "discard"} {
			s.daemon.Stop(t)
			s.config.Policies = map[string]string{"10.hcl": strings.ReplaceAll(protect, `"reject"`, `"`+action+`"`)}
			s.restart(t)
			c := mta.Dial(t, s.server.Addr, "")
			message := mail(identities.Nobody, action, 0)
			s.server.Purge(t)
			if r := c.Send(identities.Alice, []string{identities.Nobody}, message); r.Code != 250 {
				t.Fatalf("%s: %s", action, r)
			}
			// What has keys goes out beside it, and shows that the queue has run.
			message = mail(identities.Bob, "beside", 0)
			if r := c.Send(identities.Alice, []string{identities.Bob}, message); r.Code != 250 {
				t.Fatalf("%s: %s", action, r)
			}
			s.encrypted(t, message, s.server.Sink.Next(t).Data)
			s.server.Flush(t)
			s.server.Sink.None(t)
			if held := s.server.Held(t); held != (action == "quarantine") {
				t.Errorf("%s: held is %v:\n%s", action, held, s.server.Queue(t))
			}
		}
	})
}

// TestBrokenPolicies: `waxseal check` names every mistake with its place, and
// what will not work though it is no mistake.
func TestBrokenPolicies(t *testing.T) {
	set := identities.Make(t)
	c := &daemon.Configuration{Dir: mta.Dir(t), Keys: set.Store, Policies: map[string]string{
		"10.hcl": protect + "policy \"late\" {\n  direction = \"sideways\"\n  encrypt \"smime\" {}\n}\n"}}
	status, notes := daemon.Check(t, c)
	if status != 1 || !strings.Contains(notes, "10.hcl:15:") || !strings.Contains(notes, "sideways") || !strings.Contains(notes, "on_key_not_found") {
		t.Errorf("waxseal check ended with %d and said:\n%s", status, notes)
	}
	c.Policies = map[string]string{"10.hcl": protect}
	if status, notes = daemon.Check(t, c); status != 0 {
		t.Errorf("waxseal check of a good configuration ended with %d and said:\n%s", status, notes)
	}
	set.Expired(t, identities.Erin)
	if _, notes = daemon.Check(t, c); !strings.Contains(notes, identities.Erin) || !strings.Contains(notes, "expired") {
		t.Errorf("waxseal check says nothing of an expired certificate:\n%s", notes)
	}
	for _, line := range strings.Split(notes, "\n") {
		if strings.Contains(line, "PRIVATE") {
			t.Errorf("waxseal check shows a key: %s", line)
		}
	}
}
