// Package structure keeps the shape of the source tree: who imports whom, where
// third-party modules are at home, and some rules of style that no compiler
// knows.
package structure

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// mayImport says which packages of ours a package may import. A key that ends
// with /... holds for the packages below it too; the longest that fits counts.
var mayImport = map[string][]string{
	"policies":         nil,
	"keys/...":         {"keys/..."},
	"signer":           nil,
	"signer/smime/...": {"signer", "signer/smime/..."},
	"signer/pgpmime":   {"signer"},
	"milter":           {"policies", "keys", "signer", "signer/smime", "signer/smime/trust", "signer/pgpmime"},
	"cmd/waxseal/...":  {"..."},
	"test/...":         {"test/..."},
}

// homes says which packages may import a third-party module. Modules of
// golang.org/x may be imported everywhere.
var homes = map[string][]string{
	"github.com/hashicorp/hcl/v2":         {"policies"},
	"github.com/zclconf/go-cty":           {"policies"}, // hcl's values
	"github.com/hashicorp/vault/api":      {"keys/...", "test/vaulttest"},
	"go.mozilla.org/pkcs7":                {"signer/smime/..."},
	"github.com/ProtonMail/go-crypto":     {"signer/pgpmime"},
	"github.com/emersion/go-milter":       {"milter", "test/..."}, // in tests it is what waxseal is compared with
	"github.com/spf13/cobra":              {"cmd/waxseal"},
	"github.com/prometheus/client_golang": {"cmd/waxseal"},
	"software.sslmate.com/src/go-pkcs12":  {"cmd/waxseal/..."},
}

// under reports whether pattern, which may end with /..., holds for path.
func under(path, pattern string) bool {
	prefix, all := strings.CutSuffix(pattern, "...")
	if !all {
		return path == pattern
	}
	return strings.HasPrefix(path+"/", prefix)
}

type listed struct {
	ImportPath, Dir                    string
	Standard                           bool
	Imports, TestImports, XTestImports []string
}

func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = root
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// TestImports keeps the star: packages meet in milter and cmd/waxseal only.
func TestImports(t *testing.T) {
	for _, p := range list(t) {
		name := strings.TrimPrefix(p.ImportPath, "waxseal/")
		best := ""
		for pattern := range mayImport {
			if under(name, pattern) && len(pattern) > len(best) {
				best = pattern
			}
		}
		if best == "" {
			t.Errorf("%s is in no row of the table of imports: the top level is fixed", name)
			continue
		}
		imports := p.Imports
		if under(name, "test/...") {
			imports = slices.Concat(p.Imports, p.TestImports, p.XTestImports)
		}
		for _, i := range imports {
			if ours, ok := strings.CutPrefix(i, "waxseal/"); ok {
				if !slices.ContainsFunc(mayImport[best], func(allowed string) bool { return under(ours, allowed) }) {
					t.Errorf("%s imports %s; it may import %v", name, ours, mayImport[best])
				}
				continue
			}
			checkHome(t, name, i)
		}
	}
}

func checkHome(t *testing.T, name, path string) {
	if first, _, _ := strings.Cut(path, "/"); !strings.Contains(first, ".") || first == "golang.org" {
		return
	}
	for module, where := range homes {
		if under(path, module+"/...") {
			if !slices.ContainsFunc(where, func(home string) bool { return under(name, home) }) {
				t.Errorf("%s imports %s, which is at home in %v", name, path, where)
			}
			return
		}
	}
	t.Errorf("%s imports %s, which has no home in the table", name, path)
}

// TestTopLevel keeps the folders of the top level.
func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	allowed := []string{"cmd", "milter", "signer", "keys", "policies", "test", "docs", "packaging", ".git", ".ci"}
	for _, e := range entries {
		if e.IsDir() && !slices.Contains(allowed, e.Name()) {
			t.Errorf("there is a folder %s on the top level", e.Name())
		}
	}
}

// files calls visit with every file of the tree of one of these kinds.
func files(t *testing.T, visit func(path string, text []byte), kinds ...string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "fuzz") {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() || !slices.Contains(kinds, filepath.Ext(path)) {
			return nil
		}
		text, err := os.ReadFile(path)
		if err == nil {
			visit(path, text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The words are cut in two here, so that this file does not have them.
var unwanted = map[string]*regexp.Regexp{
	"a path of one machine":   regexp.MustCompile(`/wo` + `rk/|/ho` + `me/[a-z]`),
	"a test that is left out": regexp.MustCompile(`\b[tb]\.Ski` + `p(Now|f)?\(`),
	"work left for later":     regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`),
}

// TestText looks for what should stand nowhere.
func TestText(t *testing.T) {
	files(t, func(path string, text []byte) {
		for what, pattern := range unwanted {
			if found := pattern.Find(text); found != nil {
				t.Errorf("%s: %s: %q", path, what, found)
			}
		}
	}, ".go", ".md", ".sh", ".hcl", ".txt")
}

// badName has the words that say nothing about what a thing is.
var badName = regexp.MustCompile(`Manager|Handler|Helper|Engine|^[Uu]til|Utils?$`)

// TestGo keeps files short, and names and packages plain.
func TestGo(t *testing.T) {
	files(t, func(path string, text []byte) {
		if n := bytes.Count(text, []byte("\n")); n > 500 {
			t.Errorf("%s has %d lines; 500 are the limit", path, n)
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, text, parser.SkipObjectResolution)
		if err != nil {
			t.Error(err)
			return
		}
		if badName.MatchString(file.Name.Name) {
			t.Errorf("%s: package %s", path, file.Name.Name)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: init()", fset.Position(f.Pos()))
			}
			for _, name := range declared(d) {
				// testing.TB has a method of that name.
				if badName.MatchString(name.Name) && name.Name != "Help"+"er" {
					t.Errorf("%s: the name %s", fset.Position(name.Pos()), name.Name)
				}
			}
		}
	}, ".go")
}

// declared are the names of a declaration on package level.
func declared(d ast.Decl) []*ast.Ident {
	var names []*ast.Ident
	switch d := d.(type) {
	case *ast.FuncDecl:
		names = append(names, d.Name)
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				names = append(names, s.Name)
			case *ast.ValueSpec:
				names = append(names, s.Names...)
			}
		}
	}
	return names
}
