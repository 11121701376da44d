package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	"waxseal/test/identities"
	"waxseal/test/vaulttest"
)

func testTLS(t *testing.T, ids *identities.Set) {
	server := filled(t, vaulttest.Options{TLS: true}, ids)
	other := vaulttest.Start(t, vaulttest.Options{TLS: true})
	if err := reads(t, open(t, server, Config{})); err != nil {
		t.Errorf("with the CA: %v", err)
	}
	wantError(t, "another CA", reads(t, open(t, server, Config{CACert: other.CAFile})), "x509:", "VAULT_CACERT")
	wantError(t, "other name", reads(t, open(t, server, Config{TLSServerName: "vault.example.com"})), "x509:")
	if err := reads(t, open(t, server, Config{TLSServerName: "localhost"})); err != nil {
		t.Errorf("the certificate's other name: %v", err)
	}
	if err := reads(t, open(t, server, Config{CACert: other.CAFile, SkipVerify: true})); err != nil {
		t.Errorf("unchecked: %v", err)
	}
	plain := strings.Replace(server.Address, "https:", "http:", 1)
	wantError(t, "HTTP to an HTTPS port", reads(t, open(t, server, Config{Address: plain})), "400")
}

// events is what a cache says of its entries.
type events struct {
	mu   sync.Mutex
	said []string
}

func (e *events) changed(entry keys.Entry, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.said = append(e.said, fmt.Sprintf("%v: %v", entry, err))
}

func (e *events) take() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := e.said
	e.said = nil
	return out
}

func testSealed(t *testing.T, ids *identities.Set) {
	server := filled(t, vaulttest.Options{}, ids)
	now := time.Now()
	clock := func() time.Time { return now }
	store := open(t, server, Config{Now: clock})
	var log events
	warm := cache.New(store, cache.Options{Now: clock, Changed: log.changed})
	ask := func(s keys.Store) error {
		_, err := s.Key(t.Context(), keys.SMIME, identities.Alice)
		return err
	}
	if err := ask(warm); err != nil {
		t.Fatal(err)
	}

	server.Seal()
	wantError(t, "sealed, without a cache", ask(store), "Vault is sealed: unseal it")
	wantError(t, "sealed, cold cache", ask(cache.New(store, cache.Options{Now: clock})), "Vault is sealed")
	wantError(t, "sealed, ready", store.Ready(t.Context()), "Vault is sealed")
	_, err := warm.Key(t.Context(), keys.SMIME, identities.Nobody)
	wantError(t, "sealed, an entry that nobody asked for", err, "Vault is sealed")
	if err := ask(warm); err != nil || log.take() != nil {
		t.Errorf("sealed, fresh: %v", err)
	}
	for _, age := range []time.Duration{10, 20, 30} {
		now = now.Add(10 * time.Minute)
		if err := ask(warm); err != nil {
			t.Errorf("sealed, %d minutes old: %v", age, err)
		}
	}
	if got := log.take(); len(got) != 1 || !strings.Contains(got[0], "smime/alice@example.com: ") || !strings.Contains(got[0], "sealed") {
		t.Errorf("said %q, want once that the entry can't be read", got)
	}
	now = now.Add(31 * time.Minute)
	wantError(t, "sealed, older than an hour", ask(warm), "Vault is sealed")

	server.Unseal()
	if err := ask(warm); err != nil {
		t.Errorf("unsealed: %v", err)
	}
	if got := log.take(); len(got) != 1 || !strings.HasSuffix(got[0], ": <nil>") {
		t.Errorf("said %q, want once that the entry can be read again", got)
	}
}

func testKilled(t *testing.T, ids *identities.Set) {
	server := filled(t, vaulttest.Options{Persistent: true}, ids)
	store := open(t, server, Config{})
	if err := reads(t, store); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	wantError(t, "killed", reads(t, store), "connection refused")
	server.Restart()
	wantError(t, "restarted", reads(t, store), "Vault is sealed")
	server.Unseal()
	if err := reads(t, store); err != nil {
		t.Errorf("restarted and unsealed: %v", err)
	}
}

// front is a proxy before Vault that counts requests and can hold them up.
type front struct {
	*httptest.Server
	requests atomic.Int64
	held     atomic.Pointer[chan struct{}] // requests wait until it is closed
	delay    atomic.Int64                  // before each answer, in nanoseconds
	fault    atomic.Pointer[func(http.ResponseWriter)]
}

func newFront(t *testing.T, to string) *front {
	t.Helper()
	f := &front{}
	transport := &http.Transport{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.requests.Add(1)
		// Only once the body has been read does the server see that a client
		// has left.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if fault := f.fault.Load(); fault != nil {
			(*fault)(w)
			return
		}
		time.Sleep(time.Duration(f.delay.Load()))
		if held := f.held.Load(); held != nil {
			select {
			case <-*held:
			case <-r.Context().Done():
				return
			}
		}
		out, err := http.NewRequestWithContext(r.Context(), r.Method, to+r.URL.RequestURI(), bytes.NewReader(body))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		out.Header = r.Header
		resp, err := transport.RoundTrip(out)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		io.Copy(w, resp.Body)
	}))
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		f.CloseClientConnections()
		f.Close()
	})
	return f
}

func testSlow(t *testing.T, ids *identities.Set) {
	server := filled(t, vaulttest.Options{}, ids)
	proxy := newFront(t, server.Address)
	never := make(chan struct{})
	proxy.held.Store(&never)
	store := open(t, server, Config{Address: proxy.URL, Timeout: 200 * time.Millisecond})
	wantError(t, "slow", reads(t, store), "no answer from Vault in time")
	if err := reads(t, store); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("slow: %v doesn't wrap the context's error", err)
	}

	patient := open(t, server, Config{Address: proxy.URL, Timeout: time.Minute})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := patient.Key(ctx, keys.SMIME, identities.Alice); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}

	// One that takes connections and says nothing at all.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	mute := open(t, server, Config{Address: "http://" + silent.Addr().String(), Timeout: 200 * time.Millisecond})
	wantError(t, "silent", reads(t, mute), "no answer from Vault in time")

	proxy.held.Store(nil)
	// On a busy machine an answer may take longer than the 200 ms that this
	// store waits; it has to get one sooner or later.
	err = reads(t, store)
	for end := time.Now().Add(30 * time.Second); err != nil && time.Now().Before(end); {
		err = reads(t, store)
	}
	if err != nil {
		t.Errorf("quick again: %v", err)
	}
}

// However many ask at once, Vault is asked once.
func testCached(t *testing.T, ids *identities.Set) {
	server := filled(t, vaulttest.Options{}, ids)
	proxy := newFront(t, server.Address)
	now := time.Now()
	var offset atomic.Int64
	clock := func() time.Time { return now.Add(time.Duration(offset.Load())) }
	store := open(t, server, Config{Address: proxy.URL})
	if err := store.Ready(t.Context()); err != nil { // logs in
		t.Fatal(err)
	}
	c := cache.New(store, cache.Options{Now: clock})
	for round := range 3 {
		gate := make(chan struct{})
		proxy.held.Store(&gate)
		before := proxy.requests.Load()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if _, err := c.Key(t.Context(), keys.SMIME, identities.Alice); err != nil {
					t.Error(err)
				}
			})
		}
		for round != 1 && proxy.requests.Load() == before {
			time.Sleep(time.Millisecond)
		}
		close(gate)
		wg.Wait()
		want := []int64{1, 0, 1}[round] // asked, remembered, asked anew after its lifetime
		if got := proxy.requests.Load() - before; got != want {
			t.Errorf("round %d: %d requests, want %d", round, got, want)
		}
		if round == 1 {
			offset.Add(int64(6 * time.Minute))
		}
	}
}

// What is not Vault must not look like one without keys.
func TestNotVault(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"web server's 404":  {404, "<html>not found</html>", "404"},
		"empty 404":         {404, "", "404"},
		"page":              {200, "<html>", "not what Vault sends"},
		"other JSON":        {200, `{"data":{"certificate":"x"}}`, "not one of a KV v2 engine"},
		"empty":             {200, "", "not what Vault sends"},
		"proxy's error":     {502, "bad\ngateway", "Vault answered 502: bad gateway"},
		"endless answer":    {200, `{"data":{"data":{"certificate":"` + strings.Repeat("x", maxResponse) + `"}}}`, "larger than"},
		"too large a field": {200, `{"data":{"data":{"private_key":"` + strings.Repeat("x", keys.MaxSize+1) + `"},"metadata":{}}}`, "larger than"},
		"long error":        {400, `{"errors":["` + strings.Repeat("x\\n", 5000) + `"]}`, "x x x"},
		"redirect":          {307, "", "ocation"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/v1/auth/") {
				w.WriteHeader(http.StatusForbidden)
				io.WriteString(w, `{"errors":["permission denied"]}`)
				return
			}
			w.WriteHeader(c.status)
			io.WriteString(w, c.body)
		}))
		store, err := Open(Config{Address: server.URL, Token: "t", KV: "secret/waxseal"})
		if err != nil {
			t.Fatal(err)
		}
		err = reads(t, store)
		wantError(t, name, err, c.want)
		if err != nil && len(err.Error()) > 700 {
			t.Errorf("%s: an error of %d octets", name, len(err.Error()))
		}
		store.Close()
		server.Close()
	}
}
