// Package mta starts throwaway mail servers for tests: a real Postfix, a real
// Sendmail beside it, and a sink that both deliver to. Everything is on
// loopback, on free ports, in a directory of its own that goes when the test
// ends; several can run at once. They need root on Debian 12.
package mta

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Refused is a local part that both servers refuse at RCPT TO by themselves,
// whatever the filter says.
const Refused = "refused"

// Options says what a mail server is to do.
type Options struct {
	// Milter is the filter's unix socket. Empty: no filter.
	Milter string
	// SizeLimit is Postfix's message_size_limit in bytes; 0 is 160 MB. Sendmail
	// has no limit.
	SizeLimit int64
	// Sink is where all mail goes; nil starts one.
	Sink *Sink
	// Main are further lines for Postfix's main.cf.
	Main string
}

// MTA is a running mail server.
type MTA struct {
	// Name is "postfix" or "sendmail".
	Name string
	// Addr is where it takes mail, "127.0.0.1:PORT". AUTH PLAIN takes any user
	// with the password Password.
	Addr string
	// Dir holds its configuration, queue and log.
	Dir string
	// Sink is where it delivers to.
	Sink *Sink

	log     string
	queue   []string // the command that lists the queue
	command []string // the sendmail command
	flush   []string // the command that runs the queue
}

// Password is the one that every user has.
const Password = "pw"

// Dir makes a directory below one that only root writes, because Sendmail
// refuses a socket in any other, and that every user may enter, because
// Postfix's own user must. It goes when the test ends.
func Dir(t testing.TB) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("the mail servers need root: run the tests as root (test/run does it all)")
	}
	const parent = "/var/cache/waxseal-test"
	if err := os.MkdirAll(parent, 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(parent, "t")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// Program returns the path of a program, which the test can't do without.
func Program(t testing.TB, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		// Root's PATH has no sbin everywhere.
		path = filepath.Join("/usr/sbin", name)
		if _, err := os.Stat(path); err != nil {
			t.Fatalf("%s is missing: apt-get install %s (test/run installs all that the tests need)", name, pkg)
		}
	}
	return path
}

// Queue lists what is in the queue, as the server's own program prints it.
func (m *MTA) Queue(t testing.TB) string {
	t.Helper()
	out, err := exec.Command(m.queue[0], m.queue[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("list the queue of %s: %v\n%s", m.Name, err, out)
	}
	return string(out)
}

// QueueEmpty reports whether nothing waits in the queue. A message that has just
// been delivered is given some time to disappear; one that was put there by
// mistake is delivered meanwhile, so look at the sink afterwards.
func (m *MTA) QueueEmpty(t testing.TB) bool {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if strings.Contains(m.Queue(t), "is empty") {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// Command submits a message as a program on the same machine does, with the
// sendmail command. The message has LF line ends.
func (m *MTA) Command(t testing.TB, from, message string, to ...string) {
	t.Helper()
	args := append([]string{}, m.command[1:]...)
	args = append(args, "-i", "-f", from, "--")
	cmd := exec.Command(m.command[0], append(args, to...)...)
	cmd.Stdin = strings.NewReader(message)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sendmail command of %s: %v\n%s", m.Name, err, out)
	}
}

// Log is what the server has logged so far.
func (m *MTA) Log() string {
	b, err := os.ReadFile(m.log)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// logOnFailure shows the end of the log of a test that failed.
func (m *MTA) logOnFailure(t testing.TB) {
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		log := m.Log()
		if max := 20_000; len(log) > max {
			log = log[len(log)-max:]
		}
		t.Logf("log of %s:\n%s", m.Name, log)
	})
}

// freeAddr returns a free loopback address.
func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func port(addr string) string {
	_, p, _ := net.SplitHostPort(addr)
	return p
}

// waitForGreeting returns once the server at addr says hello.
func waitForGreeting(t testing.TB, addr string, dead <-chan struct{}) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			b := make([]byte, 3)
			c.SetDeadline(time.Now().Add(30 * time.Second))
			_, err = c.Read(b)
			c.Close()
			if err == nil && string(b) == "220" {
				return
			}
			err = fmt.Errorf("greeting %q: %v", b, err)
		}
		select {
		case <-dead:
			t.Fatalf("mail server at %s ended while starting", addr)
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("mail server at %s does not answer: %v", addr, err)
		}
	}
}

// Flush makes the server try again at once what waits in its queues.
func (m *MTA) Flush(t testing.TB) {
	t.Helper()
	if out, err := exec.Command(m.flush[0], m.flush[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("run the queue of %s: %v\n%s", m.Name, err, out)
	}
}

// Held reports whether a message is in quarantine.
func (m *MTA) Held(t testing.TB) bool {
	t.Helper()
	if m.Name == "sendmail" {
		held, _ := filepath.Glob(m.Dir + "/mqueue/hf*")
		return len(held) > 0
	}
	held := false
	filepath.WalkDir(m.Dir+"/spool/hold", func(_ string, d os.DirEntry, err error) error {
		held = held || err == nil && d.Type().IsRegular()
		return nil
	})
	return held
}

// Purge throws away all that is in the queue.
func (m *MTA) Purge(t testing.TB) {
	t.Helper()
	if m.Name == "sendmail" {
		files, _ := filepath.Glob(m.Dir + "/mqueue/?f*")
		for _, f := range files {
			os.Remove(f)
		}
		return
	}
	if out, err := exec.Command(Program(t, "postsuper", "postfix"), "-c", m.Dir+"/etc", "-d", "ALL").CombinedOutput(); err != nil {
		t.Fatalf("empty the queue: %v\n%s", err, out)
	}
}
