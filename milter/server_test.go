package milter

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"waxseal/policies"
)

// Shutdown closes idle connections, finishes the message in work, takes no
// further one, and leaves no socket file.
func TestShutdown(t *testing.T) {
	for _, m := range manners() {
		t.Run(m.name, func(t *testing.T) {
			applying, proceed := make(chan bool), make(chan bool)
			var hold atomic.Bool
			s := serve(t, func(s *Server) {
				s.Apply = func(ctx context.Context, _ *Transaction) (*Outcome, error) {
					if !hold.Load() {
						return &Outcome{Action: policies.Accept}, nil
					}
					applying <- true
					<-proceed
					return &Outcome{Action: policies.Accept, Body: text(strings.Repeat("x", 200_000))}, ctx.Err()
				}
			})
			idle, halfway, atEnd := dial(t, s.addr, m), dial(t, s.addr, m), dial(t, s.addr, m)
			for _, c := range []*mta{idle, halfway, atEnd} {
				c.connect()
				c.begin(plainLetter(1))
				c.send('A')
				// An answer shows that the server has seen the ABORT, which has none.
				c.begin(plainLetter(2))
				c.macros('E', "i", "Q")
				c.send('E')
				c.collect()
			}
			for s.working() > 0 {
				time.Sleep(time.Millisecond)
			}
			hold.Store(true)
			l := plainLetter(2)
			atEnd.begin(l)
			atEnd.macros('E', "i", "Q")
			atEnd.send('E')
			<-applying
			halfway.begin(l)
			for s.working() < 2 {
				time.Sleep(time.Millisecond)
			}

			stopped := make(chan error, 1)
			go func() { stopped <- s.Shutdown(context.Background()) }()
			idle.expectClosed()
			if _, err := os.Stat(s.addr.String()); !os.IsNotExist(err) {
				t.Errorf("socket file: %v", err)
			}
			if _, err := net.Dial("unix", s.addr.String()); err == nil {
				t.Error("a connection after Shutdown")
			}
			go func() {
				proceed <- true
				<-applying
				proceed <- true
			}()
			for _, c := range []*mta{atEnd, halfway} {
				if c == halfway {
					c.macros('E', "i", "Q")
					c.send('E', []byte(l.last))
				}
				v := c.collect()
				if v.code != 'a' || len(v.body) != 200_000 {
					t.Errorf("a message in work: got %q, %d bytes of body", v.order, len(v.body))
				}
				c.expectClosed()
			}
			if err := <-stopped; err != nil {
				t.Errorf("shutdown: %v", err)
			}
		})
	}
}

// working is the number of connections with a message in work.
func (s *testServer) working() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for session := range s.sessions {
		session.wire.state.Lock()
		if session.wire.busy {
			n++
		}
		session.wire.state.Unlock()
	}
	return n
}

// When the time of Shutdown is over, what is in work is given up.
func TestShutdownTimeout(t *testing.T) {
	applying := make(chan bool)
	s := serve(t, func(s *Server) {
		s.Apply = func(ctx context.Context, _ *Transaction) (*Outcome, error) {
			applying <- true
			<-ctx.Done()
			return &Outcome{Action: policies.Accept}, nil
		}
	})
	working, halfway := dial(t, s.addr, manners()[0]), dial(t, s.addr, manners()[1])
	for _, c := range []*mta{working, halfway} {
		c.connect()
		c.begin(plainLetter(1))
		c.send('A')
		c.begin(plainLetter(2))
	}
	working.send('E')
	<-applying
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shutdown: %v", err)
	}
	working.expectClosed()
	halfway.expectClosed()
}

func TestShutdownBeforeServe(t *testing.T) {
	var s Server
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	path := filepath.Join(t.TempDir(), "m.sock")
	ln, err := Listen(path, 0o600, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(ln); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("socket file: %v", err)
	}
}

func TestSeveralListeners(t *testing.T) {
	var r recorder
	s := serve(t, func(s *Server) { s.Apply = r.apply })
	addrs := []net.Addr{s.addr}
	for _, spec := range []string{"inet:127.0.0.1:0", "inet6:[::1]:0"} {
		ln, err := Listen(spec, 0, "")
		if err != nil {
			t.Fatal(err)
		}
		addrs = append(addrs, ln.Addr())
		go func() { _ = s.Serve(ln) }()
	}
	for _, addr := range addrs {
		c := dial(t, addr, manners()[0])
		c.connect()
		c.deliver(plainLetter(1))
		c.begin(plainLetter(2))
		c.send('A')
		c.deliver(plainLetter(3))
	}
	r.get(t, 6)
}

// badListener fails for a while before it listens.
type badListener struct {
	net.Listener
	errors atomic.Int32
}

func (l *badListener) Accept() (net.Conn, error) {
	if l.errors.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "unix", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

func TestAcceptErrors(t *testing.T) {
	var r recorder
	s := serve(t, func(s *Server) { s.Apply = r.apply })
	ln, err := Listen(filepath.Join(t.TempDir(), "m.sock"), 0o600, "")
	if err != nil {
		t.Fatal(err)
	}
	bad := &badListener{Listener: ln}
	bad.errors.Store(4)
	done := make(chan error)
	go func() { done <- s.Serve(bad) }()
	c := dial(t, ln.Addr(), manners()[0])
	c.connect()
	c.deliver(plainLetter(1))
	r.get(t, 1)
	if lines := s.logs.lines(t, "accept connection"); len(lines) != 4 {
		t.Errorf("log: %v", lines)
	}
	// A listener that somebody else has closed is no reason to try again.
	ln.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("serve: %v", err)
	}
}

func TestMaxConnections(t *testing.T) {
	var r recorder
	s := serve(t, func(s *Server) { s.Apply, s.MaxConnections = r.apply, 2 })
	first, second := dial(t, s.addr, manners()[0]), dial(t, s.addr, manners()[1])
	third, err := net.Dial("unix", s.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	if n, err := third.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("third connection: %d, %v", n, err)
	}
	for _, c := range []*mta{first, second} {
		c.connect()
		c.deliver(plainLetter(1))
	}
	if lines := s.logs.lines(t, "connection refused: there are too many"); len(lines) != 1 {
		t.Errorf("log: %v", lines)
	}
	first.send('Q')
	first.expectClosed()
	for { // the place is free a moment after the connection's end
		s.mu.Lock()
		n := len(s.sessions)
		s.mu.Unlock()
		if n < 2 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	c := dial(t, s.addr, manners()[0])
	c.connect()
	c.deliver(plainLetter(2))
	r.get(t, 3)
}

// A peer that stops in mid-packet does not keep its connection for ever.
func TestHalfOpen(t *testing.T) {
	var r recorder
	s := serve(t, func(s *Server) { s.Apply, s.ReadTimeout = r.apply, 100*time.Millisecond })
	silent, err := net.Dial("unix", s.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	inHeader := dial(t, s.addr, manners()[0])
	inHeader.connect()
	inHeader.deliver(plainLetter(1))
	inHeader.begin(plainLetter(2))
	if _, err := inHeader.Write([]byte{0, 0, 0, 99, 'L', 'X'}); err != nil {
		t.Fatal(err)
	}
	inHeader.expectClosed()
	if n, err := silent.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("a silent peer: %d, %v", n, err)
	}
	r.get(t, 1)
	for len(s.logs.lines(t, "connection ended in mid-message")) == 0 {
		time.Sleep(time.Millisecond)
	}
}

// A peer that does not read is given up, and its message was never accepted.
func TestWriteTimeout(t *testing.T) {
	r := recorder{answer: func(*Transaction) (*Outcome, error) {
		return &Outcome{Action: policies.Accept, Body: text(strings.Repeat("x", 10<<20))}, nil
	}}
	s := serve(t, func(s *Server) { s.Apply, s.WriteTimeout = r.apply, 100*time.Millisecond })
	c := dial(t, s.addr, manners()[0])
	c.connect()
	c.begin(plainLetter(1))
	c.send('E')
	for len(s.logs.lines(t, "message")) == 0 {
		time.Sleep(time.Millisecond)
	}
	if line := s.logs.lines(t, "message")[0]; line["sent"] != false || line["level"] != "ERROR" {
		t.Errorf("log: %v", line)
	}
	if v := c.collectUntilClosed(); v.code != 0 {
		t.Errorf("got the verdict %q", v.code)
	}
}

// What does not keep to the protocol ends its connection; the server goes on,
// and the protocol library has nothing to complain of.
func TestProtocolErrors(t *testing.T) {
	var complaints bytes.Buffer
	log.SetOutput(&complaints)
	defer log.SetOutput(os.Stderr)
	message := []string{"M<a@b.example>\x00", "R<c@d.example>\x00"}
	for name, packets := range map[string][]string{
		"empty packet":             {""},
		"unknown command":          {"Z"},
		"options again":            {"O\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff"},
		"connect without family":   {"Chost\x00"},
		"connect without address":  {"Chost\x004\x00\x19"},
		"macros without stage":     {"D"},
		"recipient before sender":  {"R<a@b.example>\x00"},
		"field before sender":      {"LX\x00 y\x00"},
		"end of header too early":  {"N"},
		"body before sender":       {"Bx"},
		"end before sender":        {"E"},
		"recipient after an abort": append(slices.Clone(message), "A", "R<a@b.example>\x00"),
		"recipient after the end":  append(slices.Clone(message), "N", "E", "R<a@b.example>\x00"),
	} {
		t.Run(name, func(t *testing.T) {
			var r recorder
			s := serve(t, func(s *Server) { s.Apply = r.apply })
			for _, m := range manners()[:2] {
				c := dial(t, s.addr, m)
				c.connect()
				c.deliver(plainLetter(1))
				for _, p := range packets {
					if _, err := c.Write(append(uint32Bytes(len(p)), p...)); err != nil {
						t.Fatal(err)
					}
				}
				c.collectUntilClosed()
			}
		})
	}
	t.Run("beginning", func(t *testing.T) {
		s := serve(t, nil)
		for _, bytes := range []string{"", "\x00", "GET / HTTP/1.1\r\n\r\n", "\x00\x00\x00\x01O", "\x00\x00\x00\x01Q", "\xff\xff\xff\xffO", "\x00\x10\x00\x01O"} {
			conn, err := net.Dial("unix", s.addr.String())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, bytes); err != nil {
				t.Fatal(err)
			}
			_ = conn.(*net.UnixConn).CloseWrite()
			if answer, err := io.ReadAll(conn); len(answer) > 0 {
				t.Errorf("%q: got %q, %v", bytes, answer, err)
			}
			conn.Close()
		}
	})
	if complaints.Len() > 0 {
		t.Errorf("the library writes to the standard logger: %s", &complaints)
	}
}

// Commands that an MTA need not send, and a second client on one socket.
func TestRareCommands(t *testing.T) {
	var r recorder
	eachManner(t, func(s *Server) { s.Apply, r.messages = r.apply, nil }, func(t *testing.T, s *testServer, c *mta) {
		c.connect()
		c.deliver(plainLetter(1))
		c.command('U', 0, []byte("XYZZY\x00"))
		c.begin(plainLetter(2))
		c.send('K')
		c.command('C', 1<<12, []byte("other.example\x004\x30\x39192.0.2.8\x00"))
		c.command('T', 0)
		c.deliver(plainLetter(3))
		got := r.get(t, 2)
		if got[1].Client.String() != "192.0.2.8" || got[1].Helo != "" {
			t.Errorf("second client: %+v", got[1].Connection)
		}
		checkSeen(t, got[1], plainLetter(3))
	})
}

// A message of 25 MB goes in and out again through little memory.
func TestLargeMessage(t *testing.T) {
	const size = 25 << 20
	var peak uint64
	measure := func() {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapAlloc)
	}
	chunk := strings.Repeat("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n", 1023)
	measure()
	before := peak
	s := serve(t, func(s *Server) {
		s.Apply = func(_ context.Context, tx *Transaction) (*Outcome, error) {
			measure()
			return &Outcome{Action: policies.Accept, Body: tx.Body}, nil
		}
	})
	c := dial(t, s.addr, manners()[0])
	c.connect()
	for range 2 {
		c.begin(letter{from: "a@b.example"})
		sent := 0
		for sent < size {
			c.send('B', []byte(chunk))
			sent += len(chunk)
		}
		c.send('E')
		got := 0
		for code := byte(0); code != 'a'; {
			var data []byte
			if code, data = c.receive(); code == 'b' {
				if want := chunk[got%len(chunk):]; string(data[:min(len(want), len(data))]) != want[:min(len(want), len(data))] {
					t.Fatalf("the body differs at %d", got)
				}
				got += len(data)
			}
		}
		if got != sent {
			t.Errorf("%d bytes in, %d out", sent, got)
		}
		c.begin(plainLetter(1))
		c.send('A')
	}
	t.Logf("heap: %d KiB above the start", (peak-before)>>10)
	if peak-before > 4<<20 {
		t.Errorf("%d bytes of heap for one message", peak-before)
	}
}
