package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"waxseal/keys"
)

// recipients is the folder of other people's certificates. Its entries hold
// those of both schemes.
const recipients = "recipients"

// version is one version of a KV entry.
type version struct {
	fields  map[string]any
	number  int
	created time.Time
}

// has says whether the version holds an entry.
func (v *version) has(e keys.Entry) bool {
	if e.Own {
		return v.fields["retired"] == nil
	}
	return v.fields[string(e.Scheme)] != nil
}

// folder returns the folder of an entry.
func folder(e keys.Entry) string {
	if e.Own {
		return string(e.Scheme)
	}
	return recipients
}

// Read implements keys.Writer.
func (s *Store) Read(ctx context.Context, e keys.Entry) (*keys.Record, error) {
	v, err := s.version(ctx, e, 0)
	if err != nil {
		return nil, err
	}
	switch {
	case v.has(e):
		return record(e, v)
	case e.Own:
		return nil, fmt.Errorf("%s was retired: %w", e, keys.ErrNotFound)
	}
	return nil, fmt.Errorf("%s: no field %s: %w", e, e.Scheme, keys.ErrNotFound)
}

// History implements keys.Writer.
func (s *Store) History(ctx context.Context, e keys.Entry) ([]*keys.Record, error) {
	if !e.Own {
		r, err := s.Read(ctx, e)
		if err != nil {
			return nil, err
		}
		return []*keys.Record{r}, nil
	}
	m, err := s.metadata(ctx, e)
	if err != nil {
		return nil, err
	}
	numbers := m.alive(s.conf.Now())
	all, errs := make([]*version, len(numbers)), make([]error, len(numbers))
	var wg sync.WaitGroup
	for i, n := range numbers {
		wg.Go(func() { all[i], errs[i] = s.version(ctx, e, n) })
	}
	wg.Wait()
	var out []*keys.Record
	var retired time.Time
	for i, v := range all {
		if errs[i] != nil {
			return nil, errs[i] // one that was deleted meanwhile too: ask again
		}
		if !v.has(e) {
			retired = v.created
			continue
		}
		r, err := record(e, v)
		if err != nil {
			return nil, err
		}
		r.Retired, retired = retired, time.Time{}
		out = append(out, r)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: all versions are deleted: %w", e, keys.ErrNotFound)
	}
	return out, nil
}

// record reads the fields of an entry.
func record(e keys.Entry, v *version) (*keys.Record, error) {
	r := &keys.Record{Entry: e, Version: v.number, Created: v.created}
	names := map[string]*[]byte{"certificate": &r.Certificate, "private_key": &r.PrivateKey}
	source := "source"
	if !e.Own {
		names = map[string]*[]byte{string(e.Scheme): &r.Certificate}
		source = string(e.Scheme) + "_source"
	}
	for name, field := range names {
		t, err := text(e, v.fields, name)
		if err != nil {
			return nil, err
		}
		*field = []byte(t)
	}
	var err error
	if r.Source, err = text(e, v.fields, source); err != nil {
		return nil, err
	}
	r.Source = keys.OneLine(r.Source)
	if !e.Own {
		return r, nil
	}
	if r.TransitKey, err = text(e, v.fields, "transit_key"); err != nil {
		return nil, err
	}
	if r.TransitKey == "" && len(r.PrivateKey) == 0 {
		return nil, fmt.Errorf("%s: the field private_key is missing, and so is transit_key", e)
	}
	if len(r.Certificate) == 0 && (e.Scheme == keys.SMIME || r.TransitKey != "") {
		return nil, fmt.Errorf("%s: the field certificate is missing", e)
	}
	r.TransitVersion, err = number(e, v.fields, "transit_key_version")
	return r, err
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

// number returns a field that is a number or a text with one, as the vault
// command writes it, or 0 if it isn't there.
func number(e keys.Entry, fields map[string]any, name string) (int, error) {
	var n int
	switch v := fields[name].(type) {
	case nil:
		return 0, nil
	case float64:
		if n = int(v); float64(n) != v {
			n = 0
		}
	case string:
		n, _ = strconv.Atoi(v)
	}
	if n <= 0 {
		return 0, fmt.Errorf("%s: the field %s is not a number from 1", e, name)
	}
	return n, nil
}

// check returns an error if an entry can't be one of Vault's.
func check(e keys.Entry) error {
	if name, err := keys.Name(e.Name); err != nil {
		return err
	} else if name != e.Name {
		return fmt.Errorf("%s: the name is not in its normal form %q", e, name)
	}
	if e.Scheme != keys.SMIME && e.Scheme != keys.PGP {
		return fmt.Errorf("%s: %q is no scheme", e, e.Scheme)
	}
	return nil
}

// version reads a version of a KV entry; 0 is the newest.
func (s *Store) version(ctx context.Context, e keys.Entry, number int) (*version, error) {
	if err := check(e); err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	v, err := s.read(ctx, folder(e)+"/"+e.Name, number)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e, err)
	}
	return v, nil
}

// read reads a version of what is at a path below the store's.
func (s *Store) read(ctx context.Context, below string, number int) (*version, error) {
	path := s.path("data", below)
	ctx, cancel := context.WithTimeout(ctx, s.conf.Timeout)
	defer cancel()
	query := ""
	if number > 0 {
		query = "?version=" + strconv.Itoa(number)
	}
	var answer struct {
		Data struct {
			Data     map[string]any
			Metadata *struct {
				Version int
				Created time.Time `json:"created_time"`
			}
		}
	}
	err := s.session.do(ctx, "GET", path+query, nil, &answer)
	if missing(err) {
		if err = s.seen(ctx); err == nil {
			return nil, fmt.Errorf("nothing at %s in Vault: %w", path, keys.ErrNotFound)
		}
	}
	d := answer.Data
	if err == nil && (d.Data == nil || d.Metadata == nil) {
		err = fmt.Errorf("the answer is not one of a KV v2 engine: is %s/ one?", s.conf.KVMount)
	}
	if err != nil {
		return nil, s.explain("read "+path, "read", "data", err)
	}
	return &version{fields: d.Data, number: d.Metadata.Version, created: d.Metadata.Created}, nil
}

// metadata is what Vault knows of the versions of a KV entry.
type metadata struct {
	Current  int `json:"current_version"`
	Most     int `json:"max_versions"`
	Versions map[string]struct {
		Deleted   string `json:"deletion_time"`
		Destroyed bool
	}
}

// alive returns the newest versions that can be read, the newest first.
func (m *metadata) alive(now time.Time) (out []int) {
	for number, v := range m.Versions {
		n, err := strconv.Atoi(number)
		deleted, bad := time.Parse(time.RFC3339Nano, v.Deleted)
		if err != nil || v.Destroyed || v.Deleted != "" && (bad != nil || !now.Before(deleted)) {
			continue
		}
		out = append(out, n)
	}
	slices.Sort(out)
	slices.Reverse(out)
	return out[:min(len(out), keys.MaxVersions)]
}

// metadata reads that of an entry.
func (s *Store) metadata(ctx context.Context, e keys.Entry) (*metadata, error) {
	if err := check(e); err != nil {
		return nil, fmt.Errorf("read versions: %w", err)
	}
	m, err := s.metadataAt(ctx, folder(e)+"/"+e.Name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e, err)
	}
	return m, nil
}

func (s *Store) metadataAt(ctx context.Context, below string) (*metadata, error) {
	path := s.path("metadata", below)
	ctx, cancel := context.WithTimeout(ctx, s.conf.Timeout)
	defer cancel()
	var raw struct{ Data json.RawMessage }
	err := s.session.do(ctx, "GET", path, nil, &raw)
	if missing(err) {
		if err = s.seen(ctx); err == nil {
			return nil, fmt.Errorf("nothing at %s in Vault: %w", path, keys.ErrNotFound)
		}
	}
	m := &metadata{}
	if err == nil {
		if err = json.Unmarshal(raw.Data, m); err != nil || m.Versions == nil {
			err = fmt.Errorf("the answer is not one of a KV v2 engine: is %s/ one?", s.conf.KVMount)
		}
	}
	if err != nil {
		return nil, s.explain("read "+path, "read", "metadata", err)
	}
	return m, nil
}
