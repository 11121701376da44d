package milter

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestParseListen(t *testing.T) {
	for _, test := range []struct{ spec, network, address string }{
		{"unix:/run/x.sock", "unix", "/run/x.sock"},
		{"local:/run/x.sock", "unix", "/run/x.sock"},
		{"/run/x.sock", "unix", "/run/x.sock"},
		{"/run/a:b", "unix", "/run/a:b"},
		{"inet:127.0.0.1:8891", "tcp4", "127.0.0.1:8891"},
		{"inet:localhost:8891", "tcp4", "localhost:8891"},
		{"inet:8891@192.0.2.1", "tcp4", "192.0.2.1:8891"},
		{"inet:8891@localhost", "tcp4", "localhost:8891"},
		{"inet:8891", "tcp4", "127.0.0.1:8891"},
		{"inet:0.0.0.0:8891", "tcp4", "0.0.0.0:8891"},
		{"inet:[::1]:8891", "tcp6", "[::1]:8891"},
		{"inet:8891@[::1]", "tcp6", "[::1]:8891"},
		{"inet6:[::1]:8891", "tcp6", "[::1]:8891"},
		{"inet6:8891@[::1]", "tcp6", "[::1]:8891"},
		{"inet6:8891@::1", "tcp6", "[::1]:8891"},
		{"inet6:localhost:8891", "tcp6", "localhost:8891"},
		{"inet6:8891", "tcp6", "[::1]:8891"},
		{"inet6:8891@[::]", "tcp6", "[::]:8891"},
	} {
		network, address, err := parseListen(test.spec)
		if err != nil || network != test.network || address != test.address {
			t.Errorf("%s: got %s %s, %v", test.spec, network, address, err)
		}
	}
	for _, spec := range []string{"", "unix:", "unix:x.sock", "local:x", "inet:", "inet:host", "inet::8891", "inet:8891@", "inet:host:", "inet:::1:8891",
		"inet:127.0.0.1:70000", "inet:-1", "inet6:[::1:8891", "tcp:127.0.0.1:8891", "127.0.0.1:8891", "x.sock"} {
		if network, address, err := parseListen(spec); err == nil {
			t.Errorf("%q: got %s %s, want an error", spec, network, address)
		} else if !strings.Contains(err.Error(), "write unix:/path") {
			t.Errorf("%q: the error does not help: %v", spec, err)
		}
	}
}

func TestListenUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.sock")
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	for _, mode := range []os.FileMode{0o600, 0o660, 0o666} {
		ln, err := Listen("unix:"+path, mode, "")
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("mode: got %v, %v, want %v", info.Mode(), err, mode)
		}
		if _, err := Listen("unix:"+path, mode, ""); err == nil || !strings.Contains(err.Error(), "another process listens there") {
			t.Errorf("while one listens: got %v", err)
		}
		for range 2 {
			ln.Close()
		}
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("after Close: %v", err)
		}
	}
}

func TestListenGroup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.sock")
	ln, err := Listen(path, 0o660, "mail")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if gid := info.Sys().(*syscall.Stat_t).Gid; gid != 8 {
		t.Errorf("group: got %d, want 8, which is mail on Debian", gid)
	}
	if _, err := Listen(path+"2", 0o660, "no such group"); err == nil {
		t.Error("a group that does not exist: no error")
	}
	if _, err := os.Stat(path + "2"); !os.IsNotExist(err) {
		t.Errorf("after an error: %v", err)
	}
}

func TestListenStale(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	ln.Close()
	first, err := Listen(stale, 0o600, "")
	if err != nil {
		t.Fatalf("a socket of a process that has ended: %v", err)
	}
	// A server that has come in the meantime keeps its socket.
	if err := os.Remove(stale); err != nil {
		t.Fatal(err)
	}
	second, err := Listen(stale, 0o600, "")
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	first.Close()
	if _, err := os.Stat(stale); err != nil {
		t.Errorf("the second one's socket: %v", err)
	}

	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(stale, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link} {
		if _, err := Listen(path, 0o600, ""); err == nil || !strings.Contains(err.Error(), "not a socket") {
			t.Errorf("%s: got %v", path, err)
		}
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := Listen(filepath.Join(dir, "no", "where"), 0o600, ""); err == nil || !strings.Contains(err.Error(), "directory") {
		t.Errorf("a directory that does not exist: %v", err)
	}
}

func TestListenTCP(t *testing.T) {
	for _, spec := range []string{"inet:127.0.0.1:0", "inet:0@127.0.0.1", "inet6:[::1]:0", "inet6:0"} {
		ln, err := Listen(spec, 0, "")
		if err != nil {
			t.Errorf("%s: %v", spec, err)
			continue
		}
		if !ln.Addr().(*net.TCPAddr).IP.IsLoopback() {
			t.Errorf("%s: listens on %s", spec, ln.Addr())
		}
		ln.Close()
	}
}
