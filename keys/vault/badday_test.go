package vault

import (
	"context"
	"crypto"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"waxseal/keys"
	"waxseal/keys/cache"
	"waxseal/keys/storetest"
	"waxseal/test/vaulttest"
)

// stocked starts a server that has S/MIME keys of warm@ and cold@example.com in
// KV and one of transit@example.com in Transit, and a role that may use them.
func stocked(t *testing.T, o vaulttest.Options) (s *vaulttest.Server, role AppRole) {
	t.Helper()
	s = transit(t, o)
	ca := newAuthority(t)
	m := storetest.Material(t, "warm@example.com", time.Hour, 0)
	for _, name := range []string{"warm@example.com", "cold@example.com"} {
		if name != "warm@example.com" {
			m = storetest.Material(t, name, time.Hour, 0)
		}
		s.Put("waxseal/smime/"+name, map[string]string{"certificate": string(m.Certificate), "private_key": string(m.PrivateKey)})
	}
	public := newKey(t, s, "signs", "ecdsa-p256")
	s.Put("waxseal/smime/transit@example.com", map[string]string{"certificate": ca.mail("transit@example.com", public, nil), "transit_key": "signs"})
	role.RoleID, role.SecretID = s.AppRole("mail", map[string]any{"token_policies": "waxseal", "token_no_default_policy": true})
	return s, role
}

// clock is one that a test moves.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *clock) forward(d time.Duration) { c.ahead.Add(int64(d)) }

// A day on which Vault is there and answers nonsense. Keys that are known serve
// on, others are refused for the moment and never missing, and all is well as
// soon as Vault is.
func TestBadAnswers(t *testing.T) {
	t.Parallel()
	server, role := stocked(t, vaulttest.Options{})
	proxy := newFront(t, server.Address)
	answer := func(status int, body string, header ...string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter)
		want   string
	}{
		"403":             {answer(403, `{"errors":["1 error occurred:\n\t* permission denied\n\n"]}`), "permission denied"},
		"429":             {answer(429, `{"errors":["request path \"secret/data\": rate limit quota exceeded"]}`, "Retry-After", "3600"), "rate limit"},
		"500":             {answer(500, `{"errors":["internal error"]}`), "500"},
		"502 of a proxy":  {answer(502, `<html>bad gateway`), "502"},
		"503":             {answer(503, `{"errors":["Vault is sealed"]}`), "unseal it"},
		"standby, 473":    {answer(473, `{}`), "473"},
		"empty":           {answer(200, ``), "not what Vault sends"},
		"half an answer":  {answer(200, `{"data":{"data":{"cert`, "Content-Length", "5000"), "not what Vault sends"},
		"endless answer":  {func(w http.ResponseWriter) { endless(w) }, "read secret/data"},
		"slow drops":      {func(w http.ResponseWriter) { drip(w) }, "no answer from Vault in time"},
		"connection cut":  {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, "can't be reached"},
		"silence":         {nil, "no answer from Vault in time"},
		"unknown 400":     {answer(400, `{"errors":["what?"]}`), "what?"},
		"redirect around": {answer(307, ``, "Location", "/v1/secret/data/waxseal/smime/cold@example.com"), "not what Vault sends"},
	} {
		t.Run(name, func(t *testing.T) {
			var time clock
			store := open(t, server, Config{Address: proxy.URL, AppRole: &role, Timeout: second, Now: time.now})
			c0 := cache.New(store, cache.Options{Now: time.now, Patience: second / 20})
			known := func(what string) {
				t.Helper()
				if _, err := keys.FindKey(t.Context(), c0, keys.SMIME, "warm@example.com", ""); err != nil {
					t.Errorf("%s: a key that is known: %v", what, err)
				}
			}
			known("before")
			fault := c.answer
			never := make(chan struct{})
			if fault == nil {
				proxy.held.Store(&never)
			} else {
				proxy.fault.Store(&fault)
			}
			time.forward(6 * minute)
			for range 3 {
				known("meanwhile")
			}
			ctx, cancel := context.WithTimeout(t.Context(), 8*second)
			defer cancel()
			_, err := c0.Key(ctx, keys.SMIME, "cold@example.com")
			wantError(t, "a key that is not known", err, c.want)
			if ctx.Err() != nil {
				t.Error("it took as long as it was let, not as long as the store's timeout")
			}
			if store.Ready(t.Context()) == nil && name != "endless answer" {
				t.Error("the store is ready")
			}
			proxy.held.Store(nil)
			proxy.fault.Store(nil)
			time.forward(10 * second)
			if _, err := c0.Key(t.Context(), keys.SMIME, "cold@example.com"); err != nil {
				t.Errorf("afterwards: %v", err)
			}
			known("afterwards")
			if err := store.Ready(t.Context()); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

const (
	second = time.Second
	minute = time.Minute
)

func endless(w http.ResponseWriter) {
	io.WriteString(w, `{"data":{"data":{"x":"`)
	for range maxResponse >> 10 {
		if _, err := io.WriteString(w, strings.Repeat("x", 2<<10)); err != nil {
			return
		}
	}
}

// drip sends an octet now and then, so that every read makes progress.
func drip(w http.ResponseWriter) {
	for range 100 {
		if _, err := io.WriteString(w, " "); err != nil {
			return
		}
		w.(http.Flusher).Flush()
		time.Sleep(50 * time.Millisecond)
	}
}

// Answers that take a second each are slow and no more than that.
func TestSlowAnswers(t *testing.T) {
	t.Parallel()
	server, role := stocked(t, vaulttest.Options{})
	proxy := newFront(t, server.Address)
	proxy.delay.Store(int64(second))
	store := open(t, server, Config{Address: proxy.URL, AppRole: &role})
	c := cache.New(store, cache.Options{})
	var wg sync.WaitGroup
	for range 20 { // who come while the first waits for the login
		wg.Go(func() {
			k, err := keys.FindKey(t.Context(), c, keys.SMIME, "transit@example.com", "")
			if err == nil {
				_, err = k.Signer.Sign(nil, make([]byte, 32), crypto.SHA256)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := proxy.requests.Load(); got != 23 { // login, entry, key, and 20 signatures
		t.Errorf("%d requests, want 23", got)
	}
}

// What a message costs once the keys are known.
func TestCost(t *testing.T) {
	t.Parallel()
	server, role := stocked(t, vaulttest.Options{})
	proxy := newFront(t, server.Address)
	store := open(t, server, Config{Address: proxy.URL, AppRole: &role})
	c := cache.New(store, cache.Options{})
	cost := func(what string, want int64, use func() error) {
		t.Helper()
		before := proxy.requests.Load()
		for range 10 {
			if err := use(); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		if got := proxy.requests.Load() - before; got != want {
			t.Errorf("%s: %d requests for ten messages, want %d", what, got, want)
		}
	}
	sign := func(name string) func() error {
		return func() error {
			k, err := keys.FindKey(t.Context(), c, keys.SMIME, name, "")
			if err == nil {
				_, err = k.Signer.Sign(nil, make([]byte, 32), crypto.SHA256)
			}
			return err
		}
	}
	cost("KV, cold", 2, sign("warm@example.com")) // login and entry
	cost("KV, warm", 0, sign("warm@example.com"))
	cost("Transit, cold", 12, sign("transit@example.com")) // entry, key and ten signatures
	cost("Transit, warm", 10, sign("transit@example.com"))
	encrypt := func(name string) func() error {
		return func() error {
			_, err := keys.FindCertificate(t.Context(), c, keys.SMIME, name)
			if errors.Is(err, keys.ErrNotFound) && name == "nobody@example.net" {
				return nil
			}
			return err
		}
	}
	cost("a recipient of ours", 2, encrypt("warm@example.com")) // nothing at recipients/, and, once, whether it is KV v2
	cost("a recipient of ours, warm", 0, encrypt("warm@example.com"))
	cost("a recipient that nobody knows", 4, encrypt("nobody@example.net")) // four places
	cost("a recipient that nobody knows, again", 0, encrypt("nobody@example.net"))
	versions := func() error {
		_, err := c.Versions(t.Context(), keys.SMIME, "warm@example.com")
		return err
	}
	cost("versions", 2, versions) // metadata and one version
	cost("versions, warm", 0, versions)
}

// tunnel is a TCP proxy whose connections can be made to say nothing any more,
// as when a firewall forgets them.
type tunnel struct {
	net.Listener
	mu    sync.Mutex
	conns []*silent
}

// silent passes data on until it is told not to.
type silent struct {
	net.Conn
	dead atomic.Bool
}

func (s *silent) Write(p []byte) (int, error) {
	if s.dead.Load() {
		return len(p), nil
	}
	return s.Conn.Write(p)
}

func newTunnel(t *testing.T, to string) *tunnel {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tun := &tunnel{Listener: l}
	t.Cleanup(func() {
		l.Close()
		tun.mu.Lock()
		defer tun.mu.Unlock()
		for _, c := range tun.conns {
			c.Close()
		}
	})
	_, address, _ := strings.Cut(to, "://")
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", address)
			if err != nil {
				in.Close()
				continue
			}
			a, b := &silent{Conn: in}, &silent{Conn: out}
			tun.mu.Lock()
			tun.conns = append(tun.conns, a, b)
			tun.mu.Unlock()
			go func() { io.Copy(a, struct{ io.Reader }{b}); a.Close() }()
			go func() { io.Copy(b, struct{ io.Reader }{a}); b.Close() }()
		}
	}()
	return tun
}

// silence makes the connections of this moment dead.
func (tun *tunnel) silence() {
	tun.mu.Lock()
	defer tun.mu.Unlock()
	for _, c := range tun.conns {
		c.dead.Store(true)
	}
}

// A connection that has died without a word must cost time and not a message.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]vaulttest.Options{"HTTP": {}, "HTTPS": {TLS: true}} {
		t.Run(name, func(t *testing.T) {
			server, role := stocked(t, o)
			tun := newTunnel(t, server.Address)
			scheme, _, _ := strings.Cut(server.Address, "://")
			store := open(t, server, Config{Address: scheme + "://" + tun.Addr().String(), AppRole: &role, Timeout: 2 * second})
			for round := range 3 {
				var wg sync.WaitGroup
				for range 3 { // several connections, where there is no HTTP/2
					wg.Go(func() {
						if _, err := store.Key(t.Context(), keys.SMIME, "warm@example.com"); err != nil {
							t.Errorf("round %d: %v", round, err)
						}
					})
				}
				wg.Wait()
				tun.silence()
			}
		})
	}
}

// The wrong TLS is refused by both sides in words, and does no harm to what is
// known.
func TestWrongTLS(t *testing.T) {
	t.Parallel()
	server, role := stocked(t, vaulttest.Options{TLS: true})
	var time clock
	stranger := httptest.NewTLSServer(http.NotFoundHandler())
	defer stranger.Close()
	store := open(t, server, Config{AppRole: &role, Now: time.now, Timeout: second})
	c := cache.New(store, cache.Options{Now: time.now})
	if _, err := c.Key(t.Context(), keys.SMIME, "warm@example.com"); err != nil {
		t.Fatal(err)
	}
	if err := store.session.client.SetAddress(stranger.URL); err != nil {
		t.Fatal(err)
	}
	time.forward(10 * minute)
	if _, err := c.Key(t.Context(), keys.SMIME, "warm@example.com"); err != nil {
		t.Errorf("a key that is known: %v", err)
	}
	_, err := c.Key(t.Context(), keys.SMIME, "cold@example.com")
	wantError(t, "a key that is not known", err, "x509:", "VAULT_CACERT")
	if err := store.session.client.SetAddress(server.Address); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Key(t.Context(), keys.SMIME, "cold@example.com"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
