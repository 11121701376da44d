package milter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"waxseal/policies"
)

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
