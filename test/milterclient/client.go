// Package milterclient speaks the milter protocol as an MTA does, so that a
// test can do to a milter what no real MTA does on demand: stop in mid-message,
// or send messages as fast as the socket takes them. It negotiates as Postfix
// 3.7 and, like Postfix, does not wait for answers that the milter says it will
// not send.
package milterclient

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// What Postfix 3.7 offers: version 6, all actions, all protocol steps.
const (
	version  = 6
	actions  = 0x1ff
	protocol = 0x1fffff
)

// Protocol flags (libmilter's SMFIP_*): steps that the milter does not want,
// answers that it does not send.
const (
	noConnect   = 1 << 0
	noHelo      = 1 << 1
	noMail      = 1 << 2
	noRcpt      = 1 << 3
	noBody      = 1 << 4
	noHeaders   = 1 << 5
	noEOH       = 1 << 6
	quietHeader = 1 << 7
	noData      = 1 << 9
	quietConn   = 1 << 12
	quietHelo   = 1 << 13
	quietMail   = 1 << 14
	quietRcpt   = 1 << 15
	quietData   = 1 << 16
	quietEOH    = 1 << 18
	quietBody   = 1 << 19
	leadSpace   = 1 << 20
)

// chunkSize is that of the body packets that both MTAs send.
const chunkSize = 65535

// Client is one connection to a milter. It is used by one goroutine at a time.
type Client struct {
	conn  net.Conn
	r     *bufio.Reader
	w     *bufio.Writer
	flags uint32
	buf   []byte
}

// Message is what a client sends.
type Message struct {
	From, Login string
	To          []string
	// Fields are the header fields, name and value; the value has no leading
	// space.
	Fields [][2]string
	Body   []byte
}

// Verdict is what the milter answered.
type Verdict struct {
	// Code is the protocol's letter: 'a' or 'c' accepted, 'r' rejected, 't'
	// deferred, 'd' discarded, 'y' with Reply.
	Code  byte
	Reply string
	// Inserted are the header fields that were added, "Name: value".
	Inserted []string
	// Body is the size of the new body, -1 if it stays.
	Body int64
}

// Dial connects to a milter on a unix socket, negotiates and tells of a client
// at the address.
func Dial(socket, client string) (*Client, error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	c := &Client{conn: conn, r: bufio.NewReaderSize(conn, 64<<10), w: bufio.NewWriterSize(conn, 64<<10)}
	if err := c.begin(client); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// Close hangs up.
func (c *Client) Close() error { return c.conn.Close() }

func (c *Client) begin(client string) error {
	offer := make([]byte, 0, 12)
	for _, n := range []uint32{version, actions, protocol} {
		offer = binary.BigEndian.AppendUint32(offer, n)
	}
	c.write('O', offer)
	code, data, err := c.read()
	if err != nil {
		return err
	}
	if code != 'O' || len(data) < 12 {
		return fmt.Errorf("the milter answered %q to the negotiation", code)
	}
	c.flags = binary.BigEndian.Uint32(data[8:])
	c.macros('C', "j", "mx.test.example", "{daemon_name}", "mx", "v", "Postfix 3.7.11")
	if err := c.step('C', noConnect, quietConn, "client\x004\x12\x34"+client+"\x00"); err != nil {
		return err
	}
	c.macros('H')
	return c.step('H', noHelo, quietHelo, "client.example.com\x00")
}

// Send sends a message and returns the verdict. The connection can be used for
// the next one.
func (c *Client) Send(m *Message) (Verdict, error) {
	if err := c.Begin(m); err != nil {
		return Verdict{}, err
	}
	if err := c.SendBody(m.Body); err != nil {
		return Verdict{}, err
	}
	v, err := c.End()
	if err != nil {
		return v, err
	}
	return v, c.Abort()
}

// Begin sends a message up to the end of its header.
func (c *Client) Begin(m *Message) error {
	c.conn.SetDeadline(time.Now().Add(2 * time.Minute))
	c.macros('M', "i", "4Xz1", "{auth_authen}", m.Login)
	if err := c.step('M', noMail, quietMail, "<"+m.From+">\x00"); err != nil {
		return err
	}
	for _, to := range m.To {
		c.macros('R')
		if err := c.step('R', noRcpt, quietRcpt, "<"+to+">\x00"); err != nil {
			return err
		}
	}
	if err := c.step('T', noData, quietData, ""); err != nil {
		return err
	}
	for _, f := range m.Fields {
		space := ""
		if c.flags&leadSpace != 0 {
			space = " "
		}
		if err := c.step('L', noHeaders, quietHeader, f[0]+"\x00"+space+f[1]+"\x00"); err != nil {
			return err
		}
	}
	return c.step('N', noEOH, quietEOH, "")
}

// SendBody sends a part of the body, in chunks of an MTA's size.
func (c *Client) SendBody(body []byte) error {
	for len(body) > 0 && c.flags&noBody == 0 {
		n := min(len(body), chunkSize)
		c.write('B', body[:n])
		body = body[n:]
		if c.flags&quietBody == 0 {
			code, _, err := c.read()
			if err != nil {
				return err
			}
			if code == 's' {
				return nil
			}
			if code != 'c' {
				return fmt.Errorf("the milter answered %q to a piece of the body", code)
			}
		}
	}
	return nil
}

// Flush sends what is still in the client's own buffer.
func (c *Client) Flush() error { return c.w.Flush() }

// End sends the end of the message and reads the answers up to the verdict.
func (c *Client) End() (Verdict, error) {
	c.macros('E', "i", "4Xz1")
	c.write('E', nil)
	v := Verdict{Body: -1}
	for {
		code, data, err := c.read()
		if err != nil {
			return v, err
		}
		switch code {
		case 'p': // progress
		case 'b':
			v.Body = max(v.Body, 0) + int64(len(data))
		case 'i':
			name, value, _ := strings.Cut(string(data[4:]), "\x00")
			v.Inserted = append(v.Inserted, name+": "+strings.Trim(value, " \x00"))
		case 'm', 'h', 'q', '+', '-', 'e':
		case 'a', 'c', 'r', 't', 'd':
			v.Code = code
			return v, nil
		case 'y':
			v.Code, v.Reply = code, strings.TrimRight(string(data), "\x00")
			return v, nil
		default:
			return v, fmt.Errorf("the milter sent %q at the end of the message", code)
		}
	}
}

// Abort ends or gives up the message, as Postfix does after each.
func (c *Client) Abort() error {
	c.write('A', nil)
	return c.w.Flush()
}

// step sends a command, if the milter wants it, and waits for the answer, if
// there is one.
func (c *Client) step(code byte, unwanted, quiet uint32, data string) error {
	if c.flags&unwanted != 0 {
		return nil
	}
	c.buf = append(c.buf[:0], data...)
	c.write(code, c.buf)
	if c.flags&quiet != 0 {
		return nil
	}
	answer, _, err := c.read()
	if err != nil {
		return err
	}
	if answer != 'c' {
		return fmt.Errorf("the milter answered %q to command %q", answer, code)
	}
	return nil
}

// macros sends the macros of the next command, names and values in turn.
func (c *Client) macros(code byte, pairs ...string) {
	c.buf = append(c.buf[:0], code)
	for _, s := range pairs {
		c.buf = append(append(c.buf, s...), 0)
	}
	c.write('D', c.buf)
}

// write puts a packet into the buffer; read sends the buffer. The writer keeps
// an error until then.
func (c *Client) write(code byte, data []byte) {
	var head [5]byte
	binary.BigEndian.PutUint32(head[:4], uint32(len(data)+1))
	head[4] = code
	c.w.Write(head[:])
	c.w.Write(data)
}

// read sends what is buffered and reads a packet.
func (c *Client) read() (byte, []byte, error) {
	if err := c.w.Flush(); err != nil {
		return 0, nil, err
	}
	var head [5]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return 0, nil, err
	}
	n := int(binary.BigEndian.Uint32(head[:4])) - 1
	if n < 0 || n > 128<<20 {
		return 0, nil, fmt.Errorf("the milter sent a packet of %d bytes", n)
	}
	if cap(c.buf) < n {
		c.buf = make([]byte, n)
	}
	data := c.buf[:n]
	_, err := io.ReadFull(c.r, data)
	return head[4], data, err
}
