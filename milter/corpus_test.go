package milter

import (
	"encoding/pem"
	"flag"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"waxseal/keys/directory"
	"waxseal/policies"
	"waxseal/signer/pgpmime"
	"waxseal/signer/smime/trust"
)

var updateCorpus = flag.Bool("update", false, "write testdata/corpus.txt anew; read what has changed before you keep it")

// corpusPath is a file or folder of the corpus.
func corpusPath(t testing.TB, path string) string {
	t.Helper()
	root := os.Getenv("WAXSEAL_CORPUS")
	if root == "" {
		root = filepath.Join("..", "..", "shared", "corpus")
	}
	path = filepath.Join(root, path)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("no mail corpus: set WAXSEAL_CORPUS to its folder: %v", err)
	}
	return path
}

func corpusFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(corpusPath(t, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func pemOf(kind, der string) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte(der)}))
}

// corpusStore has the keys that belong to mails of the corpus, each under an
// address.
func corpusStore(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	put := func(path, text string) {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p12 := regexp.MustCompile("(?m)^-----.*\n").ReplaceAllString(corpusFile(t, "mixed/protected-headers/bob.p12"), "")
	der := run(t, p12, "openssl", "base64", "-d")
	bob := run(t, der, "openssl", "pkcs12", "-legacy", "-passin", "pass:bob", "-nodes")
	if !strings.Contains(bob, "PRIVATE KEY") {
		bob = run(t, der, "openssl", "pkcs12", "-legacy", "-passin", "pass:", "-nodes")
	}
	put("smime/bob@smime.example.pem", bob)
	put("smime/bob@rfc4134.example.pem", pemOf("CERTIFICATE", corpusFile(t, "smime/bc-rfc4134/BobRSASignByCarl.cer"))+
		pemOf("PRIVATE KEY", corpusFile(t, "smime/bc-rfc4134/BobPrivRSAEncrypt.pri")))
	put("smime/massi@tiani.example.pem", corpusFile(t, "smime/bc-java/cert.pem")+corpusFile(t, "smime/bc-java/key.pem"))
	put("pgp/bob@openpgp.example.asc", corpusFile(t, "mixed/protected-headers/bob@openpgp.example.sec.asc"))
	put("recipients/alice@openpgp.example.asc", corpusFile(t, "mixed/protected-headers/alice@openpgp.example.pub.asc"))
	put("pgp/test@protonmail.com.asc", unlocked(t, "mixed/gopenpgp/mime/testdata/mime/decryption-key.asc", "test_passphrase"))
	put("recipients/test@protonmail.com.asc", corpusFile(t, "mixed/gopenpgp/mime/testdata/mime/verification-key.asc"))
	return dir
}

// unlocked is an OpenPGP key without its passphrase.
func unlocked(t *testing.T, path, passphrase string) string {
	t.Helper()
	home, err := os.MkdirTemp("", "wax") // short, because the agent's socket is in it
	if err != nil {
		t.Fatal(err)
	}
	gpg := func(in string, args ...string) string {
		return run(t, in, "gpg", append([]string{"--homedir", home, "--quiet", "--no-tty", "--pinentry-mode", "loopback"}, args...)...)
	}
	defer os.RemoveAll(home)
	defer run(t, "", "gpgconf", "--homedir", home, "--kill", "all")
	gpg("", "--batch", "--passphrase", passphrase, "--import", corpusPath(t, path))
	id := strings.Split(regexp.MustCompile(`(?m)^fpr:.*$`).FindString(gpg("", "--with-colons", "--list-secret-keys")), ":")[9]
	gpg(passphrase+"\n\n\n", "--command-fd", "0", "--passwd", id)
	return gpg("", "--batch", "--passphrase", "", "--armor", "--export-secret-keys")
}

// corpusAnchors are the authorities of the corpus.
func corpusAnchors(t *testing.T) *trust.Pool {
	t.Helper()
	dir := t.TempDir()
	var files []string
	for i, name := range []string{"smime/bc-rfc4134/CarlRSASelf.cer", "smime/bc-java/validator.root.crt", "mixed/protected-headers/sample-ca.pem",
		"smime/mimekit/StartComCertificationAuthority.crt", "smime/rfc9216/3.1-RSA_Certification_Authority_Root_Certificate.pem"} {
		text := corpusFile(t, name)
		if !strings.Contains(text, "-----BEGIN") {
			text = pemOf("CERTIFICATE", text)
		}
		files = append(files, filepath.Join(dir, fmt.Sprint(i)))
		if err := os.WriteFile(files[i], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool, err := trust.ReadPool(files...)
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// corpusGroups say which mails are read as whom, and when.
var corpusGroups = []struct {
	path, to string
	when     time.Time
	ascii    bool // files of armor alone, which are PGP/MIME's data
}{
	{"smime/bc-rfc4134", "bob@rfc4134.example", time.Date(2004, 1, 1, 0, 0, 0, 0, time.UTC), false},
	{"smime/bc-java/validator.", "massi@tiani.example", time.Date(2006, 8, 31, 12, 0, 0, 0, time.UTC), false},
	{"smime/bc-java", "massi@tiani.example", time.Date(2013, 1, 1, 0, 0, 0, 0, time.UTC), false},
	{"smime/mimekit", "somebody@smime.example", time.Date(2013, 11, 1, 0, 0, 0, 0, time.UTC), false},
	{"mixed/protected-headers", "bob@%.example", time.Date(2019, 11, 28, 0, 0, 0, 0, time.UTC), false},
	{"mixed/gopenpgp/mime/testdata/mime", "test@protonmail.com", time.Date(2022, 8, 1, 0, 0, 0, 0, time.UTC), true},
	{"mixed/gopenpgp/mime/testdata", "test@protonmail.com", time.Date(2022, 8, 1, 0, 0, 0, 0, time.UTC), false},
	{"pgp/mimekit", "somebody@openpgp.example", time.Date(2017, 5, 1, 0, 0, 0, 0, time.UTC), false},
	{"mail", "somebody@openpgp.example", time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC), false},
}

var protected = regexp.MustCompile(`(?i)application/(x-)?pkcs7|multipart/(signed|encrypted)|-----BEGIN PGP (SIGNED )?MESSAGE`)

// corpusMails are the mails of a group that look protected, by their names.
func corpusMails(t *testing.T, path string, ascii bool) map[string]string {
	t.Helper()
	mails := map[string]string{}
	root := corpusPath(t, "")
	prefix := ""
	if strings.HasSuffix(path, ".") {
		path, prefix = filepath.Split(path)
	}
	err := filepath.WalkDir(corpusPath(t, path), func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		depth := strings.Count(strings.TrimPrefix(file, corpusPath(t, path)), "/")
		if d.IsDir() {
			if path != "mail" && depth > 0 {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasPrefix(filepath.Base(file), prefix) {
			return nil
		}
		switch filepath.Ext(file) {
		case ".html", ".json", ".p7b", ".db", ".pfx", ".p12":
			return nil
		}
		name, err := filepath.Rel(root, file)
		b, readErr := os.ReadFile(file)
		if err != nil || readErr != nil || strings.HasSuffix(name, "rfc4134.txt") || strings.HasSuffix(name, "-summary.txt") || !protected.Match(b) {
			return err
		}
		text := crlf(string(b))
		switch {
		case ascii:
			text = "From: test@protonmail.com\r\nContent-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\r\n\r\n--b\r\n" +
				"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n" + text + "\r\n--b--\r\n"
		case strings.Contains(name, "mbox"):
			for i, one := range strings.Split("\r\n"+text, "\r\nFrom - ") {
				one = "From - " + one + "\r\n"
				if protected.MatchString(one) {
					mails[fmt.Sprintf("%s#%d", name, i)] = one
				}
			}
			return nil
		}
		mails[name] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return mails
}

// verdictOf is what is said of a mail, in one line without what differs from run
// to run.
func verdictOf(t *testing.T, f *Filter, mail, to string) string {
	t.Helper()
	tx := newTestTransaction(t, mail)
	tx.Recipients, tx.Client = []string{to}, netip.MustParseAddr("192.0.2.1")
	out, err := f.Apply(t.Context(), tx)
	if err != nil || out.Action != policies.Accept {
		return fmt.Sprintf("%v %v", out, err)
	}
	report := regexp.MustCompile(`^mx\.test; policy=incoming; (.*); id=\w+$`).FindStringSubmatch(reportOf(out))[1]
	for _, e := range out.Edits {
		value := strings.Join(strings.Fields(strings.TrimPrefix(e.Value, "mx.test;")), " ")
		if e.Name == AuthresName && value != "smime=none; x-openpgp=none" {
			report += "; " + regexp.MustCompile(` body\.[a-z-]*-(serial|issuer|fingerprint)=("[^"]*"|\S+)`).ReplaceAllString(value, "")
		}
	}
	return report
}

// TestCorpus compares what is said of every signed or encrypted mail that others
// have collected with what was found to be right when it was looked at, which
// testdata/corpus.txt explains line by line.
func TestCorpus(t *testing.T) {
	parsed, err := policies.Parse("p.hcl", []byte("policy \"incoming\" {\n  direction = \"incoming\"\n  decrypt {\n    legacy_ciphers = true\n  }\n  verify {}\n}"))
	if err != nil {
		t.Fatal(err)
	}
	f := &Filter{Policies: parsed, Keys: &directory.Store{Path: corpusStore(t)}, Keyring: &pgpmime.Keyring{}, AuthservID: "mx.test",
		Anchors: trust.Store{"corpus": corpusAnchors(t)}}
	table := readVerdicts(t)
	var lines []string
	seen := map[string]bool{}
	for _, g := range corpusGroups {
		f.Now = func() time.Time { return g.when }
		mails := corpusMails(t, g.path, g.ascii)
		var names []string
		for name := range mails {
			names = append(names, name)
		}
		slices.Sort(names)
		names = slices.DeleteFunc(names, func(name string) bool { return seen[name] }) // in a group before
		for _, name := range names {
			to := g.to
			if strings.Contains(to, "%") {
				to = strings.Replace(to, "%", map[bool]string{true: "smime", false: "openpgp"}[strings.HasPrefix(filepath.Base(name), "smime")], 1)
			}
			got := verdictOf(t, f, mails[name], to)
			want, known := table[name]
			switch {
			case !known && !*updateCorpus:
				t.Errorf("%s is not in testdata/corpus.txt: %s", name, got)
			case want.verdict != got && !*updateCorpus:
				t.Errorf("%s:\nis   %s\nwas  %s\n(%s)", name, got, want.verdict, want.why)
			}
			lines = append(lines, name, "  "+got, "  "+or(want.why, "TO BE REVIEWED"), "")
			delete(table, name)
			seen[name] = true
		}
	}
	for name := range table {
		t.Errorf("%s is not in the corpus", name)
	}
	if *updateCorpus {
		if err := os.WriteFile("testdata/corpus.txt", []byte(corpusTitle+strings.Join(lines, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

const corpusTitle = `# What is said of mails that others have collected: the file's name, the report,
# and why that is right. go test ./milter -run TestCorpus -update writes the
# reports anew; the reasons have to be looked at by somebody.

`

type recorded struct{ verdict, why string }

func readVerdicts(t *testing.T) map[string]recorded {
	t.Helper()
	b, err := os.ReadFile("testdata/corpus.txt")
	if err != nil && !*updateCorpus {
		t.Fatal(err)
	}
	all := map[string]recorded{}
	_, text, _ := strings.Cut(string(b), "\n\n")
	for _, entry := range strings.Split(strings.TrimSpace(text), "\n\n") {
		lines := strings.SplitN(entry, "\n", 3)
		if len(lines) == 3 {
			all[lines[0]] = recorded{strings.TrimSpace(lines[1]), strings.TrimSpace(lines[2])}
		}
	}
	return all
}

// TestPKITS reads the signed mails of NIST's test suite for path validation.
func TestPKITS(t *testing.T) {
	anchor := filepath.Join(t.TempDir(), "anchor.pem")
	if err := os.WriteFile(anchor, []byte(pemOf("CERTIFICATE", corpusFile(t, "pkits/smime/certs/TrustAnchorRootCertificate.crt"))), 0o600); err != nil {
		t.Fatal(err)
	}
	pool, err := trust.ReadPool(anchor)
	if err != nil {
		t.Fatal(err)
	}
	revocation, err := trust.NewRevocation(trust.RevocationConfig{CRLs: []string{corpusPath(t, "pkits/smime/crls")}})
	if revocation == nil {
		t.Fatal(err)
	}
	defer revocation.Close()
	parsed, err := policies.Parse("p.hcl", []byte(strings.Replace(incomingPolicy, "verify {}", "verify {\nrevocation = \"require\"\n}", 1)))
	if err != nil {
		t.Fatal(err)
	}
	f := &Filter{Policies: parsed, Keys: &directory.Store{Path: t.TempDir()}, Keyring: &pgpmime.Keyring{}, AuthservID: "mx.test",
		Anchors: trust.Store{"pkits": pool}, Trust: trust.Validator{Revocation: revocation},
		Now: func() time.Time { return time.Date(2011, 6, 1, 0, 0, 0, 0, time.UTC) }}
	files, err := filepath.Glob(corpusPath(t, "pkits/smime/smime") + "/*.eml")
	if err != nil || len(files) < 200 {
		t.Fatalf("%d mails: %v", len(files), err)
	}
	sums := map[string]int{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got := verdictOf(t, f, crlf(string(b)), "recipient@testcertificates.gov")
		name := strings.TrimPrefix(strings.TrimSuffix(filepath.Base(file), ".eml"), "Signed")
		// Nearly none of the certificates has an address, which is a different
		// question.
		valid := strings.Contains(got, "verify=pass") || strings.Contains(got, "verify=fail (smime the certificate has no mail address)")
		want := !strings.HasPrefix(name, "Invalid")
		why, exception := pkitsExceptions[name]
		if mismatch := want != valid; mismatch != exception {
			t.Errorf("%s: %s %s", name, got, why)
		}
		sums[strings.Split(strings.TrimPrefix(got, "decrypt=none; "), " ")[0]]++
	}
	t.Log(len(files), sums)
}

// pkitsExceptions are the mails that are not what their names say, with the
// settings that suit mail.
var pkitsExceptions = map[string]string{
	"DifferentPoliciesTest4":            "no policy is valid for the path",
	"DifferentPoliciesTest5":            "no policy is valid for the path",
	"DifferentPoliciesTest7":            "no policy is valid for the path",
	"DifferentPoliciesTest8":            "no policy is valid for the path",
	"DifferentPoliciesTest9":            "no policy is valid for the path",
	"DifferentPoliciesTest12":           "no policy is valid for the path",
	"MissingCRLTest1":                   "the policy demands that revocation is known",
	"ValidDSASignaturesTest4":           "DSA with SHA-1 is not good enough any more (RFC 8551, Appendix B)",
	"ValidDSAParameterInheritanceTest5": "DSA is not good enough any more",
}
