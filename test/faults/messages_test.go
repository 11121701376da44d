package faults_test

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"waxseal/test/identities"
	"waxseal/test/mta"
)

// TestRecipientRefusedByServer: the server itself refuses one of two
// recipients; the message goes to the other, protected, and the refused one
// does not count when keys are looked up.
func TestRecipientRefusedByServer(t *testing.T) {
	onBoth(t, func(t *testing.T, s *stage) {
		c := mta.Dial(t, s.server.Addr, "")
		for n := range 2 {
			message := mail(identities.Bob, fmt.Sprint("refused", n), 0)
			c.Mail(identities.Alice, message)
			for _, to := range []string{mta.Refused + "@partner.example", identities.Bob} {
				want := 250
				if strings.HasPrefix(to, mta.Refused) {
					want = 550
				}
				if r := c.Rcpt(to); r.Code/100 != want/100 {
					t.Fatalf("recipient %s: %s", to, r)
				}
			}
			if r := c.Data(message); r.Code != 250 {
				t.Fatal(r)
			}
			got := s.server.Sink.Next(t)
			if len(got.To) != 1 || got.To[0] != identities.Bob {
				t.Errorf("delivered to %s", got.To)
			}
			s.encrypted(t, message, got.Data)
		}
	})
}

// TestLarge sends 25 MB, signed, and signed and encrypted.
func TestLarge(t *testing.T) {
	onBoth(t, func(t *testing.T, s *stage) {
		c := mta.Dial(t, s.server.Addr, "")
		for _, to := range []string{"x@example.net", identities.Bob} {
			message := mail(to, "large", 25_000_000)
			if r := c.Send(identities.Alice, []string{to}, message); r.Code != 250 {
				t.Fatal(r)
			}
			got := s.server.Sink.Next(t)
			if to == identities.Bob {
				s.encrypted(t, message, got.Data)
			} else {
				s.same(t, message, got.Data)
			}
			t.Logf("to %s: %d bytes became %d; waxseal's memory peak is %s", to, len(message), len(got.Data), peak(t, s.daemon.Pid()))
		}
	})
}

var highWater = regexp.MustCompile(`VmHWM:\s*(.*)`)

// peak is the largest resident set that a process had.
func peak(t *testing.T, pid int) string {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	if m := highWater.FindSubmatch(status); m != nil {
		return string(m[1])
	}
	return "unknown"
}

// TestCommand submits with the sendmail command while messages come over SMTP.
func TestCommand(t *testing.T) {
	onBoth(t, func(t *testing.T, s *stage) {
		sent := make(map[string][]byte)
		for n := range 3 {
			token := fmt.Sprint("command", n)
			sent[token] = mail(identities.Bob, token, 10_000)
			s.server.Command(t, identities.Alice, strings.ReplaceAll(string(sent[token]), "\r\n", "\n"), identities.Bob)
			token = fmt.Sprint("smtp", n)
			sent[token] = mail(identities.Bob, token, 10_000)
			if r := mta.Dial(t, s.server.Addr, "").Send(identities.Alice, []string{identities.Bob}, sent[token]); r.Code != 250 {
				t.Fatal(r)
			}
		}
		for range 6 {
			got := s.server.Sink.Next(t)
			token := subject(t, got.Data)
			if sent[token] == nil {
				t.Fatalf("%s was delivered twice, or is unknown", token)
			}
			s.encrypted(t, sent[token], got.Data)
			delete(sent, token)
		}
	})
}

var subjectField = regexp.MustCompile(`(?m)^Subject: (\S+)`)

func subject(t *testing.T, message []byte) string {
	t.Helper()
	m := subjectField.FindSubmatch(message)
	if m == nil {
		t.Fatalf("no subject:\n%.1000s", message)
	}
	return string(m[1])
}

// TestManyOnOneConnection sends messages of different treatment in turn, with
// RSET, without, and with transactions that are given up between them.
func TestManyOnOneConnection(t *testing.T) {
	onBoth(t, func(t *testing.T, s *stage) {
		c := mta.Dial(t, s.server.Addr, "")
		for n := range 8 {
			to := identities.Bob
			if n%2 == 1 {
				to = "x@example.net"
			}
			message := mail(to, fmt.Sprint("turn", n), 1000*n*n)
			if r := c.Send(identities.Alice, []string{to}, message); r.Code != 250 {
				t.Fatal(r)
			}
			got := s.server.Sink.Next(t)
			if len(got.To) != 1 || got.To[0] != to {
				t.Fatalf("delivered to %s", got.To)
			}
			if to == identities.Bob {
				s.encrypted(t, message, got.Data)
			} else {
				s.same(t, message, got.Data)
			}
			switch n % 4 {
			case 1:
				c.Must(250, "RSET")
			case 2:
				c.Mail("zoe@example.com", nil)
				c.Rcpt(identities.Nobody)
				c.Must(250, "RSET")
			case 3:
				if r := c.Send(identities.Alice, []string{identities.Nobody}, message); r.Code != 550 {
					t.Fatalf("to somebody without a certificate: %s", r)
				}
			}
		}
		s.server.Sink.None(t)
	})
}

// TestClientGone: a client hangs up in the middle of a message; nothing of it is
// delivered, and the next message is not touched by it.
func TestClientGone(t *testing.T) {
	onBoth(t, func(t *testing.T, s *stage) {
		for n := range 3 {
			c := mta.Dial(t, s.server.Addr, "")
			c.Mail(identities.Alice, nil)
			c.Rcpt(identities.Bob)
			c.BeginData(mail(identities.Bob, "gone", 200_000*n))
			c.Close()
			message := mail(identities.Bob, fmt.Sprint("after", n), 0)
			if r := mta.Dial(t, s.server.Addr, "").Send(identities.Alice, []string{identities.Bob}, message); r.Code != 250 {
				t.Fatal(r)
			}
			s.encrypted(t, message, s.server.Sink.Next(t).Data)
		}
		s.server.Sink.None(t)
	})
}

// TestManyClients sends from several clients at once.
func TestManyClients(t *testing.T) {
	onBoth(t, func(t *testing.T, s *stage) {
		const clients, each = 8, 4
		sent := make(map[string][]byte)
		for n := range clients * each {
			token := fmt.Sprint("many", n)
			sent[token] = mail(identities.Bob, token, n*n*300)
		}
		var wait sync.WaitGroup
		for n := range clients {
			c := mta.Dial(t, s.server.Addr, "")
			wait.Go(func() {
				for i := range each {
					if r := c.Send(identities.Alice, []string{identities.Bob}, sent[fmt.Sprint("many", n*each+i)]); r.Code != 250 {
						t.Errorf("client %d: %s", n, r)
					}
				}
			})
		}
		wait.Wait()
		if t.Failed() {
			return
		}
		for range clients * each {
			got := s.server.Sink.Next(t).Data
			token := subject(t, got)
			s.encrypted(t, sent[token], got)
			delete(sent, token)
		}
	})
}

// TestTLS: a policy that asks for TLS sees what the mail server tells of the
// client's connection.
func TestTLS(t *testing.T) {
	onBoth(t, func(t *testing.T, s *stage) {
		s.daemon.Stop(t)
		s.config.Policies = map[string]string{"10.hcl": "policy \"tls\" {\n  direction = \"outgoing\"\n  tls = \"1.2\"\n" +
			"  sign \"smime\" {}\n  on_key_not_found = \"reject\"\n}\n"}
		s.restart(t)
		for _, secure := range []bool{false, true} {
			c := mta.Dial(t, s.server.Addr, "")
			if secure {
				c.StartTLS()
			}
			message := mail("x@example.net", "tls", 0)
			if r := c.Send(identities.Alice, []string{"x@example.net"}, message); r.Code != 250 {
				t.Fatal(r)
			}
			got := s.server.Sink.Next(t).Data
			if !secure {
				if bytes.Contains(got, []byte("multipart/signed")) {
					t.Error("signed without TLS")
				}
				continue
			}
			s.same(t, message, got)
		}
	})
}
