package judge_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"waxseal/test/judge"
)

// recorder is a test whose errors are looked at.
type recorder struct {
	testing.TB
	errors []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

// TestMatrix finds every cell that is not as recorded.
func TestMatrix(t *testing.T) {
	outcomes := []error{nil, judge.ErrCannot, errors.New("fails")}
	for recorded, errs := range map[string][]string{
		"yes - a":   nil,
		"yes yes a": {"two: -; yes is recorded"},
		"a - a":     {"one: yes; no is recorded"},
		"- - a":     {"one: yes; - is recorded"},
		"yes a a":   {"two: -; no is recorded"},
		"yes - yes": {"three: no; yes is recorded: fails"},
		"yes - -":   {"three: no; - is recorded: fails"},
		"yes - b":   {"\"b\" has no reason", "three: no; b is recorded"},
	} {
		m := &judge.Matrix{Title: "T", Columns: []string{"one", "two", "three"}, Reasons: map[string]string{"a": "Because."}}
		r := &recorder{TB: t}
		m.Row(r, "row", recorded, func(i int) error { return outcomes[i] })
		if len(r.errors) != len(errs) {
			t.Errorf("%s: %q", recorded, r.errors)
			continue
		}
		for i, want := range errs {
			if !strings.Contains(r.errors[i], want) {
				t.Errorf("%s: %q, not %q", recorded, r.errors[i], want)
			}
		}
	}
}

// TestDocument writes a page and finds it changed.
func TestDocument(t *testing.T) {
	m := &judge.Matrix{Title: "T", Columns: []string{"one", "two", "three"}, Reasons: map[string]string{"a": "Because.", "b": "Unused."}}
	m.Row(t, "row", "yes - a", func(i int) error { return []error{nil, judge.ErrCannot, errors.New("fails")}[i] })
	page := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(page, []byte("before\n<!-- begin x -->\nold\n<!-- end x -->\nafter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &recorder{TB: t}
	judge.Document(r, page, "x", false, m)
	if len(r.errors) != 1 {
		t.Errorf("an old page: %q", r.errors)
	}
	judge.Document(t, page, "x", true, m)
	judge.Document(t, page, "x", false, m)
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	const want = "before\n<!-- begin x -->\n\n### T\n\n|  | one | two | three |\n| --- | --- | --- | --- |\n" +
		"| row | yes | – | no (a) |\n\n- (a) Because.\n\n<!-- end x -->\nafter\n"
	if string(got) != want {
		t.Errorf("the page is %q", got)
	}
}
