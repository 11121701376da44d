package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
)

// logsIn says whether another token can be had when one has ended.
func (c *Config) logsIn() bool {
	return c.AppRole != nil || c.Cert != nil || c.Kubernetes != nil || c.JWT != nil
}

// login gets a new token and keeps it alive. The caller holds the gate.
func (s *session) login(ctx context.Context) (string, error) {
	if !s.conf.logsIn() {
		ttl, err := s.lifetime(ctx, s.conf.Token)
		if err != nil {
			return "", fmt.Errorf("look up token: %w", err)
		}
		s.use(s.conf.Token, ttl)
		return s.conf.Token, nil
	}
	path, body, hint, err := s.credentials(ctx)
	if err == nil {
		var answer struct{ Auth *api.SecretAuth }
		err = request(ctx, s.client, "", "POST", path, body, &answer)
		if a := answer.Auth; err == nil && a != nil && a.ClientToken != "" && plainToken(a.ClientToken) {
			s.refused, s.pause = nil, 0
			s.use(a.ClientToken, time.Duration(a.LeaseDuration)*time.Second)
			return a.ClientToken, nil
		}
		if err == nil {
			err = errors.New("the answer has no token")
		}
		err = fmt.Errorf("log in at %s: %w", path, err)
	}
	var r *refusal
	if errors.As(err, &r) && (r.status == http.StatusBadRequest || r.status == http.StatusForbidden) {
		// Not wrapped: this refusal is not one of the request that needs the token.
		err = fmt.Errorf("%v: %s", err, hint)
		s.pause = min(max(2*s.pause, time.Second), maxPause)
		s.refused, s.notBefore = err, s.conf.Now().Add(s.pause)
	}
	return "", err
}

// credentials returns where to log in and with what, and what to do about a
// refusal.
func (s *session) credentials(ctx context.Context) (path string, body map[string]string, hint string, err error) {
	switch c := s.conf; {
	case c.AppRole != nil:
		hint = "look at the role ID and get a new secret ID"
		secret := c.AppRole.SecretID
		if c.AppRole.SecretIDFile != "" {
			if secret, err = readSecret(c.AppRole.SecretIDFile); err != nil {
				return "", nil, "", fmt.Errorf("read secret ID: %w", err)
			}
		}
		if c.AppRole.Wrapped {
			hint = "get a new wrapped secret ID; if nobody of yours has unwrapped it, somebody else has"
			if secret, err = s.unwrap(ctx, secret); err != nil {
				return "", nil, hint, fmt.Errorf("unwrap the secret ID: %w", err)
			}
		}
		return "auth/" + c.AppRole.Mount + "/login", map[string]string{"role_id": c.AppRole.RoleID, "secret_id": secret}, hint, nil
	case c.Cert != nil:
		body = map[string]string{}
		if c.Cert.Role != "" {
			body["name"] = c.Cert.Role
		}
		return "auth/" + c.Cert.Mount + "/login", body, "does a role there trust the client certificate?", nil
	default:
		jwt := c.JWT
		if jwt == nil {
			jwt = c.Kubernetes
		}
		token, err := readSecret(jwt.File)
		if err != nil {
			return "", nil, "", fmt.Errorf("read JSON Web Token: %w", err)
		}
		body = map[string]string{"jwt": token}
		if jwt.Role != "" {
			body["role"] = jwt.Role
		}
		return "auth/" + jwt.Mount + "/login", body, "look at the role and at what it is bound to", nil
	}
}

// unwrap returns the secret ID that a wrapping token stands for, which Vault
// gives away once.
func (s *session) unwrap(ctx context.Context, token string) (string, error) {
	if token == s.wrapping {
		return s.secretID, nil
	}
	var info struct {
		Data struct {
			CreationPath string `json:"creation_path"`
		}
	}
	if err := request(ctx, s.client, "", "POST", "sys/wrapping/lookup", map[string]string{"token": token}, &info); err != nil {
		return "", err
	}
	// One who has taken the secret ID out could have put a response of his own
	// in its place.
	from := "/" + info.Data.CreationPath
	if !strings.Contains(from, "/auth/"+s.conf.AppRole.Mount+"/role/") || !strings.HasSuffix(from, "secret-id") {
		return "", fmt.Errorf("the wrapping token is not one of a secret ID but of %.200q: look who has written it", info.Data.CreationPath)
	}
	var answer struct {
		Data struct {
			SecretID string `json:"secret_id"`
		}
	}
	if err := request(ctx, s.client, token, "POST", "sys/wrapping/unwrap", map[string]string{}, &answer); err != nil {
		return "", err
	}
	if answer.Data.SecretID == "" {
		return "", errors.New("the answer has no secret ID")
	}
	s.wrapping, s.secretID = token, answer.Data.SecretID
	return s.secretID, nil
}
