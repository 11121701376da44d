package keys_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"waxseal/test/daemon"
)

// works checks that all entries do what they are for.
func (k *tool) works(want int) {
	k.t.Helper()
	all := k.values("verify")
	if len(all) != want {
		k.t.Errorf("%d entries, want %d: %v", len(all), want, all)
	}
	for _, v := range all {
		if v["encrypt"] != "ok" || v["sign"] == "failed" || v["decrypt"] == "failed" || v["error"] != nil {
			k.t.Errorf("it does not work: %v", v)
		}
	}
}

// TestGenerate makes keys, replaces them and takes them out of use; openssl and
// gpg look at their certificates.
func TestGenerate(t *testing.T) {
	onBoth(t, func(t *testing.T, k *tool) {
		const alice = "alice@example.com"
		k.ok("generate", "-algorithm", "rsa-2048", "Alice@Example.com")
		k.ok("generate", "-algorithm", "ecdsa-p256", "-lifetime", "48h", "carol@example.com")
		k.ok("generate", "-scheme", "pgp", "-user-name", "Alice Example", alice)
		k.ok("generate", "-scheme", "pgp", "-algorithm", "rsa-2048", "-lifetime", "1000h", "pia@example.com")
		k.works(4)
		k.refused("is there already", "generate", alice)
		k.refused("there is no scheme", "generate", "-scheme", "x509", "x@example.com")
		k.refused("there is no algorithm", "generate", "-algorithm", "dsa", "x@example.com")
		k.refused("can't be the name", "generate", "x y@example.com")
		k.refused("for an address", "generate", "example.com")

		pem := k.ok("export", "smime/"+alice)
		said := program(t, []byte(pem), "openssl", "x509", "-noout", "-ext", "subjectAltName,extendedKeyUsage,keyUsage,basicConstraints")
		for _, want := range []string{"email:" + alice, "E-mail Protection", "Digital Signature, Key Encipherment", "CA:FALSE"} {
			if !strings.Contains(said, want) {
				t.Errorf("openssl does not say %q:\n%s", want, said)
			}
		}
		if said := program(t, []byte(k.ok("export", "smime/"+alice, "-format", "p7c")), "openssl", "pkcs7", "-inform", "DER", "-print_certs"); strings.Count(said, "BEGIN CERTIFICATE") != 1 {
			t.Errorf("the bundle has\n%s", said)
		}
		g := gpg(t)
		g([]byte(k.ok("export", "pgp/"+alice)), "--import")
		g([]byte(k.ok("export", "pgp/pia@example.com", "-format", "binary")), "--import")
		if said := g(nil, "--list-keys"); !strings.Contains(said, "Alice Example <"+alice+">") || !strings.Contains(said, "pia@example.com") {
			t.Errorf("gpg has\n%s", said)
		}
		k.refused("is several entries", "export", alice)
		k.refused("not as \"armor\"", "export", "smime/"+alice, "-format", "armor")
		k.refused("there is no such entry", "export", "smime/nobody@example.com")

		// Replaced keys still decrypt, and there is something to say about them.
		before := k.values("show", "smime/"+alice)[0]
		k.ok("rotate", "smime/"+alice)
		k.ok("rotate", "pgp/"+alice)
		after := k.values("show", "smime/"+alice)[0]
		if after["fingerprint"] == before["fingerprint"] || after["algorithm"] != "rsa2048" || after["version"] != 2.0 {
			t.Errorf("rotated: %v", after)
		}
		k.works(4)
		if h := k.values("history", alice); len(h) != 4 || h[1]["fingerprint"] != before["fingerprint"] || h[0]["key"] != "store" {
			t.Errorf("history: %v", h)
		}
		k.refused("say -yes", "retire", "pgp/"+alice)
		if got := k.entries(); !strings.Contains(got, "pgp/"+alice) {
			t.Errorf("retired without -yes: %s", got)
		}
		k.ok("retire", "-yes", "pgp/"+alice)
		if got := k.entries(); strings.Contains(got, "pgp/"+alice) {
			t.Errorf("still listed: %s", got)
		}
		if h := k.values("history", "pgp/"+alice); len(h) != 2 || h[0]["retired"] == nil {
			t.Errorf("history of a retired entry: %v", h)
		}
		k.refused("there is no such entry", "retire", "-yes", "pgp/"+alice)

		// Tables for people.
		if out := k.ok("list"); !regexp.MustCompile(`^ENTRY +ALGORITHM +KEY +UNTIL +STATE\npgp/pia@example.com .*\nsmime/alice@example.com +rsa2048 +store +20\d\d-\d\d-\d\d +ok\n`).MatchString(out) {
			t.Errorf("list:\n%s", out)
		}
		if out := k.ok("list"); !strings.Contains(out, "ends in 1 days") {
			t.Errorf("list:\n%s", out)
		}
		if out := k.ok("show", "smime/"+alice); !regexp.MustCompile(`(?m)^addresses +alice@example.com$`).MatchString(out) {
			t.Errorf("show:\n%s", out)
		}
	})
}

// TestRequest: a key, a request, an authority's answer, which takes the place of
// the first certificate.
func TestRequest(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	program(t, nil, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", file("ca.key"), "-out", file("ca.pem"), "-subj", "/CN=Another CA", "-days", "100")
	onBoth(t, func(t *testing.T, k *tool) {
		k.ok("generate", "-algorithm", "rsa-2048", "-request", file("request.pem"), "alice@example.com")
		program(t, nil, "openssl", "x509", "-req", "-in", file("request.pem"), "-CA", file("ca.pem"), "-CAkey", file("ca.key"), "-CAcreateserial",
			"-copy_extensions", "copy", "-days", "90", "-out", file("answer.pem"))
		if err := os.WriteFile(file("answer.pem"), append(read(t, file("answer.pem")), read(t, file("ca.pem"))...), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := k.values("import", file("answer.pem")); got[0]["entry"] != "smime/alice@example.com" || got[0]["done"] != "replaced" {
			t.Errorf("imported: %v", got)
		}
		if got := k.values("show", "alice@example.com"); len(got) != 1 || got[0]["issuer"] != "CN=Another CA" {
			t.Errorf("shown: %v", got)
		}
		if n := strings.Count(k.ok("export", "alice@example.com"), "BEGIN CERTIFICATE"); n != 2 {
			t.Errorf("%d certificates, want the chain too", n)
		}
		k.works(1)
		k.refused("an authority has signed", "rotate", "alice@example.com")
	})
}

// TestWKD: the tree has the names that gpg computes, and keys that it reads.
func TestWKD(t *testing.T) {
	k := onDirectory(t)
	addresses := []string{"alice@example.com", "bob.builder+x@sub.example.com", "a@example.com"}
	for _, a := range addresses {
		k.ok("generate", "-scheme", "pgp", a)
	}
	k.ok("generate", "-algorithm", "ecdsa-p256", "alice@example.com") // not an OpenPGP key
	g := gpg(t)
	for _, method := range []string{"advanced", "direct"} {
		web := t.TempDir()
		if got := k.values("export", "-wkd", web, "-method", method); len(got) != len(addresses) {
			t.Errorf("%s: %v", method, got)
		}
		for _, a := range addresses {
			g([]byte(k.ok("export", "pgp/"+a)), "--import")
			said := g(nil, "--with-wkd-hash", "--list-keys", a)
			m := regexp.MustCompile(`([a-z0-9]{32})@([a-z.]+)`).FindStringSubmatch(said)
			if m == nil {
				t.Fatalf("gpg says no hash:\n%s", said)
			}
			path := filepath.Join(web, ".well-known/openpgpkey", m[2])
			if method == "direct" {
				path = filepath.Dir(path)
			}
			if text := program(t, read(t, filepath.Join(path, "hu", m[1])), "gpg", "--show-keys"); !strings.Contains(text, a) {
				t.Errorf("%s: %s has\n%s", method, a, text)
			}
			if _, err := os.Stat(filepath.Join(path, "policy")); err != nil {
				t.Error(err)
			}
		}
	}
	k.refused("there is no method", "export", "-wkd", t.TempDir(), "-method", "other")
	k.refused("export writes one entry", "export")
}

// TestIssue has Vault's authority sign, and keeps keys in Transit.
func TestIssue(t *testing.T) {
	v := newVault(t)
	for _, c := range []struct{ name, issue, key string }{
		{"local", "    algorithm = \"ecdsa-p256\"\n", "store"},
		{"transit", "    key = \"transit\"\n    algorithm = \"rsa-2048\"\n    ttl = \"1000h\"\n", "transit smime-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := onVault(t, v, c.issue)
			address := c.name + "@example.com"
			k.ok("issue", address)
			k.ok("issue", address)
			k.ok("rotate", "smime/"+address)
			shown := k.values("show", address)[0]
			if shown["version"] != 3.0 || !strings.HasPrefix(shown["key"].(string), c.key) || shown["issuer"] != "CN=Example CA" {
				t.Errorf("shown: %v", shown)
			}
			pem := k.ok("export", address)
			file := filepath.Join(t.TempDir(), "chain.pem")
			if err := os.WriteFile(file, []byte(pem), 0o600); err != nil {
				t.Fatal(err)
			}
			program(t, nil, "openssl", "verify", "-CAfile", v.root, "-purpose", "smimesign", "-verify_email", address, file)
			if got := k.values("verify", address)[0]; got["sign"] != "ok" || got["decrypt"] != "ok" || got["versions"] != 3.0 {
				t.Errorf("%v", got)
			}
			k.refused("not in one of our domains", "issue", "x@elsewhere.example")
		})
	}
	k := onVault(t, v, "")
	k.refused("there is no issue block", "issue", "alice@example.com")
	onDirectory(t).refused("there is no issue block", "issue", "alice@example.com")

	// Keys that never leave Vault, without an authority.
	for _, scheme := range []string{"smime", "pgp"} {
		k.ok("generate", "-scheme", scheme, "-transit", "-algorithm", "rsa-2048", "tom@example.com")
		k.ok("rotate", scheme+"/tom@example.com")
		if got := k.values("verify", scheme+"/tom@example.com")[0]; got["sign"] != "ok" || got["decrypt"] != "ok" || got["versions"] != 2.0 {
			t.Errorf("%v", got)
		}
		if got := k.values("show", scheme+"/tom@example.com")[0]; !strings.HasPrefix(got["key"].(string), "transit "+scheme+"-tom-example-com-") {
			t.Errorf("%v", got)
		}
	}
	g := gpg(t)
	g([]byte(k.ok("export", "pgp/tom@example.com")), "--import")
	g([]byte("x"), "-r", "tom@example.com", "--encrypt")
	k.refused("can't decrypt", "generate", "-transit", "-algorithm", "ecdsa-p256", "eve@example.com")
	onDirectory(t).refused("a directory has no Transit", "generate", "-transit", "eve@example.com")
}

// TestVerify finds what does not work.
func TestVerify(t *testing.T) {
	v := newVault(t)
	k := onVault(t, v, "")
	k.ok("generate", "-transit", "-algorithm", "rsa-2048", "alice@example.com")
	k.ok("generate", "-algorithm", "ecdsa-p256", "bob@example.com")
	k.works(2)
	name := strings.Fields(k.values("show", "alice@example.com")[0]["key"].(string))[1]
	v.Write("transit/keys/"+name+"/config", map[string]any{"deletion_allowed": true})
	v.Delete("transit/keys/" + name)
	status, out, errs := k.run("verify", "-json")
	if status != 1 || !strings.Contains(errs, name) {
		t.Errorf("exit status %d: %s", status, errs)
	}
	var all []map[string]any
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatal(err)
	}
	if all[0]["sign"] != "failed" || all[0]["decrypt"] != "failed" || all[1]["sign"] != "ok" {
		t.Errorf("%v", all)
	}
}

// TestCopy moves a directory into Vault, and back, with the history.
func TestCopy(t *testing.T) {
	from, to, back := onDirectory(t), onVault(t, newVault(t), ""), onDirectory(t)
	from.ok("generate", "-algorithm", "rsa-2048", "alice@example.com")
	from.ok("rotate", "alice@example.com")
	from.ok("rotate", "alice@example.com")
	from.ok("generate", "-scheme", "pgp", "alice@example.com")
	from.ok("import", selfSigned(t, "carol@example.com", 1000*3600*1e9))
	cert := from.ok("export", "smime/carol@example.com")
	file := filepath.Join(t.TempDir(), "carol.pem")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(cert, "\r", "")), 0o600); err != nil {
		t.Fatal(err)
	}
	from.ok("import", "-name", "gateway.example", file)

	for _, hop := range [][2]*tool{{from, to}, {to, back}} {
		want := hop[0].entries()
		for _, v := range hop[0].values("copy", "-to-config", hop[1].config) {
			if v["done"] != "copied" {
				t.Errorf("%v", v)
			}
		}
		if got := hop[1].entries(); got != want {
			t.Errorf("copied %s, want %s", got, want)
		}
		if h := hop[1].values("history", "smime/alice@example.com"); len(h) != 3 {
			t.Errorf("%d versions, want 3", len(h))
		}
		hop[1].works(4)
		for _, v := range hop[0].values("copy", "-to-config", hop[1].config) {
			if v["done"] != "unchanged" {
				t.Errorf("again: %v", v)
			}
		}
	}
	from.ok("rotate", "pgp/alice@example.com")
	from.refused("there is another one already", "copy", "-to-config", to.config)
	to.ok("generate", "-transit", "-algorithm", "rsa-2048", "tom@example.com")
	to.refused("a directory can't have a key in Transit", "copy", "-to-config", back.config, "tom@example.com")
}

// TestUsage: key files are for their owner alone, and what is wrong with the
// command line is said.
func TestUsage(t *testing.T) {
	k := onDirectory(t)
	k.ok("generate", "-algorithm", "ecdsa-p256", "alice@example.com")
	store := filepath.Join(filepath.Dir(k.config), "keys")
	info, err := os.Stat(filepath.Join(store, "smime/alice@example.com.pem"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info, err)
	}
	k.refused("names no entry", "show", "x509/alice@example.com")
	k.refused("required flag", "copy")
	for _, args := range [][]string{{"keys", "frob"}, {"keys", "list", "-config", "/nowhere.hcl"}} {
		if out, err := exec.Command(daemon.Binary(t), args...).CombinedOutput(); err == nil {
			t.Errorf("%v: exit status 0\n%s", args, out)
		}
	}
	if out, err := exec.Command(daemon.Binary(t), "keys").CombinedOutput(); err != nil || !strings.Contains(string(out), "verify") {
		t.Errorf("waxseal keys: %v\n%s", err, out)
	}
}

// TestRights: the shipped policies are enough for all commands.
func TestRights(t *testing.T) {
	v := newVault(t)
	for _, name := range []string{"vault-policy", "vault-policy-admin", "vault-policy-issue"} {
		v.Policy(name, string(read(t, filepath.Join("../../packaging", name+".hcl"))))
	}
	v.RootToken = v.Token("1h", "vault-policy", "vault-policy-admin", "vault-policy-issue")
	k := onVault(t, v, "    key = \"transit\"\n    algorithm = \"rsa-2048\"\n")
	k.ok("issue", "alice@example.com")
	k.ok("rotate", "alice@example.com")
	k.ok("generate", "-scheme", "pgp", "-transit", "-algorithm", "rsa-2048", "alice@example.com")
	k.ok("generate", "-scheme", "pgp", "pia@example.com")
	k.ok("import", selfSigned(t, "carol@example.com", 100*24*time.Hour))
	file := filepath.Join(t.TempDir(), "carol.pem")
	k.ok("export", "smime/carol@example.com", "-out", file)
	k.ok("import", "-name", "gateway.example", file)
	k.works(5)
	k.ok("history", "alice@example.com")
	k.ok("retire", "-yes", "recipients/gateway.example", "pgp/pia@example.com")
	k.works(3)
	to := onDirectory(t)
	k.ok("copy", "-to-config", to.config, "carol@example.com")
	k.ok("list")
}
