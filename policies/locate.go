package policies

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Misfit is a setting that was decoded and whose value makes no sense.
type Misfit struct {
	// Setting is its name, behind those of the blocks around it:
	// "socket_mode", "keys.auth.role_id".
	Setting    string
	Text, Hint string
}

// Locate turns misfits into problems, each at the place of its setting; at that
// of the innermost block around it, or of the file, where it is not written.
func Locate(file string, src []byte, misfits []Misfit) Problems {
	body, _, fatal := parse(file, src)
	var found Problems
	for _, m := range misfits {
		p := Problem{File: file, Text: m.Setting + ": " + m.Text, Hint: m.Hint}
		if !fatal {
			if r, ok := rangeOf(body, strings.Split(m.Setting, ".")); ok {
				p = problemAt(r, p.Text, p.Hint)
				p.File = file
			}
		}
		found = append(found, p)
	}
	return found.Sorted()
}

func rangeOf(body *hclsyntax.Body, path []string) (r hcl.Range, ok bool) {
	if a := body.Attributes[path[0]]; a != nil {
		return a.NameRange, true
	}
	for _, b := range body.Blocks {
		if b.Type != path[0] {
			continue
		}
		if len(path) > 1 {
			if inner, ok := rangeOf(b.Body, path[1:]); ok {
				return inner, true
			}
		}
		return b.TypeRange, true
	}
	return r, false
}
