package milter

import (
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"waxseal/policies"
)

// script is a connection on which everything has been said already.
type script struct {
	net.Conn // nil: nothing else is called
	in       io.Reader
	out      bytes.Buffer
	done     chan bool
}

func (s *script) Read(p []byte) (int, error)       { return s.in.Read(p) }
func (s *script) Write(p []byte) (int, error)      { return s.out.Write(p) }
func (s *script) Close() error                     { close(s.done); return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

// play lets a server hear what an MTA says and returns what it answers.
func play(t testing.TB, spools *Spools, said io.Reader, logs *logLines) []byte {
	t.Helper()
	server := &Server{
		Spools: spools,
		Log:    slog.New(slog.NewJSONHandler(logs, nil)),
		Apply: func(_ context.Context, tx *Transaction) (*Outcome, error) {
			edits := []Edit{{Kind: Insert, Name: "X", Value: tx.Header.Get("Subject")}}
			return &Outcome{Action: policies.Accept, Edits: edits, Body: tx.Body}, nil
		},
		MaxMessageSize: 20_000, MaxHeaderSize: 5_000, MaxHeaderFields: 50, MaxRecipients: 5,
	}
	server.once.Do(server.setUp)
	s := &script{in: said, done: make(chan bool)}
	server.accept(s)
	<-s.done
	server.running.Wait()
	if used := server.Spools.Used(); used != 0 {
		t.Errorf("%d bytes are left in spools", used)
	}
	return s.out.Bytes()
}

// packets writes packets one after the other.
func packets(said ...string) []byte {
	var b []byte
	for _, p := range said {
		b = append(append(b, uint32Bytes(len(p))...), p...)
	}
	return b
}

// conversation is two messages with an abort between them.
func conversation(options string) []byte {
	message := []string{
		"DMi\x00Q1\x00{auth_authen}\x00alice\x00", "M<a@b.example>\x00SIZE=5\x00", "R<c@d.example>\x00",
		"LSubject\x00 hello\x00", "LX\x00\n y\x00", "N", "B" + strings.Repeat("body\r\n", 50), "DEi\x00Q1\x00", "Elast\r\n",
	}
	said := []string{options, "DCj\x00mx\x00", "Chost\x004\x00\x19192.0.2.1\x00", "Hhost\x00"}
	said = append(said, message...)
	said = append(said, message[:5]...)
	said = append(said, "A")
	said = append(said, message...)
	return packets(append(said, "Q")...)
}

const (
	newOptions = "O\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff"
	oldOptions = "O\x00\x00\x00\x02\x00\x00\x00\x3f\x00\x00\x00\x7f"
)

// However the bytes arrive, the answers are the same.
func TestWireReads(t *testing.T) {
	spools := newSpools(t, 100, 10_000)
	for _, options := range []string{newOptions, oldOptions} {
		said := conversation(options)
		var logs logLines
		want := play(t, spools, bytes.NewReader(said), &logs)
		if n := bytes.Count(want, []byte("last\r\n\x00\x00\x00\x01a")); n != 2 {
			t.Fatalf("%d messages were accepted, want 2: %q", n, want)
		}
		for name, reader := range map[string]io.Reader{
			"byte by byte":   iotest.OneByteReader(bytes.NewReader(said)),
			"in halves":      iotest.HalfReader(bytes.NewReader(said)),
			"data with EOF":  iotest.DataErrReader(bytes.NewReader(said)),
			"in two packets": io.MultiReader(bytes.NewReader(said[:100]), bytes.NewReader(said[100:])),
		} {
			if got := play(t, spools, reader, &logs); !bytes.Equal(withoutOptions(got), withoutOptions(want)) {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
		for cut := range said {
			got := play(t, spools, bytes.NewReader(said[:cut]), &logs)
			if !bytes.HasPrefix(withoutOptions(want), withoutOptions(got)) {
				t.Errorf("cut at %d: got %q", cut, got)
			}
		}
		if strings.Contains(logs.String(), "stack") {
			t.Errorf("panic: %s", &logs)
		}
	}
}

// withoutOptions leaves the first packet out, whose list of symbols has no
// fixed order.
func withoutOptions(b []byte) []byte {
	if len(b) < lengthSize {
		return nil
	}
	size := int(b[2])<<8 | int(b[3])
	return b[lengthSize+size:]
}

// Answers are sent together: an MTA that does not wait costs one write.
func TestWireGathersAnswers(t *testing.T) {
	var logs logLines
	writes := 0
	s := &counted{script: script{in: bytes.NewReader(conversation(oldOptions)), done: make(chan bool)}, writes: &writes}
	server := &Server{Spools: newSpools(t, 1000, 10_000), Log: slog.New(slog.NewJSONHandler(&logs, nil)),
		Apply: func(context.Context, *Transaction) (*Outcome, error) { return &Outcome{Action: policies.Accept}, nil }}
	server.once.Do(server.setUp)
	server.accept(s)
	<-s.done
	server.running.Wait()
	if writes != 1 {
		t.Errorf("%d writes, want 1", writes)
	}
}

type counted struct {
	script
	writes *int
}

func (c *counted) Write(p []byte) (int, error) { *c.writes++; return c.script.Write(p) }

// Whatever an MTA says, nothing panics, nothing stays behind, and the protocol
// library has nothing to write to the standard logger.
func FuzzWire(f *testing.F) {
	f.Add(conversation(newOptions))
	f.Add(conversation(oldOptions))
	f.Add(packets(newOptions, "D", "C", "Ch\x00L", "M", "R", "L\x00\x00", "LX\x00y", "E", "E", "K", "U", "T", "A"))
	f.Add(packets(oldOptions, "M<>\x00", "R\x00", "E", "M\x00", "R<a>\x00", "LX\x00\x00\x00", "B", "E"))
	spools := newSpools(f, 100, 10_000)
	f.Fuzz(func(t *testing.T, said []byte) {
		if len(said) > 100_000 {
			return
		}
		var logs logLines
		var complaints bytes.Buffer
		log.SetOutput(&complaints)
		defer log.SetOutput(os.Stderr)
		play(t, spools, bytes.NewReader(said), &logs)
		if strings.Contains(logs.String(), "stack") {
			t.Errorf("panic: %s", &logs)
		}
		if complaints.Len() > 0 {
			t.Errorf("the library complains: %s", &complaints)
		}
	})
}
