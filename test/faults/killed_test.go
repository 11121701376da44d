package faults_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"waxseal/test/daemon"
	"waxseal/test/identities"
	"waxseal/test/milterclient"
	"waxseal/test/mta"
)

// restart starts the daemon again after it has ended.
func (s *stage) restart(t *testing.T) {
	t.Helper()
	s.daemon = daemon.Start(t, s.config)
}

// TestKilledBetween: the daemon is killed while a client is in the middle of
// its message. The client is told to try again, nothing is delivered, and after
// a restart it goes through.
func TestKilledBetween(t *testing.T) {
	onBoth(t, func(t *testing.T, s *stage) {
		message := mail(identities.Bob, "between", 300_000)
		c := mta.Dial(t, s.server.Addr, "")
		c.Mail(identities.Alice, message)
		c.Rcpt(identities.Bob)
		half := strings.Index(string(message), "00002000 ")
		c.BeginData(message[:half])
		s.daemon.Kill()
		r, err := c.EndData()
		if err == nil && r.Code/100 != 4 {
			t.Errorf("the client was told: %s", r)
		}
		// Without a daemon every message is deferred, at whichever stage.
		if r := mta.Dial(t, s.server.Addr, "").Send(identities.Alice, []string{identities.Bob}, message); r.Code/100 != 4 {
			t.Errorf("without a daemon the client was told: %s", r)
		}
		if !s.server.QueueEmpty(t) {
			t.Errorf("in the queue:\n%s", s.server.Queue(t))
		}
		s.server.Sink.None(t)
		s.restart(t)
		if r := mta.Dial(t, s.server.Addr, "").Send(identities.Alice, []string{identities.Bob}, message); r.Code != 250 {
			t.Fatal(r)
		}
		s.encrypted(t, message, s.server.Sink.Next(t).Data)
		s.server.Sink.None(t)
	})
}

// TestKilledAtWork kills the daemon at some moments after a large message has
// been handed over: while it is read, while it is encrypted, while the result
// is on its way back. Either the client is told that it is accepted, and it is
// delivered encrypted, or it is told to try again, and nothing is delivered.
func TestKilledAtWork(t *testing.T) {
	onBoth(t, func(t *testing.T, s *stage) {
		const size = 8_000_000
		said := make(map[int]int)
		var whole time.Duration // from the final dot to the answer, undisturbed
		for n := range 12 {
			message := mail(identities.Bob, fmt.Sprint("work", n), size)
			c := mta.Dial(t, s.server.Addr, "")
			c.Mail(identities.Alice, message)
			c.Rcpt(identities.Bob)
			c.BeginData(message)
			begin := time.Now()
			killed := make(chan struct{})
			go func() {
				defer close(killed)
				if n > 0 {
					time.Sleep(whole * time.Duration(n) / 11)
					s.daemon.Kill()
				}
			}()
			r, err := c.EndData()
			if n == 0 {
				whole = time.Since(begin)
			}
			<-killed
			switch {
			case err == nil && r.Code == 250:
				s.encrypted(t, message, s.server.Sink.Next(t).Data)
			case n == 0 || err == nil && r.Code/100 != 4:
				t.Fatalf("message %d: the client was told: %s %v", n, r, err)
			default:
				if !s.server.QueueEmpty(t) {
					t.Errorf("message %d is in the queue though the client was told %s %v:\n%s", n, r, err, s.server.Queue(t))
				}
				s.server.Sink.None(t)
			}
			said[r.Code]++
			if n > 0 {
				s.restart(t)
			}
		}
		t.Logf("a message takes %s; answers by code: %v", whole.Round(time.Millisecond), said)
		s.server.Sink.None(t)
		message := mail(identities.Bob, "afterwards", 0)
		if r := mta.Dial(t, s.server.Addr, "").Send(identities.Alice, []string{identities.Bob}, message); r.Code != 250 {
			t.Fatal(r)
		}
		s.encrypted(t, message, s.server.Sink.Next(t).Data)
	})
}

// TestCommandWithoutDaemon: mail from the sendmail command waits while there is
// no daemon, and goes out protected when there is one again.
func TestCommandWithoutDaemon(t *testing.T) {
	onBoth(t, func(t *testing.T, s *stage) {
		s.daemon.Kill()
		message := mail(identities.Bob, "waiting", 0)
		s.server.Command(t, identities.Alice, strings.ReplaceAll(string(message), "\r\n", "\n"), identities.Bob)
		waitFor(t, "the server to ask for the daemon", func() bool {
			return strings.Contains(s.server.Log(), s.config.Socket()) || strings.Contains(s.server.Log(), "Milter (waxseal): error")
		})
		s.server.Sink.None(t)
		s.restart(t)
		s.server.Flush(t)
		s.encrypted(t, message, s.server.Sink.Next(t).Data)
	})
}

// TestTerminated: a daemon that is told to stop finishes the message that it
// has, takes no new connection, and leaves no socket.
func TestTerminated(t *testing.T) {
	set := identities.Make(t)
	d := daemon.Start(t, &daemon.Configuration{Dir: mta.Dir(t), Keys: set.Store, Policies: map[string]string{"10.hcl": protect}})
	m := &milterclient.Message{From: identities.Alice, To: []string{identities.Bob}, Fields: [][2]string{{"From", identities.Alice}, {"Subject", "last"}}}
	c, err := milterclient.Dial(d.Socket, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	body := []byte(strings.Repeat("The last line but one.\r\n", 10_000))
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%v\n%s", err, d.Log())
		}
	}
	must(c.Begin(m))
	must(c.SendBody(body))
	must(c.Flush())
	d.Terminate()
	waitFor(t, "the daemon to take no more connections", func() bool {
		other, err := milterclient.Dial(d.Socket, "127.0.0.1")
		if err == nil {
			other.Close()
		}
		return err != nil
	})
	must(c.SendBody(body))
	v, err := c.End()
	must(err)
	if v.Code != 'a' && v.Code != 'c' || v.Body < int64(2*len(body)) || !strings.Contains(strings.Join(v.Inserted, " "), "encrypt=pass") {
		t.Errorf("the last message: %+v", v)
	}
	d.Stopped(t)
}

// TestSessions sends messages to the socket directly: with an abort after each
// as Postfix, with none as Sendmail, and with messages that are given up at
// every stage between them.
func TestSessions(t *testing.T) {
	set := identities.Make(t)
	d := daemon.Start(t, &daemon.Configuration{Dir: mta.Dir(t), Keys: set.Store, Policies: map[string]string{"10.hcl": protect}})
	for _, abort := range []bool{true, false} {
		c, err := milterclient.Dial(d.Socket, "127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for n := range 6 {
			to, want := identities.Bob, "sign=pass (smime rsa2048-sha256 alice@example.com); encrypt=pass (smime aes256-cbc, 1 recipient)"
			if n%2 == 1 {
				to, want = "x@example.net", "policy=rest; sign=pass (smime rsa2048-sha256 alice@example.com); id="
			}
			m := &milterclient.Message{From: identities.Alice, To: []string{to}, Body: []byte("Hello\r\n"),
				Fields: [][2]string{{"From", identities.Alice}, {"Subject", fmt.Sprint(n)}}}
			if abort {
				given := &milterclient.Message{From: "zoe@example.com", To: []string{identities.Nobody}, Fields: [][2]string{{"From", "zoe@example.com"}, {"X-Gone", "1"}}}
				err := c.Begin(given)
				if err == nil && n > 2 {
					err = c.SendBody([]byte("gone\r\n"))
				}
				if err == nil {
					err = c.Abort()
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := c.Begin(m); err != nil {
				t.Fatal(err)
			}
			if err := c.SendBody(m.Body); err != nil {
				t.Fatal(err)
			}
			v, err := c.End()
			if err != nil {
				t.Fatal(err)
			}
			if report := strings.ReplaceAll(strings.Join(v.Inserted, " "), "\n", ""); !strings.Contains(report, want) {
				t.Errorf("abort %v, message %d: %s", abort, n, report)
			}
		}
	}
}
