package policies

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Whatever a file has in it: a set whose policies can be asked, or problems that
// each have a place in the file and can be printed.
func FuzzParse(f *testing.F) {
	for _, glob := range []string{"testdata/good/*.hcl", "testdata/bad/*.hcl", "examples/*.hcl"} {
		files, _ := filepath.Glob(glob)
		if len(files) == 0 {
			f.Fatalf("no files %s", glob)
		}
		for _, file := range files {
			src, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(src)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		var d daemon
		checkProblems(t, Decode("fuzz.hcl", src, &d))
		Locate("fuzz.hcl", src, []Misfit{{Setting: "policy.direction", Text: "bad"}})
		set, err := Parse("fuzz.hcl", src)
		checkProblems(t, err)
		if (set == nil) != (err != nil) {
			t.Fatalf("set %v and error %v", set, err)
		}
		if err != nil {
			return
		}
		for _, p := range set.Policies() {
			if p.Name == "" || p.Line < 1 || p.Direction != Outgoing && p.Direction != Incoming ||
				p.Encrypt != nil && (p.OnKeyNotFound == "" || p.Direction == Incoming) ||
				(p.Decrypt != nil || p.Verify != nil || p.SubjectTag != nil) && p.Direction == Outgoing ||
				p.MaxLayers < 1 || p.MaxLayers > maxLayers {
				t.Errorf("policy %+v", p)
			}
			for _, d := range set.Decide(Facts{Direction: p.Direction, Recipients: []string{"a@b.example"}, Field: fieldsOf("Subject: x")}) {
				checkWhy(t, set, d)
			}
		}
	})
}

func checkProblems(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	var problems Problems
	if !errors.As(err, &problems) || len(problems) == 0 || err.Error() == "" {
		t.Fatalf("error %v", err)
	}
	for _, p := range problems {
		if p.File != "fuzz.hcl" || p.Text == "" || p.Line < 0 || p.Line > 0 && p.Column < 1 {
			t.Errorf("problem %#v", p)
		}
	}
}

func FuzzAddress(f *testing.F) {
	for _, s := range []string{"", "<>", "a@b.example", `"a b"@ü.example.`, "@r:a@[IPv6:::1]", "a(b@c", "\\", "x@\xff。"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a := Normalise(s)
		// Blanks and comments around an address never count.
		if _, how := readAddress(s); !how.odd && len(s) > 0 && s[len(s)-1] != '\\' {
			if got := Normalise(" (x) " + s + " (y) "); got != a {
				t.Errorf("%q: %q, with comments %q", s, a, got)
			}
		}
		if fold(fold(a.Local)) != fold(a.Local) {
			t.Errorf("folding %q twice differs", a.Local)
		}
	})
}
