package vaulttest

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// Write writes to a path below /v1/ with the root token and returns the "data"
// of the answer, or its "auth" where it has one. A KV v2 entry at a/b under the
// mount secret is written as
// Write("secret/data/a/b", map[string]any{"data": fields}).
func (s *Server) Write(path string, body any) map[string]any {
	s.t.Helper()
	var answer struct{ Data, Auth map[string]any }
	s.call("POST", path, body, &answer)
	if answer.Auth != nil {
		return answer.Auth
	}
	return answer.Data
}

// Read reads a path as Write writes one.
func (s *Server) Read(path string) map[string]any {
	s.t.Helper()
	var answer struct{ Data map[string]any }
	s.call("GET", path, nil, &answer)
	return answer.Data
}

// Delete deletes a path. Of a KV v2 entry, secret/data/... deletes the newest
// version and secret/metadata/... all of them.
func (s *Server) Delete(path string) {
	s.t.Helper()
	s.call("DELETE", path, nil, nil)
}

// Put writes a KV v2 entry under secret/.
func (s *Server) Put(path string, fields map[string]string) {
	s.t.Helper()
	s.Write("secret/data/"+path, map[string]any{"data": fields})
}

// Token returns a new token with the given policies, renewable, with a lifetime
// such as "1h". It has no parent and not the policy "default".
func (s *Server) Token(ttl string, policies ...string) string {
	s.t.Helper()
	auth := s.Write("auth/token/create", map[string]any{
		"policies": policies, "ttl": ttl, "no_parent": true, "no_default_policy": true, "renewable": true,
	})
	token, _ := auth["client_token"].(string)
	return token
}

// Policy stores an ACL policy.
func (s *Server) Policy(name, hcl string) {
	s.t.Helper()
	s.Write("sys/policies/acl/"+name, map[string]any{"policy": hcl})
}

// AppRole enables the AppRole method at auth/approle, if it is not yet, and
// makes a role. settings are those of auth/approle/role/NAME.
func (s *Server) AppRole(name string, settings map[string]any) (roleID, secretID string) {
	s.t.Helper()
	if _, ok := s.Read("sys/auth")["approle/"]; !ok {
		s.Write("sys/auth/approle", map[string]any{"type": "approle"})
	}
	s.Write("auth/approle/role/"+name, settings)
	roleID, _ = s.Read("auth/approle/role/" + name + "/role-id")["role_id"].(string)
	return roleID, s.SecretID(name)
}

// SecretID makes a new secret ID for a role.
func (s *Server) SecretID(name string) string {
	s.t.Helper()
	id, _ := s.Write("auth/approle/role/"+name+"/secret-id", map[string]any{})["secret_id"].(string)
	return id
}

func (s *Server) call(method, path string, body, answer any) {
	s.t.Helper()
	text, err := s.request(method, path, body)
	if err == nil && answer != nil && len(text) > 0 {
		err = json.Unmarshal(text, answer)
	}
	if err != nil {
		s.t.Fatalf("Vault: %s %s: %v", method, path, err)
	}
}

func (s *Server) request(method, path string, body any) ([]byte, error) {
	var in io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		in = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.Address+"/v1/"+path, in)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Vault-Token", s.RootToken)
	client := http.Client{Timeout: time.Minute}
	transport := &http.Transport{DisableKeepAlives: true}
	if s.CAFile != "" {
		pem, err := os.ReadFile(s.CAFile)
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	client.Transport = transport
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 400 {
		return nil, fmt.Errorf("%s: %s", resp.Status, text)
	}
	return text, nil
}
