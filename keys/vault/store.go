// Package vault is the key store in HashiCorp Vault's KV v2 secrets engine.
//
// Below the configured path lie
//
//	smime/NAME       certificate (PEM, with its chain) and private_key (PEM)
//	pgp/NAME         private_key (armored)
//	recipients/NAME  smime (PEM certificates) and pgp (armored public key)
//
// where NAME is an address or a domain in the form that keys.Name returns.
package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"waxseal/keys"
)

// Store reads keys from Vault. It may be used from several goroutines at once.
type Store struct {
	conf    *Config
	session *session
	mounted atomic.Bool // a KV v2 engine was seen at the mount
}

// Open makes a store. It does not ask Vault anything yet, so it works while Vault
// is away. Close it to stop the renewal of its token.
func Open(c Config) (*Store, error) {
	conf := &c
	if err := conf.check(); err != nil {
		return nil, fmt.Errorf("configure keys in Vault: %w", err)
	}
	client, err := newClient(conf)
	if err != nil {
		return nil, fmt.Errorf("configure keys in Vault: %w", err)
	}
	return &Store{conf: conf, session: newSession(conf, client)}, nil
}

// Close ends what the store does by itself. The token is left to expire.
func (s *Store) Close() error {
	s.session.close()
	return nil
}

// Ready returns an error if keys can't be read at this moment: Vault is away or
// sealed, the login is refused, or there is no KV v2 engine at the mount.
func (s *Store) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.conf.Timeout)
	defer cancel()
	if err := s.checkMount(ctx); err != nil {
		return fmt.Errorf("ask Vault for the engine at %s/: %w", s.conf.KVMount, err)
	}
	return nil
}

// Key implements keys.Store.
func (s *Store) Key(ctx context.Context, scheme keys.Scheme, name string) (*keys.Key, error) {
	e := keys.Entry{Scheme: scheme, Name: name, Own: true}
	fields, err := s.read(ctx, e)
	if err != nil {
		return nil, err
	}
	private, err := text(e, fields, "private_key")
	if err != nil {
		return nil, err
	}
	if private == "" && fields["transit_key"] != nil {
		return nil, fmt.Errorf("%s: the private key is in Transit (transit_key), which can't be used yet: store private_key", e)
	}
	if private == "" {
		return nil, fmt.Errorf("%s: the field private_key is missing", e)
	}
	if scheme == keys.PGP {
		return keys.ParseOpenPGPKey(e, []byte(private))
	}
	certificate, err := text(e, fields, "certificate")
	if err != nil {
		return nil, err
	}
	if certificate == "" {
		return nil, fmt.Errorf("%s: the field certificate is missing", e)
	}
	return keys.ParseKey(e, []byte(certificate+"\n"+private), s.conf.Now())
}

// Certificate implements keys.Store.
func (s *Store) Certificate(ctx context.Context, scheme keys.Scheme, name string) (*keys.Certificate, error) {
	e := keys.Entry{Scheme: scheme, Name: name}
	fields, err := s.read(ctx, e)
	if err != nil {
		return nil, err
	}
	public, err := text(e, fields, string(scheme))
	if err != nil {
		return nil, err
	}
	if public == "" {
		return nil, fmt.Errorf("%s: no field %s: %w", e, scheme, keys.ErrNotFound)
	}
	if scheme == keys.PGP {
		return keys.ParseOpenPGPCertificate(e, []byte(public))
	}
	return keys.ParseCertificate(e, []byte(public), s.conf.Now())
}

// List implements keys.Store. It reads each entry of recipients/ to see what it
// holds. A name that can never be asked for is part of the error.
func (s *Store) List(ctx context.Context) ([]keys.Entry, error) {
	var out []keys.Entry
	var errs []error
	for _, dir := range []string{string(keys.SMIME), string(keys.PGP), "recipients"} {
		names, err := s.list(ctx, dir)
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			if name, err := keys.Name(n); err != nil {
				errs = append(errs, fmt.Errorf("%s/%s: %w", dir, n, err))
				continue
			} else if name != n {
				errs = append(errs, fmt.Errorf("%s/%s is never found: move it to %s/%s", dir, n, dir, name))
				continue
			}
			if dir != "recipients" {
				out = append(out, keys.Entry{Scheme: keys.Scheme(dir), Name: n, Own: true})
				continue
			}
			fields, err := s.read(ctx, keys.Entry{Scheme: keys.SMIME, Name: n})
			if err != nil && !errors.Is(err, keys.ErrNotFound) { // deleted ones are listed too
				return nil, err
			}
			for _, scheme := range []keys.Scheme{keys.SMIME, keys.PGP} {
				if fields[string(scheme)] != nil {
					out = append(out, keys.Entry{Scheme: scheme, Name: n})
				}
			}
		}
	}
	slices.SortFunc(out, keys.Entry.Compare)
	return out, errors.Join(errs...)
}

func (s *Store) list(ctx context.Context, dir string) (names []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.conf.Timeout)
	defer cancel()
	path := s.path("metadata", dir)
	var answer struct{ Data struct{ Keys []string } }
	err = s.session.do(ctx, "LIST", path, nil, &answer)
	if missing(err) {
		err = s.seen(ctx)
	}
	if err != nil {
		return nil, s.explain("list "+path, "list", "metadata", err)
	}
	for _, k := range answer.Data.Keys {
		if !strings.HasSuffix(k, "/") {
			names = append(names, k)
		}
	}
	return names, nil
}

// read returns the fields of an entry's newest version.
func (s *Store) read(ctx context.Context, e keys.Entry) (map[string]any, error) {
	if name, err := keys.Name(e.Name); err != nil {
		return nil, err
	} else if name != e.Name {
		return nil, fmt.Errorf("read %s: the name is not in its normal form %q", e, name)
	}
	if e.Scheme != keys.SMIME && e.Scheme != keys.PGP {
		return nil, fmt.Errorf("read %s: %q is no scheme", e, e.Scheme)
	}
	dir := "recipients"
	if e.Own {
		dir = string(e.Scheme)
	}
	path := s.path("data", dir+"/"+e.Name)
	ctx, cancel := context.WithTimeout(ctx, s.conf.Timeout)
	defer cancel()
	var answer struct {
		Data struct {
			Data     map[string]any
			Metadata *struct{}
		}
	}
	err := s.session.do(ctx, "GET", path, nil, &answer)
	if missing(err) {
		if err = s.seen(ctx); err == nil {
			return nil, fmt.Errorf("%s: nothing at %s in Vault: %w", e, path, keys.ErrNotFound)
		}
	}
	if err == nil && (answer.Data.Data == nil || answer.Data.Metadata == nil) {
		err = fmt.Errorf("the answer is not one of a KV v2 engine: is %s/ one?", s.conf.KVMount)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e, s.explain("read "+path, "read", "data", err))
	}
	return answer.Data.Data, nil
}

// path returns the API path of something below the store's path. kind is "data"
// or "metadata".
func (s *Store) path(kind, below string) string {
	path := s.conf.KVMount + "/" + kind + "/"
	if s.conf.KV != "" {
		path += s.conf.KV + "/"
	}
	return path + below
}

// explain says what was done and what to do about a refusal.
func (s *Store) explain(what, right, kind string, err error) error {
	var r *refusal
	if errors.As(err, &r) && r.status == http.StatusForbidden && !r.badToken() {
		return fmt.Errorf("%s: %w: the policy needs %s on %s", what, err, right, s.path(kind, "*"))
	}
	return fmt.Errorf("%s: %w", what, err)
}

// missing tells an entry that doesn't exist, or whose newest version is
// deleted, from a path that no engine serves, for which Vault gives a reason.
func missing(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.status == http.StatusNotFound && r.words == "" && !r.raw
}

// seen makes sure, once, that what has no entry is a KV v2 engine at all: one
// of version 1 answers in the same way, and all mail would seem to have no key.
func (s *Store) seen(ctx context.Context) error {
	if s.mounted.Load() {
		return nil
	}
	err := s.checkMount(ctx)
	var r *refusal
	if errors.As(err, &r) && r.status == http.StatusForbidden {
		err = nil // not allowed to know
	}
	if err == nil {
		s.mounted.Store(true)
	}
	return err
}

func (s *Store) checkMount(ctx context.Context) error {
	var answer struct {
		Data struct {
			Type    string
			Path    string
			Options map[string]string
		}
	}
	if err := s.session.do(ctx, "GET", "sys/internal/ui/mounts/"+s.conf.KVMount, nil, &answer); err != nil {
		return err
	}
	d := answer.Data
	if d.Type != "kv" || d.Options["version"] != "2" || strings.Trim(d.Path, "/") != s.conf.KVMount {
		return fmt.Errorf("%s/ is no KV v2 engine (type %q, version %q at %q): set kv, and kv_mount if the mount has a slash",
			s.conf.KVMount, d.Type, d.Options["version"], d.Path)
	}
	return nil
}

// text returns a field, or "" if it isn't there.
func text(e keys.Entry, fields map[string]any, name string) (string, error) {
	switch v := fields[name].(type) {
	case nil:
		return "", nil
	case string:
		if len(v) > keys.MaxSize {
			return "", fmt.Errorf("%s: the field %s is larger than %d octets", e, name, keys.MaxSize)
		}
		return v, nil
	}
	return "", fmt.Errorf("%s: the field %s is not a text", e, name)
}
