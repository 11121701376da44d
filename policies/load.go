package policies

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// The bounds of one set.
const (
	maxFiles    = 1000
	maxPolicies = 10000
)

// Load reads the policy files of a directory: those whose names end in ".hcl" and
// don't begin with a dot, in the order of their names. The error is of type
// Problems and has everything that is wrong in all of them.
func Load(dir string) (*Set, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, Problems{cannotRead(dir, err)}
	}
	var files []string
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".hcl") && !strings.HasPrefix(name, ".") && !e.IsDir() {
			files = append(files, filepath.Join(dir, name))
		}
	}
	if len(files) == 0 {
		return nil, Problems{{File: dir, Text: "there is no policy file in the directory",
			Hint: "write one with a name that ends in .hcl"}}
	}
	return LoadFiles(files)
}

// LoadFiles reads policy files in the order given, otherwise as Load does.
func LoadFiles(files []string) (*Set, error) {
	if len(files) > maxFiles {
		return nil, Problems{{File: files[maxFiles], Text: fmt.Sprintf("more than %d policy files", maxFiles),
			Hint: "put several policies into one file"}}
	}
	l := loader{names: map[string]*Policy{}}
	for _, file := range files {
		src, err := readFile(file)
		if err != nil {
			l.found = append(l.found, cannotRead(file, err))
			continue
		}
		l.add(file, src)
	}
	return l.set()
}

// Parse reads policies from a text as Load does from files. The name stands in
// the errors.
func Parse(file string, src []byte) (*Set, error) {
	l := loader{names: map[string]*Policy{}}
	l.add(file, src)
	return l.set()
}

// readFile reads one byte more than allowed, so that a longer file is noticed
// and not cut off.
func readFile(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFileSize+1))
}

func cannotRead(file string, err error) Problem {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return Problem{File: file, Text: fmt.Sprintf("read policies: %v", err),
		Hint: "check the name, and that the daemon's user may read it"}
}

// loader collects policies and problems.
type loader struct {
	policies []*Policy
	names    map[string]*Policy // where the first of each name is
	count    int
	found    Problems
}

func (l *loader) add(file string, src []byte) {
	body, syntax, fatal := parse(file, src)
	if fatal {
		l.found = append(l.found, syntax...)
		return
	}
	found := checkBody(body, &policyFile{})
	for _, block := range body.Blocks {
		if block.Type != "policy" {
			continue
		}
		if l.count++; l.count > maxPolicies {
			found = append(found, problemAt(block.TypeRange, fmt.Sprintf("more than %d policies", maxPolicies),
				"use patterns that match several addresses"))
			break
		}
		p, bad := build(file, block)
		found = append(found, bad...)
		found = append(found, l.duplicate(file, block)...)
		if p != nil {
			l.policies = append(l.policies, p)
		}
	}
	l.found = append(l.found, beside(syntax, found)...)
}

// duplicate complains about a name that has been there before.
func (l *loader) duplicate(file string, block *hclsyntax.Block) Problems {
	if len(block.Labels) == 0 {
		return nil
	}
	name := block.Labels[0]
	if first := l.names[name]; first != nil {
		return Problems{problemAt(block.LabelRanges[0], fmt.Sprintf("duplicate policy name %s", quote(name)),
			fmt.Sprintf("the first is at %s:%d: give this one another name", first.File, first.Line))}
	}
	l.names[name] = &Policy{File: file, Line: block.TypeRange.Start.Line}
	return nil
}

func (l *loader) set() (*Set, error) {
	l.found = append(l.found, shadowed(l.policies)...)
	if len(l.found) > 0 {
		return nil, l.found.err()
	}
	return newSet(l.policies), nil
}
