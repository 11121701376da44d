package pgpmime

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"waxseal/signer"
)

// corpusRoot is the folder of the corpus.
func corpusRoot() string {
	if root := os.Getenv("WAXSEAL_CORPUS"); root != "" {
		return root
	}
	return filepath.Join("..", "..", "..", "shared", "corpus")
}

// corpusMails returns the mails of the corpus by name, with CRLF line ends as a
// milter gets them. The corpus is where WAXSEAL_CORPUS says, else shared/corpus
// beside the module. A file in mbox form is many mails; one without a header is
// none.
func corpusMails(t testing.TB) map[string]*signer.Message {
	t.Helper()
	root := corpusRoot()
	mails := map[string]*signer.Message{}
	err := filepath.WalkDir(filepath.Join(root, "mail"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text := strings.ReplaceAll(string(data), "\r\n", "\n")
		pieces := []string{text}
		if strings.Contains(filepath.Base(path), "mbox") {
			pieces = strings.SplitAfter(text, "\n\nFrom ")
		}
		for i, piece := range pieces {
			header, rest, err := signer.ReadHeader(strings.NewReader(strings.ReplaceAll(piece, "\n", "\r\n")), 4<<20)
			if err != nil {
				return err
			}
			if len(header) == 0 {
				continue
			}
			body, err := io.ReadAll(rest)
			if err != nil {
				return err
			}
			name := strings.TrimPrefix(path, root) + "#" + strconv.Itoa(i)
			mails[name] = &signer.Message{Header: header, Body: bytes.NewReader(body)}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("no mail corpus: set WAXSEAL_CORPUS to its folder: %v", err)
	}
	return mails
}

// TestCorpus signs every mail of the corpus, and signs and encrypts it. gpg
// verifies and decrypts each of those that are not refused, and so does this
// package.
func TestCorpus(t *testing.T) {
	g := gpg(t)
	keys := []*Key{g.key(t, "edda@example.com"), g.key(t, "nils@example.com"), g.key(t, "otto@example.com")}
	to := [][]*Certificate{
		{g.recipient(t, "edda@example.com")},
		{g.recipient(t, "nils@example.com"), g.recipient(t, "edda@example.com")},
	}
	held := []*Certificate{keys[0].Certificate(), keys[1].Certificate(), keys[2].Certificate()}
	mails, total := corpusMails(t), 0
	outcomes := map[string]int{}
	plain, signedFiles, encryptedFiles := map[string][]byte{}, []string{}, []string{}
	dir := t.TempDir()
	for i, name := range slices.Sorted(maps.Keys(mails)) {
		total++
		e, err := signer.Protectable(mails[name], signer.TransitOptions{PGP: true})
		var unsafe *signer.UnsafeError
		if errors.As(err, &unsafe) {
			outcomes["refused: "+unsafe.Reason]++
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		outcomes["accepted"]++
		key := keys[i%len(keys)]
		protected := written(t, e)

		signed, signature := detached(t, e, key)
		if !bytes.Equal(signed, protected) {
			t.Errorf("%s: another content is signed", name)
		}
		message := encrypted(t, e, to[i%len(to)], key, EncryptOptions{})
		text, d := decrypted(t, message, keys[:2], DecryptOptions{Certificates: held})
		if !bytes.Equal(text, protected) {
			t.Errorf("%s: another content is decrypted", name)
		}
		for _, v := range append(d.Signatures, verified(t, string(signed), signature, held, VerifyOptions{})) {
			if verdicts(v) != "pass pass pass none pass" {
				t.Errorf("%s: %+v", name, v)
			}
		}

		file := filepath.Join(dir, strconv.Itoa(i))
		// gpg reads many files at once if the signed bytes stand beside the
		// signature in one.
		packets, _, err := unarmor(bytes.NewReader(signature))
		if err != nil {
			t.Fatal(err)
		}
		both, err := io.ReadAll(packets)
		if err != nil {
			t.Fatal(err)
		}
		write(t, file+".sig", append(both, literal(string(signed))...))
		write(t, file+".pgp.gpg", message)
		signedFiles, encryptedFiles = append(signedFiles, file+".sig"), append(encryptedFiles, file+".pgp.gpg")
		plain[file+".pgp"] = protected
		if t.Failed() {
			t.Fatalf("that was %s", name)
		}
	}
	if outcomes["accepted"] == 0 {
		t.Error("no mail is accepted")
	}
	for file, status := range g.eachFile(t, signedFiles, "--multifile", "--verify") {
		expectStatus(t, status, "GOODSIG", "VALIDSIG")
		if t.Failed() {
			t.Fatal(file)
		}
	}
	for file, status := range g.eachFile(t, encryptedFiles, "--passphrase", "", "--decrypt-files") {
		expectStatus(t, status, "DECRYPTION_OKAY", "GOODMDC", "GOODSIG", "VALIDSIG")
		out := strings.TrimSuffix(file, ".gpg")
		if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, plain[out]) {
			t.Errorf("gpg decrypts another content: %v", err)
		}
		if t.Failed() {
			t.Fatal(file)
		}
	}
	for _, outcome := range slices.Sorted(maps.Keys(outcomes)) {
		n := outcomes[outcome]
		t.Logf("%5d of %d, %5.1f %%: %s", n, total, 100*float64(n)/float64(total), outcome)
	}
}

// eachFile has gpg work on many files and returns its status lines for each.
func (g gnupg) eachFile(t testing.TB, files []string, args ...string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for batch := range slices.Chunk(files, 200) {
		out, err := g.command("", slices.Concat([]string{"--status-fd", "1"}, args, batch)...)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range strings.Split(string(out), "[GNUPG:] FILE_START ")[1:] {
			first, _, _ := strings.Cut(part, "\n")
			_, file, _ := strings.Cut(first, " ")
			found[file] = part
		}
	}
	if len(found) != len(files) {
		t.Fatalf("gpg says something of %d files out of %d", len(found), len(files))
	}
	return found
}
