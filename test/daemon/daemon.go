package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// AuthservID is the name under which the daemon reports.
const AuthservID = "mx.test.example"

// Configuration is what an administrator writes.
type Configuration struct {
	// Dir is where the files are written, and where the socket is: a directory
	// that the mail servers' users may enter, mta.Dir.
	Dir string
	// Keys is the path of a directory store, unless Settings has a keys block.
	Keys string
	// Policies are policy files, name and text.
	Policies map[string]string
	// Settings are lines of waxseal.hcl. They take the place of the harness's
	// own where the name is the same.
	Settings string
	// Env is added to the environment, "VAULT_TOKEN=x".
	Env []string
}

// Socket is the unix socket that the daemon listens on.
func (c *Configuration) Socket() string { return filepath.Join(c.Dir, "milter.sock") }

// File is the configuration file.
func (c *Configuration) File() string { return filepath.Join(c.Dir, "waxseal.hcl") }

var settingName = regexp.MustCompile(`(?m)^\s*([a-z_]+)\s*[="{]`)

// Write writes the configuration and the policies.
func (c *Configuration) Write(t testing.TB) {
	t.Helper()
	given := make(map[string]bool)
	for _, m := range settingName.FindAllStringSubmatch(c.Settings, -1) {
		given[m[1]] = true
	}
	var text strings.Builder
	for _, s := range []struct{ name, line string }{
		{"listen", fmt.Sprintf("listen = [%q]", "unix:"+c.Socket())},
		{"socket_mode", `socket_mode = "0666"`},
		{"authserv_id", fmt.Sprintf("authserv_id = %q", AuthservID)},
		{"internal", `internal = ["127.0.0.1/32", "::1/128"]`},
		{"domains", `domains = ["example.com", "bücher.example"]`},
		{"spool_directory", fmt.Sprintf("spool_directory = %q", filepath.Join(c.Dir, "work"))},
		{"policies", `policies = "policies"`},
		{"keys", fmt.Sprintf("keys \"directory\" {\n  path = %q\n}", c.Keys)},
	} {
		if !given[s.name] {
			fmt.Fprintln(&text, s.line)
		}
	}
	text.WriteString(c.Settings)
	policies := filepath.Join(c.Dir, "policies")
	if err := errors.Join(os.RemoveAll(policies), os.MkdirAll(policies, 0o755),
		os.WriteFile(c.File(), []byte(text.String()), 0o644)); err != nil {
		t.Fatal(err)
	}
	for name, policy := range c.Policies {
		if err := os.WriteFile(filepath.Join(policies, name), []byte(policy), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Daemon is a running `waxseal serve`.
type Daemon struct {
	Config *Configuration
	Socket string

	cmd  *exec.Cmd
	dead chan struct{}
	err  error // of Wait, once dead
	log  lockedBuffer
}

// Start writes the configuration, starts the daemon and waits until it takes
// connections. When the test ends, the daemon is stopped, if the test has not
// done so.
func Start(t testing.TB, c *Configuration) *Daemon {
	t.Helper()
	c.Write(t)
	d := &Daemon{Config: c, Socket: c.Socket(), dead: make(chan struct{})}
	d.cmd = exec.Command(Binary(t), "serve", "-config", c.File())
	d.cmd.Env = append(os.Environ(), c.Env...)
	d.cmd.Stdout, d.cmd.Stderr = &d.log, &d.log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(d.dead)
		d.err = d.cmd.Wait()
	}()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of waxseal:\n%s", d.Log())
		}
		d.Kill()
	})
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if conn, err := net.Dial("unix", d.Socket); err == nil {
			conn.Close()
			// The mail servers' users may connect once it has its mode.
			if info, err := os.Stat(d.Socket); err == nil && info.Mode().Perm() == 0o666 {
				return d
			}
		}
		select {
		case <-d.dead:
			t.Fatalf("waxseal ended while starting: %v\n%s", d.err, d.Log())
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("waxseal does not listen on %s\n%s", d.Socket, d.Log())
		}
	}
}

// Log is what the daemon has logged so far.
func (d *Daemon) Log() string { return d.log.String() }

// Pid is the daemon's process id.
func (d *Daemon) Pid() int { return d.cmd.Process.Pid }

// Stop sends SIGTERM, waits, and checks that the daemon ends well and leaves no
// socket behind.
func (d *Daemon) Stop(t testing.TB) {
	t.Helper()
	d.Terminate()
	d.Stopped(t)
}

// Terminate sends SIGTERM and returns at once.
func (d *Daemon) Terminate() { d.cmd.Process.Signal(syscall.SIGTERM) }

// Stopped is the second half of Stop.
func (d *Daemon) Stopped(t testing.TB) {
	t.Helper()
	select {
	case <-d.dead:
	case <-time.After(45 * time.Second):
		t.Fatalf("waxseal does not stop on SIGTERM\n%s", d.Log())
	}
	if d.err != nil {
		t.Errorf("waxseal ended on SIGTERM with: %v\n%s", d.err, d.Log())
	}
	if _, err := os.Lstat(d.Socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("waxseal left its socket behind: %v", err)
	}
}

// Kill ends the daemon with SIGKILL, as the kernel does when memory is short.
func (d *Daemon) Kill() {
	d.cmd.Process.Kill()
	<-d.dead
}

// lockedBuffer is a buffer that one goroutine writes and another reads.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
