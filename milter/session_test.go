package milter

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

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
				lines[1]["from"] != "from2@a.example" || lines[1]["to"] != 2.0 || lines[1]["action"] != "accept" || lines[1]["client"] != "192.0.2.7" {
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

func TestOutcomes(t *testing.T) {
	edits := []Edit{{Kind: Delete, Name: "X-Old", Index: 2}, {Kind: Change, Name: "Subject", Index: 1, Value: "a\r\n b"}, {Kind: Insert, Name: "X-New", Value: "v"}}
	body := strings.Repeat("new body\r\n", 20_000)
	for _, test := range []struct {
		name    string
		outcome *Outcome
		err     error
		order   string
		reply   string
		held    string
		log     string // what the log must have
	}{
		{name: "accept", outcome: &Outcome{Action: policies.Accept}, order: "a"},
		{name: "change", outcome: &Outcome{Action: policies.Accept, Edits: edits, Body: text(body)}, order: "mmibbbba"},
		{name: "empty body", outcome: &Outcome{Action: policies.Accept, Body: text("")}, order: "ba"},
		{name: "quarantine", outcome: &Outcome{Action: policies.Quarantine, Edits: edits, Body: text(body), Reply: Reply{Text: "no 100% \nkey"}}, order: "mmibbbbqa", held: "no 100%  key"},
		{name: "discard", outcome: &Outcome{Action: policies.Discard, Edits: edits, Body: text(body)}, order: "d"},
		{name: "reject", outcome: &Outcome{Action: policies.Reject, Edits: edits, Body: text(body), Reply: Reply{550, "5.7.1", "100% no\nkey for \xc3\xa4"}},
			order: "y", reply: "550-5.7.1 100%% no\r\n550 5.7.1 key for ?"},
		{name: "reject with a code of the other class", outcome: &Outcome{Action: policies.Reject, Reply: Reply{250, "2.0.0", "fine"}}, order: "y", reply: "550 5.7.1 fine"},
		{name: "tempfail", outcome: &Outcome{Action: policies.Tempfail, Reply: Reply{421, "4.7.0", "x"}}, order: "y", reply: "451 4.7.0 x"},
		{name: "error", err: errors.New("vault sealed"), order: "y", reply: "451 4.3.0 a fault in the mail filter", log: "vault sealed"},
		{name: "nothing", order: "y", reply: "451 4.3.0 ", log: "there is no outcome"},
		{name: "no action", outcome: &Outcome{Edits: edits}, order: "y", reply: "451 4.3.0 ", log: "there is no action"},
		{name: "an edit that can't be done", outcome: &Outcome{Action: policies.Accept, Body: text(body), Edits: append(slices.Clone(edits), Edit{Kind: Change, Name: "X"})},
			order: "y", reply: "451 4.3.0 ", log: "index 0 is below 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.outcome != nil {
				test.outcome.Log = []slog.Attr{slog.String("policy", "p1")}
			}
			r := recorder{answer: func(*Transaction) (*Outcome, error) { return test.outcome, test.err }}
			eachManner(t, func(s *Server) { s.Apply, r.messages = r.apply, nil }, func(t *testing.T, s *testServer, c *mta) {
				c.connect()
				for i := range 2 {
					v := c.deliver(plainLetter(i))
					if v.order != test.order || !strings.HasPrefix(v.reply, test.reply) || v.held != test.held {
						t.Errorf("got %q %q %q, want %q %q", v.order, v.reply, v.held, test.order, test.reply)
					}
					if strings.Contains(test.order, "bbb") {
						space := ""
						if c.protocol&(1<<20) != 0 {
							space = " "
						}
						want := []string{"m 2 X-Old:", "m 1 Subject:" + space + "a\n b", "i 0 X-New:" + space + "v"}
						if !reflect.DeepEqual(v.edits, want) || string(v.body) != body {
							t.Errorf("edits %q, %d bytes of body", v.edits, len(v.body))
						}
					}
					c.begin(plainLetter(7))
					c.send('A')
				}
				r.get(t, 2)
				lines := s.logs.lines(t, "message")
				if len(lines) != 2 || test.outcome != nil && test.log == "" && lines[0]["policy"] != "p1" {
					t.Errorf("log: %v", lines)
				}
				if got := fmt.Sprint(lines[0]["error"]); !strings.Contains(got, test.log) || test.log == "" && lines[0]["level"] != "INFO" {
					t.Errorf("log: got %v, want %q", lines[0], test.log)
				}
			})
		})
	}
}

// text is a signer.Content.
type text string

func (x text) Size() int64 { return int64(len(x)) }

func (x text) WriteTo(w io.Writer) (int64, error) {
	n, err := io.WriteString(w, string(x))
	return int64(n), err
}

// broken is a body that can't be written as it should be.
type broken struct {
	size  int64
	write func(io.Writer) error
}

func (b broken) Size() int64 { return b.size }

func (b broken) WriteTo(w io.Writer) (int64, error) {
	if _, err := io.WriteString(w, strings.Repeat("x", 100_000)); err != nil {
		return 0, err
	}
	return 100_000, b.write(w)
}

// When the body breaks off, there is no verdict: the connection ends.
func TestBodyBreaksOff(t *testing.T) {
	for name, body := range map[string]broken{
		"error": {200_000, func(io.Writer) error { return errors.New("read spool") }},
		"short": {200_000, func(io.Writer) error { return nil }},
		"long":  {50_000, func(io.Writer) error { return nil }},
		"panic": {200_000, func(io.Writer) error { panic("text of the message") }},
	} {
		t.Run(name, func(t *testing.T) {
			r := recorder{answer: func(*Transaction) (*Outcome, error) { return &Outcome{Action: policies.Accept, Body: body}, nil }}
			eachManner(t, func(s *Server) { s.Apply = r.apply }, func(t *testing.T, s *testServer, c *mta) {
				c.connect()
				c.begin(plainLetter(1))
				v, err := c.tryEnd(plainLetter(1))
				if err == nil {
					t.Errorf("got %q %q, want the connection closed", v.order, v.reply)
				}
				line := s.logs.lines(t, "message")
				if len(line) != 1 || line[0]["level"] != "ERROR" || line[0]["sent"] != false {
					t.Errorf("log: %v", line)
				}
				if strings.Contains(s.logs.String(), "text of the message") {
					t.Error("the log has the value of the panic")
				}
			})
		})
	}
}

func TestPanic(t *testing.T) {
	var fields []string
	for name, panics := range map[string]func(*Transaction) (*Outcome, error){
		"runtime": func(tx *Transaction) (*Outcome, error) { return nil, errors.New(fields[len(tx.Recipients)]) },
		"value":   func(*Transaction) (*Outcome, error) { panic("text of the message") },
	} {
		t.Run(name, func(t *testing.T) {
			r := recorder{answer: panics}
			eachManner(t, func(s *Server) { s.Apply, r.messages = r.apply, nil }, func(t *testing.T, s *testServer, c *mta) {
				c.connect()
				for i := range 2 {
					if v := c.deliver(plainLetter(i)); !strings.HasPrefix(v.reply, "451 4.3.0 ") {
						t.Errorf("got %q %q", v.order, v.reply)
					}
					c.begin(plainLetter(9))
					c.send('A')
				}
				lines := s.logs.lines(t, "message")
				if len(lines) != 2 || !strings.Contains(fmt.Sprint(lines[0]["stack"]), "TestPanic") {
					t.Errorf("log: %v", lines)
				}
				if strings.Contains(s.logs.String(), "text of the message") {
					t.Error("the log has the value of the panic")
				}
			})
		})
	}
}

// Progress comes while Apply runs, and never after.
func TestProgress(t *testing.T) {
	r := recorder{answer: func(*Transaction) (*Outcome, error) {
		time.Sleep(100 * time.Millisecond)
		return &Outcome{Action: policies.Accept, Edits: []Edit{{Kind: Insert, Name: "X", Value: "v"}}, Body: slow(20)}, nil
	}}
	eachManner(t, func(s *Server) { s.Apply, s.ProgressInterval = r.apply, 5*time.Millisecond }, func(t *testing.T, s *testServer, c *mta) {
		c.connect()
		for i := range 2 {
			c.begin(plainLetter(i))
			c.macros('E', "i", "Q")
			c.send('E')
			progress, order := 0, ""
			for {
				code, _ := c.receive()
				if code != 'p' {
					order += string(code)
				} else if progress++; order != "" {
					t.Errorf("progress after %q", order)
				}
				if code == 'a' {
					break
				}
			}
			if progress == 0 {
				t.Error("there was no progress")
			}
			c.begin(plainLetter(9))
			c.send('A')
		}
	})
}

// slow is a body that takes its time between packets.
type slow int64

func (x slow) Size() int64 { return int64(x) * 65535 }

func (x slow) WriteTo(w io.Writer) (int64, error) {
	for range x {
		time.Sleep(time.Millisecond)
		if _, err := w.Write(make([]byte, 65535)); err != nil {
			return 0, err
		}
	}
	return x.Size(), nil
}

// Apply is told when time is over, and when the MTA has gone.
func TestApplyContext(t *testing.T) {
	ended := make(chan error, 1)
	apply := func(ctx context.Context, _ *Transaction) (*Outcome, error) {
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}
	s := serve(t, func(s *Server) { s.Apply, s.ApplyTimeout = apply, 50*time.Millisecond })
	c := dial(t, s.addr, manners()[0])
	c.connect()
	for i := range 2 {
		if v := c.deliver(plainLetter(i)); !strings.HasPrefix(v.reply, "451 4.3.0 ") {
			t.Errorf("got %q %q", v.order, v.reply)
		}
		if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the context ended with %v", err)
		}
	}
	s = serve(t, func(s *Server) { s.Apply, s.ProgressInterval = apply, 10*time.Millisecond })
	c = dial(t, s.addr, manners()[0])
	c.connect()
	c.begin(plainLetter(1))
	c.send('E')
	c.Conn.Close()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the context ended with %v", err)
	}
}

// An MTA that does not let header and body be changed gets no message through.
func TestMissingActions(t *testing.T) {
	for _, missing := range []uint32{1, 2, 0x10} {
		var r recorder
		s := serve(t, func(s *Server) { s.Apply = r.apply })
		c := dial(t, s.addr, manner{"poor", allActions &^ missing, allProtocol, 0, false})
		c.connect()
		for i := range 2 {
			if v := c.deliver(plainLetter(i)); !strings.HasPrefix(v.reply, "451 4.3.5 ") {
				t.Errorf("without %x: got %q %q", missing, v.order, v.reply)
			}
		}
		r.get(t, 0)
	}
	r := recorder{answer: func(*Transaction) (*Outcome, error) { return &Outcome{Action: policies.Quarantine}, nil }}
	s := serve(t, func(s *Server) { s.Apply = r.apply })
	c := dial(t, s.addr, manner{"no quarantine", allActions &^ 0x20, allProtocol, 0, false})
	c.connect()
	if v := c.deliver(plainLetter(1)); !strings.HasPrefix(v.reply, "451 4.3.5 ") {
		t.Errorf("without quarantine: got %q %q", v.order, v.reply)
	}
}
