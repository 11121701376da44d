package pgpmime

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"waxseal/signer"
)

// vectorTime is when the vectors are read: some keys in them have ended by then.
var vectorTime = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// vectors are messages, signatures and keys that others made, by name.
func vectors(t testing.TB) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, folder := range []string{"pgp", "mixed"} {
		err := filepath.WalkDir(filepath.Join(corpusRoot(), folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			name, err := filepath.Rel(corpusRoot(), path)
			if err != nil {
				return err
			}
			files[filepath.ToSlash(name)], err = os.ReadFile(path)
			return err
		})
		if err != nil {
			t.Fatalf("no corpus: set WAXSEAL_CORPUS to its folder: %v", err)
		}
	}
	return files
}

// parsedVectors are the keys of the vectors: unlocking them takes its time.
var parsedVectors struct {
	once         sync.Once
	keys         []*Key
	certificates []*Certificate
}

// vectorKeys returns all keys and certificates of the vectors.
func vectorKeys(t testing.TB, files map[string][]byte) ([]*Key, []*Certificate) {
	t.Helper()
	parsedVectors.once.Do(func() {
		parsedVectors.keys, parsedVectors.certificates = parseVectorKeys(t, files)
	})
	return parsedVectors.keys, parsedVectors.certificates
}

// parseVectorKeys parses all keys and certificates of the vectors. The protected ones
// have these passphrases.
func parseVectorKeys(t testing.TB, files map[string][]byte) (keys []*Key, certificates []*Certificate) {
	t.Helper()
	phrases := []string{"no.secret", "apple", "123", "test", "1234", "test_passphrase", "tkhbackup"}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		data := files[name]
		if len(data) == 0 {
			continue
		}
		var ring io.Reader = bytes.NewReader(data)
		if data[0]&0x80 == 0 {
			block, err := armor.Decode(bytes.NewReader(data))
			if err != nil || !strings.HasSuffix(block.Type, "KEY BLOCK") {
				continue
			}
			ring = block.Body
		}
		entities, err := openpgp.ReadKeyRing(ring)
		if err != nil {
			continue
		}
		for _, e := range entities {
			var public, secret bytes.Buffer
			if err := e.Serialize(&public); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			stored := ""
			for _, id := range e.Identities {
				if stored == "" || id.UserId.Email < stored {
					stored = id.UserId.Email
				}
			}
			if c, err := ParseCertificate(stored, public.Bytes()); err == nil {
				certificates = append(certificates, c)
			}
			if e.PrivateKey == nil {
				continue
			}
			for _, phrase := range phrases {
				if e.DecryptPrivateKeys([]byte(phrase)) == nil {
					break
				}
			}
			if err := e.SerializePrivateWithoutSigning(&secret, nil); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if k, err := ParseKey(stored, secret.Bytes(), nil); err == nil {
				keys = append(keys, k)
			} else {
				t.Logf("%s: %v", name, err)
			}
		}
	}
	return keys, certificates
}

// TestVectors reads every message of the vectors and compares what is found with
// testdata/vectors.txt, which has been reviewed line by line. WAXSEAL_UPDATE=1
// writes it anew.
func TestVectors(t *testing.T) {
	files := vectors(t)
	keys, certificates := vectorKeys(t, files)
	t.Logf("%d keys, %d certificates", len(keys), len(certificates))
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if found := readVector(t, files, name, keys, certificates); found != "" {
			lines = append(lines, name+": "+found)
		}
	}
	got := strings.Join(lines, "\n") + "\n"
	const file = "testdata/vectors.txt"
	if os.Getenv("WAXSEAL_UPDATE") != "" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("other than %s:\n%s", file, got)
	}
}

// readVector says in a line what is found in a file; "" if it is no message.
func readVector(t testing.TB, files map[string][]byte, name string, keys []*Key, certificates []*Certificate) string {
	o := VerifyOptions{Time: vectorTime}
	data := files[name]
	text := crlf(string(data))
	switch {
	case strings.HasSuffix(name, ".eml"):
		header, rest, err := signer.ReadHeader(strings.NewReader(text), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(rest)
		return readMail(t, &signer.Message{Header: header, Body: bytes.NewReader(body)}, keys, certificates, 0)
	case strings.HasSuffix(name, "-signature.asc"):
		signed := readSample(t, files, strings.Replace(name, "-signature", "-message", 1), keys)
		found, err := Verify(strings.NewReader(signed), data, certificates, o)
		if err != nil {
			t.Fatal(err)
		}
		return signaturesInWords(found)
	case strings.Contains(text, "-----BEGIN PGP MESSAGE-----"), strings.HasSuffix(name, ".pgp"), strings.HasSuffix(name, "-sign.gpg"):
		var out bytes.Buffer
		opened, err := VerifyMessage(&out, bytes.NewReader(data), certificates, o)
		if err == nil {
			return fmt.Sprintf("%s, %s", digestOf(out.Bytes()), signaturesInWords(opened.Signatures))
		}
		return decryptInWords(t, data, keys, certificates)
	case strings.Contains(text, "-----BEGIN PGP SIGNATURE-----"):
		signed := "Hello world!"
		if strings.HasSuffix(name, "SignedTwice") {
			signed = "hello world"
		}
		found, err := Verify(strings.NewReader(signed), data, certificates, o)
		if err != nil {
			t.Fatal(err)
		}
		return signaturesInWords(found)
	}
	return ""
}

// readSample is the text that the post-quantum samples are of.
func readSample(t testing.TB, files map[string][]byte, name string, keys []*Key) string {
	var out bytes.Buffer
	if _, err := Decrypt(&out, bytes.NewReader(files[name]), keys, DecryptOptions{}); err != nil {
		return "Testing\n"
	}
	return out.String()
}

func decryptInWords(t testing.TB, data []byte, keys []*Key, certificates []*Certificate) string {
	var out bytes.Buffer
	d, err := Decrypt(&out, bytes.NewReader(data), keys, DecryptOptions{Certificates: certificates, Verify: VerifyOptions{Time: vectorTime}})
	if err != nil {
		return err.Error()
	}
	hidden := ""
	if d.Hidden {
		hidden = " hidden"
	}
	return fmt.Sprintf("%s for%s %s %c, %s, %s", d.Cipher, hidden, d.Fingerprint[:16], d.Format, digestOf(out.Bytes()), signaturesInWords(d.Signatures)) +
		readEntity(t, out.Bytes(), keys, certificates, 1)
}

// readEntity goes on within what was decrypted, if it is MIME.
func readEntity(t testing.TB, data []byte, keys []*Key, certificates []*Certificate, depth int) string {
	header, rest, err := signer.ReadHeader(strings.NewReader(crlf(string(data))), 1<<20)
	if err != nil || len(header.Fields("Content-Type")) == 0 {
		return ""
	}
	body, _ := io.ReadAll(rest)
	if inner := readMail(t, &signer.Message{Header: header, Body: bytes.NewReader(body)}, keys, certificates, depth); inner != "" {
		return "; " + inner
	}
	return ""
}

// readMail reads PGP/MIME.
func readMail(t testing.TB, m *signer.Message, keys []*Key, certificates []*Certificate, depth int) string {
	root, err := signer.Slice(m.Header, m.Body)
	if err != nil {
		t.Fatal(err)
	}
	content := func(p *signer.Part, from int64) []byte {
		data := make([]byte, p.BodyEnd-from)
		if _, err := m.Body.ReadAt(data, from); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		return data
	}
	found, err := FindEncrypted(root, m.Body)
	switch {
	case err != nil:
		t.Fatal(err)
	case found != nil && depth < 3:
		return "encrypted: " + decryptInWords(t, content(found.Data, found.Data.BodyStart), keys, certificates)
	case root.MediaType == "multipart/signed" && len(root.Parts) == 2 && root.Parts[1].MediaType == "application/pgp-signature":
		signed, signature := root.Parts[0], root.Parts[1]
		found, err := Verify(bytes.NewReader(content(signed, signed.Offset)), content(signature, signature.BodyStart), certificates, VerifyOptions{Time: vectorTime})
		if err != nil {
			t.Fatal(err)
		}
		return "signed: " + signaturesInWords(found)
	}
	return ""
}

func digestOf(data []byte) string {
	return fmt.Sprintf("%d bytes %x", len(data), sha256.Sum256(data))[:28]
}

func signaturesInWords(found []signer.Verification) string {
	if len(found) == 0 {
		return "not signed"
	}
	var words []string
	for _, v := range found {
		words = append(words, fmt.Sprintf("%s: %s (%s) by %s", v.Algorithm, verdicts(v), v.Result().Reason, v.Identifier))
	}
	return strings.Join(words, " + ")
}
