package judge

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// service is a program that is slow to start, and so runs as long as the test:
// it takes one command a line and answers with a line, "ok" or "error REASON".
type service struct {
	mu     sync.Mutex
	in     io.WriteCloser
	out    *bufio.Reader
	errors strings.Builder
}

func startService(t testing.TB, dir, program string, args ...string) *service {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	s := &service{}
	cmd.Stderr = &s.errors
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.in, s.out = in, bufio.NewReader(out)
	t.Cleanup(func() {
		in.Close() // which ends it
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v\n%s", program, err, s.errors.String())
		}
	})
	return s
}

// call gives a command. That the program is gone ends the test.
func (s *service) call(t testing.TB, fields ...string) error {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := fmt.Fprintln(s.in, strings.Join(fields, "\t")); err != nil {
		t.Fatal(err)
	}
	answer, err := s.out.ReadString('\n')
	if err != nil {
		t.Fatalf("%s gave no answer: %v", fields[0], err)
	}
	answer = strings.TrimSuffix(answer, "\n")
	if reason, bad := strings.CutPrefix(answer, "error "); bad {
		return errors.New(reason)
	}
	if answer != "ok" {
		t.Fatalf("%s was answered with %q", fields[0], answer)
	}
	return nil
}
