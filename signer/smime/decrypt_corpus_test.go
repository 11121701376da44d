package smime

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"waxseal/signer"
	"waxseal/signer/smime/cms"
)

// corpusFile reads a file of the corpus.
func corpusFile(t testing.TB, path ...string) []byte {
	t.Helper()
	return readFile(t, filepath.Join(append([]string{corpusRoot(), "smime"}, path...)...))
}

// corpusCMS returns the CMS structures of the corpus by name: files of RFC 4134,
// and the bodies of mails that are nothing but CMS.
func corpusCMS(t testing.TB) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	paths, err := filepath.Glob(filepath.Join(corpusRoot(), "smime", "bc-rfc4134", "*.bin"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no corpus: set WAXSEAL_CORPUS to its folder: %v", err)
	}
	for _, path := range paths {
		found[filepath.Base(path)] = readFile(t, path)
	}
	for name, text := range corpusMails(t) {
		m := corpusMessage(t, text)
		if m == nil {
			continue
		}
		if mediaType, _ := signer.ParseContentType(m.Header.Get("Content-Type")); !strings.HasSuffix(mediaType, "pkcs7-mime") {
			continue
		}
		body := make([]byte, m.Body.Size())
		if _, err := m.Body.ReadAt(body, 0); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		if ber, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(body)), "")); err == nil {
			found[name] = ber
		}
	}
	return found
}

// rfc4134Key is Bob's key.
func rfc4134Key(t testing.TB) DecryptionKey {
	t.Helper()
	cert, err := x509.ParseCertificate(corpusFile(t, "bc-rfc4134", "BobRSASignByCarl.cer"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.ParsePKCS8PrivateKey(corpusFile(t, "bc-rfc4134", "BobPrivRSAEncrypt.pri"))
	if err != nil {
		t.Fatal(err)
	}
	return DecryptionKey{Certificate: cert, Key: key}
}

// TestRFC4134 has the encrypted examples: 5.1 and 5.3 are Triple DES, 5.2 is RC2
// with 40 bits, which nobody should take for encryption.
func TestRFC4134(t *testing.T) {
	bob, examples := rfc4134Key(t), corpusCMS(t)
	want := corpusFile(t, "bc-rfc4134", "ExContent.bin")
	for _, name := range []string{"5.1.bin", "/smime/bc-rfc4134/5.3.eml#0"} {
		ber := examples[name]
		got, d := decrypted(t, ber, DecryptOptions{Legacy: true}, bob)
		if !bytes.Equal(got, want) || d.Cipher != cms.TripleDESCBC || d.KeyTransport != "rsa15" || d.Authenticated {
			t.Errorf("%s: got %q, %+v", name, got, d)
		}
		var unsupported *cms.UnsupportedError
		if _, err := Decrypt(io.Discard, bytes.NewReader(ber), []DecryptionKey{bob}, DecryptOptions{}); !errors.As(err, &unsupported) {
			t.Errorf("%s: without the setting: got %v, want an UnsupportedError", name, err)
		}
	}
	var unsupported *cms.UnsupportedError
	if _, err := Decrypt(io.Discard, bytes.NewReader(examples["5.2.bin"]), []DecryptionKey{bob}, DecryptOptions{Legacy: true}); !errors.As(err, &unsupported) || unsupported.Name != "1.2.840.113549.3.2" {
		t.Errorf("5.2: got %v, want an UnsupportedError", err)
	}
}

// TestRFC9216 encrypts to all the sample certificates; OpenSSL reads for RSA, and
// encrypts to it.
func TestRFC9216(t *testing.T) {
	e := entityOf(entities["multipart"])
	for _, number := range []string{"4", "5", "7", "8"} {
		k := sample(t, number+".3", number+".4")
		var out bytes.Buffer
		header, err := Encrypt(&out, e, []*x509.Certificate{k.Certificate}, EncryptOptions{Cipher: CipherAES256GCM})
		if err != nil {
			t.Fatal(err)
		}
		if got, d := decrypted(t, unbase64(t, out.Bytes()), DecryptOptions{}, k); !bytes.Equal(got, written(t, e)) || !d.Authenticated {
			t.Errorf("%s: another entity, %+v", number, d)
		}
		if k.Certificate.PublicKeyAlgorithm != x509.RSA {
			continue
		}
		der, err := x509.MarshalPKCS8PrivateKey(k.Key)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		cert := writePEM(t, dir, "cert.pem", "CERTIFICATE", k.Certificate.Raw)
		key := writePEM(t, dir, "key.pem", "PRIVATE KEY", der)
		entity := written(t, &signer.Entity{Header: header, Body: signer.NewContent(out.Bytes())})
		if got := mustOpenSSL(t, entity, "cms", "-decrypt", "-binary", "-recip", cert, "-inkey", key); !bytes.Equal(got, written(t, e)) {
			t.Errorf("%s: OpenSSL decrypts another entity", number)
		}
		ber := mustOpenSSL(t, written(t, e), "cms", "-encrypt", "-binary", "-stream", "-outform", "DER", "-aes256", "-recip", cert)
		if got, _ := decrypted(t, ber, DecryptOptions{}, k); !bytes.Equal(got, written(t, e)) {
			t.Errorf("%s: we decrypt another entity", number)
		}
	}
}

// TestCorpusCMS reads every CMS structure of the corpus. What is encrypted is for
// others, so it is read up to its recipients; Normalise reads everything, and
// makes of it what OpenSSL reads as the same.
func TestCorpusCMS(t *testing.T) {
	structures := corpusCMS(t)
	encrypted := 0
	for _, name := range slices.Sorted(maps.Keys(structures)) {
		ber := structures[name]
		text, _, opensslErr := openssl(t, ber, "cms", "-cmsout", "-print", "-inform", "DER", "-noout")
		_, err := Decrypt(io.Discard, bytes.NewReader(ber), nil, DecryptOptions{})
		var unsupported *cms.UnsupportedError
		switch {
		case errors.Is(err, ErrNoKey):
			encrypted++
		case opensslErr == nil && !errors.As(err, &unsupported):
			t.Errorf("%s: OpenSSL reads it, we don't: %v", name, err)
		}
		der, err := cms.Normalise(ber, cms.Limits{})
		if err != nil {
			t.Logf("%s: OpenSSL says %v, Normalise %v", name, opensslErr, err)
			if opensslErr == nil {
				t.Errorf("%s: OpenSSL reads it", name)
			}
			continue
		}
		again, _, err := openssl(t, der, "cms", "-cmsout", "-print", "-inform", "DER", "-noout")
		if opensslErr == nil && (err != nil || !bytes.Equal(again, text)) && bytes.Contains(text, []byte("signedData")) {
			t.Errorf("%s: OpenSSL reads something else after Normalise: %v", name, err)
		}
	}
	t.Logf("%d structures, %d of them encrypted", len(structures), encrypted)
	if encrypted == 0 {
		t.Error("nothing is encrypted in the corpus")
	}
}

// FuzzDecrypt checks that nothing but the errors that there are comes out, and
// that what is authenticated is what was encrypted.
func FuzzDecrypt(f *testing.F) {
	bob, id := rfc4134Key(f), withKeyID()["p256"]
	keys := []DecryptionKey{bob, sample(f, "4.3", "4.4"), sample(f, "7.3", "7.4"), keyOf(id)}
	var to []*x509.Certificate
	for _, k := range keys[1:] {
		to = append(to, k.Certificate)
	}
	content := []byte("Content-Type: text/plain\r\n\r\nsome text\r\n")
	for _, o := range []EncryptOptions{
		{}, {Cipher: CipherAES128GCM, KeyTransport: cms.OAEPSHA256}, {Cipher: CipherAES256GCM, RecipientID: cms.SubjectKeyID, UserKeyingMaterial: content[:8]},
	} {
		for i := range to {
			var out bytes.Buffer
			if _, err := Encrypt(&out, &signer.Entity{Body: signer.NewContent(content[:len(content)-2])}, to[i:i+1], o); err != nil {
				f.Fatal(err)
			}
			f.Add(unbase64(f, out.Bytes()))
		}
	}
	for _, ber := range corpusCMS(f) {
		if len(ber) < 20_000 {
			f.Add(ber)
		}
	}
	f.Fuzz(func(t *testing.T, ber []byte) {
		var out bytes.Buffer
		d, err := Decrypt(&out, bytes.NewReader(ber), keys, DecryptOptions{Legacy: true})
		var syntax *cms.SyntaxError
		var unsupported *cms.UnsupportedError
		switch {
		case err == nil:
			if d.Recipient == nil || d.KeyTransport == "" || d.ContentType == "" {
				t.Errorf("%+v", d)
			}
		case errors.Is(err, ErrDecrypt), errors.Is(err, ErrNoKey), errors.As(err, &syntax), errors.As(err, &unsupported):
		default:
			t.Errorf("%v", err)
		}
		if out.Len() > len(ber) {
			t.Errorf("%d bytes from %d", out.Len(), len(ber))
		}
		if _, err := Decompress(io.Discard, bytes.NewReader(ber), 1<<20); err == nil && d != nil {
			t.Error("it is encrypted and compressed")
		}
	})
}
