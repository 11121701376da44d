package mta_test

import (
	"bytes"
	"net"
	"net/textproto"
	"os"
	"strings"
	"testing"

	"github.com/emersion/go-milter"

	"waxseal/test/mta"
)

// stamper changes the header and the body of every message, and keeps the
// login that the server told of.
type stamper struct {
	milter.NoOpMilter
	login chan string
}

func (s stamper) MailFrom(_ string, m *milter.Modifier) (milter.Response, error) {
	s.login <- m.Macros["{auth_authen}"]
	return milter.RespContinue, nil
}

func (s stamper) Headers(textproto.MIMEHeader, *milter.Modifier) (milter.Response, error) {
	return milter.RespContinue, nil
}

func (s stamper) Body(m *milter.Modifier) (milter.Response, error) {
	if err := m.ChangeHeader(1, "Subject", "stamped"); err != nil {
		return nil, err
	}
	return milter.RespAccept, m.ReplaceBody([]byte("new\r\n"))
}

func startStamper(t *testing.T) (string, chan string) {
	socket := mta.Dir(t) + "/milter.sock"
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	os.Chmod(socket, 0o666)
	login := make(chan string, 100)
	s := &milter.Server{NewMilter: func() milter.Milter { return stamper{login: login} },
		Actions: milter.OptChangeBody | milter.OptChangeHeader}
	go s.Serve(l)
	return socket, login
}

const plainMail = "From: a@src.example\r\nTo: b@dst.example\r\nSubject: x\r\n\r\n.old\r\n"

func TestServers(t *testing.T) {
	starts := map[string]func(testing.TB, mta.Options) *mta.MTA{"postfix": mta.StartPostfix, "sendmail": mta.StartSendmail}
	for name, start := range starts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			socket, login := startStamper(t)
			m := start(t, mta.Options{Milter: socket})
			c := mta.Dial(t, m.Addr, "127.0.0.2")
			c.StartTLS()
			c.Login("a@src.example")
			if r := c.Send("a@src.example", []string{"b@dst.example", "c@dst.example"}, []byte(plainMail)); r.Code != 250 {
				t.Fatal(r)
			}
			if l := <-login; l != "a@src.example" {
				t.Errorf("login %q", l)
			}
			got := m.Sink.Next(t)
			if !bytes.Contains(got.Data, []byte("Subject: stamped\r\n")) || !bytes.HasSuffix(got.Data, []byte("\r\n\r\nnew\r\n")) {
				t.Errorf("delivered %q", got.Data)
			}
			if len(got.To) != 2 || got.From != "a@src.example" {
				t.Errorf("envelope %q %q", got.From, got.To)
			}
			if r := c.Mail("a@src.example", nil); r.Code != 250 {
				t.Fatal(r)
			}
			if r := c.Rcpt(mta.Refused + "@dst.example"); r.Code/100 != 5 {
				t.Errorf("%s was answered %s", mta.Refused, r)
			}
			m.Command(t, "a@src.example", strings.ReplaceAll(plainMail, "\r\n", "\n"), "b@dst.example")
			got = m.Sink.Next(t)
			if !bytes.HasSuffix(got.Data, []byte("\r\n\r\nnew\r\n")) {
				t.Errorf("the sendmail command delivered %q", got.Data)
			}
			if !m.QueueEmpty(t) {
				t.Errorf("queue: %s", m.Queue(t))
			}
			m.Sink.None(t)
		})
	}
}

func TestWithoutFilter(t *testing.T) {
	sink := mta.StartSink(t)
	sink.SevenBit.Store(true)
	m := mta.StartPostfix(t, mta.Options{Sink: sink})
	mail := []byte("From: a@src.example\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n" +
		"Content-Transfer-Encoding: 8bit\r\n\r\n.caf\xc3\xa9\r\n")
	if r := mta.Dial(t, m.Addr, "").Send("a@src.example", []string{"b@dst.example"}, mail); r.Code != 250 {
		t.Fatal(r)
	}
	if got := sink.Next(t); !bytes.HasSuffix(got.Data, []byte("\r\n\r\n.caf=C3=A9\r\n")) {
		t.Errorf("delivered %q", got.Data)
	}
}
