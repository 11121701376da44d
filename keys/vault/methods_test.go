package vault

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"waxseal/keys"
	"waxseal/test/identities"
	"waxseal/test/vaulttest"
)

// wrapped makes a secret ID that is in a wrapping token.
func wrapped(t *testing.T, s *vaulttest.Server, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.Address+"/v1/"+path, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", s.RootToken)
	req.Header.Set("X-Vault-Wrap-TTL", "60s")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Info struct{ Token string } `json:"wrap_info"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Info.Token == "" {
		t.Fatalf("no wrapping token: %v", err)
	}
	return answer.Info.Token
}

func testWrapped(t *testing.T, ids *identities.Set) {
	t.Parallel()
	server := filled(t, vaulttest.Options{}, ids)
	role, _ := server.AppRole("mail", map[string]any{"token_policies": "waxseal"})
	path := filepath.Join(t.TempDir(), "wrapped")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const secretID = "auth/approle/role/mail/secret-id"
	first := wrapped(t, server, secretID)
	write(first)
	store := open(t, server, Config{AppRole: &AppRole{RoleID: role, SecretIDFile: path, Wrapped: true}})
	if err := reads(t, store); err != nil {
		t.Fatal(err)
	}
	// Logging in again must not need the wrapping token a second time.
	token, _ := store.session.current()
	server.Write("auth/token/revoke", map[string]any{"token": token})
	if err := reads(t, store); err != nil {
		t.Errorf("after its token was revoked: %v", err)
	}
	// Another program, or one that has started anew, can't use it.
	other := open(t, server, Config{AppRole: &AppRole{RoleID: role, SecretIDFile: path, Wrapped: true}})
	err := reads(t, other)
	wantError(t, "used", err, "unwrap the secret ID", "get a new wrapped secret ID")
	if strings.Contains(err.Error(), first) {
		t.Errorf("the error has the token: %v", err)
	}
	write(wrapped(t, server, secretID))
	wantError(t, "a moment later", reads(t, other), "tried a moment ago")
	time.Sleep(1100 * time.Millisecond)
	if err := reads(t, other); err != nil {
		t.Errorf("with a new one: %v", err)
	}
	// Somebody who swaps the response must not choose who we are.
	write(wrapped(t, server, "auth/token/create"))
	swapped := open(t, server, Config{AppRole: &AppRole{RoleID: role, SecretIDFile: path, Wrapped: true}})
	wantError(t, "swapped", reads(t, swapped), "not one of a secret ID but of \"auth/token/create\"")
}

func testCert(t *testing.T, ids *identities.Set) {
	t.Parallel()
	server := filled(t, vaulttest.Options{TLS: true}, ids)
	ca := newAuthority(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	client := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := ca.mail("daemon@example.com", key.Public(), client)
	_, root, _ := strings.Cut(good, "-----END CERTIFICATE-----\n")
	server.Write("sys/auth/cert", map[string]any{"type": "cert"})
	server.Write("auth/cert/certs/mail", map[string]any{
		"certificate": root, "token_policies": "waxseal", "token_ttl": "1h", "allowed_email_sans": "daemon@example.com",
	})
	other := newAuthority(t).mail("daemon@example.com", key.Public(), client)
	cert, private := file("cert", good), file("key", privatePEM(t, key))
	store := open(t, server, Config{Cert: &Cert{}, ClientCert: cert, ClientKey: private})
	if err := reads(t, store); err != nil {
		t.Errorf("certificate: %v", err)
	}
	if err := reads(t, open(t, server, Config{Cert: &Cert{Role: "mail"}, ClientCert: cert, ClientKey: private})); err != nil {
		t.Errorf("certificate and role: %v", err)
	}
	err = reads(t, open(t, server, Config{Cert: &Cert{Role: "others"}, ClientCert: cert, ClientKey: private}))
	wantError(t, "another role", err, "log in at auth/cert/login", "trust the client certificate?")
	err = reads(t, open(t, server, Config{Cert: &Cert{}, ClientCert: file("other", other), ClientKey: private}))
	wantError(t, "another CA", err, "trust the client certificate?")

	// A certificate that is renewed in its file is used for the next login.
	file("cert", other)
	late := open(t, server, Config{Cert: &Cert{}, ClientCert: cert, ClientKey: private})
	wantError(t, "before the renewal", reads(t, late))
	file("cert", good)
	late.session.client.CloneConfig().HttpClient.Transport.(bounded).closeIdle()
	time.Sleep(1100 * time.Millisecond)
	if err := reads(t, late); err != nil {
		t.Errorf("renewed: %v", err)
	}
}

// The Kubernetes and JWT methods are not in the Vault server of the tests, so
// that a server of a few lines stands for it. Requests and answers are those of
// https://developer.hashicorp.com/vault/api-docs/auth/kubernetes and .../jwt:
// POST auth/MOUNT/login with role and jwt, answered with auth.client_token and
// auth.lease_duration.
func TestJWT(t *testing.T) {
	var mu sync.Mutex
	var got []string
	good := "header.one.signature"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if token := r.Header.Get("X-Vault-Token"); strings.HasPrefix(r.URL.Path, "/v1/secret/") {
			if token != "token-of-"+good {
				w.WriteHeader(http.StatusForbidden)
				w.Write([]byte(`{"errors":["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]}`))
				return
			}
			w.Write([]byte(`{"data":{"data":{"x":"y"},"metadata":{"version":1}}}`))
			return
		}
		var body map[string]string
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		text, _ := json.Marshal(body)
		got = append(got, r.Method+" "+r.URL.Path+" "+string(text))
		if body["jwt"] != good {
			w.WriteHeader(http.StatusBadRequest)
			w.Write([]byte(`{"errors":["error validating token"]}`))
			return
		}
		json.NewEncoder(w).Encode(map[string]any{"auth": map[string]any{"client_token": "token-of-" + body["jwt"], "lease_duration": 3600, "renewable": true}})
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "jwt")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{Kubernetes: &JWT{Role: "waxseal", File: file}}, `POST /v1/auth/kubernetes/login {"jwt":"header.one.signature","role":"waxseal"}`},
		{Config{Kubernetes: &JWT{Role: "waxseal", File: file, Mount: "k8s/east"}}, `POST /v1/auth/k8s/east/login {"jwt":"header.one.signature","role":"waxseal"}`},
		{Config{JWT: &JWT{Role: "mail", File: file}}, `POST /v1/auth/jwt/login {"jwt":"header.one.signature","role":"mail"}`},
		{Config{JWT: &JWT{File: file}}, `POST /v1/auth/jwt/login {"jwt":"header.one.signature"}`},
	} {
		mu.Lock()
		good, got = "header.one.signature", nil
		mu.Unlock()
		write(good)
		now := time.Now()
		c.config.Address, c.config.KV, c.config.Now = server.URL, "secret/waxseal", func() time.Time { return now }
		store, err := Open(c.config)
		if err != nil {
			t.Fatal(err)
		}
		loads := func() error {
			_, err := store.Certificate(t.Context(), keys.SMIME, identities.Bob)
			return err
		}
		if err := loads(); !errors.Is(err, keys.ErrNotFound) || len(got) != 1 || got[0] != c.want {
			t.Errorf("%v; requests %q, want %q", err, got, c.want)
		}
		// The file has been written anew, as Kubernetes does every hour, when
		// the token is gone.
		mu.Lock()
		good = "header.two.signature"
		mu.Unlock()
		write(good)
		now = now.Add(time.Hour)
		if err := loads(); !errors.Is(err, keys.ErrNotFound) || len(got) != 2 || !strings.Contains(got[1], good) {
			t.Errorf("%v; requests %q, want another login with %s", err, got, good)
		}
		store.Close()

		write("header.old.signature")
		if store, err = Open(c.config); err != nil {
			t.Fatal(err)
		}
		err = loads()
		wantError(t, "refused", err, "log in at auth/", "error validating token", "look at the role")
		if strings.Contains(err.Error(), "header.old") {
			t.Errorf("the error has the JSON Web Token: %v", err)
		}
		// A login that was refused is not tried for every message.
		before := len(got)
		wantError(t, "refused a moment ago", loads(), "tried a moment ago")
		if len(got) != before {
			t.Error("it logs in again at once")
		}
		for _, wait := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
			now = now.Add(wait - time.Millisecond)
			wantError(t, "paused", loads(), "tried a moment ago")
			now = now.Add(time.Millisecond)
			before := len(got)
			wantError(t, "again", loads(), "error validating token")
			if len(got) != before+1 {
				t.Errorf("%d logins after %v, want one", len(got)-before, wait)
			}
		}
		store.Close()
	}
}

// The life of a token: it ends, it is revoked, and mail goes on. Nothing here
// waits for a lookup that failed to be repeated.
func testLife(t *testing.T, ids *identities.Set) {
	t.Parallel()
	server := filled(t, vaulttest.Options{}, ids)
	role, secret := server.AppRole("short", map[string]any{
		"token_policies": "waxseal", "token_no_default_policy": true, "token_ttl": "2s", "token_max_ttl": "3s",
	})
	store := open(t, server, Config{AppRole: &AppRole{RoleID: role, SecretID: secret}})
	end := time.Now().Add(7 * time.Second) // Vault has no clock that a test could move
	tokens, lookups := map[string]bool{}, 0
	revoke := time.Now().Add(time.Second)
	for ; time.Now().Before(end); lookups++ {
		if err := reads(t, store); err != nil {
			t.Fatalf("lookup %d: %v", lookups, err)
		}
		token, _ := store.session.current()
		tokens[token] = true
		if time.Now().After(revoke) {
			server.Write("auth/token/revoke", map[string]any{"token": token})
			revoke = revoke.Add(2 * time.Second)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if len(tokens) < 4 {
		t.Errorf("%d tokens in seven seconds, want more: each is good for three at most and three were revoked", len(tokens))
	}
	t.Logf("%d lookups with %d tokens", lookups, len(tokens))
}

func TestEnvironment(t *testing.T) {
	for _, c := range []struct {
		name string
		env  map[string]string
		conf Config
		want Config
	}{
		{"BAO_ comes first", map[string]string{"VAULT_ADDR": "http://vault:1", "BAO_ADDR": "http://bao:1", "VAULT_TOKEN": "v", "BAO_TOKEN": "b"},
			Config{}, Config{Address: "http://bao:1", Token: "b"}},
		{"VAULT_ where there is no BAO_", map[string]string{"VAULT_ADDR": "http://vault:1", "BAO_TOKEN": "b", "VAULT_NAMESPACE": "team"},
			Config{}, Config{Address: "http://vault:1", Token: "b", Namespace: "team"}},
		{"the configuration wins", map[string]string{"BAO_ADDR": "http://bao:1", "BAO_TOKEN": "b", "BAO_NAMESPACE": "team", "BAO_TLS_SERVER_NAME": "n", "BAO_CLIENT_TIMEOUT": "9s"},
			Config{Address: "http://conf:1", Token: "c", Namespace: "ns", TLSServerName: "m", Timeout: time.Minute},
			Config{Address: "http://conf:1", Token: "c", Namespace: "ns", TLSServerName: "m", Timeout: time.Minute}},
		{"an agent", map[string]string{"VAULT_ADDR": "http://vault:1", "VAULT_AGENT_ADDR": "http://agent:1", "VAULT_TOKEN": "v"},
			Config{}, Config{Address: "http://agent:1", Token: "v"}},
		{"times", map[string]string{"VAULT_TOKEN": "v", "VAULT_CLIENT_TIMEOUT": "7"}, Config{}, Config{Token: "v", Timeout: 7 * time.Second}},
		{"files", map[string]string{"VAULT_TOKEN": "v", "BAO_CACERT": "a", "VAULT_CLIENT_CERT": "c", "BAO_CLIENT_KEY": "k", "BAO_SKIP_VERIFY": "true"},
			Config{}, Config{Token: "v", CACert: "a", ClientCert: "c", ClientKey: "k", SkipVerify: true}},
		{"files of the configuration", map[string]string{"VAULT_TOKEN": "v", "VAULT_CACERT": "a"}, Config{CAPath: "p"}, Config{Token: "v", CAPath: "p"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, name := range []string{"ADDR", "AGENT_ADDR", "TOKEN", "NAMESPACE", "CACERT", "CAPATH", "CLIENT_CERT", "CLIENT_KEY", "TLS_SERVER_NAME", "SKIP_VERIFY", "CLIENT_TIMEOUT"} {
				t.Setenv("VAULT_"+name, "")
				t.Setenv("BAO_"+name, "")
			}
			for name, value := range c.env {
				t.Setenv(name, value)
			}
			got := c.conf
			got.KV = "secret/waxseal"
			if err := got.check(); err != nil {
				t.Fatal(err)
			}
			if c.want.Timeout == 0 {
				c.want.Timeout = defaultTimeout
			}
			got.KV, got.KVMount, got.Transit, got.Now = "", "", "", nil
			gotText, wantText := config(got), config(c.want)
			if gotText != wantText {
				t.Errorf("got  %s\nwant %s", gotText, wantText)
			}
		})
	}
}

func config(c Config) string {
	c.Now = nil
	text, _ := json.Marshal(struct {
		A, N, T, CA, CP, CC, CK, S string
		Skip                       bool
		Timeout                    time.Duration
	}{c.Address, c.Namespace, c.Token, c.CACert, c.CAPath, c.ClientCert, c.ClientKey, c.TLSServerName, c.SkipVerify, c.Timeout})
	return string(text)
}
