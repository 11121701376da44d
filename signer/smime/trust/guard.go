package trust

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
)

// maxURL is the longest URL that is asked, in bytes.
const maxURL = 2048

// guard says what may be asked. The URLs come from certificates, so that without
// it anyone who has one could have us send requests into our own network.
type guard struct {
	hosts     []string // may be anything, on any port
	onlyHosts bool
}

// allowed says whether the host was configured.
func (g *guard) allowed(host string) bool {
	return slices.ContainsFunc(g.hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

// checkURL says why a URL is not asked; nil if it is, and its host's address
// is still to be checked when it is known.
func (g *guard) checkURL(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("scheme %q is neither http nor https", printable(u.Scheme))
	case u.Hostname() == "" || u.User != nil || len(u.String()) > maxURL:
		return errors.New("the URL has no host, a user, or is too long")
	case g.allowed(u.Hostname()):
		return nil
	case g.onlyHosts:
		return fmt.Errorf("host %s is not configured", printable(u.Hostname()))
	case u.Port() != "" && u.Port() != "80" && u.Port() != "443":
		return fmt.Errorf("port %s is neither 80 nor 443", printable(u.Port()))
	}
	return nil
}

// client returns a client that asks only what is allowed. Addresses are checked
// when a connection is made, after the name was resolved, for a redirect too.
func (g *guard) client(timeout time.Duration) *http.Client {
	const maxRedirects = 3
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			d := &net.Dialer{Timeout: timeout}
			if !g.allowed(host) {
				d.Control = onlyPublic
			}
			return d.DialContext(ctx, network, address)
		},
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
		TLSHandshakeTimeout:    timeout,
		ResponseHeaderTimeout:  timeout,
	}
	return &http.Client{
		Transport: transport,
		Timeout:   timeout,
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return fmt.Errorf("more than %d redirects", maxRedirects)
			}
			return g.checkURL(r.URL)
		},
	}
}

// onlyPublic refuses to connect to an address that is not a public one.
func onlyPublic(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !public(a.Addr()) {
		return fmt.Errorf("address %s is not a public one: configure the host if it is to be asked", a.Addr())
	}
	return nil
}

// public says whether an address is one of the Internet (RFC 6890).
func public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.Zone() != "" {
		return false
	}
	for _, prefix := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
		"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		// Addresses with an IPv4 address in them are not looked into.
		"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/23", "2002::/16",
		"100::/64", "2001:db8::/32", "3fff::/20", "5f00::/16", "fec0::/10",
	} {
		if netip.MustParsePrefix(prefix).Contains(a) {
			return false
		}
	}
	return true
}
