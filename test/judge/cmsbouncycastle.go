package judge

import (
	"embed"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

//go:embed bouncycastle/*.java
var bouncyCastleSources embed.FS

// bouncyCastleJars are those of Debian's libbcmail-java.
const bouncyCastleJars = "/usr/share/java/bcprov.jar:/usr/share/java/bcutil.jar:/usr/share/java/bcpkix.jar"

// BouncyCastle is a Java program on the Bouncy Castle library.
type BouncyCastle struct {
	people  *People
	service *service
}

// NewBouncyCastle compiles and starts it.
func NewBouncyCastle(t testing.TB, p *People) *BouncyCastle {
	t.Helper()
	const packages = "default-jdk-headless libbcmail-java"
	require(t, packages, "javac", "java")
	for _, jar := range filepath.SplitList(bouncyCastleJars) {
		if _, err := os.Stat(jar); err != nil {
			t.Fatalf("Bouncy Castle is missing: apt-get install %s (test/run installs all that the tests need): %v", packages, err)
		}
	}
	names, err := fs.Glob(bouncyCastleSources, "bouncycastle/*.java")
	if err != nil {
		t.Fatal(err)
	}
	var sources [][]byte
	for _, name := range names {
		b, err := bouncyCastleSources.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, []byte(name), b)
	}
	classes := cached(t, "bouncycastle", sources, func(dir string) error {
		args := []string{"-d", dir, "-cp", bouncyCastleJars}
		for i := 0; i < len(sources); i += 2 {
			file := filepath.Join(dir, filepath.Base(string(sources[i])))
			if err := os.WriteFile(file, sources[i+1], 0o600); err != nil {
				return err
			}
			args = append(args, file)
		}
		_, err := run("", "javac", args...)
		return err
	})
	return &BouncyCastle{p, startService(t, t.TempDir(), "java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-cp", classes+":"+bouncyCastleJars, "Judge")}
}

// Name implements CMS.
func (b *BouncyCastle) Name() string { return "Bouncy Castle" }

// flag is what the program takes for a condition.
func flag(name string, set bool) string {
	if set {
		return name
	}
	return ""
}

// Verify implements CMS.
func (b *BouncyCastle) Verify(t testing.TB, data, content []byte) ([]byte, error) {
	f := newFolder(t)
	detached := ""
	if content != nil {
		detached = f.write("content", content)
	}
	return f.result("out", b.service.call(t, "verify", b.people.RootFile, f.write("in", data), detached, f.path("out")))
}

// Sign implements CMS.
func (b *BouncyCastle) Sign(t testing.TB, as *Person, content []byte, s SignAs) ([]byte, error) {
	f := newFolder(t)
	return f.result("out", b.service.call(t, "sign", as.CertFile, as.KeyFile, as.ChainFile, f.write("in", content), f.path("out"),
		s.Digest, flag("pss", s.PSS), flag("detached", s.Detached), flag("keyid", s.SubjectKeyID)))
}

// Decrypt implements CMS.
func (b *BouncyCastle) Decrypt(t testing.TB, as *Person, data []byte) ([]byte, error) {
	f := newFolder(t)
	return f.result("out", b.service.call(t, "decrypt", as.CertFile, as.KeyFile, f.write("in", data), f.path("out")))
}

// Encrypt implements CMS.
func (b *BouncyCastle) Encrypt(t testing.TB, to []*Person, content []byte, e EncryptAs) ([]byte, error) {
	f := newFolder(t)
	call := []string{"encrypt", f.write("in", content), f.path("out"), e.Cipher, e.OAEP, flag("keyid", e.SubjectKeyID)}
	for _, p := range to {
		call = append(call, p.CertFile)
	}
	return f.result("out", b.service.call(t, call...))
}

// Compress makes CompressedData (RFC 3274) of a content, in one piece or, with
// indefinite lengths, in many.
func (b *BouncyCastle) Compress(t testing.TB, content []byte, pieces bool) ([]byte, error) {
	f := newFolder(t)
	return f.result("out", b.service.call(t, "compress", f.write("in", content), f.path("out"), flag("pieces", pieces)))
}
