package vault

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
)

// defaultTimeout is short, because somebody's mail client waits.
const defaultTimeout = 5 * time.Second

// Config says where Vault is and how to log in. What is not set comes from the
// VAULT_* environment variables, which mean what they mean to the vault command.
type Config struct {
	// Address is a URL; "" is VAULT_ADDR.
	Address string
	// Namespace is one of Vault Enterprise; "" is VAULT_NAMESPACE.
	Namespace string

	// Token, TokenFile and AppRole exclude each other; without any of them,
	// VAULT_TOKEN is used. A token is renewed while it can be. A token file is
	// read at every request and left to whoever writes it.
	Token     string
	TokenFile string
	AppRole   *AppRole

	// KV is the mount of a KV v2 secrets engine and the path below it, as in
	// "secret/waxseal". The mount is the first segment, or KVMount if that is
	// set, of which KV must then be a continuation.
	KV      string
	KVMount string

	CACert        string // PEM file; "" is VAULT_CACERT
	CAPath        string // directory of such; "" is VAULT_CAPATH
	ClientCert    string // PEM file; "" is VAULT_CLIENT_CERT
	ClientKey     string // PEM file; "" is VAULT_CLIENT_KEY
	TLSServerName string // "" is VAULT_TLS_SERVER_NAME
	// SkipVerify switches the check of the server's certificate off, as
	// VAULT_SKIP_VERIFY does.
	SkipVerify bool

	// Timeout is how long one lookup may take with login and retries; 0 is
	// VAULT_CLIENT_TIMEOUT, or else 5 seconds.
	Timeout time.Duration
	// Now is the clock that certificates are checked against; nil is time.Now.
	Now func() time.Time
}

// AppRole logs in with a role ID and a secret ID.
type AppRole struct {
	Mount    string // "" is "approle"
	RoleID   string
	SecretID string
	// SecretIDFile is read at every login. It and SecretID exclude each other.
	SecretIDFile string
}

// check completes the configuration and reports all that is wrong with it.
func (c *Config) check() error {
	var errs []error
	ways := 0
	for _, set := range []bool{c.Token != "", c.TokenFile != "", c.AppRole != nil} {
		if set {
			ways++
		}
	}
	switch {
	case ways > 1:
		errs = append(errs, errors.New("token, token file and approle exclude each other: keep one"))
	case ways == 0:
		if c.Token = os.Getenv(api.EnvVaultToken); c.Token == "" {
			errs = append(errs, errors.New("no way to log in: set a token file, approle, or VAULT_TOKEN"))
		}
	}
	c.Token = strings.TrimSpace(c.Token)
	if c.Token != "" && !plainToken(c.Token) {
		errs = append(errs, errors.New("the token has a character that no token has"))
	}
	if r := c.AppRole; r != nil {
		role := *r // the caller's stays as it is
		role.Mount = strings.Trim(role.Mount, "/")
		if role.Mount == "" {
			role.Mount = "approle"
		}
		if role.RoleID == "" {
			errs = append(errs, errors.New("approle has no role ID"))
		}
		if (role.SecretID == "") == (role.SecretIDFile == "") {
			errs = append(errs, errors.New("approle needs a secret ID or a file with it, and not both"))
		}
		c.AppRole = &role
	}
	if err := c.checkKV(); err != nil {
		errs = append(errs, err)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return errors.Join(errs...)
}

// checkKV splits KV into KVMount and, in KV, the path below it.
func (c *Config) checkKV() error {
	path, mount := strings.Trim(c.KV, "/"), strings.Trim(c.KVMount, "/")
	if path == "" {
		return errors.New("kv is empty: set the mount and the path below it, as in secret/waxseal")
	}
	for s := range strings.SplitSeq(path, "/") {
		if s == "" || s == "." || s == ".." || strings.ContainsAny(s, "%?#*") {
			return fmt.Errorf("kv %q is not a path", c.KV)
		}
	}
	if mount == "" {
		mount, _, _ = strings.Cut(path, "/")
	}
	rest, ok := strings.CutPrefix(path+"/", mount+"/")
	if !ok {
		return fmt.Errorf("kv %q does not begin with the mount %q", c.KV, c.KVMount)
	}
	c.KVMount, c.KV = mount, strings.TrimSuffix(rest, "/")
	return nil
}

// plainToken says whether a token can be a header field's value.
func plainToken(token string) bool {
	for _, b := range []byte(token) {
		if b <= ' ' || b >= 0x7f {
			return false
		}
	}
	return true
}
