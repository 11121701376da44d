package milter

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
)

// ErrSpoolFull says that there is no room for a message: the budget of all
// messages is used up, or the disk is full. It is temporary.
var ErrSpoolFull = errors.New("spool is full")

// Spools makes the spools of all messages and keeps them within one budget.
// Its methods may be called from several goroutines at once.
type Spools struct {
	dir    string
	memory int
	budget int64
	used   atomic.Int64
}

// NewSpools returns spools that hold up to memory bytes each in memory and the
// rest in files in dir; all of them together hold at most budget bytes. The
// directory is made if it isn't there. It must belong to this process's user
// and nobody else may look into it.
func NewSpools(dir string, memory int, budget int64) (*Spools, error) {
	if memory <= 0 || budget <= 0 {
		return nil, fmt.Errorf("set up spool %s: memory %d and budget %d must be above 0", dir, memory, budget)
	}
	if err := privateDirectory(dir); err != nil {
		return nil, fmt.Errorf("set up spool: %w", err)
	}
	return &Spools{dir: dir, memory: memory, budget: budget}, nil
}

// privateDirectory makes dir with mode 0700, or checks that it is like that.
func privateDirectory(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory", dir)
	case !ok || int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("%s does not belong to user %d, as whom this process runs: chown it", dir, os.Geteuid())
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s is open to others (mode %04o): chmod 0700", dir, info.Mode().Perm())
	}
	return nil
}

// New returns an empty spool. Its owner closes it.
func (s *Spools) New() *Spool { return &Spool{spools: s} }

// Used is the number of bytes in all spools that are not closed yet.
func (s *Spools) Used() int64 { return s.used.Load() }

// Spool holds a run of bytes that is written once and read any number of times:
// the beginning of it on disk if it is large, the rest in memory. It is a
// signer.Source and a signer.Content. One goroutine writes; once writing has
// ended, any number of them may read. Nobody may use it after Close.
type Spool struct {
	spools *Spools
	file   *os.File // has no name any more
	filed  int64    // bytes in file
	tail   []byte   // the bytes after those
	err    error    // why it can't be written any more
}

// Write appends p. An error stays: what was to be written after it is missing,
// so the message has to be given up.
func (s *Spool) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if s.spools.used.Add(int64(len(p))) > s.spools.budget {
		s.spools.used.Add(-int64(len(p)))
		s.err = fmt.Errorf("%w: all messages together are at the limit of %d bytes", ErrSpoolFull, s.spools.budget)
		return 0, s.err
	}
	written := 0
	for len(p) > 0 {
		if len(s.tail) == s.spools.memory {
			if s.err = s.spill(); s.err != nil {
				s.spools.used.Add(-int64(len(p)))
				return written, s.err
			}
		}
		n := min(len(p), s.spools.memory-len(s.tail))
		s.grow(n)
		s.tail = append(s.tail, p[:n]...)
		p = p[n:]
		written += n
	}
	return written, nil
}

// grow makes room for n more bytes without going over the memory of a spool.
func (s *Spool) grow(n int) {
	need := len(s.tail) + n
	if need <= cap(s.tail) {
		return
	}
	size := max(2*cap(s.tail), 4096)
	for size < need {
		size *= 2
	}
	s.tail = append(make([]byte, 0, min(size, s.spools.memory)), s.tail...)
}

// spill moves what is in memory to the file.
func (s *Spool) spill() error {
	if s.file == nil {
		file, err := os.CreateTemp(s.spools.dir, "message-")
		if err != nil {
			return fullOrNot("make spool file", err)
		}
		s.file = file
		// Without a name it vanishes with the process, whatever ends that.
		if err := os.Remove(file.Name()); err != nil {
			return fmt.Errorf("unlink spool file: %w", err)
		}
	}
	if _, err := s.file.Write(s.tail); err != nil {
		return fullOrNot("write spool file", err)
	}
	s.filed += int64(len(s.tail))
	s.tail = s.tail[:0]
	return nil
}

func fullOrNot(doing string, err error) error {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		if errors.Is(err, full) {
			return fmt.Errorf("%s: %w: %w", doing, ErrSpoolFull, err)
		}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// Size is the number of bytes written.
func (s *Spool) Size() int64 { return s.filed + int64(len(s.tail)) }

// ReadAt is as in io.ReaderAt.
func (s *Spool) ReadAt(p []byte, off int64) (int, error) {
	if errors.Is(s.err, os.ErrClosed) {
		return 0, s.err
	}
	if off < 0 {
		return 0, fmt.Errorf("read spool at %d: %w", off, os.ErrInvalid)
	}
	n := 0
	if off < s.filed {
		want := min(int64(len(p)), s.filed-off)
		m, err := s.file.ReadAt(p[:want], off)
		if n = m; int64(m) < want {
			return n, fmt.Errorf("read spool file: %w", noEOF(err))
		}
	}
	if n < len(p) {
		if from := off + int64(n) - s.filed; from < int64(len(s.tail)) {
			n += copy(p[n:], s.tail[from:])
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// noEOF keeps a file that has become shorter from looking like a message that
// has ended.
func noEOF(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// WriteTo writes all of it.
func (s *Spool) WriteTo(w io.Writer) (int64, error) {
	if errors.Is(s.err, os.ErrClosed) {
		return 0, s.err
	}
	n := int64(0)
	if s.filed > 0 {
		buffer := make([]byte, min(s.filed, 64<<10))
		for n < s.filed {
			part := buffer[:min(int64(len(buffer)), s.filed-n)]
			if _, err := s.ReadAt(part, n); err != nil {
				return n, err
			}
			m, err := w.Write(part)
			n += int64(m)
			if err != nil {
				return n, err
			}
		}
	}
	if len(s.tail) == 0 {
		return n, nil
	}
	m, err := w.Write(s.tail)
	return n + int64(m), err
}

// Close gives back memory, file and budget. It may be called more than once.
func (s *Spool) Close() error {
	if errors.Is(s.err, os.ErrClosed) {
		return nil
	}
	s.spools.used.Add(-s.Size())
	s.err = fmt.Errorf("use of a spool: %w", os.ErrClosed)
	s.tail, s.filed = nil, 0
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}
