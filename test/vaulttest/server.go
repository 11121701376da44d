// Package vaulttest runs a real Vault server for a test.
package vaulttest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Options say what kind of server to start. The zero value is one in memory
// over HTTP.
type Options struct {
	// Persistent keeps the data in files, so that Restart finds them again.
	Persistent bool
	// TLS serves HTTPS with a certificate of a CA made for the test, see
	// Server.CAFile.
	TLS bool
}

// Server is a running Vault server, initialised and unsealed, with KV v2 mounted
// at secret/. Its methods call t.Fatal when Vault refuses.
type Server struct {
	Address   string // as for VAULT_ADDR
	CAFile    string // as for VAULT_CACERT, empty without TLS
	RootToken string

	t      testing.TB
	unseal string
	flags  []string
	cmd    *exec.Cmd
	stdin  io.Closer
	log    lockedBuffer
}

// Start starts a server that ends with the test. The first call on a machine
// builds it, which takes about two minutes.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s := &Server{t: t, flags: []string{"-with-stdin"}}
	if o.Persistent {
		s.flags = append(s.flags, "-storage", "file", "-path", t.TempDir())
	}
	if o.TLS {
		dir := t.TempDir()
		s.CAFile = filepath.Join(dir, "ca.pem")
		cert, key := filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key")
		if err := makeCertificates(s.CAFile, cert, key); err != nil {
			t.Fatalf("make the Vault server's certificates: %v", err)
		}
		s.flags = append(s.flags, "-tls-cert", cert, "-tls-key", key)
	}
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			t.Logf("Vault server's log:\n%s", s.log.String())
		}
	})
	s.run("127.0.0.1:0")

	var keys struct {
		Keys      []string `json:"keys"`
		RootToken string   `json:"root_token"`
	}
	s.call("PUT", "sys/init", map[string]any{"secret_shares": 1, "secret_threshold": 1}, &keys)
	if len(keys.Keys) != 1 {
		t.Fatalf("sys/init: %d unseal keys, want 1", len(keys.Keys))
	}
	s.unseal, s.RootToken = keys.Keys[0], keys.RootToken
	s.Unseal()
	s.Write("sys/mounts/secret", map[string]any{"type": "kv", "options": map[string]string{"version": "2"}})
	return s
}

// Kill ends the server at once, as kill -9 does. Killing it twice is fine.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Kill()
	s.cmd.Wait()
	s.stdin.Close()
	s.cmd = nil
}

// Restart starts a killed persistent server at its old address. It is sealed.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	_, addr, _ := strings.Cut(s.Address, "://")
	s.run(addr)
}

// Seal seals the server: it answers 503 to everything.
func (s *Server) Seal() {
	s.t.Helper()
	s.Write("sys/seal", nil)
}

// Unseal undoes Seal.
func (s *Server) Unseal() {
	s.t.Helper()
	var state struct{ Sealed bool }
	s.call("PUT", "sys/unseal", map[string]any{"key": s.unseal}, &state)
	if state.Sealed {
		s.t.Fatal("Vault is still sealed after sys/unseal")
	}
}

func (s *Server) run(listen string) {
	s.t.Helper()
	path, err := binary(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(path, append([]string{"-listen", listen}, s.flags...)...)
	cmd.Env = []string{"HOME=" + os.TempDir(), "PATH=" + os.Getenv("PATH")}
	cmd.Stderr = &s.log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatalf("start the Vault server: %v", err)
	}
	s.cmd, s.stdin = cmd, stdin
	line := make(chan []byte, 1)
	go func() {
		text, _ := bufio.NewReader(stdout).ReadBytes('\n')
		line <- text
	}()
	var ready struct{ Address string }
	select {
	case text := <-line:
		if err := json.Unmarshal(text, &ready); err != nil {
			s.t.Fatalf("the Vault server did not start: it said %q\n%s", text, s.log.String())
		}
	case <-time.After(time.Minute):
		s.t.Fatalf("the Vault server did not start within a minute\n%s", s.log.String())
	}
	s.Address = ready.Address
}

// lockedBuffer takes the server's log while a test reads it.
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
