package vault

import (
	"errors"
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

func testToken(t *testing.T, ids *identities.Set) {
	server := filled(t, vaulttest.Options{}, ids)
	if err := reads(t, open(t, server, Config{})); err != nil {
		t.Errorf("token with the smallest policy: %v", err)
	}

	const wrong = "hvs.CAESINeverExisted"
	err := reads(t, open(t, server, Config{Token: wrong}))
	wantError(t, "wrong token", err, "permission denied", "the token has expired, was revoked, or never existed")
	if strings.Contains(err.Error(), wrong) {
		t.Errorf("the error has the token: %v", err)
	}

	server.Policy("elsewhere", `path "secret/data/other/*" { capabilities = ["read"] }`)
	lacking := open(t, server, Config{Token: server.Token("1h", "elsewhere")})
	wantError(t, "token without the right", reads(t, lacking), "permission denied", "the policy needs read on secret/data/waxseal/*")
	_, err = lacking.List(t.Context())
	wantError(t, "list without the right", err, "the policy needs list on secret/metadata/waxseal/*")

	gone := server.Token("1h", "waxseal")
	store := open(t, server, Config{Token: gone})
	if err := reads(t, store); err != nil {
		t.Fatal(err)
	}
	server.Write("auth/token/revoke", map[string]any{"token": gone})
	wantError(t, "revoked token", reads(t, store), "revoked")
}

func testTokenFile(t *testing.T, ids *identities.Set) {
	server := filled(t, vaulttest.Options{}, ids)
	path := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	store := open(t, server, Config{TokenFile: path})
	wantError(t, "no file", reads(t, store), "read token file", path)
	first := server.Token("1h", "waxseal")
	write(first + "\n")
	if err := reads(t, store); err != nil {
		t.Error(err)
	}
	server.Write("auth/token/revoke", map[string]any{"token": first})
	wantError(t, "revoked", reads(t, store), "revoked")
	write(server.Token("1h", "waxseal"))
	if err := reads(t, store); err != nil {
		t.Errorf("replaced: %v", err)
	}
	for _, text := range []string{"", "two words", "a\nb", strings.Repeat("x", 1<<20)} {
		write(text)
		wantError(t, "bad file", reads(t, store), "does not hold just one word")
	}
}

func testAppRole(t *testing.T, ids *identities.Set) {
	server := filled(t, vaulttest.Options{}, ids)
	role, secret := server.AppRole("mail", map[string]any{"token_policies": "waxseal", "token_no_default_policy": true})
	now := time.Now()
	clock := func() time.Time { return now }
	path := filepath.Join(t.TempDir(), "secret-id")
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	store := open(t, server, Config{AppRole: &AppRole{RoleID: role, SecretIDFile: path}, Now: clock})
	if err := reads(t, store); err != nil {
		t.Fatal(err)
	}
	first, _ := store.session.current()
	if err := reads(t, store); err != nil {
		t.Error(err)
	}
	if again, _ := store.session.current(); again != first {
		t.Error("a second request has logged in anew")
	}

	// A token that Vault has dropped is replaced within the same request, which
	// waits where the login is only a moment ago.
	server.Write("auth/token/revoke", map[string]any{"token": first})
	if err := reads(t, store); err != nil {
		t.Errorf("revoked: %v", err)
	}
	if second, _ := store.session.current(); second == first {
		t.Error("the revoked token is still in use")
	}

	// A right that is missing is no reason to log in again at once.
	server.Policy("waxseal", `path "secret/data/other" { capabilities = ["read"] }`)
	before, _ := store.session.current()
	now = now.Add(tryAgain / 2)
	wantError(t, "right taken away", reads(t, store), "the policy needs read")
	if after, _ := store.session.current(); after != before {
		t.Error("a missing right made it log in again")
	}
	now = now.Add(tryAgain)
	wantError(t, "right taken away, later", reads(t, store), "the policy needs read")
	if after, _ := store.session.current(); after == before {
		t.Error("it has not even tried another token")
	}

	// Many who come at once before the first login share it.
	server.Policy("waxseal", policy)
	proxy := newFront(t, server.Address)
	cold := open(t, server, Config{Address: proxy.URL, AppRole: &AppRole{RoleID: role, SecretID: secret}})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := reads(t, cold); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := proxy.requests.Load(); got != 21 {
		t.Errorf("%d requests for 20 reads, want one login besides", got)
	}

	for what, r := range map[string]AppRole{
		"wrong secret": {RoleID: role, SecretID: "7f3c2d1e-0000-0000-0000-000000000000"},
		"wrong role":   {RoleID: "nobody", SecretID: secret},
	} {
		err := reads(t, open(t, server, Config{AppRole: &r}))
		wantError(t, what, err, "log in at auth/approle/login", "get a new secret ID")
		if strings.Contains(err.Error(), r.SecretID) || strings.Contains(err.Error(), "the policy needs") {
			t.Errorf("%s: %v", what, err)
		}
	}
	err := reads(t, open(t, server, Config{AppRole: &AppRole{Mount: "elsewhere", RoleID: role, SecretID: secret}}))
	wantError(t, "wrong mount", err, "log in at auth/elsewhere/login")
	err = reads(t, open(t, server, Config{AppRole: &AppRole{RoleID: role, SecretIDFile: path + "x"}}))
	wantError(t, "no file", err, "read secret ID")
}

// A token must outlive its lifetime: one that can be renewed is renewed, and
// an AppRole logs in again when its own can't be.
func testRenewal(t *testing.T, ids *identities.Set) {
	t.Parallel()
	server := filled(t, vaulttest.Options{}, ids)
	server.Policy("renew", `path "auth/token/lookup-self" { capabilities = ["read"] }
		path "auth/token/renew-self" { capabilities = ["update"] }`)
	role, secret := server.AppRole("short", map[string]any{
		"token_policies": "waxseal", "token_no_default_policy": true, "token_ttl": "3s", "token_max_ttl": "3s",
	})
	token := server.Token("3s", "waxseal", "renew")
	static := open(t, server, Config{Token: token})
	approle := open(t, server, Config{AppRole: &AppRole{RoleID: role, SecretID: secret}})
	dead := open(t, server, Config{Token: server.Token("3s", "waxseal")}) // may not renew itself
	for name, s := range map[string]*Store{"token": static, "approle": approle, "not renewable": dead} {
		if err := reads(t, s); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	first, _ := approle.session.current()
	time.Sleep(4500 * time.Millisecond) // Vault has no clock that a test could move
	if err := reads(t, static); err != nil {
		t.Errorf("token after its lifetime: %v", err)
	}
	if second, _ := approle.session.current(); second == first {
		t.Error("AppRole has not logged in again before the end of its token")
	}
	if err := reads(t, approle); err != nil {
		t.Errorf("approle after the token's lifetime: %v", err)
	}
	wantError(t, "a token that may not renew itself", reads(t, dead), "expired")
	for _, s := range []*Store{static, approle, dead} {
		if err := s.Close(); err != nil { // hangs if the goroutine does not end
			t.Error(err)
		}
	}
}

func testEnvironment(t *testing.T, ids *identities.Set) {
	server := filled(t, vaulttest.Options{TLS: true}, ids)
	t.Setenv("VAULT_ADDR", server.Address)
	t.Setenv("VAULT_TOKEN", server.Token("1h", "waxseal"))
	t.Setenv("VAULT_CACERT", server.CAFile)
	store, err := Open(Config{KV: "secret/waxseal"})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := reads(t, store); err != nil {
		t.Errorf("from the environment: %v", err)
	}

	other := filled(t, vaulttest.Options{}, ids)
	t.Setenv("VAULT_AGENT_ADDR", server.Address)
	store, err = Open(Config{Address: other.Address, KV: "secret/waxseal", Token: other.Token("1h", "waxseal")})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := reads(t, store); err != nil {
		t.Errorf("the configuration must win over the environment: %v", err)
	}

	// A role of the configuration must not be overruled by a token around.
	role, secret := other.AppRole("mail", map[string]any{"token_policies": "waxseal"})
	store, err = Open(Config{Address: other.Address, KV: "secret/waxseal", AppRole: &AppRole{RoleID: role, SecretID: secret}})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := reads(t, store); err != nil {
		t.Errorf("approle beside VAULT_TOKEN: %v", err)
	}

	t.Setenv("VAULT_NAMESPACE", "team")
	store, err = Open(Config{Address: other.Address, KV: "secret/waxseal", Token: other.RootToken})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if got := store.session.client.Namespace(); got != "team" {
		t.Errorf("namespace %q, want the environment's", got)
	}
}

func TestConfig(t *testing.T) {
	t.Setenv("VAULT_TOKEN", "")
	good := Config{Address: "http://127.0.0.1:1", Token: "t", KV: "secret/waxseal"}
	for want, change := range map[string]func(*Config){
		"no way to log in":          func(c *Config) { c.Token = "" },
		"exclude each other":        func(c *Config) { c.TokenFile = "f" },
		"has a character":           func(c *Config) { c.Token = "a b" },
		"has no role ID":            func(c *Config) { c.Token, c.AppRole = "", &AppRole{SecretID: "s"} },
		"a secret ID or a file":     func(c *Config) { c.Token, c.AppRole = "", &AppRole{RoleID: "r", SecretID: "s", SecretIDFile: "f"} },
		"kv is empty":               func(c *Config) { c.KV = "/" },
		`"secret/../x" is not a`:    func(c *Config) { c.KV = "secret/../x" },
		"begin with the mount":      func(c *Config) { c.KVMount = "sec" },
		"the address is no URL":     func(c *Config) { c.Address = "vault.example.com:8200" },
		"set up TLS":                func(c *Config) { c.CACert = "/does/not/exist" },
		"both client cert and":      func(c *Config) { c.ClientCert = "f" },
		"configure keys in Vault: ": func(c *Config) { c.KV, c.Token = "", "" },
	} {
		c := good
		change(&c)
		s, err := Open(c)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want an error with %q", err, want)
		}
		if s != nil {
			s.Close()
		}
	}
	s, err := Open(good)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = reads(t, s)
	wantError(t, "nobody listens", err, "smime/alice@example.com: read secret/data/waxseal/smime/alice@example.com: ", "connection refused")
	if err := s.Ready(t.Context()); err == nil || errors.Is(err, keys.ErrNotFound) {
		t.Errorf("ready: %v", err)
	}
}
