package smime

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"mime/quotedprintable"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"waxseal/signer"
)

// signature is a SignedData of the corpus; content is nil if it is in it.
type signature struct {
	name         string
	content, der []byte
}

// decoded is the data of a part.
func decoded(t testing.TB, text []byte, p *signer.Part) []byte {
	t.Helper()
	raw := text[p.BodyStart:p.BodyEnd]
	switch p.Encoding {
	case "base64":
		clean := bytes.Map(func(r rune) rune {
			if strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", r) {
				return r
			}
			return -1
		}, raw)
		der, err := base64.RawStdEncoding.DecodeString(string(clean))
		if err != nil {
			return nil
		}
		return der
	case "quoted-printable":
		der, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(raw)))
		if err != nil {
			return nil
		}
		return der
	}
	return raw
}

// signaturesOf finds the signatures in a mail, at any depth.
func signaturesOf(t testing.TB, name, mail string) []signature {
	t.Helper()
	m := corpusMessage(t, mail)
	if m == nil {
		return nil
	}
	text, err := io.ReadAll(io.NewSectionReader(m.Body, 0, m.Body.Size()))
	if err != nil {
		t.Fatal(err)
	}
	root, err := signer.Slice(m.Header, m.Body)
	if err != nil {
		return nil // beyond a limit
	}
	var found []signature
	root.Walk(func(p *signer.Part) bool {
		at := fmt.Sprintf("%s@%d", name, p.Offset)
		switch {
		case p.MediaType == "multipart/signed" && len(p.Parts) == 2 && strings.HasSuffix(p.Parts[1].MediaType, "pkcs7-signature"):
			first := p.Parts[0]
			found = append(found, signature{at, text[first.Offset:first.BodyEnd], decoded(t, text, p.Parts[1])})
		case strings.HasSuffix(p.MediaType, "pkcs7-mime"):
			// Of type SignedData: its identifier is near the beginning.
			if der := decoded(t, text, p); bytes.Contains(der[:min(len(der), 40)], []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02")) {
				found = append(found, signature{at, nil, der})
			}
		}
		return true
	})
	return found
}

// corpusFolder is a folder of the corpus.
func corpusFolder(t testing.TB, names ...string) string {
	t.Helper()
	root := os.Getenv("WAXSEAL_CORPUS")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "corpus")
	}
	folder := filepath.Join(append([]string{root}, names...)...)
	if _, err := os.Stat(folder); err != nil {
		t.Fatalf("no mail corpus: set WAXSEAL_CORPUS to its folder: %v", err)
	}
	return folder
}

// corpusSignatures are all signatures of the corpus, those in mails and the
// bare ones of RFC 4134, in the order of their names.
func corpusSignatures(t testing.TB) []signature {
	t.Helper()
	mails := corpusMails(t)
	for _, folder := range [][]string{{"pkits", "smime", "smime"}, {"mixed", "protected-headers"}} {
		files, err := filepath.Glob(filepath.Join(corpusFolder(t, folder...), "*.eml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			mails[filepath.Join(folder...)+"/"+filepath.Base(file)] = crlf(t, file)
		}
	}
	var all []signature
	for _, name := range slices.Sorted(maps.Keys(mails)) {
		all = append(all, signaturesOf(t, name, mails[name])...)
	}
	content, err := os.ReadFile(filepath.Join(corpusFolder(t, "smime", "bc-rfc4134"), "ExContent.bin"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(corpusFolder(t, "smime", "bc-rfc4134"), "4.*.bin"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples of RFC 4134: %v", err)
	}
	for _, file := range files {
		der, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s := signature{"rfc4134/" + filepath.Base(file), nil, der}
		if strings.HasSuffix(file, "4.3.bin") {
			s.content = content // the one that is detached
		}
		all = append(all, s)
	}
	return all
}

// crlf reads a mail with the line ends of the wire.
func crlf(t testing.TB, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n", "\r\n")
}

// check is our verdict, and judge is OpenSSL's, without the certificates: whether
// all signatures are right, and what is said of them.
func (s *signature) check(t testing.TB) (bool, string) {
	t.Helper()
	var found []signer.Verification
	if s.content != nil {
		found = checkDetached(t, s.content, s.der, VerifyOptions{})
	} else {
		_, found = checkOpaque(t, s.der, VerifyOptions{})
	}
	right, say := true, []string{}
	for _, v := range found {
		right = right && (v.Integrity.Verdict == signer.Pass || v.Integrity.Verdict == signer.Policy)
		say = append(say, strings.TrimSpace(fmt.Sprintf("%s %s %s", v.Integrity.Verdict, v.Algorithm, v.Integrity.Reason)))
	}
	return right, strings.Join(say, "; ")
}

func (s *signature) judge(t testing.TB) (bool, string) {
	t.Helper()
	args := []string{"cms", "-verify", "-noverify", "-binary", "-inform", "DER", "-out", os.DevNull}
	if s.content != nil {
		args = append(args, "-content", writeFile(t, t.TempDir(), "content", s.content))
	}
	_, msg, err := openssl(t, s.der, args...)
	return err == nil, msg
}

// TestVerifyCorpus compares with OpenSSL for every signature of the corpus. With
// -short it is every tenth.
func TestVerifyCorpus(t *testing.T) {
	outcomes := &tally{counts: map[string]int{}}
	t.Run("signatures", func(t *testing.T) {
		for i, s := range corpusSignatures(t) {
			if testing.Short() && i%10 != 0 {
				continue
			}
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				ours, say := s.check(t)
				theirs, msg := s.judge(t)
				verdict, _, _ := strings.Cut(say, " ")
				outcomes.add(fmt.Sprintf("%s, OpenSSL says %v", verdict, theirs))
				if ours != theirs {
					t.Errorf("%s | %s", say, strings.ReplaceAll(msg, "\n", " "))
				}
			})
		}
	})
	for _, verdict := range slices.Sorted(maps.Keys(outcomes.counts)) {
		t.Logf("%4d %s", outcomes.counts[verdict], verdict)
	}
}

// TestRFC4134Signed has what Section 4 of RFC 4134 says of its examples. All
// signatures are with SHA-1, so the best that there is for them is policy.
func TestRFC4134Signed(t *testing.T) {
	const alice, bob = "dsa1024-sha1", "rsa1024-sha1"
	weak := func(algorithms ...string) string {
		var say []string
		for _, a := range algorithms {
			say = append(say, "policy "+a+" SHA-1 is broken, so that others can have the same signature")
		}
		return strings.Join(say, "; ")
	}
	want := map[string]string{
		"rfc4134/4.1.bin": weak(alice), // DSA
		"rfc4134/4.2.bin": weak(bob),   // RSA
		"rfc4134/4.3.bin": weak(alice), // detached
		"rfc4134/4.4.bin": weak(alice), // all attributes
		"rfc4134/4.5.bin": weak(bob),   // certificates by RSA
		// Two signers: the key of the second has the parameters of its issuer,
		// which OpenSSL does not look for either.
		"rfc4134/4.6.bin":               weak(alice) + "; neutral  the certificate's key, of algorithm 1.2.840.10040.4.1, can't be used: x509: invalid DSA parameters",
		"rfc4134/4.7.bin":               weak(alice), // named by key identifier
		"/smime/bc-rfc4134/4.8.eml#0@0": weak(alice), // multipart/signed
		"/smime/bc-rfc4134/4.9.eml#0@0": weak(alice), // application/pkcs7-mime
		"rfc4134/4.10.bin":              weak(alice), // with a receipt request and security labels
		"rfc4134/4.11.bin":              "none  nobody has signed: the message only carries certificates",
	}
	for _, s := range corpusSignatures(t) {
		if !strings.Contains(s.name, "rfc4134") {
			continue
		}
		if _, say := s.check(t); say != want[s.name] {
			t.Errorf("%s: got %q, want %q", s.name, say, want[s.name])
		}
		delete(want, s.name)
	}
	for name := range want {
		t.Errorf("%s is not in the corpus", name)
	}
}
