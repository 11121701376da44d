package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"waxseal/keys/issue"
	"waxseal/milter"
	"waxseal/policies"
	"waxseal/signer/pgpmime"
)

// config is the daemon's configuration file. Every setting is in
// docs/configuration.md; a test holds the two together.
type config struct {
	Listen      []string `hcl:"listen,optional"`
	SocketMode  string   `hcl:"socket_mode,optional"`
	SocketGroup string   `hcl:"socket_group,optional"`

	AuthservID string   `hcl:"authserv_id,optional"`
	Internal   []string `hcl:"internal,optional"`
	Domains    []string `hcl:"domains,optional"`
	Policies   string   `hcl:"policies,optional"`

	MaxMessageSize      string `hcl:"max_message_size,optional"`
	MTAMessageSizeLimit string `hcl:"mta_message_size_limit,optional"`
	SpoolDirectory      string `hcl:"spool_directory,optional"`
	SpoolLimit          string `hcl:"spool_limit,optional"`

	MaxConnections int    `hcl:"max_connections,optional"`
	IdleTimeout    string `hcl:"idle_timeout,optional"`
	MessageTimeout string `hcl:"message_timeout,optional"`

	LogLevel  string `hcl:"log_level,optional"`
	LogFormat string `hcl:"log_format,optional"`
	Monitor   string `hcl:"monitor,optional"`

	TrustAnchors  []anchorsBlock   `hcl:"trust_anchors,block"`
	Intermediates []string         `hcl:"intermediates,optional"`
	Revocation    *revocationBlock `hcl:"revocation,block"`

	PostQuantum bool `hcl:"post_quantum,optional"`

	Keys keysBlock `hcl:"keys,block"`

	file string
}

// keysBlock is the keys block of either store.
type keysBlock struct {
	Store string `hcl:"store,label"`
	// Path is the directory store's.
	Path string `hcl:"path,optional"`

	Address       string      `hcl:"address,optional"`
	Namespace     string      `hcl:"namespace,optional"`
	KV            string      `hcl:"kv,optional"`
	KVMount       string      `hcl:"kv_mount,optional"`
	Transit       string      `hcl:"transit,optional"`
	CACert        string      `hcl:"ca_cert,optional"`
	CAPath        string      `hcl:"ca_path,optional"`
	ClientCert    string      `hcl:"client_cert,optional"`
	ClientKey     string      `hcl:"client_key,optional"`
	TLSServerName string      `hcl:"tls_server_name,optional"`
	Timeout       string      `hcl:"timeout,optional"`
	Auth          *authBlock  `hcl:"auth,block"`
	Issue         *issueBlock `hcl:"issue,block"`

	Cache string `hcl:"cache,optional"`
	Stale string `hcl:"stale,optional"`
}

// authBlock says how to log in to Vault.
type authBlock struct {
	Method       string `hcl:"method,label"`
	Token        string `hcl:"token,optional"`
	TokenFile    string `hcl:"token_file,optional"`
	Mount        string `hcl:"mount,optional"`
	RoleID       string `hcl:"role_id,optional"`
	SecretID     string `hcl:"secret_id,optional"`
	SecretIDFile string `hcl:"secret_id_file,optional"`
	// SecretIDWrapped says that the secret ID is a wrapping token.
	SecretIDWrapped bool   `hcl:"secret_id_wrapped,optional"`
	Role            string `hcl:"role,optional"`
	JWTFile         string `hcl:"jwt_file,optional"`
}

// issueBlock says how certificates are had from Vault's PKI engine.
type issueBlock struct {
	PKI         string `hcl:"pki,optional"`
	Role        string `hcl:"role,optional"`
	Key         string `hcl:"key,optional"`
	Algorithm   string `hcl:"algorithm,optional"`
	TTL         string `hcl:"ttl,optional"`
	RenewBefore string `hcl:"renew_before,optional"`
}

// misfits names the settings that are none of the method's.
func (a *authBlock) misfits(bad func(setting, of string)) {
	for _, x := range []struct {
		setting string
		set     bool
		of      string // methods, the first for the message
	}{
		{"token", a.Token != "", "token"}, {"token_file", a.TokenFile != "", "token"},
		{"mount", a.Mount != "", "approle cert kubernetes jwt"},
		{"role_id", a.RoleID != "", "approle"}, {"secret_id", a.SecretID != "", "approle"},
		{"secret_id_file", a.SecretIDFile != "", "approle"}, {"secret_id_wrapped", a.SecretIDWrapped, "approle"},
		{"role", a.Role != "", "kubernetes jwt cert"}, {"jwt_file", a.JWTFile != "", "kubernetes jwt"},
	} {
		methods := strings.Fields(x.of)
		if x.set && !slices.Contains(methods, a.Method) {
			bad(x.setting, methods[0])
		}
	}
}

// settings is a configuration in the units that the program works with.
type settings struct {
	config
	socketMode     os.FileMode
	internal       []netip.Prefix
	maxMessage     int64
	maxResult      int64
	spoolLimit     int64
	idleTimeout    time.Duration
	messageTimeout time.Duration
	keysTimeout    time.Duration
	cache, stale   time.Duration
	issueTTL       time.Duration // 0: the role's
	renewBefore    time.Duration
}

// maxConfigSize bounds the configuration file in bytes.
const maxConfigSize = 1 << 20

// readConfig reads and checks a configuration file. Its error holds every
// problem that was found; the settings are there, as far as they go, unless the
// file could not be read as HCL. Relative paths are relative to the file.
func readConfig(file string) (*settings, error) {
	src, err := readBounded(file, maxConfigSize)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w; name another file with -config FILE", err)
	}
	s := &settings{config: config{file: file}}
	var problems policies.Problems
	if err := policies.Decode(file, src, &s.config); errors.As(err, &problems) && s.Keys.Store == "" {
		return nil, err // nothing more can be said
	}
	problems = append(problems, policies.Locate(file, src, s.complete())...)
	if len(problems) > 0 {
		return s, problems.Sorted()
	}
	return s, nil
}

// keyring returns one that takes the keys which the configuration allows.
func (s *settings) keyring() *pgpmime.Keyring {
	return &pgpmime.Keyring{Options: pgpmime.ParseOptions{PostQuantum: s.PostQuantum}}
}

// complete fills in the defaults and converts the texts; what is wrong is
// named by its setting.
func (s *settings) complete() []policies.Misfit {
	var wrong []policies.Misfit
	bad := func(setting, text, hint string) {
		wrong = append(wrong, policies.Misfit{Setting: setting, Text: text, Hint: hint})
	}
	size := func(setting, text string, fallback int64) int64 {
		if text == "" {
			return fallback
		}
		n, err := parseSize(text)
		if err != nil {
			bad(setting, err.Error(), "")
		}
		return n
	}
	duration := func(setting, text string, fallback time.Duration) time.Duration {
		if text == "" {
			return fallback
		}
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			bad(setting, fmt.Sprintf("%q is not a time", text), `write it as "5m" or "30s"`)
		}
		return d
	}
	if len(s.Listen) == 0 {
		s.Listen = []string{"unix:/run/waxseal/milter.sock"}
	}
	for _, spec := range s.Listen {
		if err := milter.CheckListen(spec); err != nil {
			bad("listen", err.Error(), "")
		}
	}
	s.socketMode = 0o660
	if s.SocketMode != "" {
		mode, err := strconv.ParseUint(s.SocketMode, 8, 9)
		if err != nil {
			bad("socket_mode", fmt.Sprintf("%q is not a file mode", s.SocketMode), `write it in octal, as "0660"`)
		}
		s.socketMode = os.FileMode(mode)
	}
	if s.AuthservID == "" {
		s.AuthservID = hostname()
	} else if strings.ContainsAny(s.AuthservID, " \t;()\"<>@,\\") {
		bad("authserv_id", fmt.Sprintf("%q is not a host name", s.AuthservID), "use this machine's full name")
	}
	if s.Internal == nil {
		s.Internal = []string{"127.0.0.0/8", "::1/128"}
	}
	for _, text := range s.Internal {
		prefix, err := parseNetwork(text)
		if err != nil {
			bad("internal", err.Error(), `write a network as "10.0.0.0/8" or an address`)
		}
		s.internal = append(s.internal, prefix)
	}
	s.Policies = s.path(s.Policies, "policies")
	s.maxMessage = size("max_message_size", s.MaxMessageSize, 50<<20)
	s.maxResult = size("mta_message_size_limit", s.MTAMessageSizeLimit, 0)
	s.spoolLimit = size("spool_limit", s.SpoolLimit, 4<<30)
	if s.MaxConnections < 0 {
		bad("max_connections", "is negative", "leave it out for 1000")
	} else if s.MaxConnections == 0 {
		s.MaxConnections = 1000
	}
	s.idleTimeout = duration("idle_timeout", s.IdleTimeout, 10*time.Minute)
	s.messageTimeout = duration("message_timeout", s.MessageTimeout, 4*time.Minute)
	word(bad, "log_level", &s.LogLevel, "info", "debug", "warn", "error")
	word(bad, "log_format", &s.LogFormat, "text", "json")
	s.completeKeys(bad, duration)
	return wrong
}

func (s *settings) completeKeys(bad func(setting, text, hint string), duration func(string, string, time.Duration) time.Duration) {
	k := &s.Keys
	only := func(store string, fields map[string]string) {
		for name, value := range fields {
			if value != "" {
				bad("keys."+name, fmt.Sprintf("is a setting of keys %q, and this is keys %q", store, k.Store), "take it out")
			}
		}
	}
	switch k.Store {
	case "directory":
		if k.Path == "" {
			bad("keys", "has no path", `write path = "keys"`)
		}
		k.Path = s.path(k.Path, "")
		only("vault", map[string]string{
			"address": k.Address, "namespace": k.Namespace, "kv": k.KV, "kv_mount": k.KVMount, "transit": k.Transit, "ca_cert": k.CACert, "ca_path": k.CAPath,
			"client_cert": k.ClientCert, "client_key": k.ClientKey, "tls_server_name": k.TLSServerName, "timeout": k.Timeout,
		})
		if k.Auth != nil {
			only("vault", map[string]string{"auth": k.Auth.Method})
		}
		if k.Issue != nil {
			only("vault", map[string]string{"issue": "issue"})
		}
	case "vault":
		only("directory", map[string]string{"path": k.Path})
		if k.KV == "" {
			k.KV = "secret/waxseal"
		}
		for _, file := range []*string{&k.CACert, &k.CAPath, &k.ClientCert, &k.ClientKey} {
			*file = s.path(*file, "")
		}
		if a := k.Auth; a != nil {
			word(bad, "keys.auth", &a.Method, "token", "approle", "cert", "kubernetes", "jwt")
			a.misfits(func(setting, of string) {
				bad("keys.auth."+setting, fmt.Sprintf("is a setting of auth %q, and this is auth %q", of, a.Method), "take it out")
			})
			a.TokenFile, a.SecretIDFile, a.JWTFile = s.path(a.TokenFile, ""), s.path(a.SecretIDFile, ""), s.path(a.JWTFile, "")
		}
		s.completeIssue(bad, duration)
	default:
		bad("keys", fmt.Sprintf("there is no store %q", k.Store), `write keys "vault" or keys "directory"`)
	}
	s.keysTimeout = duration("keys.timeout", k.Timeout, 5*time.Second)
	s.cache = duration("keys.cache", k.Cache, 5*time.Minute)
	s.stale = duration("keys.stale", k.Stale, time.Hour)
}

func (s *settings) completeIssue(bad func(setting, text, hint string), duration func(string, string, time.Duration) time.Duration) {
	i := s.Keys.Issue
	if i == nil {
		return
	}
	if i.PKI == "" {
		i.PKI = "pki"
	}
	if i.Role == "" {
		bad("keys.issue", "has no role", `write role = "smime", or the name that the role in Vault has`)
	}
	word(bad, "keys.issue.key", &i.Key, "local", "transit")
	if i.Algorithm == "" {
		i.Algorithm = issue.Algorithms()[0]
	}
	if err := issue.CheckAlgorithm(i.Algorithm, i.Key == "transit"); err != nil {
		bad("keys.issue.algorithm", err.Error(), "")
	}
	s.issueTTL = duration("keys.issue.ttl", i.TTL, 0)
	s.renewBefore = duration("keys.issue.renew_before", i.RenewBefore, 720*time.Hour)
}

// word checks a setting that is one of a few words, the first its default.
func word(bad func(setting, text, hint string), setting string, value *string, words ...string) {
	if *value == "" {
		*value = words[0]
	}
	for _, w := range words {
		if *value == w {
			return
		}
	}
	bad(setting, fmt.Sprintf("%q is not known", *value), "write one of "+strings.Join(words, ", "))
}

// path makes a path relative to the configuration file absolute.
func (s *settings) path(path, fallback string) string {
	if path == "" {
		path = fallback
	}
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(s.file), path)
}

func parseNetwork(text string) (netip.Prefix, error) {
	if prefix, err := netip.ParsePrefix(text); err == nil {
		return prefix.Masked(), nil
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not a network", text)
	}
	return netip.PrefixFrom(address, address.BitLen()), nil
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "localhost"
	}
	return name
}

// readBounded reads a file of at most limit bytes.
func readBounded(file string, limit int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, errors.New(file + ": larger than " + strconv.FormatInt(limit, 10) + " bytes")
	}
	return b, nil
}
