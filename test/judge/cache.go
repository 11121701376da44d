package judge

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// cached returns a directory of the user's cache (or of WAXSEAL_TEST_CACHE)
// with what build makes of these inputs. It is built once: a lock sees to it
// where test packages run at the same time.
func cached(t testing.TB, name string, inputs [][]byte, build func(dir string) error) string {
	t.Helper()
	h := sha256.New()
	for _, in := range inputs {
		fmt.Fprintf(h, "%x\n", sha256.Sum256(in))
	}
	top := os.Getenv("WAXSEAL_TEST_CACHE")
	if top == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			t.Fatalf("no cache directory (set WAXSEAL_TEST_CACHE): %v", err)
		}
		top = filepath.Join(user, "waxseal-test")
	}
	if err := os.MkdirAll(top, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(top, fmt.Sprintf("%s-%x", name, h.Sum(nil)[:8]))
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatalf("lock %s: %v", lock.Name(), err)
	}
	if _, err := os.Stat(path); err == nil {
		return path
	}
	fresh, err := os.MkdirTemp(top, name+"-new-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(fresh)
	if err := build(fresh); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(fresh, path); err != nil {
		t.Fatal(err)
	}
	return path
}
