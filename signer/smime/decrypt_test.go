package smime

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"waxseal/signer"
	"waxseal/signer/smime/cms"
)

// withKeyID are end entities whose certificates have a subject key identifier.
var withKeyID = sync.OnceValue(func() map[string]*identity {
	byKind := map[string]*identity{}
	for _, kind := range []string{"rsa2048", "p256", "p384", "p521"} {
		byKind[kind] = issue(kind+" with id", newKey(kind), pki().intermediate, func(c *x509.Certificate) {
			c.SubjectKeyId = []byte("id of " + kind)
			c.KeyUsage |= x509.KeyUsageKeyAgreement
		})
	}
	return byKind
})

// keyOf is an identity's key for decryption.
func keyOf(id *identity) DecryptionKey { return DecryptionKey{Certificate: id.cert(), Key: id.key} }

// sample returns a key of RFC 9216 with its certificate; name is how both files
// begin, "7.3 7.4" for example.
func sample(t testing.TB, certificate, key string) DecryptionKey {
	t.Helper()
	read := func(prefix string) []byte {
		paths, err := filepath.Glob(filepath.Join(corpusRoot(), "smime", "rfc9216", prefix+"-*.pem"))
		if err != nil || len(paths) != 1 {
			t.Fatalf("no samples of RFC 9216: set WAXSEAL_CORPUS to the corpus: %v", err)
		}
		block, _ := pem.Decode(readFile(t, paths[0]))
		return block.Bytes
	}
	cert, err := x509.ParseCertificate(read(certificate))
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.ParsePKCS8PrivateKey(read(key))
	if err != nil {
		t.Fatal(err)
	}
	return DecryptionKey{Certificate: cert, Key: private}
}

// decrypted decrypts, reading in small pieces.
func decrypted(t testing.TB, ber []byte, o DecryptOptions, keys ...DecryptionKey) ([]byte, *Decrypted) {
	t.Helper()
	var out bytes.Buffer
	d, err := Decrypt(&out, iotest.HalfReader(bytes.NewReader(ber)), keys, o)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), d
}

// contents are texts of several lengths.
func contents() [][]byte {
	return [][]byte{{}, []byte("one block minus"), []byte("exactly 16 bytes"), bytes.Repeat([]byte("Content\r\n"), 12345)}
}

// opensslKeys are ways to encrypt to a kind of key, and what we call each.
var opensslKeys = []struct {
	kind, name string
	args       []string
}{
	{"rsa2048", "rsa15", nil},
	{"rsa2048", "oaep-sha1", []string{"rsa_padding_mode:oaep"}},
	{"rsa2048", "oaep-sha256", []string{"rsa_padding_mode:oaep", "rsa_oaep_md:sha256", "rsa_mgf1_md:sha256"}},
	{"rsa2048", "oaep-sha384", []string{"rsa_padding_mode:oaep", "rsa_oaep_md:sha384", "rsa_mgf1_md:sha384"}},
	{"rsa2048", "oaep-sha512", []string{"rsa_padding_mode:oaep", "rsa_oaep_md:sha512", "rsa_mgf1_md:sha512"}},
	{"rsa2048", "oaep-sha256-mgf1-sha1", []string{"rsa_padding_mode:oaep", "rsa_oaep_md:sha256", "rsa_mgf1_md:sha1"}},
	{"rsa2048", "oaep-sha1-mgf1-sha512", []string{"rsa_padding_mode:oaep", "rsa_mgf1_md:sha512"}},
	{"rsa2048", "oaep-sha1", []string{"rsa_padding_mode:oaep", "rsa_oaep_label:6c6162656c"}},
	{"p256", "ecdh-p256-sha1", nil},
	{"p256", "ecdh-p256-sha256", []string{"ecdh_kdf_md:sha256"}},
	{"p384", "ecdh-p384-sha384", []string{"ecdh_kdf_md:sha384"}},
	{"p521", "ecdh-p521-sha512", []string{"ecdh_kdf_md:sha512"}},
	{"p256", "ecdh-p256-sha256", []string{"ecdh_kdf_md:sha256", "ecdh_cofactor_mode:1"}},
}

// TestDecryptOpenSSL reads what OpenSSL writes, as DER and as a stream with
// indefinite lengths and pieces.
func TestDecryptOpenSSL(t *testing.T) {
	for i, way := range opensslKeys {
		for j, cipher := range []string{"aes-256-cbc", "aes-128-cbc", "aes-192-cbc", "aes-256-gcm", "aes-128-gcm", "aes-192-gcm", "des-ede3-cbc"} {
			if cipher == "des-ede3-cbc" && strings.HasPrefix(way.kind, "p") {
				continue // OpenSSL wraps the key with Triple DES there
			}
			id, content := withKeyID()[way.kind], contents()[(i+j)%4]
			cert, _ := id.files(t)
			args := []string{"cms", "-encrypt", "-binary", "-outform", "DER", "-" + cipher}
			if i+j&1 == 0 && len(content) > 0 { // OpenSSL can't stream nothing
				args = append(args, "-stream")
			}
			if (i+j)%3 == 0 {
				args = append(args, "-keyid")
			}
			args = append(args, "-recip", cert)
			for _, option := range way.args {
				args = append(args, "-keyopt", option)
			}
			ber := mustOpenSSL(t, content, args...)
			got, d := decrypted(t, ber, DecryptOptions{Legacy: true}, keyOf(as("other")), keyOf(id))
			want := strings.Replace(cipher, "aes-", "aes", 1)
			if !bytes.Equal(got, content) || d.KeyTransport != way.name || d.Cipher.String() != want ||
				d.Authenticated != strings.HasSuffix(cipher, "gcm") || d.Recipient != id.cert() || d.ContentType != "data" {
				t.Errorf("%v: %d bytes and %+v, want %d bytes", args, len(got), d, len(content))
			}
		}
	}
}

// TestDecryptSeveralOpenSSL has OpenSSL encrypt to recipients of mixed kinds;
// each of them, and several together, can read it.
func TestDecryptSeveralOpenSSL(t *testing.T) {
	args := []string{"cms", "-encrypt", "-binary", "-outform", "DER", "-stream", "-aes-256-gcm"}
	var keys []DecryptionKey
	for _, id := range []*identity{as("rsa2048"), as("p256"), as("other"), withKeyID()["p521"]} {
		cert, _ := id.files(t)
		args = append(args, "-recip", cert)
		keys = append(keys, keyOf(id))
	}
	content := contents()[3]
	ber := mustOpenSSL(t, content, args...)
	for _, k := range keys {
		if got, d := decrypted(t, ber, DecryptOptions{}, k); !bytes.Equal(got, content) || d.Recipient != k.Certificate {
			t.Errorf("%q can't read it: %+v", k.Certificate.Subject, d)
		}
	}
	if got, _ := decrypted(t, ber, DecryptOptions{}, keys...); !bytes.Equal(got, content) {
		t.Error("all keys together can't read it")
	}
	var out bytes.Buffer
	if _, err := Decrypt(&out, bytes.NewReader(ber), []DecryptionKey{keyOf(withKeyID()["rsa2048"])}, DecryptOptions{}); !errors.Is(err, ErrNoKey) || out.Len() > 0 {
		t.Errorf("for others: got %v and %d bytes, want ErrNoKey and none", err, out.Len())
	}
	if _, err := Decrypt(&out, bytes.NewReader(ber), nil, DecryptOptions{}); !errors.Is(err, ErrNoKey) {
		t.Errorf("without keys: got %v, want ErrNoKey", err)
	}
}

// TestEncryptOptions has OpenSSL and us read every way to write.
func TestEncryptOptions(t *testing.T) {
	turn := 0
	for _, kind := range []string{"rsa2048", "p256", "p384", "p521"} {
		for _, c := range ciphers {
			for _, transport := range []cms.KeyTransport{cms.RSA15, cms.OAEPSHA1, cms.OAEPSHA256, cms.OAEPSHA384, cms.OAEPSHA512} {
				if kind != "rsa2048" && transport != cms.RSA15 {
					continue
				}
				for _, recipient := range []cms.RecipientID{cms.IssuerAndSerial, cms.SubjectKeyID} {
					o := EncryptOptions{Cipher: c, KeyTransport: transport, RecipientID: recipient}
					if turn++; kind != "rsa2048" && turn%2 == 0 {
						o.UserKeyingMaterial = []byte("some more material")
					}
					id, e := withKeyID()[kind], &signer.Entity{Body: signer.NewContent(contents()[turn%4])}
					var out bytes.Buffer
					header, err := Encrypt(&out, e, []*x509.Certificate{id.cert()}, o)
					if err != nil {
						t.Fatal(err)
					}
					entity := &signer.Entity{Header: header, Body: signer.NewContent(out.Bytes())}
					name := fmt.Sprint(kind, " ", c, " ", transport, " ", recipient)
					if got := opensslDecrypt(t, written(t, entity), id); !bytes.Equal(got, written(t, e)) {
						t.Errorf("%s: OpenSSL decrypts %d bytes, want %d", name, len(got), e.Size())
					}
					der := unbase64(t, out.Bytes())
					got, d := decrypted(t, der, DecryptOptions{}, keyOf(id))
					if !bytes.Equal(got, written(t, e)) || d.Cipher != c || kind == "rsa2048" && d.KeyTransport != transport.String() {
						t.Errorf("%s: %d bytes, want %d; %+v", name, len(got), e.Size(), d)
					}
					checkStructure(t, name, der, kind, o)
				}
			}
		}
	}
}

// checkStructure reads OpenSSL's text, and has OpenSSL write it again.
func checkStructure(t *testing.T, name string, der []byte, kind string, o EncryptOptions) {
	t.Helper()
	text := printed(t, der)
	version, want := "version: 0", []string{"d.issuerAndSerialNumber:"}
	ski := o.RecipientID == cms.SubjectKeyID
	if ski {
		want = []string{map[bool]string{true: "d.subjectKeyIdentifier:", false: "d.rKeyId:"}[kind == "rsa2048"]}
	}
	if !o.Cipher.Authenticates() && (ski || kind != "rsa2048") {
		version = "version: 2"
	}
	if _, structure, _ := strings.Cut(text, "nvelopedData: "); !strings.HasPrefix(structure, version) {
		t.Errorf("%s: the structure begins with %.20q, want %s", name, structure, version)
	}
	if kind != "rsa2048" {
		want = append(want, "d.kari:", "d.originatorKey:", "version: 3")
	}
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("%s: OpenSSL's text lacks %q:\n%s", name, w, text)
		}
	}
	if again := mustOpenSSL(t, der, "cms", "-cmsout", "-inform", "DER", "-outform", "DER"); !bytes.Equal(der, again) {
		t.Errorf("%s: not DER", name)
	}
}

// TestMixedRecipients encrypts to all kinds of keys at once, X25519 among them.
// OpenSSL reads it for those that it can.
func TestMixedRecipients(t *testing.T) {
	keys := []DecryptionKey{sample(t, "7.3", "7.4"), sample(t, "8.3", "8.4"), sample(t, "4.3", "4.4")}
	var to []*x509.Certificate
	for _, k := range keys {
		if err := CheckRecipient(k.Certificate, k.Certificate.NotBefore); err != nil {
			t.Fatal(err)
		}
		to = append(to, k.Certificate)
	}
	for _, kind := range []string{"rsa2048", "p256", "p384", "p521"} {
		keys = append(keys, keyOf(withKeyID()[kind]))
		to = append(to, withKeyID()[kind].cert())
	}
	for turn, c := range ciphers {
		e := entityOf(entities["multipart"])
		var body bytes.Buffer
		header, err := Encrypt(&body, e, to, EncryptOptions{Cipher: c, RecipientID: cms.RecipientID(turn % 2), KeyTransport: cms.OAEPSHA256})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, k := range keys {
			got, d := decrypted(t, unbase64(t, body.Bytes()), DecryptOptions{}, k)
			if !bytes.Equal(got, written(t, e)) {
				t.Errorf("%v: %q decrypts something else", c, k.Certificate.Subject)
			}
			names = append(names, d.KeyTransport)
		}
		want := []string{"ecdh-x25519-hkdf-sha256", "ecdh-x25519-hkdf-sha256", "oaep-sha256", "oaep-sha256", "ecdh-p256-sha256", "ecdh-p384-sha384", "ecdh-p521-sha512"}
		if !slices.Equal(names, want) {
			t.Errorf("%v: key transports are %v", c, names)
		}
		out := &signer.Entity{Header: header, Body: signer.NewContent(body.Bytes())}
		for _, kind := range []string{"rsa2048", "p256", "p384", "p521"} {
			if got := opensslDecrypt(t, written(t, out), withKeyID()[kind]); !bytes.Equal(got, written(t, e)) {
				t.Errorf("%v: OpenSSL decrypts something else for %s", c, kind)
			}
		}
	}
}

// TestDecryptGPGSM reads what gpgsm writes, and has it read what we write. With
// keys of elliptic curves gpgsm 2.2 does neither.
func TestDecryptGPGSM(t *testing.T) {
	rsa := withKeyID()["rsa2048"]
	g := newGPGSM(t, rsa)
	content := contents()[3]
	in := writeFile(t, g.home, "content", content)
	for _, cipher := range []string{"3DES", "AES", "AES192", "AES256"} {
		sent := filepath.Join(g.home, cipher)
		g.mustRun("--cipher-algo", cipher, "--output", sent, "--recipient", "rsa2048 with id", "--encrypt", in)
		got, d := decrypted(t, readFile(t, sent), DecryptOptions{Legacy: true}, keyOf(rsa))
		if !bytes.Equal(got, content) {
			t.Errorf("%s: we decrypt something else", cipher)
		}
		t.Logf("gpgsm writes %v with %s", d.Cipher, d.KeyTransport)
	}
	e := &signer.Entity{Body: signer.NewContent(content)}
	for _, c := range []Cipher{CipherAES256CBC, CipherAES128CBC} {
		sent := unbase64(t, written(t, encrypted(t, e, c, rsa).Body))
		inside := filepath.Join(g.home, c.String())
		status := g.mustRun("--pinentry-mode", "loopback", "--passphrase-fd", "0", "--output", inside, "--decrypt", writeFile(t, g.home, "p7m", sent))
		if !strings.Contains(status, "DECRYPTION_OKAY") {
			t.Errorf("%v: %s", c, status)
		}
		sameFile(t, inside, written(t, e))
	}
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
