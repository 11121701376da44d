package mta

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Full is a local part whose mailbox is full: the sink refuses it for good, so
// that a mail server has to send a bounce.
const Full = "full"

// Mail is a message as the sink took it.
type Mail struct {
	From string
	To   []string
	// Args are what stood behind the address in MAIL FROM, "BODY=8BITMIME".
	Args string
	// Data is the message with CRLF line ends and without dot-stuffing.
	Data []byte
}

// Sink is an SMTP server that keeps every message.
type Sink struct {
	Addr string
	// SevenBit keeps it from offering 8BITMIME, so that a mail server must
	// convert what is not 7-bit.
	SevenBit atomic.Bool

	mails chan Mail
	done  chan struct{}
	mu    sync.Mutex
	conns map[net.Conn]bool
}

// StartSink starts a sink.
func StartSink(t testing.TB) *Sink {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Sink{Addr: l.Addr().String(), mails: make(chan Mail, 10_000),
		done: make(chan struct{}), conns: make(map[net.Conn]bool)}
	t.Cleanup(func() {
		close(s.done)
		l.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		for c := range s.conns {
			c.Close()
		}
	})
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns[c] = true
			s.mu.Unlock()
			go func() {
				s.serve(c)
				c.Close()
				s.mu.Lock()
				delete(s.conns, c)
				s.mu.Unlock()
			}()
		}
	}()
	return s
}

// Next waits for the next message.
func (s *Sink) Next(t testing.TB) Mail {
	t.Helper()
	select {
	case m := <-s.mails:
		return m
	case <-time.After(60 * time.Second):
		t.Fatal("no mail came to the sink within a minute")
		return Mail{}
	}
}

// Drain throws away what a failed test has left behind.
func (s *Sink) Drain() {
	for len(s.mails) > 0 {
		<-s.mails
	}
}

// None fails the test if a message has come that nobody took with Next.
func (s *Sink) None(t testing.TB) {
	t.Helper()
	select {
	case m := <-s.mails:
		t.Fatalf("mail from %s to %s was delivered:\n%.2000s", m.From, m.To, m.Data)
	default:
	}
}

var pathArgument = regexp.MustCompile(`(?i)^(?:MAIL FROM|RCPT TO):\s*<([^>]*)>\s*(.*?)\s*$`)

func (s *Sink) serve(c net.Conn) {
	r := bufio.NewReaderSize(c, 64<<10)
	say := func(line string) { fmt.Fprintf(c, "%s\r\n", line) }
	say("220 sink.test.example ESMTP")
	var m Mail
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		verb := strings.ToUpper(line[:min(4, len(line))])
		switch verb {
		case "EHLO":
			say("250-sink.test.example")
			if !s.SevenBit.Load() {
				say("250-8BITMIME\r\n250-SMTPUTF8")
			}
			say("250-DSN\r\n250 SIZE 0")
		case "MAIL":
			m = Mail{}
			if a := pathArgument.FindStringSubmatch(line); a != nil {
				m.From, m.Args = a[1], a[2]
			}
			say("250 2.1.0 ok")
		case "RCPT":
			a := pathArgument.FindStringSubmatch(line)
			if a != nil && strings.HasPrefix(a[1], Full+"@") {
				say("552 5.2.2 mailbox full")
				continue
			}
			if a != nil {
				m.To = append(m.To, a[1])
			}
			say("250 2.1.5 ok")
		case "DATA":
			say("354 go on")
			if m.Data, err = readData(r); err != nil {
				return
			}
			select {
			case s.mails <- m:
			case <-s.done:
				return
			}
			say("250 2.0.0 taken")
		case "QUIT":
			say("221 2.0.0 bye")
			return
		default:
			say("250 2.0.0 ok")
		}
	}
}

// readData reads up to the line with the single dot (RFC 5321, Section 4.5.2).
func readData(r *bufio.Reader) ([]byte, error) {
	var data bytes.Buffer
	for begin := true; ; {
		piece, err := r.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return nil, err
		}
		if begin && string(piece) == ".\r\n" {
			return data.Bytes(), nil
		}
		if begin {
			piece = bytes.TrimPrefix(piece, []byte("."))
		}
		begin = err == nil
		data.Write(piece)
	}
}
