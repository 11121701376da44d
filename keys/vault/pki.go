package vault

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// ErrRefused is what SignRequest wraps when Vault will not certify what it was
// asked to, now or later: its role does not allow the name or the key.
var ErrRefused = errors.New("set the role up for this, as docs/vault.md says")

// SignRequest has a role of a PKI secrets engine sign a certificate request
// (RFC 2986), given as PEM, and returns the certificate and those that lead from
// it to the root, as PEM, the new one first. A ttl of 0 is the role's. It needs
// the right to update MOUNT/sign/ROLE.
func (s *Store) SignRequest(ctx context.Context, mount, role string, request []byte, ttl time.Duration) ([]byte, error) {
	mount = strings.Trim(mount, "/")
	if !plainPath(mount) || !plainPath(role) || strings.Contains(role, "/") {
		return nil, fmt.Errorf("sign a certificate: %q and %q are not the mount and a role of a PKI engine", mount, role)
	}
	path := mount + "/sign/" + role
	body := map[string]any{"csr": string(request), "format": "pem"}
	if ttl > 0 {
		body["ttl"] = fmt.Sprintf("%ds", int64(ttl/time.Second))
	}
	ctx, cancel := context.WithTimeout(ctx, s.conf.Timeout)
	defer cancel()
	var answer struct {
		Data struct {
			Certificate string
			Issuing     string   `json:"issuing_ca"`
			Chain       []string `json:"ca_chain"`
		}
	}
	err := s.session.do(ctx, "POST", path, body, &answer)
	var r *refusal
	switch {
	case errors.As(err, &r) && r.status == http.StatusBadRequest:
		return nil, fmt.Errorf("ask %s for a certificate: %w: %w", path, err, ErrRefused)
	case missing(err):
		return nil, fmt.Errorf("ask %s for a certificate: there is no PKI engine at %s/, or no such role", path, mount)
	case err != nil:
		return nil, s.explainTransit("ask "+path+" for a certificate", "update", path, err)
	}
	d := answer.Data
	parts := append([]string{d.Certificate}, d.Chain...)
	if len(d.Chain) == 0 && d.Issuing != "" {
		parts = append(parts, d.Issuing)
	}
	var out []byte
	for _, part := range parts {
		b, _ := pem.Decode([]byte(part))
		if b == nil || b.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("ask %s for a certificate: the answer has none", path)
		}
		out = append(out, pem.EncodeToMemory(b)...)
	}
	return out, nil
}
