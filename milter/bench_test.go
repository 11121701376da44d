package milter

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gomilter "github.com/emersion/go-milter"

	"waxseal/policies"
)

// BenchmarkSession compares a session whose Apply does nothing with a milter of
// the bare protocol library that does nothing: 4 connections over a unix socket,
// 12 header fields and 4 KB of body a message. It also states the ratio.
func BenchmarkSession(b *testing.B) {
	bare := bareMilter(b)
	session := noopSession(b)
	b.Run("bare", func(b *testing.B) { deliverMany(b, bare) })
	b.Run("session", func(b *testing.B) { deliverMany(b, session) })
	b.Run("ratio", func(b *testing.B) {
		// Turn about, since the machine's other load changes.
		n := max(b.N/16, 1000) // enough to get going
		var slow, fast time.Duration
		for range 8 {
			slow += deliver4(b, bare, n)
			fast += deliver4(b, session, n)
		}
		b.ReportMetric(slow.Seconds()/fast.Seconds(), "times-bare")
		b.ReportMetric(0, "ns/op")
	})
}

func bareMilter(b *testing.B) net.Addr {
	ln, err := net.Listen("unix", filepath.Join(b.TempDir(), "m.sock"))
	if err != nil {
		b.Fatal(err)
	}
	server := &gomilter.Server{NewMilter: func() gomilter.Milter { return gomilter.NoOpMilter{} }}
	go func() { _ = server.Serve(ln) }()
	b.Cleanup(func() { ln.Close() })
	return ln.Addr()
}

func noopSession(b *testing.B) net.Addr {
	return serve(b, func(s *Server) {
		s.Log = nil
		s.Apply = func(context.Context, *Transaction) (*Outcome, error) { return &Outcome{Action: policies.Accept}, nil }
	}).addr
}

func deliverMany(b *testing.B, addr net.Addr) {
	b.ReportAllocs()
	elapsed := deliver4(b, addr, b.N)
	b.ReportMetric(float64(b.N)/elapsed.Seconds(), "messages/s")
}

// deliver4 delivers n messages over 4 connections.
func deliver4(b *testing.B, addr net.Addr, n int) time.Duration {
	b.Helper()
	var todo atomic.Int64
	todo.Store(int64(n))
	var all sync.WaitGroup
	var connections []*load
	for range 4 {
		connections = append(connections, dialLoad(b, addr))
	}
	start := time.Now()
	for _, c := range connections {
		all.Go(func() {
			defer c.Close()
			for todo.Add(-1) >= 0 {
				if err := c.message(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	return time.Since(start)
}

// load is an MTA that sends as fast as it can: it writes when it has to wait
// for an answer.
type load struct {
	net.Conn
	in       *bufio.Reader
	out      *bufio.Writer
	protocol uint32
	scratch  []byte
}

func dialLoad(b *testing.B, addr net.Addr) *load {
	b.Helper()
	c := dial(b, addr, manners()[0])
	c.connect()
	return &load{Conn: c.Conn, in: c.in, out: bufio.NewWriterSize(c.Conn, 32<<10), protocol: c.protocol}
}

func (c *load) command(code byte, unless gomilter.OptProtocol, data string) error {
	c.scratch = append(appendPacket(c.scratch[:0], code), data...)
	binary.BigEndian.PutUint32(c.scratch, uint32(1+len(data)))
	if _, err := c.out.Write(c.scratch); err != nil || c.protocol&uint32(unless) != 0 {
		return err
	}
	return c.answer()
}

func (c *load) answer() error {
	if err := c.out.Flush(); err != nil {
		return err
	}
	var length [4]byte
	if _, err := io.ReadFull(c.in, length[:]); err != nil {
		return err
	}
	_, err := c.in.Discard(int(binary.BigEndian.Uint32(length[:])))
	return err
}

func (c *load) message() error {
	const never = ^gomilter.OptProtocol(0)
	type command struct {
		code   byte
		unless gomilter.OptProtocol
		data   string
	}
	c.protocol |= 1 << 31 // so that "never" holds
	commands := []command{
		{'D', never, "M{auth_authen}\x00alice\x00"},
		{'M', gomilter.OptNoMailReply, "<alice@a.example>\x00SIZE=4096\x00"},
		{'R', gomilter.OptNoRcptReply, "<bob@b.example>\x00"},
		{'D', never, "Li\x004Xz1\x00"},
	}
	for range 12 {
		commands = append(commands, command{'L', gomilter.OptNoHeaderReply, "X-Field\x00 some forty characters of a field's value\x00"})
	}
	commands = append(commands,
		command{'N', gomilter.OptNoEOHReply, ""},
		command{'B', gomilter.OptNoBodyReply, body4K},
		command{'E', 0, ""},
		command{'A', never, ""})
	for _, x := range commands {
		if err := c.command(x.code, x.unless, x.data); err != nil {
			return err
		}
	}
	return nil
}

var body4K = strings.Repeat("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n", 64)
