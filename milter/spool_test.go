package milter

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"waxseal/signer"
)

var (
	_ signer.Source  = (*Spool)(nil)
	_ signer.Content = (*Spool)(nil)
)

func newSpools(t testing.TB, memory int, budget int64) *Spools {
	t.Helper()
	s, err := NewSpools(filepath.Join(t.TempDir(), "spool"), memory, budget)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Whatever is written in whatever pieces comes back, by every way of reading.
func TestSpoolReadsBack(t *testing.T) {
	const memory = 1000
	for _, size := range []int{0, 1, memory - 1, memory, memory + 1, 2 * memory, 2*memory + 1, 70_000} {
		for _, piece := range []int{1, 7, 999, memory, 4096, 100_000} {
			spools := newSpools(t, memory, 1<<20)
			s := spools.New()
			want := make([]byte, size)
			random := rand.NewChaCha8([32]byte{byte(size), byte(piece)})
			_, _ = random.Read(want)
			for rest := want; len(rest) > 0; {
				n := min(piece, len(rest))
				if m, err := s.Write(rest[:n]); m != n || err != nil {
					t.Fatalf("write: %d, %v", m, err)
				}
				rest = rest[n:]
			}
			if s.Size() != int64(size) || spools.Used() != int64(size) || cap(s.tail) > memory {
				t.Errorf("%d bytes in pieces of %d: size %d, used %d, memory %d", size, piece, s.Size(), spools.Used(), cap(s.tail))
			}
			var readers sync.WaitGroup
			for range 3 {
				readers.Go(func() {
					if err := iotest.TestReader(io.NewSectionReader(s, 0, s.Size()), want); err != nil {
						t.Errorf("%d bytes in pieces of %d: %v", size, piece, err)
					}
					var got bytes.Buffer
					if n, err := s.WriteTo(&got); n != int64(size) || err != nil || !bytes.Equal(got.Bytes(), want) {
						t.Errorf("%d bytes in pieces of %d: WriteTo: %d, %v", size, piece, n, err)
					}
				})
			}
			readers.Wait()
			if n, err := s.ReadAt(make([]byte, 1), int64(size)); n != 0 || err != io.EOF {
				t.Errorf("read at the end: %d, %v", n, err)
			}
			if _, err := s.ReadAt(make([]byte, 1), -1); err == nil {
				t.Error("read before the beginning: no error")
			}
			files, err := os.ReadDir(spools.dir)
			if err != nil || len(files) != 0 {
				t.Errorf("the spool directory has %v, %v", files, err)
			}
			for range 2 {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
			if spools.Used() != 0 {
				t.Errorf("%d bytes used after Close", spools.Used())
			}
		}
	}
}

func TestSpoolClosed(t *testing.T) {
	s := newSpools(t, 10, 1000).New()
	if _, err := s.Write(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	_, written := s.Write([]byte("x"))
	_, read := s.ReadAt(make([]byte, 1), 0)
	_, copied := s.WriteTo(io.Discard)
	for _, err := range []error{written, read, copied} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("got %v, want os.ErrClosed", err)
		}
	}
}

func TestSpoolBudget(t *testing.T) {
	spools := newSpools(t, 10, 100)
	a, b := spools.New(), spools.New()
	if _, err := a.Write(make([]byte, 60)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Write(make([]byte, 41)); !errors.Is(err, ErrSpoolFull) {
		t.Errorf("above the budget: got %v", err)
	}
	if _, err := b.Write(make([]byte, 1)); !errors.Is(err, ErrSpoolFull) {
		t.Errorf("after a piece was lost: got %v", err)
	}
	b.Close()
	if spools.Used() != 60 {
		t.Errorf("used: %d", spools.Used())
	}
	c := spools.New()
	if _, err := c.Write(make([]byte, 40)); err != nil {
		t.Errorf("within the budget: %v", err)
	}
	a.Close()
	c.Close()
	if spools.Used() != 0 {
		t.Errorf("used: %d", spools.Used())
	}
}

// A device that is always full stands for the disk.
func TestSpoolDiskFull(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	spools := newSpools(t, 10, 1000)
	s := spools.New()
	s.file = full
	n, err := s.Write([]byte("0123456789abc"))
	if n != 10 || !errors.Is(err, ErrSpoolFull) {
		t.Errorf("got %d, %v", n, err)
	}
	if _, again := s.Write([]byte("d")); again == nil || again.Error() != err.Error() {
		t.Errorf("once more: got %v", again)
	}
	s.Close()
	if spools.Used() != 0 {
		t.Errorf("used: %d", spools.Used())
	}
}

// A file that has lost its end is an error, not a shorter message.
func TestSpoolFileCut(t *testing.T) {
	s := newSpools(t, 10, 1000).New()
	if _, err := s.Write(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if err := s.file.Truncate(50); err != nil {
		t.Fatal(err)
	}
	if _, err := s.WriteTo(io.Discard); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
	s.Close()
}

func TestSpoolDirectory(t *testing.T) {
	dir := t.TempDir()
	if _, err := NewSpools(filepath.Join(dir, "a", "b"), 1, 1); err != nil {
		t.Errorf("a new directory: %v", err)
	}
	if info, err := os.Stat(filepath.Join(dir, "a", "b")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("a new directory: %v, %v", info.Mode(), err)
	}
	for name, test := range map[string]struct {
		make func(path string) error
		want string
	}{
		"open to others": {func(p string) error { return errors.Join(os.Mkdir(p, 0o700), os.Chmod(p, 0o750)) }, "open to others (mode 0750): chmod 0700"},
		"file":           {func(p string) error { return os.WriteFile(p, nil, 0o600) }, "is not a directory"},
		"symbolic link":  {func(p string) error { return os.Symlink(filepath.Join(dir, "a", "b"), p) }, "is not a directory"},
		"other owner":    {func(p string) error { return errors.Join(os.Mkdir(p, 0o700), os.Chown(p, 12345, -1)) }, "does not belong to user"},
	} {
		path := filepath.Join(dir, name)
		if err := test.make(path); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := NewSpools(path, 1, 1); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for _, n := range []int{0, -1} {
		if _, err := NewSpools(dir, n, 1); err == nil {
			t.Errorf("memory %d: no error", n)
		}
	}
}

func TestTransactionSpools(t *testing.T) {
	spools := newSpools(t, 10, 1000)
	tx := NewTransaction(spools)
	for _, s := range []*Spool{tx.Body, tx.NewSpool(), tx.NewSpool()} {
		if _, err := s.Write(make([]byte, 50)); err != nil {
			t.Fatal(err)
		}
	}
	if spools.Used() != 150 {
		t.Errorf("used: %d", spools.Used())
	}
	tx.Close()
	tx.Close()
	if spools.Used() != 0 {
		t.Errorf("used: %d", spools.Used())
	}
}
