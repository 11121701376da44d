package directory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"waxseal/keys"
)

// Versions implements keys.Store.
func (s *Store) Versions(ctx context.Context, scheme keys.Scheme, name string) ([]*keys.Key, error) {
	e := keys.Entry{Scheme: scheme, Name: name, Own: true}
	records, err := s.History(ctx, e)
	if err != nil {
		return nil, err
	}
	return keys.LoadVersions(e, records, nil)
}

// Read implements keys.Writer.
func (s *Store) Read(ctx context.Context, e keys.Entry) (*keys.Record, error) {
	records, err := s.records(ctx, e, 1)
	if err != nil {
		return nil, err
	}
	if !records[0].Retired.IsZero() {
		return nil, fmt.Errorf("%s was retired %s: %w", e, records[0].Retired.UTC().Format("2006-01-02"), keys.ErrNotFound)
	}
	return records[0], nil
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
	return s.records(ctx, e, keys.MaxVersions)
}

// records returns the versions of an entry, the newest first. The first is
// marked as retired if the entry has no file of its own any more.
func (s *Store) records(ctx context.Context, e keys.Entry, most int) ([]*keys.Record, error) {
	if err := checkEntry(e); err != nil {
		return nil, fmt.Errorf("read %s: %w", e, err)
	}
	root, err := os.OpenRoot(s.Path)
	if err != nil {
		return nil, fmt.Errorf("read %s: open key directory: %w", e, err)
	}
	defer root.Close()
	dir, suffix := place(e)
	old := "history/" + dir + "/" + e.Name
	past, err := versions(root, old, suffix)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", e, err)
	}
	var out []*keys.Record
	add := func(file string, version int) error {
		text, info, err := readFile(ctx, root, s.Path, e, file)
		if err != nil {
			return err
		}
		r := parse(e, text)
		r.Version, r.Created = version, info.ModTime()
		out = append(out, r)
		return nil
	}
	newest := 1
	if len(past) > 0 {
		newest = past[0] + 1
	}
	err = add(dir+"/"+e.Name+suffix, newest)
	retired := errors.Is(err, keys.ErrNotFound) && len(past) > 0
	if err != nil && !retired {
		return nil, err
	}
	for _, version := range past {
		if len(out) == most {
			break
		}
		if err := add(old+"/"+strconv.Itoa(version)+suffix, version); err != nil {
			return nil, err
		}
	}
	if retired {
		info, err := root.Stat(old) // which changed when the file moved here
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", e, err)
		}
		out[0].Retired = info.ModTime()
	}
	return out, nil
}

// versions returns the numbers of the versions that are kept in a folder, the
// highest first.
func versions(root *os.Root, folder, suffix string) (out []int, err error) {
	files, err := fs.ReadDir(root.FS(), folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, f := range files {
		number, ok := strings.CutSuffix(f.Name(), suffix)
		if n, err := strconv.Atoi(number); ok && err == nil && n > 0 && strconv.Itoa(n) == number {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	slices.Reverse(out)
	return out, nil
}

// parse splits the text of a file into what it is made of.
func parse(e keys.Entry, text []byte) *keys.Record {
	r := &keys.Record{Entry: e}
	for line := range bytes.Lines(text) {
		if bytes.HasPrefix(line, []byte("-----BEGIN ")) {
			break
		}
		if source, ok := bytes.CutPrefix(line, []byte(sourceLine)); ok {
			r.Source = keys.OneLine(string(source))
		}
	}
	switch {
	case e.Scheme == keys.PGP && e.Own:
		r.PrivateKey = text
	case e.Scheme == keys.PGP || !e.Own:
		r.Certificate = text
	default:
		r.Certificate, r.PrivateKey = keys.SplitPEM(text)
	}
	return r
}
