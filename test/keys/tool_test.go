// Package keys tests the commands about keys as people use them, with openssl
// and gpg as the judges of what they read and write.
package keys_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"waxseal/test/daemon"
	"waxseal/test/vaulttest"
)

// tool is `waxseal keys` with a configuration.
type tool struct {
	t      *testing.T
	config string
}

// onDirectory has an empty directory as its store.
func onDirectory(t *testing.T) *tool {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	return configured(t, dir, "keys \"directory\" {\n  path = \"keys\"\n}\n")
}

// vault is a server with a CA and a role for mail.
type vault struct {
	*vaulttest.Server
	root string // the CA's certificate as a file
}

func newVault(t *testing.T) *vault {
	t.Helper()
	v := &vault{Server: vaulttest.Start(t, vaulttest.Options{}), root: filepath.Join(t.TempDir(), "root.pem")}
	v.Write("sys/mounts/transit", map[string]any{"type": "transit"})
	v.Write("sys/mounts/pki", map[string]any{"type": "pki", "config": map[string]string{"max_lease_ttl": "87600h"}})
	ca := v.Write("pki/root/generate/internal", map[string]any{"common_name": "Example CA", "ttl": "80000h"})
	if err := os.WriteFile(v.root, []byte(ca["certificate"].(string)), 0o600); err != nil {
		t.Fatal(err)
	}
	v.Write("pki/roles/smime", map[string]any{
		"allowed_domains": "example.com", "allow_bare_domains": true, "key_type": "any",
		"key_usage":             []string{"DigitalSignature", "KeyEncipherment", "KeyAgreement"},
		"email_protection_flag": true, "server_flag": false, "client_flag": false, "require_cn": false, "max_ttl": "9000h",
	})
	return v
}

// block is a keys block for the server, with more settings in it.
func (v *vault) block(more string) string {
	return fmt.Sprintf("keys \"vault\" {\n  address = %q\n  auth \"token\" {\n    token = %q\n  }\n  kv = \"secret/waxseal\"\n%s}\n", v.Address, v.RootToken, more)
}

func onVault(t *testing.T, v *vault, issue string) *tool {
	t.Helper()
	if issue != "" {
		issue = "  issue {\n    role = \"smime\"\n" + issue + "  }\n"
	}
	return configured(t, t.TempDir(), v.block(issue))
}

func configured(t *testing.T, dir, text string) *tool {
	t.Helper()
	k := &tool{t, filepath.Join(dir, "waxseal.hcl")}
	if err := os.WriteFile(k.config, []byte("domains = [\"example.com\"]\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	return k
}

// onBoth runs a test with each kind of store.
func onBoth(t *testing.T, test func(t *testing.T, k *tool)) {
	t.Helper()
	t.Run("directory", func(t *testing.T) { test(t, onDirectory(t)) })
	t.Run("vault", func(t *testing.T) { test(t, onVault(t, newVault(t), "")) })
}

// run runs a command and returns its exit status and what it says.
func (k *tool) run(args ...string) (status int, out, errs string) {
	k.t.Helper()
	cmd := exec.Command(daemon.Binary(k.t), append([]string{"keys", "-config", k.config}, args...)...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		k.t.Fatal(err)
	}
	for _, text := range []string{o.String(), e.String()} {
		if strings.Contains(text, "PRIVATE KEY") {
			k.t.Errorf("%v prints a private key:\n%s", args, text)
		}
	}
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

// ok runs a command that has to go well.
func (k *tool) ok(args ...string) string {
	k.t.Helper()
	status, out, errs := k.run(args...)
	if status != 0 {
		k.t.Fatalf("waxseal keys %v: exit status %d\n%s%s", args, status, out, errs)
	}
	return out
}

// refused runs a command that has to fail and say something.
func (k *tool) refused(want string, args ...string) {
	k.t.Helper()
	status, out, errs := k.run(args...)
	if status != 1 || !strings.Contains(out+errs, want) {
		k.t.Errorf("waxseal keys %v: exit status %d, want 1 and %q in\n%s%s", args, status, want, out, errs)
	}
}

// values runs a command with -json and decodes what it writes.
func (k *tool) values(args ...string) []map[string]any {
	k.t.Helper()
	var out []map[string]any
	text := k.ok(append([]string{"-json"}, args...)...)
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		k.t.Fatalf("waxseal keys %v: %v\n%s", args, err, text)
	}
	return out
}

// entries lists the names of all entries.
func (k *tool) entries() string {
	k.t.Helper()
	var names []string
	for _, v := range k.values("list") {
		names = append(names, v["entry"].(string))
	}
	return strings.Join(names, ", ")
}

// program runs one that we did not write.
func program(t *testing.T, stdin []byte, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %v: %v\n%s%s", name, args, err, out.String(), errs.String())
	}
	return out.String()
}

// gpg returns GnuPG with a home of its own.
func gpg(t *testing.T) func(stdin []byte, args ...string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gpg") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		program(t, nil, "gpgconf", "--homedir", dir, "--kill", "all")
		os.RemoveAll(dir)
	})
	return func(stdin []byte, args ...string) string {
		t.Helper()
		return program(t, stdin, "gpg", append([]string{"--homedir", dir, "--batch", "--yes", "--no-tty", "--pinentry-mode", "loopback", "--trust-model", "always"}, args...)...)
	}
}

// read returns a file.
func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
