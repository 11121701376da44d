package policies

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// maxProblems is how many problems are kept: nobody mends a thousand at a time.
const maxProblems = 1000

// Problem is something wrong in a configuration or policy file.
type Problem struct {
	File   string // as it was opened
	Line   int    // from 1; 0 if the file as a whole is meant
	Column int    // from 1, in characters
	Text   string
	Hint   string // what to do, or ""
}

// Error returns "file:line:column: text; hint".
func (p Problem) Error() string {
	s := p.File
	if p.Line > 0 {
		s += ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column)
	}
	s += ": " + p.Text
	if p.Hint != "" {
		s += "; " + p.Hint
	}
	return s
}

// Problems are all problems of some files, sorted by file and place. As an
// error it prints one line for each.
type Problems []Problem

// Error returns all problems, one a line, without a line end after the last.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Sorted brings the problems in order, drops repetitions and the overflow.
func (ps Problems) Sorted() Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column), strings.Compare(a.Text, b.Text))
	})
	ps = slices.Compact(ps)
	if more := len(ps) - maxProblems; more > 0 {
		last := ps[maxProblems-1]
		ps = append(ps[:maxProblems:maxProblems], Problem{File: last.File, Line: last.Line, Column: last.Column,
			Text: fmt.Sprintf("%d more problems follow", more), Hint: "mend the ones above first"})
	}
	return ps
}

// err returns the problems as an error, nil if there are none.
func (ps Problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps.Sorted()
}

// problemAt returns a problem at the start of r.
func problemAt(r hcl.Range, text, hint string) Problem {
	return Problem{File: r.Filename, Line: r.Start.Line, Column: r.Start.Column, Text: text, Hint: hint}
}

// quote quotes a text that comes from a file, shortened.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return strconv.Quote(s)
}

// oneOf lists words: "a", "a or b", "a, b or c".
func oneOf(words ...string) string {
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " or " + words[n-1]
	}
	return strings.Join(words, "")
}
