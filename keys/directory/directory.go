// Package directory is a key store in files, for a trial, a demo and tests.
//
// Below the store's directory lie
//
//	smime/NAME.pem       certificate, its chain and the private key
//	pgp/NAME.asc         transferable secret key
//	recipients/NAME.pem  somebody's S/MIME certificates
//	recipients/NAME.asc  somebody's transferable public key
//	history/             what was replaced or retired: history/smime/NAME/1.pem
//	                     and so on, the oldest first
//
// where NAME is an address or a domain in the form that keys.Name returns.
// Files are read anew at every lookup; package cache makes that seldom.
package directory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"waxseal/keys"
)

// Store reads keys from files. Its fields must not change while it is in use.
type Store struct {
	// Path is the directory. It is opened at every lookup, so it may be
	// replaced as a whole.
	Path string
	// Now is the clock that certificates are checked against; nil is time.Now.
	Now func() time.Time
}

// Key implements keys.Store.
func (s *Store) Key(ctx context.Context, scheme keys.Scheme, name string) (*keys.Key, error) {
	e := keys.Entry{Scheme: scheme, Name: name, Own: true}
	text, info, err := s.read(ctx, e)
	if err != nil {
		return nil, err
	}
	var k *keys.Key
	if scheme == keys.PGP {
		k, err = keys.ParseOpenPGPKey(e, text)
	} else {
		k, err = keys.ParseKey(e, text, s.now())
	}
	if err != nil {
		return nil, err
	}
	if mode := info.Mode(); mode.Perm()&0o077 != 0 {
		k.Notes = append(k.Notes, fmt.Sprintf("the file with the private key has mode %04o: chmod 600 it", mode.Perm()))
	}
	return k, nil
}

// Certificate implements keys.Store.
func (s *Store) Certificate(ctx context.Context, scheme keys.Scheme, name string) (*keys.Certificate, error) {
	e := keys.Entry{Scheme: scheme, Name: name}
	text, _, err := s.read(ctx, e)
	if err != nil {
		return nil, err
	}
	if scheme == keys.PGP {
		return keys.ParseOpenPGPCertificate(e, text)
	}
	return keys.ParseCertificate(e, text, s.now())
}

// List implements keys.Store. A file whose name can never be asked for is part
// of the error.
func (s *Store) List(ctx context.Context) ([]keys.Entry, error) {
	root, err := os.OpenRoot(s.Path)
	if err != nil {
		return nil, fmt.Errorf("open key directory: %w", err)
	}
	defer root.Close()
	var out []keys.Entry
	var errs []error
	for _, of := range []keys.Entry{
		{Scheme: keys.SMIME, Own: true}, {Scheme: keys.PGP, Own: true},
		{Scheme: keys.SMIME}, {Scheme: keys.PGP},
	} {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("list keys: %w", err)
		}
		dir, suffix := place(of)
		files, err := fs.ReadDir(root.FS(), dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("list keys: %w", err))
		}
		for _, f := range files {
			base, ok := strings.CutSuffix(f.Name(), suffix)
			if !ok || f.IsDir() {
				continue
			}
			name, err := keys.Name(base)
			switch {
			case err != nil:
				errs = append(errs, fmt.Errorf("%s/%s: %w", dir, f.Name(), err))
			case name != base:
				errs = append(errs, fmt.Errorf("%s/%s is never found: rename it to %s%s", dir, f.Name(), name, suffix))
			default:
				e := of
				e.Name = name
				out = append(out, e)
			}
		}
	}
	slices.SortFunc(out, keys.Entry.Compare)
	return out, errors.Join(errs...)
}

func (s *Store) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

// place returns the folder and the suffix of an entry's file.
func place(e keys.Entry) (dir, suffix string) {
	suffix = ".pem"
	if e.Scheme == keys.PGP {
		suffix = ".asc"
	}
	if e.Own {
		return string(e.Scheme), suffix
	}
	return "recipients", suffix
}

// Ready implements keys.Store.
func (s *Store) Ready(context.Context) error {
	root, err := os.OpenRoot(s.Path)
	if err != nil {
		return fmt.Errorf("open key directory: %w", err)
	}
	return root.Close()
}

func checkEntry(e keys.Entry) error {
	if name, err := keys.Name(e.Name); err != nil {
		return err
	} else if name != e.Name {
		return fmt.Errorf("the name is not in its normal form %q", name)
	}
	if e.Scheme != keys.SMIME && e.Scheme != keys.PGP {
		return fmt.Errorf("%q is no scheme", e.Scheme)
	}
	return nil
}

// read returns the file of an entry. Nothing outside the directory is read, not
// even through a symbolic link.
func (s *Store) read(ctx context.Context, e keys.Entry) ([]byte, fs.FileInfo, error) {
	if err := checkEntry(e); err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", e, err)
	}
	root, err := os.OpenRoot(s.Path)
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: open key directory: %w", e, err)
	}
	defer root.Close()
	dir, suffix := place(e)
	return readFile(ctx, root, s.Path, e, dir+"/"+e.Name+suffix)
}

// readFile reads one file of an entry. path is the root's, for people.
func readFile(ctx context.Context, root *os.Root, path string, e keys.Entry, file string) ([]byte, fs.FileInfo, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", e, err)
	}
	dir, _, _ := strings.Cut(file, "/")
	// Without O_NONBLOCK a FIFO would keep us for ever.
	f, err := root.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) && !dangling(root, dir, file) || errors.Is(err, syscall.ENAMETOOLONG) {
		return nil, nil, fmt.Errorf("read %s: no file %s in %s: %w", e, file, path, keys.ErrNotFound)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", e, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", e, err)
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("read %s: %s is not a regular file", e, f.Name())
	}
	text, err := io.ReadAll(io.LimitReader(f, keys.MaxSize+1))
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", e, err)
	}
	if len(text) > keys.MaxSize {
		return nil, nil, fmt.Errorf("read %s: larger than %d octets", e, keys.MaxSize)
	}
	return text, info, nil
}

// dangling says whether one of the paths is there, as a symbolic link to
// nothing. Such an entry is broken, not absent.
func dangling(root *os.Root, paths ...string) bool {
	for _, p := range paths {
		if info, err := root.Lstat(p); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			if _, err := root.Stat(p); err != nil {
				return true
			}
		}
	}
	return false
}
