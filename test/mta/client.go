package mta

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Client is one SMTP session.
type Client struct {
	// SMTPUTF8 is sent with MAIL FROM, for addresses outside ASCII.
	SMTPUTF8 bool

	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

// Reply is what the server answered: the code and the text of all lines,
// joined by spaces.
type Reply struct {
	Code int
	Text string
}

func (r Reply) String() string { return fmt.Sprintf("%d %s", r.Code, r.Text) }

// Dial begins a session from a loopback address ("" for the usual one) and
// says EHLO.
func Dial(t testing.TB, addr, local string) *Client {
	t.Helper()
	dialer := net.Dialer{Timeout: 10 * time.Second}
	if local != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(local)}
	}
	conn, err := dialer.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &Client{t: t, conn: conn, r: bufio.NewReader(conn)}
	c.deadline()
	if r := c.reply(); r.Code != 220 {
		t.Fatalf("greeting: %s", r)
	}
	c.Must(250, "EHLO client.example.com")
	return c
}

func (c *Client) deadline() { c.conn.SetDeadline(time.Now().Add(3 * time.Minute)) }

func (c *Client) reply() Reply {
	c.t.Helper()
	r, err := c.read()
	if err != nil {
		c.t.Fatalf("read SMTP reply: %v", err)
	}
	return r
}

func (c *Client) read() (Reply, error) {
	var r Reply
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return r, err
		}
		line = strings.TrimRight(line, "\r\n")
		if len(line) < 3 {
			return r, fmt.Errorf("reply %q", line)
		}
		if r.Code, err = strconv.Atoi(line[:3]); err != nil {
			return r, fmt.Errorf("reply %q", line)
		}
		r.Text = strings.TrimSpace(r.Text + " " + strings.TrimLeft(line[3:], "- "))
		if len(line) == 3 || line[3] == ' ' {
			return r, nil
		}
	}
}

// Say sends a command and returns the answer.
func (c *Client) Say(format string, args ...any) Reply {
	c.t.Helper()
	c.deadline()
	if _, err := fmt.Fprintf(c.conn, format+"\r\n", args...); err != nil {
		c.t.Fatalf("write SMTP command: %v", err)
	}
	return c.reply()
}

// Must is Say for a command that has to be answered with the code.
func (c *Client) Must(code int, format string, args ...any) Reply {
	c.t.Helper()
	r := c.Say(format, args...)
	if r.Code != code {
		c.t.Fatalf("%s: %s", fmt.Sprintf(format, args...), r)
	}
	return r
}

// Login authenticates with PLAIN (RFC 4616).
func (c *Client) Login(user string) {
	c.t.Helper()
	c.Must(235, "AUTH PLAIN %s", base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+Password)))
}

// StartTLS goes over to TLS and says EHLO again.
func (c *Client) StartTLS() {
	c.t.Helper()
	c.Must(220, "STARTTLS")
	conn := tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true}) // a certificate made for the test
	c.conn, c.r = conn, bufio.NewReader(conn)
	c.Must(250, "EHLO client.example.com")
}

// Mail sends MAIL FROM, with BODY=8BITMIME if the message needs it.
func (c *Client) Mail(from string, message []byte) Reply {
	c.t.Helper()
	args := ""
	if bytes.ContainsFunc(message, func(r rune) bool { return r > 126 }) {
		args = " BODY=8BITMIME"
	}
	if c.SMTPUTF8 {
		args += " SMTPUTF8"
	}
	return c.Say("MAIL FROM:<%s>%s", from, args)
}

// Rcpt sends RCPT TO.
func (c *Client) Rcpt(to string) Reply {
	c.t.Helper()
	return c.Say("RCPT TO:<%s>", to)
}

// BeginData sends DATA and the first part of a message with CRLF line ends.
func (c *Client) BeginData(part []byte) {
	c.t.Helper()
	c.Must(354, "DATA")
	if _, err := c.conn.Write(stuff(part)); err != nil {
		c.t.Fatalf("write message: %v", err)
	}
}

// BeginLine ends a last line that has no end.
func (c *Client) BeginLine() { c.conn.Write([]byte("\r\n")) }

// EndData sends the final dot and returns the answer, or an error if the
// server hung up.
func (c *Client) EndData() (Reply, error) {
	c.deadline()
	if _, err := c.conn.Write([]byte(".\r\n")); err != nil {
		return Reply{}, err
	}
	return c.read()
}

// Data sends a whole message. Line ends must be CRLF; a missing last one is
// added, because SMTP can't do without.
func (c *Client) Data(message []byte) Reply {
	c.t.Helper()
	c.deadline()
	c.BeginData(message)
	if !bytes.HasSuffix(message, []byte("\r\n")) && len(message) > 0 {
		c.BeginLine()
	}
	r, err := c.EndData()
	if err != nil {
		c.t.Fatalf("read the answer to the message: %v", err)
	}
	return r
}

// Send is a whole transaction: the answer is the first that is no success, or
// that to the message.
func (c *Client) Send(from string, to []string, message []byte) Reply {
	c.t.Helper()
	if r := c.Mail(from, message); r.Code != 250 {
		return r
	}
	for _, rcpt := range to {
		if r := c.Rcpt(rcpt); r.Code != 250 {
			return r
		}
	}
	return c.Data(message)
}

// Close hangs up without a word.
func (c *Client) Close() { c.conn.Close() }

// stuff doubles the dot at the beginning of a line (RFC 5321, Section 4.5.2).
func stuff(b []byte) []byte {
	b = bytes.ReplaceAll(b, []byte("\r\n."), []byte("\r\n.."))
	if bytes.HasPrefix(b, []byte(".")) {
		b = append([]byte("."), b...)
	}
	return b
}
