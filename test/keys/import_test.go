package keys_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waxseal/test/identities"
)

// TestImportSMIME imports what openssl writes in every form.
func TestImportSMIME(t *testing.T) {
	set := identities.Make(t)
	dir := t.TempDir()
	word := filepath.Join(dir, "word")
	if err := os.WriteFile(word, []byte("open sesame\nand more\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	pkcs12 := func(who, name string, more ...string) {
		t.Helper()
		program(t, nil, "openssl", append([]string{"pkcs12", "-export", "-in", set.Certificate(who), "-inkey", set.Key(who),
			"-out", file(name), "-passout", "pass:open sesame"}, more...)...)
	}
	pkcs12(identities.Alice, "modern.p12", "-certfile", set.CA)
	pkcs12(identities.Alice, "legacy.p12", "-certfile", set.CA, "-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1")
	pkcs12(identities.Carol, "curve.p12")
	program(t, nil, "openssl", "pkcs12", "-export", "-in", set.Certificate(identities.Alice), "-inkey", set.Key(identities.Alice), "-out", file("open.p12"), "-passout", "pass:")
	program(t, nil, "openssl", "crl2pkcs7", "-nocrl", "-certfile", set.Certificate(identities.Bob), "-certfile", set.Certificate(identities.Erin), "-outform", "DER", "-out", file("bundle.p7b"))
	program(t, nil, "openssl", "crl2pkcs7", "-nocrl", "-certfile", set.Certificate(identities.Bob), "-out", file("bundle.pem"))
	program(t, nil, "openssl", "x509", "-in", set.Certificate(identities.Bob), "-outform", "DER", "-out", file("bob.der"))
	program(t, nil, "openssl", "rsa", "-in", set.Key(identities.Alice), "-traditional", "-out", file("alice.key"))
	both := append(read(t, file("alice.key")), read(t, set.Certificate(identities.Alice))...)
	if err := os.WriteFile(file("both.pem"), both, 0o600); err != nil {
		t.Fatal(err)
	}
	const alice, bob = "smime/" + identities.Alice, "recipients/" + identities.Bob + " (smime)"
	for _, c := range []struct{ name, want string }{
		{"modern.p12", alice}, {"legacy.p12", alice}, {"open.p12", alice}, {"both.pem", alice}, {"curve.p12", "smime/" + identities.Carol},
		{"bundle.p7b", bob + ", recipients/" + identities.Erin + " (smime)"}, {"bundle.pem", bob}, {"bob.der", bob},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := onDirectory(t)
			k.ok("import", "-passphrase-file", word, file(c.name))
			if got := k.entries(); got != c.want {
				t.Errorf("stored %s, want %s", got, c.want)
			}
			if strings.HasPrefix(c.want, "smime/") {
				if got := k.values("verify"); got[0]["sign"] != "ok" || got[0]["decrypt"] != "ok" {
					t.Errorf("it does not work: %v", got)
				}
			}
			if got := k.values("import", "-passphrase-file", word, file(c.name)); got[0]["done"] != "unchanged" {
				t.Errorf("again: %v", got)
			}
		})
	}
	if err := os.WriteFile(file("wrong"), []byte("wrong"), 0o600); err != nil {
		t.Fatal(err)
	}
	k := onDirectory(t)
	k.refused("the password is another one", "import", "-passphrase-file", file("wrong"), file("modern.p12"))
	k.refused("whose certificate is not in the file", "import", file("alice.key"))
	k.refused("nothing that keys", "import", word)
	k.refused("not for x@example.com", "import", "-name", "x@example.com", set.Certificate(identities.Bob))
	k.refused("no such file", "import", file("none"))
	k.ok("import", "-dry-run", set.Certificate(identities.Bob))
	if got := k.values("import", set.CA); !strings.Contains(got[0]["done"].(string), "trust_anchors") {
		t.Errorf("a CA: %v", got)
	}
	if got := k.entries(); got != "" {
		t.Errorf("stored all the same: %s", got)
	}
}

// TestImportExpired: an old key must not take the place of the current one.
func TestImportExpired(t *testing.T) {
	old, current := selfSigned(t, identities.Alice, -10*24*time.Hour), selfSigned(t, identities.Alice, 100*24*time.Hour)
	onBoth(t, func(t *testing.T, k *tool) {
		k.refused("expired", "import", old)
		k.ok("import", current)
		fingerprint := k.values("show", identities.Alice)[0]["fingerprint"]
		if got := k.values("import", "-force", old); got[0]["done"] != "kept for decryption" {
			t.Errorf("imported: %v", got)
		}
		if got := k.values("show", identities.Alice)[0]["fingerprint"]; got != fingerprint {
			t.Errorf("the old key has taken the place of the current one")
		}
		if got := k.values("verify")[0]; got["sign"] != "ok" || got["decrypt"] != "ok" || got["versions"] != 3.0 {
			t.Errorf("%v", got)
		}
		if got := k.values("history", identities.Alice); len(got) != 3 || !strings.Contains(got[1]["problem"].(string), "expired") {
			t.Errorf("history: %v", got)
		}
	})
}

// TestImportOpenPGP imports what gpg writes.
func TestImportOpenPGP(t *testing.T) {
	dir := t.TempDir()
	g := gpg(t)
	g(nil, "--passphrase", "open sesame", "--quick-generate-key", "Alice Example <alice@example.com>", "future-default", "default", "never")
	g(nil, "--passphrase", "", "--quick-generate-key", "Bob <Bob@partner.example>", "future-default", "default", "never")
	write := func(name, text string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	g(nil, "--passphrase", "open sesame", "--quick-sign-key", strings.Split(strings.SplitAfter(g(nil, "--with-colons", "--list-keys", "bob@partner.example"), "\nfpr:")[1], ":")[8])
	word := write("word", "open sesame\n")
	secret := write("secret.asc", g(nil, "--passphrase", "open sesame", "--armor", "--export-secret-keys", "alice@example.com"))
	onBoth(t, func(t *testing.T, k *tool) {
		k.ok("import", "-passphrase-file", word, secret)
		k.ok("import", write("both.gpg", g(nil, "--export")))
		if got, want := k.entries(), "pgp/alice@example.com, recipients/alice@example.com (pgp), recipients/bob@partner.example (pgp)"; got != want {
			t.Errorf("stored %s, want %s", got, want)
		}
		for _, v := range k.values("verify") {
			if v["encrypt"] != "ok" || v["decrypt"] == "failed" || v["sign"] == "failed" {
				t.Errorf("it does not work: %v", v)
			}
		}
		// What others have signed is not stored.
		if n := strings.Count(g([]byte(k.ok("export", "recipients/bob@partner.example")), "--list-packets"), ":signature packet:"); n != 2 {
			t.Errorf("%d signatures are stored, want one of the user id and one of the subkey", n)
		}
		// The name can be another one, a gateway's for example; for an address it
		// has to be in the key.
		k.ok("import", "-name", "partner.example", write("bob.asc", g(nil, "--armor", "--export", "bob@partner.example")))
		k.refused("no valid user id holds the address", "import", "-name", "eve@partner.example", filepath.Join(dir, "bob.asc"))
	})
}

// selfSigned writes a key and a certificate that ends after a time.
func selfSigned(t *testing.T, address string, life time.Duration) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), EmailAddresses: []string{address},
		NotBefore: time.Now().Add(-1000 * time.Hour), NotAfter: time.Now().Add(life)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.pem")
	text := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
