package vault

import (
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"strings"
	"time"

	"waxseal/keys"
)

// Put implements keys.Writer. It needs the rights to create and update data, to
// read data and metadata, and, for our own entries, to update metadata: it has
// Vault keep keys.MaxVersions versions.
func (s *Store) Put(ctx context.Context, e keys.Entry, m keys.Material, replaces int) (version int, err error) {
	if err := check(e); err != nil {
		return 0, fmt.Errorf("write: %w", err)
	}
	var public crypto.PublicKey
	if m.TransitKey != "" {
		t, _, err := s.transitKey(ctx, &keys.Record{Entry: e, Material: m})
		if err != nil {
			return 0, fmt.Errorf("write %w", err)
		}
		public, m.TransitVersion = t.public, t.version
	}
	if err := keys.Check(e, m, public, s.conf.Now()); err != nil {
		return 0, fmt.Errorf("write %w", err)
	}
	return s.replace(ctx, e, replaces, func(fields map[string]any) (map[string]any, error) {
		if !e.Own {
			fields[string(e.Scheme)] = string(m.Certificate)
			fields[string(e.Scheme)+"_source"] = keys.OneLine(m.Source)
			return fields, nil
		}
		fields = map[string]any{}
		for name, value := range map[string]string{
			"certificate": string(m.Certificate), "private_key": string(m.PrivateKey), "transit_key": m.TransitKey, "source": keys.OneLine(m.Source),
		} {
			if value != "" {
				fields[name] = value
			}
		}
		if m.TransitKey != "" {
			fields["transit_key_version"] = m.TransitVersion
		}
		return fields, nil
	})
}

// Retire implements keys.Writer. It writes a version that says so, because what
// is deleted in Vault can't decrypt any more.
func (s *Store) Retire(ctx context.Context, e keys.Entry, replaces int) error {
	if err := check(e); err != nil {
		return fmt.Errorf("retire: %w", err)
	}
	_, err := s.replace(ctx, e, replaces, func(fields map[string]any) (map[string]any, error) {
		if e.Own {
			return map[string]any{"retired": s.conf.Now().UTC().Format(time.RFC3339)}, nil
		}
		if fields[string(e.Scheme)] == nil {
			return nil, fmt.Errorf("%s: %w", e, keys.ErrNotFound)
		}
		delete(fields, string(e.Scheme))
		delete(fields, string(e.Scheme)+"_source")
		return fields, nil
	})
	return err
}

// replace writes what change makes of the fields of an entry, or of none where
// there is no entry, if it is of the version to replace.
func (s *Store) replace(ctx context.Context, e keys.Entry, replaces int, change func(map[string]any) (map[string]any, error)) (int, error) {
	for try := 1; ; try++ {
		version, err := s.replaceOnce(ctx, e, replaces, change)
		if replaces != keys.AnyVersion || try == 5 || !errors.Is(err, keys.ErrConflict) {
			return version, err
		}
	}
}

func (s *Store) replaceOnce(ctx context.Context, e keys.Entry, replaces int, change func(map[string]any) (map[string]any, error)) (int, error) {
	m, err := s.metadata(ctx, e)
	if errors.Is(err, keys.ErrNotFound) {
		m, err = &metadata{}, nil
	}
	if err != nil {
		return 0, err
	}
	old, err := s.version(ctx, e, 0)
	have := 0
	switch {
	case err == nil && old.number != m.Current:
		return 0, fmt.Errorf("%s: %w", e, keys.ErrConflict)
	case err == nil && old.has(e):
		have = old.number
	case err != nil && !errors.Is(err, keys.ErrNotFound):
		return 0, err
	}
	if replaces != keys.AnyVersion && replaces != have {
		return 0, fmt.Errorf("%s is of version %d, not %d: %w", e, have, replaces, keys.ErrConflict)
	}
	fields := map[string]any{}
	if old != nil {
		fields = maps.Clone(old.fields)
	}
	delete(fields, "retired") // of a version that does not count
	if fields, err = change(fields); err != nil {
		return 0, err
	}
	if fields["retired"] != nil && have == 0 {
		return 0, fmt.Errorf("%s: %w", e, keys.ErrNotFound)
	}
	below := folder(e) + "/" + e.Name
	if e.Own && m.Most < keys.MaxVersions {
		path := s.path("metadata", below)
		if err := s.write(ctx, path, "update", "metadata", map[string]any{"max_versions": keys.MaxVersions}, nil); err != nil {
			return 0, fmt.Errorf("%s: %w", e, err)
		}
	}
	version, err := s.store(ctx, below, fields, m.Current)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", e, err)
	}
	return version, nil
}

// store writes the fields of a KV entry with check-and-set.
func (s *Store) store(ctx context.Context, below string, fields map[string]any, cas int) (version int, err error) {
	path := s.path("data", below)
	body := map[string]any{"data": fields, "options": map[string]int{"cas": cas}}
	var answer struct{ Data struct{ Version int } }
	err = s.write(ctx, path, "create and update", "data", body, &answer)
	var r *refusal
	if errors.As(err, &r) && r.status == http.StatusBadRequest && strings.Contains(r.words, "check-and-set") {
		return 0, fmt.Errorf("write %s: %w", path, keys.ErrConflict)
	}
	return answer.Data.Version, err
}

func (s *Store) write(ctx context.Context, path, right, kind string, body, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, s.conf.Timeout)
	defer cancel()
	if err := s.session.do(ctx, "POST", path, body, answer); err != nil {
		return s.explain("write "+path, right, kind, err)
	}
	return nil
}

// Lock implements keys.Writer with check-and-set.
func (s *Store) Lock(ctx context.Context, name string, ttl time.Duration) (release func(context.Context) error, err error) {
	if normal, err := keys.Name(name); err != nil || normal != name {
		return nil, fmt.Errorf("lock %q: not the name of an entry", name)
	}
	below := "locks/" + name
	now := s.conf.Now()
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	cas := 0
	old, err := s.read(ctx, below, 0)
	switch {
	case err == nil:
		cas = old.number
		word, _ := old.fields["until"].(string)
		if until, err := time.Parse(time.RFC3339Nano, word); err == nil && now.Before(until) {
			holder, _ := old.fields["holder"].(string)
			return nil, fmt.Errorf("%s by %.100q until %s: %w", name, holder, until.Format(time.RFC3339), keys.ErrLocked)
		}
	case errors.Is(err, keys.ErrNotFound):
		m, err := s.metadataAt(ctx, below) // of one that was deleted
		if err != nil && !errors.Is(err, keys.ErrNotFound) {
			return nil, fmt.Errorf("lock %s: %w", name, err)
		}
		if err == nil {
			if a := m.alive(now); len(a) > 0 && a[0] == m.Current {
				return nil, quicker(name)
			}
			cas = m.Current
		}
	default:
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	fields := map[string]any{"holder": host + " " + rand.Text(), "until": now.Add(ttl).UTC().Format(time.RFC3339Nano)}
	version, err := s.store(ctx, below, fields, cas)
	if errors.Is(err, keys.ErrConflict) {
		return nil, quicker(name)
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return func(ctx context.Context) error {
		_, err := s.store(ctx, below, map[string]any{}, version)
		if errors.Is(err, keys.ErrConflict) {
			return nil // it had ended, and somebody else has it
		}
		return err
	}, nil
}

func quicker(name string) error {
	return fmt.Errorf("%s by somebody who was quicker: %w", name, keys.ErrLocked)
}
