package trust

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"waxseal/signer"
)

// problems collects what could not be fetched.
type problems struct {
	mu   sync.Mutex
	text []string
}

func (p *problems) log(url string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text = append(p.text, err.Error())
}

func (p *problems) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.text, "\n")
}

// fetching is revocation that fetches; it says what it could not fetch.
func fetching(t *testing.T, c FetchConfig) (*Revocation, *problems) {
	t.Helper()
	p := &problems{}
	c.Log = p.log
	r, err := NewRevocation(RevocationConfig{Fetch: &c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r, p
}

func settle(t *testing.T, r *Revocation) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := r.Settle(ctx); err != nil {
		t.Fatal(err)
	}
}

// local lets tests ask their own servers.
func local() FetchConfig { return FetchConfig{Hosts: []string{"127.0.0.1"}} }

// server serves what the function answers, and counts the requests.
func server(t *testing.T, answer http.HandlerFunc) (url string, count *atomic.Int32) {
	count = &atomic.Int32{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		count.Add(1)
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, count
}

// TestFetchCRL has the first message wait, and the second know.
func TestFetchCRL(t *testing.T) {
	root := issue(t, "root", nil, ca)
	var list []byte
	url, count := server(t, func(w http.ResponseWriter, r *http.Request) { w.Write(list) })
	point := func(c *x509.Certificate) { c.CRLDistributionPoints = []string{"ldap://127.0.0.1/x", url + "/list.crl"} }
	bad := issue(t, "bad", root, both(mailer("a@example.com"), point))
	fine := issue(t, "fine", root, both(mailer("a@example.com"), point))
	list = revoke(t, root, nil, bad)

	r, logged := fetching(t, local())
	v := &Validator{Anchors: mustPool(t, root.cert), Revocation: r, RequireRevocation: true}
	for range 10 {
		if got := validate(v, "a@example.com", fine); got.Revocation.Verdict != signer.TempError && got.Revocation.Verdict != signer.Pass {
			t.Fatalf("before: %+v", got)
		}
	}
	settle(t, r)
	if got := validate(v, "a@example.com", fine); !passes(got) || got.Revocation.Verdict != signer.Pass {
		t.Errorf("fine: %+v", got)
	}
	if got := validate(v, "a@example.com", bad); got.Revocation.Verdict != signer.Fail || !strings.Contains(got.Revocation.Reason, "key compromise") {
		t.Errorf("revoked: %+v", got)
	}
	if n := count.Load(); n != 1 {
		t.Errorf("%d requests, not 1\n%v", n, logged)
	}

	// Nothing is asked for a certificate that no anchor stands for.
	stranger := issue(t, "stranger", nil, ca)
	url2, count2 := server(t, func(http.ResponseWriter, *http.Request) {})
	validate(v, "a@example.com", issue(t, "x", stranger, both(mailer("a@example.com"), func(c *x509.Certificate) { c.CRLDistributionPoints = []string{url2} })), stranger)
	settle(t, r)
	if count2.Load() != 0 {
		t.Error("a stranger had us send a request")
	}

	// Soft: nothing stands against what nothing is known about.
	soft, err := NewRevocation(RevocationConfig{})
	if err != nil {
		t.Fatal(err)
	}
	v = &Validator{Anchors: mustPool(t, root.cert), Revocation: soft}
	if got := validate(v, "a@example.com", fine); !passes(got) || got.Revocation.Verdict != signer.None || got.Revocation.Reason == "" {
		t.Errorf("soft: %+v", got)
	}
	soft.Close()

	// Hard: what nothing will be known about is not worth coming back for.
	only := issue(t, "x", root, both(mailer("a@example.com"), func(c *x509.Certificate) { c.CRLDistributionPoints = []string{"ldap://127.0.0.1/x"} }))
	r, _ = fetching(t, local())
	v = &Validator{Anchors: mustPool(t, root.cert), Revocation: r, RequireRevocation: true}
	if got := validate(v, "a@example.com", only); got.Revocation.Verdict != signer.Policy {
		t.Errorf("hard, nothing to ask: %+v", got)
	}
	v.Revocation = nil
	if got := validate(v, "a@example.com", fine); got.Revocation.Verdict != signer.Policy {
		t.Errorf("hard, and nothing set up: %+v", got)
	}
	// What is trusted itself has no authority that could revoke it.
	v.Anchors, v.Revocation = mustPool(t, fine.cert), r
	if got := validate(v, "a@example.com", fine); !passes(got) || got.Revocation.Verdict != signer.None {
		t.Errorf("hard, trusted itself: %+v", got)
	}
}

// TestFetchRefused has servers that mean harm, and URLs that are not asked.
func TestFetchRefused(t *testing.T) {
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	inside, insideCount := server(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "secret") })
	insideHost := strings.TrimPrefix(inside, "http://127.0.0.1:")
	var loop string
	loop, _ = server(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, loop, http.StatusFound) })
	slow, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		for {
			select {
			case <-hang:
				return
			case <-r.Context().Done():
				return
			case <-time.After(20 * time.Millisecond):
				w.Write([]byte{0x30})
				w.(http.Flusher).Flush()
			}
		}
	})
	big, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "3000")
		w.Write(make([]byte, 3000))
	})
	endless, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := w.Write(bytes.Repeat([]byte{0x30, 0x80}, 1000)); err != nil {
				return
			}
		}
	})
	missing, _ := server(t, func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) })
	rubbish, _ := server(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<html>") })
	file, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
	})
	away, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://localhost:"+insideHost+"/", http.StatusFound)
	})
	awayTo80, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://localhost/", http.StatusFound)
	})

	for _, test := range []struct {
		name, url string
		reason    string // of the log; "" if it is not even tried
	}{
		{"redirects without end", loop, "redirects"},
		{"slow", slow, "deadline exceeded"},
		{"too large", big, "3000 bytes"},
		{"endless", endless, "more than 2000 bytes"},
		{"missing", missing, "404"},
		{"no CRL", rubbish, "malformed"},
		{"redirect to a file", file, "neither http nor https"},
		{"redirect to another port", away, "port"},
		{"redirect inside", awayTo80, "not a public one"},
		{"a name for ourselves", "http://localhost/", "not a public one"},
		{"an address of ours", "http://127.0.0.2/", "not a public one"},
		{"IPv6", "http://[::1]/", "not a public one"},
		{"IPv4 in IPv6", "http://[::ffff:127.0.0.1]/", "not a public one"},
		{"cloud metadata", "http://169.254.169.254/latest", "not a public one"},
		{"another port", "http://127.0.0.2:" + insideHost, ""},
		{"file", "file:///etc/passwd", ""},
		{"ldap", "ldap://localhost/", ""},
		{"a user", "http://u:p@localhost/", ""},
		{"no host", "http:///x", ""},
		{"no URL", "http://%zz/", ""},
		{"a long URL", "http://localhost/" + strings.Repeat("x", maxURL), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := local()
			c.MaxSize, c.Timeout = 2000, 500*time.Millisecond
			r, logged := fetching(t, c)
			for range 3 {
				if list, _ := r.fetcher.crl(test.url); list != nil {
					t.Error("got a CRL")
				}
				settle(t, r)
			}
			if got := logged.String(); !strings.Contains(got, test.reason) || (got == "") != (test.reason == "") {
				t.Errorf("logged %q, not %q", got, test.reason)
			} else if strings.Contains(got, "\n") {
				t.Errorf("tried again at once: %q", got)
			}
		})
	}
	if insideCount.Load() != 0 {
		t.Error("a request got inside")
	}
}

// TestOnlyHosts asks no host but those of the configuration.
func TestOnlyHosts(t *testing.T) {
	g := guard{hosts: []string{"crl.example.com"}, onlyHosts: true}
	for url, want := range map[string]bool{
		"http://crl.example.com/x":      true,
		"http://CRL.example.com:8080/x": true,
		"http://crl.example.org/x":      false,
		"http://crl.example.com.evil/x": false,
	} {
		r, err := http.NewRequest(http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := g.checkURL(r.URL) == nil; got != want {
			t.Errorf("%s: %v", url, got)
		}
	}
}

func TestPublic(t *testing.T) {
	for address, want := range map[string]bool{
		"8.8.8.8": true, "2606:4700::1": true, "::ffff:8.8.8.8": true,
		"127.0.0.1": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.1.1": false,
		"0.0.0.0": false, "100.64.0.1": false, "224.0.0.1": false, "255.255.255.255": false, "198.18.0.1": false,
		"::1": false, "::": false, "fe80::1": false, "fc00::1": false, "ff02::1": false, "::ffff:10.0.0.1": false,
		"64:ff9b::a00:1": false, "2002:a00:1::": false, "2001::1": false, "::10.0.0.1": false, "fe80::1%eth0": false,
	} {
		if got := public(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}

// TestFetchLimits keeps what is waiting and what is kept bounded.
func TestFetchLimits(t *testing.T) {
	// A server that accepts and says nothing.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r, _ := fetching(t, local())
	for i := range 500 {
		r.fetcher.crl(fmt.Sprintf("http://%s/%d", l.Addr(), i))
	}
	r.fetcher.mu.Lock()
	waiting, entries := r.fetcher.waiting, len(r.fetcher.entries)
	r.fetcher.mu.Unlock()
	if waiting != maxWaiting || entries != maxWaiting {
		t.Errorf("%d wait, %d are known", waiting, entries)
	}
	r.Close() // ends them all

	root := issue(t, "root", nil, ca)
	list := revoke(t, root, nil)
	url, _ := server(t, func(w http.ResponseWriter, r *http.Request) { w.Write(list) })
	c := local()
	c.MaxCache = int64(5*len(list) + 1)
	r, logged := fetching(t, c)
	for i := range 20 {
		r.fetcher.crl(fmt.Sprint(url, "/", i))
		settle(t, r)
	}
	if n, size := len(r.fetcher.entries), r.fetcher.size; n != 5 || size != int64(5*len(list)) {
		t.Errorf("%d are known, %d bytes\n%v", n, size, logged)
	}
	newest, _ := r.fetcher.crl(url + "/19")
	oldest, _ := r.fetcher.crl(url + "/0")
	if newest == nil || oldest != nil {
		t.Error("the oldest was kept")
	}
	settle(t, r)
}
