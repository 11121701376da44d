package policies

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Decode reads the HCL 2 text of a configuration file into target, a pointer to
// a struct with the tags of gohcl. There are no variables and no functions, a
// value must have the type of its field, and a setting or block that target has
// no field for is an error. The error is of type Problems and has everything
// that is wrong; target is then filled in part at most.
//
// The text is at most 1 MiB long, with at most 64 brackets inside each other.
func Decode(file string, src []byte, target any) error {
	body, found, fatal := parse(file, src)
	if fatal {
		return found.err()
	}
	return beside(found, decodeBody(body, target)).err()
}

// beside adds problems to those of the syntax, but for lines that have one of
// these already: what they say there is only a consequence.
func beside(syntax, more Problems) Problems {
	lines := map[int]bool{}
	for _, p := range syntax {
		lines[p.Line] = true
	}
	for _, p := range more {
		if !lines[p.Line] {
			syntax = append(syntax, p)
		}
	}
	return syntax
}

// parse turns a text into a syntax tree. If fatal, the tree is no good for more.
func parse(file string, src []byte) (body *hclsyntax.Body, found Problems, fatal bool) {
	found, safe := scan(file, src)
	if !safe {
		return nil, found, true
	}
	tree, diags := hclsyntax.ParseConfig(src, file, hcl.InitialPos)
	var said Problems
	for _, d := range diags {
		if d.Summary != redefined {
			fatal = true
		}
		said = append(said, translate(file, d))
	}
	body, ok := tree.Body.(*hclsyntax.Body)
	return body, beside(found, said), fatal || !ok
}

// decodeBody checks a body against the struct that target points to and fills
// it. The library's own complaints are used only where the check has none.
func decodeBody(body *hclsyntax.Body, target any) Problems {
	found := checkBody(body, target)
	diags := gohcl.DecodeBody(body, nil, target)
	if len(found) == 0 {
		for _, d := range diags {
			found = append(found, translate(body.SrcRange.Filename, d))
		}
	}
	return found
}

// redefined is the parser's word for a setting that is given twice. It does not
// harm the tree: the first one stays.
const redefined = "Attribute redefined"

// translate turns a diagnostic of the library into a problem.
func translate(file string, d *hcl.Diagnostic) Problem {
	p := Problem{File: file, Text: lowerFirst(d.Summary), Hint: lowerFirst(strings.TrimSuffix(d.Detail, "."))}
	if d.Subject != nil {
		p = problemAt(*d.Subject, p.Text, p.Hint)
		p.File = file
	}
	if d.Summary == redefined {
		p.Text = "duplicate setting"
		p.Hint = "keep one"
		// The library names the setting and the first place in its text only.
		if _, name, ok := strings.Cut(d.Detail, `"`); ok {
			name, rest, _ := strings.Cut(name, `"`)
			p.Text = fmt.Sprintf("duplicate setting %q", name)
			if _, place, ok := strings.Cut(rest, "already set at "); ok {
				place, _, _ = strings.Cut(place, ". ")
				if cut := strings.LastIndexByte(place, '-'); cut > 0 {
					place = strings.ReplaceAll(place[:cut], ",", ":")
				}
				p.Hint = "the first is at " + place + ": keep one"
			}
		}
	}
	return p
}

// lowerFirst makes a sentence fit behind a colon.
func lowerFirst(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if next, _ := utf8.DecodeRuneInString(s[n:]); unicode.IsUpper(next) {
		return s // an abbreviation
	}
	return strings.ReplaceAll(string(unicode.ToLower(r))+s[n:], "\n", " ")
}
