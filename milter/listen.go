package milter

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/user"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Listen opens one listener. The spec is in the spelling of Postfix or of
// OpenDKIM:
//
//	unix:/path  local:/path  /path
//	inet:host:port  inet:port@host  inet:port
//	inet6:[host]:port  inet6:port@[host]  inet6:port
//
// A port alone listens on loopback only, because whoever reaches a milter can
// have messages signed: write the address (0.0.0.0, [::]) to mean all of them.
// Mode and group are those of a unix socket; an empty group leaves the
// process's own. A socket file of a process that has ended is replaced, and the
// listener's Close removes the file.
func Listen(spec string, mode os.FileMode, group string) (net.Listener, error) {
	network, address, err := parseListen(spec)
	if err != nil {
		return nil, err
	}
	if network == "unix" {
		return listenUnix(address, mode, group)
	}
	ln, err := net.Listen(network, address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", spec, err)
	}
	return ln, nil
}

// parseListen returns what net.Listen takes.
func parseListen(spec string) (network, address string, err error) {
	kind, rest, _ := strings.Cut(spec, ":")
	if strings.HasPrefix(spec, "/") {
		kind, rest = "unix", spec
	}
	bad := func(why string) (string, string, error) {
		return "", "", fmt.Errorf("listen on %q: %s; write unix:/path, inet:host:port, inet:port@host or inet6:[host]:port", spec, why)
	}
	var host, port string
	switch kind {
	case "unix", "local":
		if !strings.HasPrefix(rest, "/") {
			return bad("the path of a socket begins with /")
		}
		return "unix", rest, nil
	case "inet":
		network, host = "tcp4", "127.0.0.1"
	case "inet6":
		network, host = "tcp6", "::1"
	default:
		return bad("it is neither unix:, local:, inet: nor inet6:")
	}
	if p, h, found := strings.Cut(rest, "@"); found {
		host, port = strings.TrimSuffix(strings.TrimPrefix(h, "["), "]"), p
	} else if strings.Contains(rest, ":") {
		if host, port, err = net.SplitHostPort(rest); err != nil {
			return bad("host and port can't be told apart")
		}
	} else {
		port = rest
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return bad("the port is not a number up to 65535")
	}
	if host == "" {
		return bad("there is no host")
	}
	if addr, err := netip.ParseAddr(host); err == nil && addr.Is6() {
		network = "tcp6" // Postfix takes both families after "inet:"
	}
	return network, net.JoinHostPort(host, port), nil
}

func listenUnix(path string, mode os.FileMode, group string) (net.Listener, error) {
	gid := -1
	if group != "" {
		g, err := user.LookupGroup(group)
		if err != nil {
			return nil, fmt.Errorf("listen on %s: %w", path, err)
		}
		if gid, err = strconv.Atoi(g.Gid); err != nil {
			return nil, fmt.Errorf("listen on %s: group %s: %w", path, group, err)
		}
	}
	if err := removeStale(path); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	// Nobody else gets in before group and mode are set.
	old := syscall.Umask(0o177)
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	syscall.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w; does its directory exist, and may user %d write to it?", path, err, os.Geteuid())
	}
	ln.SetUnlinkOnClose(false)
	if err = os.Chown(path, -1, gid); err == nil {
		err = os.Chmod(path, mode.Perm())
	}
	var made os.FileInfo
	if err == nil {
		made, err = os.Lstat(path)
	}
	if err != nil {
		ln.Close()
		os.Remove(path)
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	return &unixListener{UnixListener: ln, path: path, made: made}, nil
}

// removeStale removes a socket file that nobody listens on any more.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != os.ModeSocket {
		return errors.New("there is a file of that name which is not a socket")
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		conn.Close()
		return errors.New("another process listens there; stop it first")
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

// unixListener removes its socket file when it is closed, unless another
// process has put its own in the place.
type unixListener struct {
	*net.UnixListener
	path string
	made os.FileInfo
	once sync.Once
}

func (l *unixListener) Close() error {
	l.once.Do(func() {
		if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.made) {
			os.Remove(l.path)
		}
	})
	return l.UnixListener.Close()
}

// CheckListen says what is wrong with a spec for Listen, without listening.
func CheckListen(spec string) error {
	_, _, err := parseListen(spec)
	return err
}
