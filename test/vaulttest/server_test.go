package vaulttest

import (
	"strings"
	"testing"
)

func TestServer(t *testing.T) {
	s := Start(t, Options{Persistent: true, TLS: true})
	if !strings.HasPrefix(s.Address, "https://127.0.0.1:") {
		t.Errorf("address %q, want one of HTTPS on loopback", s.Address)
	}
	s.Put("a/b", map[string]string{"field": "value"})

	s.Seal()
	if _, err := s.request("GET", "secret/data/a/b", nil); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("sealed: error %v, want a 503", err)
	}
	s.Kill()
	if _, err := s.request("GET", "sys/health", nil); err == nil {
		t.Error("a killed server answers")
	}
	s.Restart()
	s.Unseal()
	data, _ := s.Read("secret/data/a/b")["data"].(map[string]any)
	if data["field"] != "value" {
		t.Errorf("after a restart: %v, want the field that was put", data)
	}
	s.Delete("secret/metadata/a/b")
	if _, err := s.request("GET", "secret/data/a/b", nil); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("deleted: error %v, want a 404", err)
	}

	s.Policy("nothing", `path "secret/data/none" { capabilities = ["read"] }`)
	roleID, secretID := s.AppRole("mail", map[string]any{"token_policies": "nothing"})
	auth := s.Write("auth/approle/login", map[string]any{"role_id": roleID, "secret_id": secretID})
	s.RootToken, _ = auth["client_token"].(string)
	if _, err := s.request("GET", "secret/data/a/b", nil); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("token without the right: error %v, want a 403", err)
	}
}

// A build must be found again by the next test, and another source must not.
func TestBinaryIsCached(t *testing.T) {
	one, err := binary(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	two, err := binary(t.Context())
	if err != nil || one != two {
		t.Errorf("second build: %q, %v; want %q", two, err, one)
	}
	a, b := t.TempDir(), t.TempDir()
	ha, err := hash(a)
	if err != nil {
		t.Fatal(err)
	}
	if hb, _ := hash(b); ha != hb {
		t.Errorf("hash depends on the folder's own name: %s and %s", ha, hb)
	}
	src, err := module()
	if err != nil {
		t.Fatal(err)
	}
	if hs, _ := hash(src); hs == ha {
		t.Error("hash doesn't depend on the sources")
	}
}
