package vaulttest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// binary returns the path of the built server. It is built if the cache has
// none for these very sources and this Go version; a lock makes test packages
// that run at once build it once.
func binary(ctx context.Context) (string, error) {
	src, err := module()
	if err != nil {
		return "", err
	}
	sum, err := hash(src)
	if err != nil {
		return "", fmt.Errorf("hash the sources of the Vault server: %w", err)
	}
	dir := os.Getenv("WAXSEAL_TEST_CACHE")
	if dir == "" {
		if dir, err = os.UserCacheDir(); err != nil {
			return "", fmt.Errorf("no cache directory (set WAXSEAL_TEST_CACHE): %w", err)
		}
		dir = filepath.Join(dir, "waxseal-test")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "vaultserver-"+sum)
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return path, build(ctx, src, path)
}

// build compiles next to path first, so that path is complete or absent.
func build(ctx context.Context, src, path string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-mod=readonly",
		"-ldflags=-s -w", "-o", path+".new", ".")
	cmd.Dir = src
	// The flags of the surrounding go test are for another module.
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the Vault server in %s: %w\n%s", src, err, out)
	}
	return os.Rename(path+".new", path)
}

// module finds the server's module from the working directory of a test, which
// is the folder of its package.
func module() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(text), "module waxseal\n") {
			return filepath.Join(dir, "test", "vaultserver"), nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("the Vault server's module was not found: no go.mod of module waxseal above the working directory")
		}
		dir = up
	}
}

// hash covers names and contents of all files that take part in the build.
func hash(src string) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	err := filepath.WalkDir(src, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name := d.Name()
		if filepath.Ext(name) != ".go" && name != "go.mod" && name != "go.sum" {
			return nil
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		rel, err := filepath.Rel(src, path)
		if err != nil {
			return err
		}
		one := sha256.New()
		if _, err := io.Copy(one, f); err != nil {
			return err
		}
		fmt.Fprintf(h, "%x %s\n", one.Sum(nil), rel)
		return nil
	})
	return hex.EncodeToString(h.Sum(nil))[:16], err
}
