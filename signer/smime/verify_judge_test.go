package smime

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"waxseal/signer"
)

// TestVerifyOpenSSL verifies what OpenSSL signs, with each algorithm and option
// that it has.
func TestVerifyOpenSSL(t *testing.T) {
	keyed := issue("keyed", newKey("rsa2048"), pki().intermediate, func(c *x509.Certificate) { c.SubjectKeyId = []byte("a key identifier") })
	weak := issue("weak", newKey("rsa1024"), pki().intermediate, nil)
	p224 := issue("p224", newKey("p224"), pki().intermediate, nil)
	content := []byte("Content-Type: text/plain\r\n\r\n" + strings.Repeat("Hello\r\n", 20_000))
	pss := []string{"-keyopt", "rsa_padding_mode:pss"}
	for _, tc := range []struct {
		name      string
		id        *identity
		args      []string
		algorithm string
		verdict   signer.Verdict
		reason    string
	}{
		{"rsa", as("rsa2048"), nil, "rsa2048-sha256", signer.Pass, ""},
		{"rsa sha384", as("rsa2048"), []string{"-md", "sha384"}, "rsa2048-sha384", signer.Pass, ""},
		{"rsa sha512", as("rsa2048"), []string{"-md", "sha512"}, "rsa2048-sha512", signer.Pass, ""},
		{"rsa sha224", as("rsa2048"), []string{"-md", "sha224"}, "rsa2048-sha224", signer.Policy, "SHA-224 is too short"},
		{"rsa sha1", as("rsa2048"), []string{"-md", "sha1"}, "rsa2048-sha1", signer.Policy, "SHA-1 is broken"},
		{"rsa md5", as("rsa2048"), []string{"-md", "md5"}, "rsa2048-md5", signer.Policy, "MD5 is broken"},
		{"rsa sha3", as("rsa2048"), []string{"-md", "sha3-256"}, "rsa2048", signer.Neutral, "2.16.840.1.101.3.4.2.8 is not known"},
		{"rsa1024", weak, nil, "rsa1024-sha256", signer.Policy, "1024 bits, fewer than 2048"},
		{"pss", as("rsa2048"), pss, "rsa2048-pss-sha256", signer.Pass, ""},
		{"pss sha512", as("rsa2048"), append(pss, "-md", "sha512"), "rsa2048-pss-sha512", signer.Pass, ""},
		{"pss sha1", as("rsa2048"), append(pss, "-md", "sha1"), "rsa2048-pss-sha1", signer.Policy, "SHA-1 is broken"},
		{"pss no salt", as("rsa2048"), append(pss, "-keyopt", "rsa_pss_saltlen:0"), "rsa2048-pss-sha256", signer.Pass, ""},
		{"pss short salt", as("rsa2048"), append(pss, "-keyopt", "rsa_pss_saltlen:20"), "rsa2048-pss-sha256", signer.Pass, ""},
		{"pss longest salt", as("rsa2048"), append(pss, "-keyopt", "rsa_pss_saltlen:max"), "rsa2048-pss-sha256", signer.Pass, ""},
		{"pss other mask", as("rsa2048"), append(pss, "-keyopt", "rsa_mgf1_md:sha1"), "rsa2048-pss-sha256", signer.Policy, "mask function"},
		{"p256", as("p256"), nil, "ecdsa-p256-sha256", signer.Pass, ""},
		{"p384", as("p384"), []string{"-md", "sha384"}, "ecdsa-p384-sha384", signer.Pass, ""},
		{"p521", as("p521"), []string{"-md", "sha512"}, "ecdsa-p521-sha512", signer.Pass, ""},
		{"p384 sha256", as("p384"), []string{"-md", "sha256"}, "ecdsa-p384-sha256", signer.Pass, ""},
		{"p256 sha1", as("p256"), []string{"-md", "sha1"}, "ecdsa-p256-sha1", signer.Policy, "SHA-1 is broken"},
		{"p224", p224, nil, "ecdsa-p224-sha256", signer.Policy, "P-224"},
		{"key identifier", keyed, []string{"-keyid"}, "rsa2048-sha256", signer.Pass, ""},
		{"no attributes", as("rsa2048"), []string{"-noattr"}, "rsa2048-sha256", signer.Pass, ""},
		{"no attributes, pss", as("rsa2048"), append(pss, "-noattr"), "rsa2048-pss-sha256", signer.Pass, ""},
		{"no attributes, p384", as("p384"), []string{"-noattr", "-md", "sha384"}, "ecdsa-p384-sha384", signer.Pass, ""},
		{"no capabilities", as("p256"), []string{"-nosmimecap"}, "ecdsa-p256-sha256", signer.Pass, ""},
		{"cades", as("p256"), []string{"-cades"}, "ecdsa-p256-sha256", signer.Pass, ""},
		{"cades sha384", as("p256"), []string{"-cades", "-md", "sha384"}, "ecdsa-p256-sha384", signer.Pass, ""},
		{"other content", as("p256"), []string{"-econtent_type", "1.2.3.4"}, "ecdsa-p256-sha256", signer.Policy, "of type 1.2.3.4"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cert, key := tc.id.files(t)
			sign := append([]string{"cms", "-sign", "-binary", "-outform", "DER", "-signer", cert, "-inkey", key}, tc.args...)
			for form, more := range map[string][]string{
				"detached": nil, "opaque": {"-nodetach"}, "opaque, in pieces": {"-nodetach", "-stream"},
			} {
				if strings.Contains(form, "pieces") && slices.Contains(tc.args, pss[1]) {
					continue // OpenSSL 3.0 can't write that
				}
				der := mustOpenSSL(t, content, append(sign, more...)...)
				var found []signer.Verification
				if strings.HasPrefix(form, "opaque") {
					var got []byte
					if got, found = checkOpaque(t, der, trusting("")); !bytes.Equal(got, content) {
						t.Errorf("%s: another content comes out, of %d bytes", form, len(got))
					}
					changed := bytes.Replace(der, []byte("Hello"), []byte("Hallo"), 1)
					_, altered := checkOpaque(t, changed, trusting(""))
					if v := altered[0].Integrity.Verdict; v == signer.Pass || v == signer.Policy && tc.name != "pss other mask" || tc.verdict == signer.Pass && v != signer.Fail {
						t.Errorf("%s, altered: %+v", form, altered[0].Integrity)
					}
				} else {
					found = checkDetached(t, content, der, trusting(""))
				}
				if len(found) != 1 || found[0].Algorithm != tc.algorithm {
					t.Errorf("%s: %d signers, algorithm %s, want %s", form, len(found), found[0].Algorithm, tc.algorithm)
				}
				want(t, form, found[0].Integrity, tc.verdict, tc.reason)
			}
		})
	}
}

// TestVerifySeveralSigners looks at every one of several.
func TestVerifySeveralSigners(t *testing.T) {
	args := []string{"cms", "-sign", "-binary", "-outform", "DER", "-nodetach", "-stream"}
	args = append(args, "-certfile", writePEM(t, t.TempDir(), "above.pem", "CERTIFICATE", pki().intermediate.cert().Raw))
	kinds := []string{"rsa2048", "p256", "p384", "other"}
	for _, kind := range kinds {
		cert, key := as(kind).files(t)
		args = append(args, "-signer", cert, "-inkey", key)
	}
	der := mustOpenSSL(t, []byte("Hello\r\n"), args...)
	_, found := checkOpaque(t, der, trusting("p384@example.com"))
	if len(found) != len(kinds) {
		t.Fatalf("%d signers, want %d", len(found), len(kinds))
	}
	seen := map[string]bool{}
	for _, v := range found {
		seen[strings.Join(v.Addresses, " ")] = true
		if v.Integrity.Verdict != signer.Pass || v.Chain.Verdict != signer.Pass {
			t.Errorf("%+v", v)
		}
	}
	if len(seen) != len(kinds) {
		t.Errorf("signers %v", seen)
	}
	if v := Decisive(found, AnySigner); v.Result().Verdict != signer.Pass || v.Addresses[0] != "p384@example.com" {
		t.Errorf("any: %+v", v)
	}
	if v := Decisive(found, AllSigners); v.Result().Verdict != signer.Fail || v.Addresses[0] == "p384@example.com" {
		t.Errorf("all: %+v", v)
	}
}

// TestVerifyResigned has a second signer join the first.
func TestVerifyResigned(t *testing.T) {
	cert, key := as("p256").files(t)
	der := mustOpenSSL(t, []byte("Hello\r\n"), "cms", "-sign", "-binary", "-outform", "DER", "-nodetach", "-signer", cert, "-inkey", key)
	again, otherKey := as("rsa2048").files(t)
	dir := t.TempDir()
	both := mustOpenSSL(t, nil, "cms", "-resign", "-inform", "DER", "-outform", "DER", "-signer", again, "-inkey", otherKey,
		"-in", writeFile(t, dir, "signed", der))
	_, found := checkOpaque(t, both, trusting(""))
	if len(found) != 2 || found[0].Integrity.Verdict != signer.Pass || found[1].Integrity.Verdict != signer.Pass {
		t.Errorf("%+v", found)
	}
}

// TestVerifyPSSKey has a certificate whose key is for RSASSA-PSS alone.
func TestVerifyPSSKey(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	for _, tc := range []struct {
		name    string
		genpkey []string
		sign    []string
		verdict signer.Verdict
		reason  string
	}{
		{"any", nil, nil, signer.Pass, ""},
		{"sha384", []string{"-pkeyopt", "rsa_pss_keygen_md:sha384", "-pkeyopt", "rsa_pss_keygen_mgf1_md:sha384", "-pkeyopt", "rsa_pss_keygen_saltlen:48"},
			[]string{"-md", "sha384"}, signer.Pass, ""},
	} {
		mustOpenSSL(t, nil, append([]string{"genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048", "-out", file("key")}, tc.genpkey...)...)
		mustOpenSSL(t, nil, "req", "-x509", "-new", "-key", file("key"), "-subj", "/CN=pss", "-out", file("cert"))
		der := mustOpenSSL(t, []byte("Hello\r\n"), append([]string{"cms", "-sign", "-binary", "-outform", "DER", "-nodetach",
			"-signer", file("cert"), "-inkey", file("key"), "-keyopt", "rsa_padding_mode:pss"}, tc.sign...)...)
		_, found := checkOpaque(t, der, VerifyOptions{})
		want(t, tc.name, found[0].Integrity, tc.verdict, tc.reason)
		if !strings.HasPrefix(found[0].Algorithm, "rsa2048-pss-") {
			t.Error(found[0].Algorithm)
		}
	}
}

// TestVerifyGPGSM verifies what gpgsm signs.
func TestVerifyGPGSM(t *testing.T) {
	id := as("rsa2048")
	g := newGPGSM(t, id)
	content := []byte("Content-Type: text/plain\r\n\r\nHello\r\n")
	in := writeFile(t, g.home, "content", content)
	for _, digest := range []string{"SHA256", "SHA384", "SHA512", "SHA1"} {
		for _, mode := range []string{"--detach-sign", "--sign"} {
			out := filepath.Join(t.TempDir(), "signed")
			g.mustRun("--pinentry-mode", "loopback", "--passphrase-fd", "0", "--digest-algo", digest, "-u", "rsa2048@example.com", "--output", out, mode, in)
			der, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			var found []signer.Verification
			if mode == "--sign" {
				var got []byte
				if got, found = checkOpaque(t, der, trusting("rsa2048@example.com")); !bytes.Equal(got, content) {
					t.Errorf("another content: %q", got)
				}
			} else {
				found = checkDetached(t, content, der, trusting("rsa2048@example.com"))
			}
			verdict := signer.Pass
			if digest == "SHA1" {
				verdict = signer.Policy
			}
			if found[0].Result().Verdict != verdict || found[0].Algorithm != "rsa2048-"+strings.ToLower(digest) {
				t.Errorf("%s %s: %+v", digest, mode, found[0])
			}
		}
	}
}

// TestVerifyRFC9216 signs with the keys of RFC 9216, and verifies, and has
// OpenSSL verify what it can.
func TestVerifyRFC9216(t *testing.T) {
	folder := corpusFolder(t, "smime", "rfc9216")
	read := func(pattern string) []byte {
		files, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil || len(files) != 1 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		text, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(text)
		return block.Bytes
	}
	certificate := func(pattern string) *x509.Certificate {
		cert, err := x509.ParseCertificate(read(pattern))
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	roots := []*x509.Certificate{certificate("3.1-*"), certificate("6.1-*")}
	for _, who := range []struct{ name, number, algorithm string }{
		{"alice@smime.example", "4", "rsa2048-sha256"}, {"bob@smime.example", "5", "rsa2048-sha256"},
		{"carlos@smime.example", "7", "ed25519"}, {"dana@smime.example", "8", "ed25519"},
	} {
		cert := certificate(who.number + ".1-*")
		parsed, err := x509.ParsePKCS8PrivateKey(read(who.number + ".2-*"))
		if err != nil {
			t.Fatal(err)
		}
		e := entityOf(entities["multipart"])
		signed, err := Sign(e, []*x509.Certificate{cert}, parsed.(crypto.Signer), SignOptions{
			SignerID: SubjectKeyID, EncryptionCertificate: certificate(who.number + ".3-*"),
		})
		if err != nil {
			t.Fatal(err)
		}
		o := trusting(who.name)
		o.Trust.Anchors = pool(roots...)
		v := checkDetached(t, written(t, e), signedDataOf(t, signed), o)[0]
		if v.Result().Verdict != signer.Pass || v.Algorithm != who.algorithm || len(v.Addresses) != 1 || v.Addresses[0] != who.name {
			t.Errorf("%s: %+v", who.name, v)
		}
		if strings.HasPrefix(who.algorithm, "rsa") {
			root := writePEM(t, t.TempDir(), "root.pem", "CERTIFICATE", roots[0].Raw)
			mustOpenSSL(t, written(t, signed), "cms", "-verify", "-purpose", "smimesign", "-CAfile", root)
		}
	}
}
