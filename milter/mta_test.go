package milter

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	gomilter "github.com/emersion/go-milter"
)

// manner is how an MTA speaks.
type manner struct {
	name              string
	actions, protocol uint32
	aborts            int  // ABORTs after a message
	lateQueueID       bool // the queue id comes with the header, not with MAIL
}

const (
	allActions  = 0x1ff
	allProtocol = 0x1fffff
	oldActions  = 0x3f // version 2 without symbol lists
	oldProtocol = 0x7f // no steps without reply, no leading space
)

func manners() []manner {
	return []manner{
		{"postfix", allActions, allProtocol, 2, true},
		{"sendmail", allActions, allProtocol, 0, false},
		{"old postfix", oldActions, oldProtocol, 1, true},
		{"old sendmail", oldActions, oldProtocol, 0, false},
	}
}

// mta is the other end of a milter connection, raw, so that it can say what no
// library would.
type mta struct {
	t testing.TB
	manner
	net.Conn
	in       *bufio.Reader
	actions  uint32 // agreed
	protocol uint32
	symbols  string
}

func dial(t testing.TB, addr net.Addr, m manner) *mta {
	t.Helper()
	conn, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	c := &mta{t: t, manner: m, Conn: conn, in: bufio.NewReaderSize(conn, 128<<10)}
	c.send('O', uint32Bytes(6), uint32Bytes(int(m.actions)), uint32Bytes(int(m.protocol)))
	code, data := c.receive()
	if code != 'O' || len(data) < 12 {
		t.Fatalf("options: got %q %x", code, data)
	}
	c.actions, c.protocol = binary.BigEndian.Uint32(data[4:]), binary.BigEndian.Uint32(data[8:])
	c.symbols = string(data[12:])
	if c.actions&^m.actions != 0 || c.protocol&^m.protocol != 0 {
		t.Fatalf("options: got %x %x, offered were %x %x", c.actions, c.protocol, m.actions, m.protocol)
	}
	return c
}

func (c *mta) send(code byte, data ...[]byte) {
	c.t.Helper()
	if _, err := c.Write(appendPacket(nil, code, data...)); err != nil {
		c.t.Fatalf("send %q: %v", code, err)
	}
}

func (c *mta) receive() (byte, []byte) {
	c.t.Helper()
	code, data, err := c.read()
	if err != nil {
		c.t.Fatalf("receive: %v", err)
	}
	return code, data
}

func (c *mta) read() (byte, []byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(c.in, length[:]); err != nil {
		return 0, nil, err
	}
	packet := make([]byte, binary.BigEndian.Uint32(length[:]))
	if _, err := io.ReadFull(c.in, packet); err != nil {
		return 0, nil, err
	}
	return packet[0], packet[1:], nil
}

// command sends a command and takes its answer, unless none was agreed on.
func (c *mta) command(code byte, unless gomilter.OptProtocol, data ...[]byte) {
	c.t.Helper()
	c.send(code, data...)
	if c.protocol&uint32(unless) != 0 {
		return
	}
	if got, data := c.receive(); got != 'c' {
		c.t.Fatalf("command %q: got %q %q", code, got, data)
	}
}

func (c *mta) macros(stage byte, pairs ...string) {
	c.t.Helper()
	c.send('D', []byte{stage}, []byte(strings.Join(pairs, "\x00")+"\x00"))
}

func (c *mta) connect() {
	c.t.Helper()
	c.macros('C', "j", "mx.test.example")
	c.command('C', gomilter.OptNoConnReply, []byte("client.example\x004\x30\x39192.0.2.7\x00"))
	c.helo()
}

func (c *mta) helo(macros ...string) {
	c.t.Helper()
	c.macros('H', macros...)
	c.command('H', gomilter.OptNoHeloReply, []byte("client.example\x00"))
}

// letter is a message as a client hands it in.
type letter struct {
	from   string
	to     []string
	header [][2]string // values with their leading space
	chunks []string
	last   string // body in the packet that ends the message
	queue  string
	mail   []string // macros of MAIL
}

func plainLetter(n int) letter {
	return letter{
		from:   fmt.Sprintf("from%d@a.example", n),
		to:     []string{fmt.Sprintf("to%d@b.example", n), fmt.Sprintf("cc%d@b.example", n)},
		header: [][2]string{{"Subject", fmt.Sprintf(" number %d", n)}, {"X-Fold", " a\n b\n\tc"}},
		chunks: []string{fmt.Sprintf("body %d\r", n), "\nsecond line\r\n"},
		queue:  fmt.Sprintf("QUEUE%d", n),
	}
}

// begin sends a message without its end.
func (c *mta) begin(l letter) {
	c.t.Helper()
	mail := l.mail
	if !c.lateQueueID {
		mail = append([]string{"i", l.queue}, mail...)
	}
	c.macros('M', mail...)
	c.command('M', gomilter.OptNoMailReply, []byte("<"+l.from+">\x00BODY=8BITMIME\x00"))
	for _, to := range l.to {
		c.macros('R', "{rcpt_addr}", to)
		c.command('R', gomilter.OptNoRcptReply, []byte("<"+to+">\x00"))
	}
	if c.protocol&uint32(gomilter.OptNoData) == 0 {
		c.command('T', 0)
	}
	for _, f := range l.header {
		if c.lateQueueID {
			c.macros('L', "i", l.queue)
		}
		value := f[1]
		if c.protocol&uint32(gomilter.OptHeaderLeadingSpace) == 0 {
			value = strings.TrimPrefix(value, " ")
		}
		c.command('L', gomilter.OptNoHeaderReply, []byte(f[0]+"\x00"+value+"\x00"))
	}
	c.command('N', gomilter.OptNoEOHReply)
	for _, chunk := range l.chunks {
		c.command('B', gomilter.OptNoBodyReply, []byte(chunk))
	}
}

// verdict is what the milter has answered to a message.
type verdict struct {
	code     byte
	reply    string
	edits    []string // "i 0 Name: value", "m 1 Name: value"
	body     []byte
	bodies   int
	held     string
	progress int
	order    string // the codes, without progress
}

// end ends a message and collects the answers.
func (c *mta) end(l letter) verdict {
	c.t.Helper()
	v, err := c.tryEnd(l)
	if err != nil {
		c.t.Fatalf("after the end of the message: %v", err)
	}
	for range c.aborts {
		c.send('A')
	}
	return v
}

func (c *mta) tryEnd(l letter) (v verdict, err error) {
	c.t.Helper()
	c.macros('E', "i", l.queue)
	c.send('E', []byte(l.last))
	return c.tryCollect()
}

// collect collects the answers to the end of a message.
func (c *mta) collect() verdict {
	c.t.Helper()
	v, err := c.tryCollect()
	if err != nil {
		c.t.Fatalf("after the end of the message: %v", err)
	}
	return v
}

// collectUntilClosed collects what comes until the connection is closed.
func (c *mta) collectUntilClosed() verdict {
	c.t.Helper()
	for {
		if v, err := c.tryCollect(); err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				c.t.Fatal("the connection was not closed")
			}
			return v
		}
	}
}

func (c *mta) tryCollect() (v verdict, err error) {
	c.t.Helper()
	for {
		code, data, err := c.read()
		if err != nil {
			return v, err
		}
		if code == 'p' {
			v.progress++
			continue
		}
		v.order += string(code)
		switch code {
		case 'i', 'm':
			name, value, _ := strings.Cut(string(data[4:]), "\x00")
			v.edits = append(v.edits, fmt.Sprintf("%c %d %s:%s", code, binary.BigEndian.Uint32(data), name, strings.TrimSuffix(value, "\x00")))
		case 'b':
			v.body = append(v.body, data...)
			v.bodies++
			if len(data) > 65535 {
				c.t.Errorf("a body packet of %d bytes", len(data))
			}
		case 'q':
			v.held = strings.TrimSuffix(string(data), "\x00")
		case 'a', 'c', 'd', 'r', 't', 'y':
			v.code, v.reply = code, strings.TrimSuffix(string(data), "\x00")
			return v, nil
		default:
			c.t.Fatalf("after the end of the message: got %q %q", code, data)
		}
	}
}

func (c *mta) deliver(l letter) verdict {
	c.t.Helper()
	c.begin(l)
	return c.end(l)
}

// expectClosed expects the milter to end the connection.
func (c *mta) expectClosed() {
	c.t.Helper()
	if code, data, err := c.read(); err == nil {
		c.t.Fatalf("got %q %q, want the connection closed", code, data)
	}
}

// logLines is a place for the log of a server.
type logLines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// lines returns the lines with that text, parsed.
func (l *logLines) lines(t testing.TB, text string) []map[string]any {
	t.Helper()
	var found []map[string]any
	for line := range strings.Lines(l.String()) {
		var attrs map[string]any
		if err := json.Unmarshal([]byte(line), &attrs); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		if attrs["msg"] == text {
			found = append(found, attrs)
		}
	}
	return found
}

// testServer is a running server.
type testServer struct {
	*Server
	addr net.Addr
	logs *logLines
	done chan error
}

// serve runs a server on a unix socket. At the end of the test it is shut down,
// and nothing may be left of it.
func serve(t testing.TB, set func(*Server)) *testServer {
	t.Helper()
	spools, err := NewSpools(filepath.Join(t.TempDir(), "spool"), 256<<10, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	s := &testServer{logs: &logLines{}, done: make(chan error, 1)}
	s.Server = &Server{
		Spools: spools,
		Log:    slog.New(slog.NewJSONHandler(s.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Apply:  func(context.Context, *Transaction) (*Outcome, error) { return nil, errors.New("no Apply in this test") },
	}
	if set != nil {
		set(s.Server)
	}
	ln, err := Listen("unix:"+filepath.Join(t.TempDir(), "m.sock"), 0o600, "")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = ln.Addr()
	go func() { s.done <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-s.done; err != nil {
			t.Errorf("serve: %v", err)
		}
		if used := s.Spools.Used(); used != 0 {
			t.Errorf("%d bytes are left in spools", used)
		}
	})
	return s
}
