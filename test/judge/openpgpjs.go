package judge

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

//go:embed openpgpjs/package.json openpgpjs/package-lock.json openpgpjs/judge.mjs
var openPGPJSSources embed.FS

// OpenPGPJS is a Node.js program on OpenPGP.js.
type OpenPGPJS struct{ service *service }

// NewOpenPGPJS fetches OpenPGP.js, where that has not been done, and starts the
// program.
func NewOpenPGPJS(t testing.TB) *OpenPGPJS {
	t.Helper()
	require(t, "nodejs npm", "node", "npm")
	files := map[string][]byte{}
	for _, name := range []string{"package.json", "package-lock.json", "judge.mjs"} {
		b, err := openPGPJSSources.ReadFile("openpgpjs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = b
	}
	modules := cached(t, "openpgpjs", [][]byte{files["package.json"], files["package-lock.json"]}, func(dir string) error {
		for _, name := range []string{"package.json", "package-lock.json"} {
			if err := os.WriteFile(filepath.Join(dir, name), files[name], 0o600); err != nil {
				return err
			}
		}
		if _, err := run("", "npm", "ci", "--prefix", dir, "--ignore-scripts", "--no-audit", "--no-fund"); err != nil {
			return fmt.Errorf("fetch OpenPGP.js: %w", err)
		}
		return nil
	})
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(modules, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "judge.mjs"), files["judge.mjs"])
	return &OpenPGPJS{startService(t, dir, "node", "judge.mjs")}
}

// Name implements OpenPGP.
func (o *OpenPGPJS) Name() string { return "OpenPGP.js" }

// Verify implements OpenPGP.
func (o *OpenPGPJS) Verify(t testing.TB, by *KeyOwner, content, signature []byte) error {
	f := newFolder(t)
	return o.service.call(t, "verify", by.CertFile, f.write("content", content), f.write("signature", signature))
}

// Sign implements OpenPGP.
func (o *OpenPGPJS) Sign(t testing.TB, as *KeyOwner, content []byte) ([]byte, error) {
	f := newFolder(t)
	return f.result("out", o.service.call(t, "sign", as.KeyFile, f.write("in", content), f.path("out")))
}

// Decrypt implements OpenPGP.
func (o *OpenPGPJS) Decrypt(t testing.TB, as, by *KeyOwner, message []byte) ([]byte, error) {
	f := newFolder(t)
	cert := ""
	if by != nil {
		cert = by.CertFile
	}
	return f.result("out", o.service.call(t, "decrypt", as.KeyFile, cert, f.write("in", message), f.path("out")))
}

// Encrypt implements OpenPGP.
func (o *OpenPGPJS) Encrypt(t testing.TB, to []*KeyOwner, by *KeyOwner, hidden bool, content []byte) ([]byte, error) {
	f := newFolder(t)
	key := ""
	if by != nil {
		key = by.KeyFile
	}
	call := []string{"encrypt", key, flag("hidden", hidden), f.write("in", content), f.path("out")}
	for _, k := range to {
		call = append(call, k.CertFile)
	}
	return f.result("out", o.service.call(t, call...))
}
