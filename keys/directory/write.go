package directory

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"waxseal/keys"
)

// sourceLine begins the line before the PEM or the armor that says where it came
// from. Programs that read PEM or armor pass over it.
const sourceLine = "Source: "

var errTransit = errors.New("a directory can't have a key in Transit: store the private key")

// Put implements keys.Writer. A file appears under its name at once and as a
// whole, with mode 0600. The version before stays below history/.
func (s *Store) Put(ctx context.Context, e keys.Entry, m keys.Material, replaces int) (version int, err error) {
	text, err := s.compose(e, m)
	if err != nil {
		return 0, fmt.Errorf("write %s: %w", e, err)
	}
	return s.replace(ctx, "write", e, replaces, text)
}

// Retire implements keys.Writer.
func (s *Store) Retire(ctx context.Context, e keys.Entry, replaces int) error {
	_, err := s.replace(ctx, "retire", e, replaces, nil)
	return err
}

// compose writes material as the text of a file and checks that it can be read.
func (s *Store) compose(e keys.Entry, m keys.Material) ([]byte, error) {
	if m.TransitKey != "" {
		return nil, errTransit
	}
	var out bytes.Buffer
	if m.Source != "" {
		fmt.Fprintf(&out, "%s%s\n", sourceLine, keys.OneLine(m.Source))
	}
	parts := [][]byte{m.Certificate, m.PrivateKey}
	if e.Scheme == keys.PGP && e.Own {
		parts = parts[1:] // which has the certificate in it
	}
	for _, part := range parts {
		if len(part) > 0 && part[0]&0x80 != 0 {
			part = armor(part, e.Own)
		}
		out.Write(part)
		if !bytes.HasSuffix(part, []byte("\n")) {
			out.WriteByte('\n')
		}
	}
	if out.Len() > keys.MaxSize {
		return nil, fmt.Errorf("larger than %d octets", keys.MaxSize)
	}
	if err := keys.Check(e, keys.Material{Certificate: m.Certificate, PrivateKey: m.PrivateKey}, nil, s.now()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// armor writes binary OpenPGP packets as RFC 9580, Section 6.2, has it, without
// the checksum.
func armor(packets []byte, secret bool) []byte {
	kind := "PUBLIC"
	if secret {
		kind = "PRIVATE"
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "-----BEGIN PGP %s KEY BLOCK-----\n\n", kind)
	for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(packets)), 64) {
		out.Write(line)
		out.WriteByte('\n')
	}
	fmt.Fprintf(&out, "-----END PGP %s KEY BLOCK-----\n", kind)
	return out.Bytes()
}

// replace puts text in the place of an entry's file, or nothing if text is nil.
func (s *Store) replace(ctx context.Context, verb string, e keys.Entry, replaces int, text []byte) (version int, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s %s: %w", verb, e, err)
		}
	}()
	if err := checkEntry(e); err != nil {
		return 0, err
	}
	root, err := os.OpenRoot(s.Path)
	if err != nil {
		return 0, fmt.Errorf("open key directory: %w", err)
	}
	defer root.Close()
	unlock, err := guard(ctx, root)
	if err != nil {
		return 0, err
	}
	defer unlock()

	dir, suffix := place(e)
	file, old := dir+"/"+e.Name+suffix, "history/"+dir+"/"+e.Name
	past, err := versions(root, old, suffix)
	if err != nil {
		return 0, err
	}
	have := 0
	if _, err := root.Lstat(file); err == nil {
		have = 1
	} else if !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	newest := 0
	if len(past) > 0 {
		newest = past[0]
	}
	if have == 1 {
		newest++
		have = newest
	}
	switch {
	case replaces != keys.AnyVersion && replaces != have:
		return 0, fmt.Errorf("it is of version %d, not %d: %w", have, replaces, keys.ErrConflict)
	case have == 0 && text == nil:
		return 0, keys.ErrNotFound
	}
	if have != 0 {
		if err := root.MkdirAll(old, 0o700); err != nil {
			return 0, err
		}
		if err := root.Link(file, old+"/"+strconv.Itoa(have)+suffix); err != nil {
			return 0, err
		}
	}
	if text == nil {
		return 0, errors.Join(root.Remove(file), syncDir(root, dir))
	}
	if err := root.MkdirAll(dir, 0o700); err != nil {
		return 0, err
	}
	// The name begins with a character that no entry's name has.
	temporary := dir + "/#" + rand.Text() + suffix
	if err := writeNew(root, temporary, text); err != nil {
		return 0, err
	}
	if err := root.Rename(temporary, file); err != nil {
		return 0, errors.Join(err, root.Remove(temporary))
	}
	return newest + 1, syncDir(root, dir)
}

// guard waits for the lock that all writers of the directory take.
func guard(ctx context.Context, root *os.Root) (unlock func(), err error) {
	f, err := root.OpenFile(".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("lock the key directory: %w", err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("wait for the lock of the key directory: %w", ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// writeNew writes a file that is not there yet, onto the disk.
func writeNew(root *os.Root, name string, text []byte) error {
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, root.Remove(name))
	}
	return nil
}

func syncDir(root *os.Root, dir string) error {
	f, err := root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Lock implements keys.Writer, for programs on the same machine.
func (s *Store) Lock(ctx context.Context, name string, ttl time.Duration) (release func(context.Context) error, err error) {
	if normal, err := keys.Name(name); err != nil || normal != name {
		return nil, fmt.Errorf("lock %q: not the name of an entry", name)
	}
	root, err := os.OpenRoot(s.Path)
	if err != nil {
		return nil, fmt.Errorf("lock %s: open key directory: %w", name, err)
	}
	defer root.Close()
	unlock, err := guard(ctx, root)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	defer unlock()
	file := "locks/" + name
	if until, _, ok := lockOf(root, file); ok && s.now().Before(until) {
		return nil, fmt.Errorf("%s until %s: %w", name, until.Format(time.RFC3339), keys.ErrLocked)
	}
	var id [16]byte
	rand.Read(id[:])
	owner := hex.EncodeToString(id[:])
	if err := root.MkdirAll("locks", 0o700); err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	if err := root.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	text := s.now().Add(ttl).UTC().Format(time.RFC3339Nano) + " " + owner
	if err := writeNew(root, file, []byte(text)); err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return func(ctx context.Context) error { return s.release(ctx, file, owner) }, nil
}

// release removes a lock if it is still owner's.
func (s *Store) release(ctx context.Context, file, owner string) error {
	root, err := os.OpenRoot(s.Path)
	if err != nil {
		return fmt.Errorf("release %s: %w", file, err)
	}
	defer root.Close()
	unlock, err := guard(ctx, root)
	if err != nil {
		return fmt.Errorf("release %s: %w", file, err)
	}
	defer unlock()
	if _, who, ok := lockOf(root, file); !ok || who != owner {
		return nil
	}
	return root.Remove(file)
}

func lockOf(root *os.Root, file string) (until time.Time, owner string, ok bool) {
	f, err := root.Open(file)
	if err != nil {
		return time.Time{}, "", false
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 1000))
	if err != nil {
		return time.Time{}, "", false
	}
	at, owner, _ := strings.Cut(string(text), " ")
	until, err = time.Parse(time.RFC3339Nano, at)
	return until, owner, err == nil
}
