package daemon

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Envelope is what the MTA tells about a message.
type Envelope struct {
	From string
	To   []string
	// Login is the SASL user name, "" without.
	Login string
	// Client is the client's address.
	Client string
}

// Filtered is what `waxseal filter` did.
type Filtered struct {
	// Status is the exit status: 0 accepted, 1 refused, 75 deferred.
	Status  int
	Message []byte
	// Notes are the decision with its reasons and the report.
	Notes string
}

// Filter writes the configuration and runs one message through `waxseal
// filter`.
func Filter(t testing.TB, c *Configuration, e Envelope, message []byte) Filtered {
	t.Helper()
	c.Write(t)
	args := []string{"filter", "-config", c.File(), "-from", e.From, "-to", strings.Join(e.To, ",")}
	if e.Login != "" {
		args = append(args, "-auth", e.Login)
	}
	if e.Client != "" {
		args = append(args, "-client", e.Client)
	}
	cmd := exec.Command(Binary(t), args...)
	cmd.Env = append(os.Environ(), c.Env...)
	var out, notes bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(message), &out, &notes
	err := cmd.Run()
	f := Filtered{Message: out.Bytes(), Notes: notes.String()}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		f.Status = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return f
}

// Check writes the configuration and runs `waxseal check` over it: its exit
// status and what it said.
func Check(t testing.TB, c *Configuration) (status int, notes string) {
	t.Helper()
	c.Write(t)
	cmd := exec.Command(Binary(t), "check", "-config", c.File())
	cmd.Env = append(os.Environ(), c.Env...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}
