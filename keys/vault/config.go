package vault

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// defaultTimeout is short, because somebody's mail client waits.
const defaultTimeout = 5 * time.Second

// Config says where Vault is and how to log in. What is not set comes from the
// environment, whose variables mean what they mean to the vault and bao commands:
// BAO_ADDR, or else VAULT_ADDR, and so on.
type Config struct {
	// Address is a URL; "" is VAULT_ADDR.
	Address string
	// Namespace is one of Vault Enterprise; "" is VAULT_NAMESPACE.
	Namespace string

	// Token, TokenFile and the others exclude each other; without any of them,
	// VAULT_TOKEN is used. A token is renewed while it can be. A token file is
	// read at every request and left to whoever writes it. The others log in
	// again when their token can't be renewed any more or was revoked.
	Token      string
	TokenFile  string
	AppRole    *AppRole
	Cert       *Cert
	Kubernetes *JWT
	JWT        *JWT

	// Transit is the mount of the Transit secrets engine; "" is "transit".
	Transit string

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
	// Wrapped says that the secret ID is the token of a response that wraps it
	// (vault write -wrap-ttl=...). Such a token is good for one time: what was
	// in it is kept in memory until the file holds another one.
	Wrapped bool
}

// Cert logs in with ClientCert and ClientKey, which are read at every
// connection.
type Cert struct {
	Mount string // "" is "cert"
	Role  string // "" is any role that the certificate fits
}

// JWT logs in with a role and a JSON Web Token, which is read from its file at
// every login.
type JWT struct {
	Mount string // "" is "kubernetes" or "jwt"
	Role  string
	// File is where the token is; "" is where Kubernetes puts that of the
	// service account.
	File string
}

// serviceAccount is where Kubernetes puts the token of a pod's service account.
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/token"

// environment reads a variable as the bao command does: BAO_NAME, or else
// VAULT_NAME.
func environment(name string) string {
	if v := os.Getenv("BAO_" + name); v != "" {
		return v
	}
	return os.Getenv("VAULT_" + name)
}

// complete takes what is not set from the environment.
func (c *Config) complete() error {
	for _, v := range []struct {
		field *string
		name  string
	}{
		{&c.Address, "AGENT_ADDR"}, {&c.Address, "ADDR"}, {&c.Namespace, "NAMESPACE"}, {&c.TLSServerName, "TLS_SERVER_NAME"},
	} {
		if *v.field == "" {
			*v.field = environment(v.name)
		}
	}
	// The pairs belong together: half of one from here and half from there
	// makes no sense.
	if c.CACert == "" && c.CAPath == "" {
		c.CACert, c.CAPath = environment("CACERT"), environment("CAPATH")
	}
	if c.ClientCert == "" && c.ClientKey == "" {
		c.ClientCert, c.ClientKey = environment("CLIENT_CERT"), environment("CLIENT_KEY")
	}
	if v := environment("SKIP_VERIFY"); v != "" && !c.SkipVerify {
		skip, err := strconv.ParseBool(v)
		if err != nil {
			return errors.New("VAULT_SKIP_VERIFY is neither true nor false")
		}
		c.SkipVerify = skip
	}
	if v := environment("CLIENT_TIMEOUT"); v != "" && c.Timeout <= 0 {
		d, err := time.ParseDuration(v)
		if seconds, notNumber := strconv.Atoi(v); notNumber == nil {
			d, err = time.Duration(seconds)*time.Second, nil
		}
		if err != nil || d <= 0 {
			return errors.New("VAULT_CLIENT_TIMEOUT is not a time")
		}
		c.Timeout = d
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return nil
}

// check completes the configuration and reports all that is wrong with it.
func (c *Config) check() error {
	errs := []error{c.complete()}
	ways := 0
	for _, set := range []bool{c.Token != "", c.TokenFile != "", c.AppRole != nil, c.Cert != nil, c.Kubernetes != nil, c.JWT != nil} {
		if set {
			ways++
		}
	}
	switch {
	case ways > 1:
		errs = append(errs, errors.New("token, token file, approle, cert, kubernetes and jwt exclude each other: keep one"))
	case ways == 0:
		if c.Token = environment("TOKEN"); c.Token == "" {
			errs = append(errs, errors.New("no way to log in: set a token file, approle or another method, or VAULT_TOKEN"))
		}
	}
	c.Token = strings.TrimSpace(c.Token)
	if c.Token != "" && !plainToken(c.Token) {
		errs = append(errs, errors.New("the token has a character that no token has"))
	}
	errs = append(errs, c.checkLogin(), c.checkKV())
	if c.Transit = strings.Trim(c.Transit, "/"); c.Transit == "" {
		c.Transit = "transit"
	}
	if !plainPath(c.Transit) {
		errs = append(errs, fmt.Errorf("transit %q is not a path", c.Transit))
	}
	return errors.Join(errs...)
}

// checkLogin completes the methods that log in. The caller's stay as they are.
func (c *Config) checkLogin() error {
	var errs []error
	mount := func(given, usual string) string {
		if given = strings.Trim(given, "/"); given == "" {
			given = usual
		}
		if !plainPath(given) {
			errs = append(errs, fmt.Errorf("mount %q is not a path", given))
		}
		return given
	}
	if c.AppRole != nil {
		role := *c.AppRole
		role.Mount = mount(role.Mount, "approle")
		if role.RoleID == "" {
			errs = append(errs, errors.New("approle has no role ID"))
		}
		if (role.SecretID == "") == (role.SecretIDFile == "") {
			errs = append(errs, errors.New("approle needs a secret ID or a file with it, and not both"))
		}
		if !plainToken(role.SecretID) {
			errs = append(errs, errors.New("the secret ID has a character that none has"))
		}
		c.AppRole = &role
	}
	if c.Cert != nil {
		cert := *c.Cert
		cert.Mount = mount(cert.Mount, "cert")
		if c.ClientCert == "" || c.ClientKey == "" {
			errs = append(errs, errors.New("cert needs a client certificate and its key"))
		}
		c.Cert = &cert
	}
	for _, m := range []struct {
		jwt         **JWT
		usual, file string
	}{{&c.Kubernetes, "kubernetes", serviceAccount}, {&c.JWT, "jwt", ""}} {
		if *m.jwt == nil {
			continue
		}
		jwt := **m.jwt
		jwt.Mount = mount(jwt.Mount, m.usual)
		if jwt.File == "" {
			jwt.File = m.file
		}
		if jwt.File == "" {
			errs = append(errs, fmt.Errorf("%s has no file with the token", m.usual))
		}
		if jwt.Role == "" && m.usual == "kubernetes" {
			errs = append(errs, errors.New("kubernetes has no role"))
		}
		*m.jwt = &jwt
	}
	return errors.Join(errs...)
}

// checkKV splits KV into KVMount and, in KV, the path below it.
func (c *Config) checkKV() error {
	path, mount := strings.Trim(c.KV, "/"), strings.Trim(c.KVMount, "/")
	if path == "" {
		return errors.New("kv is empty: set the mount and the path below it, as in secret/waxseal")
	}
	if !plainPath(path) {
		return fmt.Errorf("kv %q is not a path", c.KV)
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

// plainPath says whether a path, without slashes around it, can be part of that
// of a request.
func plainPath(path string) bool {
	for s := range strings.SplitSeq(path, "/") {
		if s == "" || s == "." || s == ".." || strings.ContainsAny(s, "%?#*") {
			return false
		}
	}
	return true
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
