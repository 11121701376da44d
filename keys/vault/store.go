// Package vault is the key store in HashiCorp Vault's KV v2 secrets engine, and
// in its Transit engine for private keys that never leave it.
//
// Below the configured path lie
//
//	smime/NAME       certificate (PEM, with its chain) and private_key (PEM)
//	pgp/NAME         private_key (armored)
//	recipients/NAME  smime (PEM certificates) and pgp (armored public key)
//	locks/NAME       who does something to an entry that others must not do too
//
// where NAME is an address or a domain in the form that keys.Name returns. An
// entry of ours may have transit_key, the name of a key in Transit, which signs,
// and transit_key_version; then certificate is the one for that key, for PGP a
// transferable public key, and private_key, if it is there, only decrypts: with
// a certificate of its own among those in certificate. source, smime_source and
// pgp_source say where something came from; retired ends the use of an entry.
//
// The versions of a KV entry are its history.
package vault

import (
	"context"
	"crypto"
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

// Ready implements keys.Store. It returns an error if keys can't be read at this moment: Vault is away or
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
	// All requests together have the time of one.
	ctx, cancel := context.WithTimeout(ctx, s.conf.Timeout)
	defer cancel()
	e := keys.Entry{Scheme: scheme, Name: name, Own: true}
	r, err := s.Read(ctx, e)
	if err != nil {
		return nil, err
	}
	if r.TransitKey == "" {
		return keys.Load(r, nil, s.conf.Now())
	}
	t, note, err := s.transitKey(ctx, r)
	if err != nil {
		return nil, err
	}
	k, err := keys.Load(r, t.public, s.conf.Now())
	if err != nil {
		return nil, err
	}
	k.Signer, k.Remote = t, t.bind
	if len(r.PrivateKey) == 0 && t.decrypts() {
		k.Decrypter = t
	}
	if note != "" {
		k.Notes = append(k.Notes, note)
	}
	return k, nil
}

// Versions implements keys.Store. It needs the right to read metadata.
func (s *Store) Versions(ctx context.Context, scheme keys.Scheme, name string) ([]*keys.Key, error) {
	ctx, cancel := context.WithTimeout(ctx, s.conf.Timeout)
	defer cancel()
	e := keys.Entry{Scheme: scheme, Name: name, Own: true}
	records, err := s.History(ctx, e)
	if err != nil {
		return nil, err
	}
	out, err := keys.LoadVersions(e, records, func(r *keys.Record) (crypto.Decrypter, error) {
		t, _, err := s.transitKey(ctx, r)
		if errors.Is(err, errTransit) {
			return nil, fmt.Errorf("%w: %w", err, keys.ErrNotFound)
		}
		if err != nil || !t.decrypts() {
			return nil, err
		}
		return t, nil
	})
	if err != nil {
		return nil, err
	}
	for _, k := range out {
		if t, ok := k.Decrypter.(*transitKey); ok {
			k.Remote = t.bind
		}
	}
	return out, nil
}

// Certificate implements keys.Store.
func (s *Store) Certificate(ctx context.Context, scheme keys.Scheme, name string) (*keys.Certificate, error) {
	r, err := s.Read(ctx, keys.Entry{Scheme: scheme, Name: name})
	if err != nil {
		return nil, err
	}
	return keys.LoadCertificate(r, s.conf.Now())
}

// List implements keys.Store. It reads each entry to see what it holds. A name
// that can never be asked for is part of the error.
func (s *Store) List(ctx context.Context) ([]keys.Entry, error) {
	var out []keys.Entry
	var errs []error
	for _, dir := range []string{string(keys.SMIME), string(keys.PGP), recipients} {
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
			found, err := s.schemes(ctx, dir, n)
			if err != nil {
				return nil, err
			}
			out = append(out, found...)
		}
	}
	slices.SortFunc(out, keys.Entry.Compare)
	return out, errors.Join(errs...)
}

// schemes returns the entries that a folder has under a name. Those that were
// deleted or retired are listed by Vault too.
func (s *Store) schemes(ctx context.Context, dir, name string) (out []keys.Entry, err error) {
	all := []keys.Entry{{Scheme: keys.Scheme(dir), Name: name, Own: true}}
	if dir == recipients {
		all = []keys.Entry{{Scheme: keys.SMIME, Name: name}, {Scheme: keys.PGP, Name: name}}
	}
	v, err := s.version(ctx, all[0], 0)
	if errors.Is(err, keys.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		if v.has(e) {
			out = append(out, e)
		}
	}
	return out, nil
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
