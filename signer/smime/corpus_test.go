package smime

import (
	"bytes"
	"errors"
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

	"waxseal/signer"
)

// corpusRoot is where WAXSEAL_CORPUS says, else shared/corpus beside the module.
func corpusRoot() string {
	if root := os.Getenv("WAXSEAL_CORPUS"); root != "" {
		return root
	}
	return filepath.Join("..", "..", "..", "shared", "corpus")
}

// corpusMails returns the mails below mail and smime of the corpus by name. A
// file that has no header is no mail; one in mbox form is many.
func corpusMails(t testing.TB) map[string]string {
	t.Helper()
	root := corpusRoot()
	mails := map[string]string{}
	for _, folder := range []string{"mail", "smime"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
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
				pieces = strings.Split(text, "\nFrom ")
				for i := range pieces[1:] {
					pieces[i+1] = "From " + pieces[i+1]
				}
			}
			for i, piece := range pieces {
				mails[fmt.Sprintf("%s#%d", strings.TrimPrefix(path, root), i)] = strings.ReplaceAll(piece, "\n", "\r\n")
			}
			return nil
		})
		if err != nil {
			t.Fatalf("no mail corpus: set WAXSEAL_CORPUS to its folder: %v", err)
		}
	}
	return mails
}

// corpusMessage parses a mail; it is nil for a file that is none.
func corpusMessage(t testing.TB, text string) *signer.Message {
	t.Helper()
	header, rest, err := signer.ReadHeader(strings.NewReader(text), 4<<20)
	if err != nil {
		t.Fatal(err)
	}
	if len(header) == 0 {
		return nil
	}
	body, err := io.ReadAll(rest)
	if err != nil {
		t.Fatal(err)
	}
	return &signer.Message{Header: header, Body: bytes.NewReader(body)}
}

// tally counts outcomes from several goroutines.
type tally struct {
	sync.Mutex
	counts map[string]int
}

func (c *tally) add(outcome string) {
	c.Lock()
	defer c.Unlock()
	c.counts[outcome]++
}

// TestCorpus signs, and signs and encrypts, every mail of the corpus. OpenSSL
// verifies and decrypts each of those that are not refused. With -short it is
// every tenth.
func TestCorpus(t *testing.T) {
	mails := corpusMails(t)
	root := rootFile(t)
	cert, key := as("other").files(t)
	outcomes := &tally{counts: map[string]int{}}
	t.Run("mails", func(t *testing.T) {
		for i, name := range slices.Sorted(maps.Keys(mails)) {
			m := corpusMessage(t, mails[name])
			if m == nil || testing.Short() && i%10 != 0 {
				continue
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				e, err := signer.Protectable(m, signer.TransitOptions{})
				var unsafe *signer.UnsafeError
				switch {
				case errors.As(err, &unsafe):
					outcomes.add("refused: " + unsafe.Reason)
				case err != nil:
					t.Error(err)
				default:
					outcomes.add("accepted")
					protectCorpusMail(t, e, i, root, cert, key)
				}
			})
		}
	})
	total := 0
	for _, n := range outcomes.counts {
		total += n
	}
	for _, outcome := range slices.Sorted(maps.Keys(outcomes.counts)) {
		n := outcomes.counts[outcome]
		t.Logf("%5d of %d, %5.1f %%: %s", n, total, 100*float64(n)/float64(total), outcome)
	}
}

// protectCorpusMail takes turns with modes, keys and ciphers.
func protectCorpusMail(t *testing.T, e *signer.Entity, turn int, root, cert, key string) {
	id := as([]string{"p256", "rsa2048", "p384"}[turn%3])
	c := ciphers[turn%2]
	content := written(t, e)
	for _, mode := range []string{Detached, Opaque}[:1+turn/2%2] {
		signed, err := Sign(e, id.chain, id.key, SignOptions{Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		text := written(t, signed)
		if got := mustOpenSSL(t, text, "cms", "-verify", "-purpose", "smimesign", "-CAfile", root); !bytes.Equal(got, content) {
			t.Errorf("%s: OpenSSL verifies another content of %d bytes, want %d", mode, len(got), len(content))
		}
		out := written(t, encrypted(t, signed, c, as("rsa2048"), as("other")))
		if got := mustOpenSSL(t, out, "cms", "-decrypt", "-binary", "-recip", cert, "-inkey", key); !bytes.Equal(got, text) {
			t.Errorf("%s, %v: OpenSSL decrypts another entity", mode, c)
		}
	}
}
