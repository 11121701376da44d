package pgpmime

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"waxseal/signer"
)

// gnupg is a throwaway home directory of gpg, with the keys below. Its path is
// short because that of the agent's socket may have 108 bytes.
type gnupg struct{ home string }

var shared struct {
	once sync.Once
	gpg  gnupg
	err  error
}

func TestMain(m *testing.M) {
	status := m.Run()
	if shared.gpg.home != "" {
		kill := exec.Command("gpgconf", "--homedir", shared.gpg.home, "--kill", "all")
		if out, err := kill.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "gpgconf --kill all: %v: %s\n", err, out)
		}
		os.RemoveAll(shared.gpg.home)
	}
	os.Exit(status)
}

// gpg returns the home directory that all tests share.
func gpg(t testing.TB) gnupg {
	t.Helper()
	if _, err := exec.LookPath("gpg"); err != nil {
		t.Fatal("gpg is needed: apt-get install gnupg")
	}
	shared.once.Do(func() { shared.err = makeHome() })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.gpg
}

func makeHome() error {
	home, err := os.MkdirTemp("/tmp", "wxg")
	if err != nil {
		return err
	}
	g := gnupg{home}
	shared.gpg = g
	for _, k := range []struct{ user, primary, sub string }{
		{"Rosa <rosa@example.com>", "rsa3072", "rsa3072"},
		{"Edda <edda@example.com>", "ed25519", "cv25519"},
		{"Nils <nils@example.com>", "nistp256", "nistp256"},
		{"Otto <otto@example.com>", "nistp521", "nistp521"},
		{"Solo <solo@example.com>", "ed25519", ""},
		{"Gone <gone@example.com>", "ed25519", "cv25519"},
		{"Weak <weak@example.com>", "rsa1024", "rsa1024"},
		{"Dead <dead@example.com>", "ed25519", "cv25519"},
		{"Bare", "ed25519", "cv25519"},
	} {
		if err := g.generate("0", k.user, k.primary, k.sub); err != nil {
			return err
		}
	}
	// One that has run out.
	past := gnupg{home}
	if err := past.generate("20200101T000000", "Past <past@example.com>", "ed25519", "cv25519"); err != nil {
		return err
	}
	// One whose encryption subkey is revoked, one that is revoked as a whole.
	if out, err := g.command("key 1\nrevkey\ny\n1\n\ny\nsave\n", "--command-fd", "0", "--status-fd", "2", "--edit-key", "gone@example.com"); err != nil {
		return fmt.Errorf("revoke subkey: %w: %s", err, out)
	}
	if err := g.revoke("dead@example.com"); err != nil {
		return err
	}
	// One with a passphrase.
	_, err = g.command("", "--passphrase", "secret", "--quick-gen-key", "Pass <pass@example.com>", "ed25519", "default", "never")
	return err
}

// generate makes a key with gpg; since is its date, or "0" for now.
func (g gnupg) generate(since, user, primary, sub string) error {
	clock, expire := []string{"--no-tty"}, "never"
	if since != "0" {
		clock, expire = []string{"--faked-system-time", since + "!"}, "7d"
	}
	args := append(clock, "--passphrase", "", "--quick-gen-key", user, primary, "cert,sign", expire)
	if out, err := g.command("", args...); err != nil {
		return fmt.Errorf("make key of %s: %w: %s", user, err, out)
	}
	if sub == "" {
		return nil
	}
	args = append(clock, "--passphrase", "", "--quick-add-key", g.fingerprint(user), sub, "encr", expire)
	if out, err := g.command("", args...); err != nil {
		return fmt.Errorf("make subkey of %s: %w: %s", user, err, out)
	}
	return nil
}

// revoke revokes a whole key with the certificate that gpg made with it.
func (g gnupg) revoke(user string) error {
	file := filepath.Join(g.home, "openpgp-revocs.d", g.fingerprint(user)+".rev")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	out, err := g.command(strings.Replace(string(text), ":-----BEGIN", "-----BEGIN", 1), "--import")
	if err != nil {
		return fmt.Errorf("revoke %s: %w: %s", user, err, out)
	}
	return nil
}

func (g gnupg) fingerprint(user string) string {
	out, _ := g.command("", "--with-colons", "--list-keys", user)
	for line := range strings.Lines(string(out)) {
		if f := strings.Split(line, ":"); f[0] == "fpr" {
			return f[9]
		}
	}
	return ""
}

// command runs gpg and returns what it writes to its standard output.
func (g gnupg) command(input string, args ...string) ([]byte, error) {
	args = append([]string{"--homedir", g.home, "--batch", "--yes", "--quiet", "--no-auto-check-trustdb",
		"--pinentry-mode", "loopback", "--trust-model", "always"}, args...)
	cmd := exec.Command("gpg", args...)
	cmd.Stdin = strings.NewReader(input)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("gpg %q: %w: %s", args, err, errs.Bytes())
	}
	return out.Bytes(), nil
}

// must runs gpg.
func (g gnupg) must(t testing.TB, args ...string) []byte {
	t.Helper()
	out, err := g.command("", args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// certificate exports a public key.
func (g gnupg) certificate(t testing.TB, user string) []byte {
	t.Helper()
	return g.must(t, "--armor", "--export", user)
}

// secret exports a secret key.
func (g gnupg) secret(t testing.TB, user string) []byte {
	t.Helper()
	return g.must(t, "--armor", "--passphrase", "", "--export-secret-keys", user)
}

// key reads the secret key of an address.
func (g gnupg) key(t testing.TB, address string) *Key {
	t.Helper()
	k, err := ParseKey(address, g.secret(t, address), nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// recipient reads the certificate of an address.
func (g gnupg) recipient(t testing.TB, address string) *Certificate {
	t.Helper()
	c, err := ParseCertificate(address, g.certificate(t, address))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// verify has gpg check a detached signature and returns its status lines.
func (g gnupg) verify(t testing.TB, signed, signature []byte) string {
	t.Helper()
	dir := t.TempDir()
	data, sig := filepath.Join(dir, "data"), filepath.Join(dir, "sig.asc")
	write(t, data, signed)
	write(t, sig, signature)
	out, err := g.command("", "--status-fd", "1", "--verify", sig, data)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// decrypt has gpg decrypt a message and returns the text and its status lines.
func (g gnupg) decrypt(t testing.TB, message []byte) (text []byte, status string) {
	t.Helper()
	dir := t.TempDir()
	in, lines := filepath.Join(dir, "in.asc"), filepath.Join(dir, "status")
	write(t, in, message)
	text, err := g.command("", "--status-file", lines, "--passphrase", "", "--decrypt", in)
	read, _ := os.ReadFile(lines)
	if err != nil {
		t.Fatalf("%v\n%s", err, read)
	}
	return text, string(read)
}

func write(t testing.TB, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// expectStatus checks that gpg wrote a status line that begins with that.
func expectStatus(t testing.TB, status string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(status, "[GNUPG:] "+w) {
			t.Errorf("gpg does not say %s:\n%s", w, status)
		}
	}
}

// entity makes an entity of a text whose lines end with LF.
func entity(text string) *signer.Entity {
	return &signer.Entity{
		Header: signer.Header{{Name: "Content-Type", Raw: []byte("Content-Type: text/plain; charset=utf-8\r\n")}},
		Body:   signer.NewContent([]byte(strings.ReplaceAll(text, "\n", "\r\n"))),
	}
}

// written is what an entity writes.
func written(t testing.TB, e *signer.Entity) []byte {
	t.Helper()
	var buf bytes.Buffer
	n, err := e.WriteTo(&buf)
	if err != nil {
		t.Fatal(err)
	}
	if n != int64(buf.Len()) || n != e.Size() {
		t.Errorf("entity wrote %d bytes, says it wrote %d and has size %d", buf.Len(), n, e.Size())
	}
	return buf.Bytes()
}

// parts cuts a multipart body into its parts, to the byte, and checks that there
// is nothing around them. RFC 2046, Section 5.1.1.
func parts(t testing.TB, header signer.Header, body []byte) [][]byte {
	t.Helper()
	contentType := header.Get("Content-Type")
	_, b, found := strings.Cut(contentType, "boundary=")
	if !found {
		t.Fatalf("no boundary: %s", contentType)
	}
	delimiter := "--" + strings.Trim(b, `"`)
	rest, found := bytes.CutPrefix(body, []byte(delimiter+"\r\n"))
	if !found {
		t.Fatalf("body does not begin with the boundary: %.100q", body)
	}
	rest, found = bytes.CutSuffix(rest, []byte("\r\n"+delimiter+"--\r\n"))
	if !found {
		t.Fatalf("body does not end with the boundary")
	}
	return bytes.Split(rest, []byte("\r\n"+delimiter+"\r\n"))
}

// content cuts off a part's header.
func content(t testing.TB, part []byte) []byte {
	t.Helper()
	_, body, found := bytes.Cut(part, []byte("\r\n\r\n"))
	if !found {
		t.Fatalf("no empty line in %.200q", part)
	}
	return body
}

// day is when nothing of what the tests make has run out.
func day() time.Time { return time.Now().Add(time.Minute) }
