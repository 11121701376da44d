package signer

import (
	"bytes"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// corpusDir is a folder of the mail corpus: the one that WAXSEAL_CORPUS names,
// else shared/corpus beside the module.
func corpusDir(t testing.TB, name string) string {
	t.Helper()
	root := os.Getenv("WAXSEAL_CORPUS")
	if root == "" {
		root = filepath.Join("..", "..", "shared", "corpus")
	}
	dir := filepath.Join(root, name)
	if _, err := os.Stat(dir); err != nil {
		t.Fatalf("no mail corpus: set WAXSEAL_CORPUS to its folder: %v", err)
	}
	return dir
}

// corpusMail reads every message below the folders of the corpus, by its path.
// Line ends become CRLF, as a milter gets them. Files that have no header are
// left out.
func corpusMail(t testing.TB, folders ...string) iter.Seq2[string, *Message] {
	t.Helper()
	return func(yield func(string, *Message) bool) {
		for _, folder := range folders {
			dir := corpusDir(t, folder)
			err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				data, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				m := parseMessage(t, string(data))
				if len(m.Header) == 0 {
					return nil
				}
				rel, err := filepath.Rel(dir, path)
				if err != nil {
					return err
				}
				if !yield(filepath.ToSlash(filepath.Join(folder, rel)), m) {
					return fs.SkipAll
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// parseMessage reads a message whose lines end with LF or CRLF.
func parseMessage(t testing.TB, text string) *Message {
	t.Helper()
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n")
	header, rest, err := ReadHeader(strings.NewReader(text), 4<<20)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(rest)
	if err != nil {
		t.Fatal(err)
	}
	return &Message{Header: header, Body: bytes.NewReader(body)}
}
