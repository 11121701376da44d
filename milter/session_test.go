package milter

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"waxseal/policies"
)

// seen is a message as Apply has got it.
type seen struct {
	Transaction
	header string
	body   string
}

// recorder is an Apply that keeps what it gets and answers with what answer
// returns.
type recorder struct {
	mu       sync.Mutex
	messages []seen
	answer   func(*Transaction) (*Outcome, error)
}

func (r *recorder) apply(_ context.Context, tx *Transaction) (*Outcome, error) {
	s := seen{Transaction: *tx}
	for _, f := range tx.Header {
		s.header += string(f.Raw)
	}
	var body bytes.Buffer
	if _, err := tx.Body.WriteTo(&body); err != nil {
		return nil, err
	}
	s.body = body.String()
	r.mu.Lock()
	r.messages = append(r.messages, s)
	r.mu.Unlock()
	if r.answer == nil {
		return &Outcome{Action: policies.Accept}, nil
	}
	return r.answer(tx)
}

func (r *recorder) get(t *testing.T, want int) []seen {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.messages) != want {
		t.Fatalf("%d messages were applied, want %d", len(r.messages), want)
	}
	return r.messages
}

// eachManner runs a test for every manner of MTA, with an own server.
func eachManner(t *testing.T, set func(*Server), test func(*testing.T, *testServer, *mta)) {
	for _, m := range manners() {
		t.Run(m.name, func(t *testing.T) {
			s := serve(t, set)
			test(t, s, dial(t, s.addr, m))
		})
	}
}

func checkSeen(t *testing.T, got seen, l letter) {
	t.Helper()
	if got.Sender != l.from || !slices.Equal(got.Recipients, l.to) {
		t.Errorf("envelope: got %q %q, want %q %q", got.Sender, got.Recipients, l.from, l.to)
	}
	var header string
	for _, f := range l.header {
		header += f[0] + ":" + strings.ReplaceAll(f[1], "\n", "\r\n") + "\r\n"
	}
	if got.header != header {
		t.Errorf("header: got %q, want %q", got.header, header)
	}
	if want := strings.Join(l.chunks, "") + l.last; got.body != want {
		t.Errorf("body: got %d bytes, want %d", len(got.body), len(want))
	}
	if got.QueueID != l.queue {
		t.Errorf("queue id: got %q, want %q", got.QueueID, l.queue)
	}
}

// A message, one that is given up, one more, all on one connection: each has
// its own state, and all have the connection's.
func TestMessagesOnOneConnection(t *testing.T) {
	for _, m := range manners() {
		t.Run(m.name, func(t *testing.T) {
			var r recorder
			s := serve(t, func(s *Server) { s.Apply = r.apply })
			c := dial(t, s.addr, m)
			c.connect()
			first, second, third := plainLetter(1), plainLetter(2), plainLetter(3)
			first.mail = []string{"{auth_authen}", "alice"}
			if v := c.deliver(first); v.order != "a" {
				t.Errorf("first message: got %q", v.order)
			}
			c.begin(plainLetter(9))
			c.send('A')
			second.last = "the end\r\n"
			if v := c.deliver(second); v.order != "a" {
				t.Errorf("second message: got %q", v.order)
			}
			// STARTTLS: a new EHLO, and the connection is another one.
			c.send('A')
			c.helo("{tls_version}", "TLSv1.3", "{cipher}", "TLS_AES_256_GCM_SHA384")
			third.chunks = nil
			c.deliver(third)
			c.send('Q')
			c.expectClosed()

			got := r.get(t, 3)
			for i, l := range []letter{first, second, third} {
				checkSeen(t, got[i], l)
				if got[i].Client != netip.MustParseAddr("192.0.2.7") || got[i].ClientName != "client.example" || got[i].Helo != "client.example" {
					t.Errorf("message %d: client %+v", i+1, got[i].Connection)
				}
			}
			if got[0].Login != "alice" || got[1].Login != "" || got[2].Login != "" {
				t.Errorf("logins: got %q %q %q", got[0].Login, got[1].Login, got[2].Login)
			}
			if got[1].TLS != 0 || got[2].TLS != tls.VersionTLS13 || got[2].Cipher != "TLS_AES_256_GCM_SHA384" {
				t.Errorf("TLS: got %x, then %x %q", got[1].TLS, got[2].TLS, got[2].Cipher)
			}
			if got[0].ID == got[1].ID || len(got[0].ID) != 12 {
				t.Errorf("ids: got %q and %q", got[0].ID, got[1].ID)
			}
			if lines := s.logs.lines(t, "message"); len(lines) != 3 || lines[1]["queue"] != "QUEUE2" ||
				lines[1]["from"] != "from2@a.example" || lines[1]["to"] != strings.Join(got[1].Recipients, ",") || lines[1]["recipients"] != 2.0 || lines[1]["action"] != "accept" || lines[1]["client"] != "192.0.2.7" {
				t.Errorf("log: %v", lines)
			}
			if strings.Contains(s.logs.String(), "number") {
				t.Error("the log has the subject")
			}
		})
	}
}

func TestConnectionFacts(t *testing.T) {
	for _, test := range []struct {
		name, packet string
		want         Connection
		bad          bool
	}{
		{"name", "mail.example\x004\x00\x19192.0.2.1\x00", Connection{Client: netip.MustParseAddr("192.0.2.1"), ClientName: "mail.example"}, false},
		{"no name, Postfix", "unknown\x004\x00\x19192.0.2.1\x00", Connection{Client: netip.MustParseAddr("192.0.2.1")}, false},
		{"no name, Sendmail", "[192.0.2.1]\x004\x00\x19192.0.2.1\x00", Connection{Client: netip.MustParseAddr("192.0.2.1")}, false},
		{"IPv6", "m\x006\x00\x192001:db8::1\x00", Connection{Client: netip.MustParseAddr("2001:db8::1"), ClientName: "m"}, false},
		{"IPv6 with prefix", "m\x006\x00\x19IPv6:2001:db8::1\x00", Connection{Client: netip.MustParseAddr("2001:db8::1"), ClientName: "m"}, false},
		{"IPv4 in IPv6", "m\x006\x00\x19::ffff:192.0.2.1\x00", Connection{Client: netip.MustParseAddr("192.0.2.1"), ClientName: "m"}, false},
		{"unix", "localhost\x00L\x00\x00/run/x\x00", Connection{ClientName: "localhost"}, false},
		{"unknown family", "localhost\x00U", Connection{ClientName: "localhost"}, false},
		{"empty", "", Connection{}, true},
		{"no family", "localhost\x00", Connection{}, true},
		{"no port", "localhost\x004\x00", Connection{}, true},
		{"no address", "localhost\x004\x00\x19\x00", Connection{}, true},
	} {
		got, err := parseConnect([]byte(test.packet))
		if test.bad != errors.Is(err, errProtocol) || got != test.want {
			t.Errorf("%s: got %+v, %v", test.name, got, err)
		}
	}
}

func TestLeadingSpace(t *testing.T) {
	values := [][2]string{{"A", ""}, {"B", " "}, {"C", "x"}, {"D", "  two"}, {"E", "\ttab"}, {"F", "\n folded at once"}, {"G", " gr\xfc\xdf \xc3\xbc"}}
	for _, test := range []struct {
		m    manner
		want string
	}{
		{manners()[0], "A:\r\nB: \r\nC:x\r\nD:  two\r\nE:\ttab\r\nF:\r\n folded at once\r\nG: gr\xfc\xdf \xc3\xbc\r\n"},
		// What the MTA has taken is put back.
		{manners()[2], "A:\r\nB:\r\nC: x\r\nD:  two\r\nE:\ttab\r\nF:\r\n folded at once\r\nG: gr\xfc\xdf \xc3\xbc\r\n"},
	} {
		var r recorder
		s := serve(t, func(s *Server) { s.Apply = r.apply })
		c := dial(t, s.addr, test.m)
		c.connect()
		c.deliver(letter{header: values})
		c.deliver(letter{header: values})
		for _, got := range r.get(t, 2) {
			if got.header != test.want {
				t.Errorf("%s: got %q, want %q", test.m.name, got.header, test.want)
			}
		}
	}
}

// Every cut of a body into packets gives the same body.
func TestChunks(t *testing.T) {
	var r recorder
	eachManner(t, func(s *Server) { s.Apply = r.apply; r.messages = nil }, func(t *testing.T, s *testServer, c *mta) {
		c.connect()
		body := strings.Repeat("0123456789abcdef\r\n", 20_000) // beyond the memory of a spool
		for _, cut := range []int{1000, 65535, 1<<20 - 1, len(body) - 1} {
			l := plainLetter(cut)
			l.chunks = nil
			for rest := body; rest != ""; {
				n := min(cut, len(rest), 1<<20-1)
				l.chunks, rest = append(l.chunks, rest[:n]), rest[n:]
			}
			l.last = "x"
			if v := c.deliver(l); v.order != "a" {
				t.Fatalf("cut at %d: got %q %q: %s", cut, v.order, v.reply, s.logs)
			}
			l.chunks = []string{body}
			checkSeen(t, r.messages[len(r.messages)-1], l)
		}
	})
}

// What can't be taken is answered at the end of the message, and the connection
// goes on.
func TestCannotTake(t *testing.T) {
	big := strings.Repeat("x", 60_000)
	for _, test := range []struct {
		name   string
		change func(*letter)
		reply  string
		action string
	}{
		{"too large", func(l *letter) { l.chunks = slices.Repeat([]string{big}, 9) }, "552 5.3.4 the message is larger than 500000 bytes", "reject"},
		{"too large at the end", func(l *letter) { l.chunks = slices.Repeat([]string{big}, 8); l.last = big }, "552 5.3.4 the message is larger", "reject"},
		{"budget", func(l *letter) { l.chunks = slices.Repeat([]string{big}, 7) }, "451 4.3.1 ", "tempfail"},
		{"header too large", func(l *letter) { l.header = slices.Repeat([][2]string{{"X", " " + big}}, 3) }, "552 5.3.4 ", "reject"},
		{"too many fields", func(l *letter) { l.header = slices.Repeat([][2]string{{"X", ""}}, 101) }, "552 5.3.4 ", "reject"},
		{"too many recipients", func(l *letter) { l.to = slices.Repeat([]string{"a@b.example"}, 51) }, "552 5.3.4 the message has more than 50 recipients", "reject"},
		{"NUL in a value", func(l *letter) { l.header = append(l.header, [2]string{"X", "a\x00b"}) }, "550 5.6.0 ", "reject"},
		{"NUL at the end of a value", func(l *letter) { l.header = append(l.header, [2]string{"X", "a\x00"}) }, "550 5.6.0 ", "reject"},
		{"no name", func(l *letter) { l.header = append(l.header, [2]string{"", " a"}) }, "550 5.6.0 ", "reject"},
		{"space in a name", func(l *letter) { l.header = append(l.header, [2]string{"X Y", " a"}) }, "550 5.6.0 ", "reject"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var r recorder
			eachManner(t, func(s *Server) {
				s.Apply, r.messages = r.apply, nil
				s.MaxMessageSize, s.MaxHeaderSize, s.MaxHeaderFields, s.MaxRecipients = 500_000, 150_000, 100, 50
				s.Spools.budget = 400_000
			}, func(t *testing.T, s *testServer, c *mta) {
				c.connect()
				bad := plainLetter(1)
				test.change(&bad)
				v := c.deliver(bad)
				if v.order != "y" || !strings.HasPrefix(v.reply, test.reply) || !strings.Contains(v.reply, "(id ") {
					t.Errorf("got %q %q, want %q", v.order, v.reply, test.reply)
				}
				if line := s.logs.lines(t, "message"); len(line) != 1 || line[0]["action"] != test.action || line[0]["size"].(float64) == 0 {
					t.Errorf("log: %v", line)
				}
				c.begin(bad)
				c.send('A')
				good := plainLetter(2)
				if v := c.deliver(good); v.order != "a" {
					t.Errorf("next message: got %q %q", v.order, v.reply)
				}
				checkSeen(t, r.get(t, 1)[0], good)
			})
		})
	}
}

func TestMalformedFieldPackets(t *testing.T) {
	for _, packet := range []string{"", "\x00", "X", "X\x00", "X\x00a", "\x00\x00", "X\x00a\x00\x00", "X\x00a\x00b\x00c\x00"} {
		var r recorder
		s := serve(t, func(s *Server) { s.Apply = r.apply })
		c := dial(t, s.addr, manners()[1])
		c.connect()
		l := plainLetter(1)
		c.begin(l)
		c.send('L', []byte(packet))
		if v := c.end(l); !strings.HasPrefix(v.reply, "550 5.6.0") {
			t.Errorf("packet %q: got %q %q", packet, v.order, v.reply)
		}
		r.get(t, 0)
	}
}

// A disk that fills up in mid-message.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=256k,mode=700"); err != nil {
		t.Fatalf("mount a small tmpfs: %v; run this test as root", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("a spool file is still open: %v", err)
		}
	})
	spools, err := NewSpools(filepath.Join(dir, "spool"), 64<<10, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	var r recorder
	s := serve(t, func(s *Server) { s.Apply, s.Spools = r.apply, spools })
	c := dial(t, s.addr, manners()[0])
	c.connect()
	big := plainLetter(1)
	big.chunks = slices.Repeat([]string{strings.Repeat("y", 65535)}, 8)
	if v := c.deliver(big); !strings.HasPrefix(v.reply, "451 4.3.1 ") {
		t.Errorf("got %q %q", v.order, v.reply)
	}
	c.begin(big)
	c.send('A')
	small := plainLetter(2)
	small.chunks = slices.Repeat([]string{strings.Repeat("z", 65535)}, 2)
	if v := c.deliver(small); v.order != "a" {
		t.Errorf("next message: got %q %q", v.order, v.reply)
	}
	checkSeen(t, r.get(t, 1)[0], small)
	files, err := os.ReadDir(filepath.Join(dir, "spool"))
	if err != nil || len(files) != 0 {
		t.Errorf("the spool directory has %v, %v", files, err)
	}
}
