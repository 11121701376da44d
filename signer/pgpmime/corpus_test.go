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

// corpusMails returns the mails of the corpus by name, with CRLF line ends as a
// milter gets them. The corpus is where WAXSEAL_CORPUS says, else shared/corpus
// beside the module. A file in mbox form is many mails; one without a header is
// none.
func corpusMails(t testing.TB) map[string]*signer.Message {
	t.Helper()
	root := os.Getenv("WAXSEAL_CORPUS")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "corpus")
	}
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
// verifies and decrypts each of those that are not refused.
func TestCorpus(t *testing.T) {
	g := gpg(t)
	keys := []*Key{g.key(t, "edda@example.com"), g.key(t, "nils@example.com"), g.key(t, "otto@example.com")}
	to := [][]*Certificate{
		{g.recipient(t, "edda@example.com")},
		{g.recipient(t, "nils@example.com"), g.recipient(t, "edda@example.com")},
	}
	mails, total := corpusMails(t), 0
	outcomes := map[string]int{}
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
		expectStatus(t, g.verify(t, signed, signature), "GOODSIG", "VALIDSIG")

		plain, status := g.decrypt(t, encrypted(t, e, to[i%len(to)], key, EncryptOptions{}))
		if !bytes.Equal(plain, protected) {
			t.Errorf("%s: gpg decrypts another content", name)
		}
		expectStatus(t, status, "DECRYPTION_OKAY", "GOODMDC", "GOODSIG", "VALIDSIG")
		if t.Failed() {
			t.Fatalf("that was %s", name)
		}
	}
	if outcomes["accepted"] == 0 {
		t.Error("no mail is accepted")
	}
	for _, outcome := range slices.Sorted(maps.Keys(outcomes)) {
		n := outcomes[outcome]
		t.Logf("%5d of %d, %5.1f %%: %s", n, total, 100*float64(n)/float64(total), outcome)
	}
}
