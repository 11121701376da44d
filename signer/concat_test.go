package signer

import (
	"bytes"
	"errors"
	"testing"
)

func TestConcat(t *testing.T) {
	c := Concat(NewContent([]byte("one ")), Concat(), NewContent(nil), Concat(NewContent([]byte("two"))))
	for range 2 {
		var b bytes.Buffer
		if n, err := c.WriteTo(&b); err != nil || n != 7 || b.String() != "one two" || c.Size() != 7 {
			t.Errorf("WriteTo = %d, %v, wrote %q; Size = %d", n, err, b.String(), c.Size())
		}
	}
	broken := errors.New("broken")
	if _, err := c.WriteTo(brokenWriter{broken}); !errors.Is(err, broken) {
		t.Errorf("got %v, want the writer's error", err)
	}
}

// An entity's WriteTo returns the errors of the writer and of the Source.
func TestEntityErrors(t *testing.T) {
	m := message(t, "Content-Type: text/plain; charset=utf-8\n\nhello hello hello \xc3\xbc\n")
	e, err := Protectable(m, TransitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for limit := range e.Size() {
		full := errors.New("full")
		if _, err := e.WriteTo(&shortWriter{left: limit, err: full}); !errors.Is(err, full) {
			t.Fatalf("a writer of %d bytes: %v", limit, err)
		}
	}
	e.Body.(*plan).src = brokenSource{100}
	if _, err := e.WriteTo(&bytes.Buffer{}); err == nil {
		t.Error("the Source's error is lost")
	}
}

// shortWriter takes some bytes and then returns its error.
type shortWriter struct {
	left int64
	err  error
}

func (s *shortWriter) Write(p []byte) (int, error) {
	n := min(int64(len(p)), s.left)
	s.left -= n
	if n < int64(len(p)) {
		return int(n), s.err
	}
	return int(n), nil
}
