package policies

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the errors of testdata/bad anew")

// Each file of testdata/bad has the exact text of its problems beside it.
func TestBad(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.hcl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in testdata/bad: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			set, err := Parse(filepath.Base(file), src)
			var problems Problems
			if set != nil || !errors.As(err, &problems) {
				t.Fatalf("set %v, error %v, wanted problems", set, err)
			}
			for _, p := range problems {
				if p.Hint == "" || p.Line < 1 || p.Column < 1 || p.File != filepath.Base(file) {
					t.Errorf("problem without a place or hint: %#v", p)
				}
			}
			expected := strings.TrimSuffix(file, ".hcl") + ".error"
			got := []byte(err.Error() + "\n")
			if *update {
				if err := os.WriteFile(expected, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(expected)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}
