package policies

import (
	"bufio"
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// row is one line of a table of decisions: facts and the policy expected.
type row struct {
	line   string
	facts  Facts
	policy string
}

func readDecisions(t *testing.T, file string) []row {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var rows []row
	for s := bufio.NewScanner(f); s.Scan(); {
		line := s.Text()
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		columns := strings.Split(line, "|")
		if len(columns) != 5 {
			t.Fatalf("%s: %q has %d columns, not 5", file, line, len(columns))
		}
		for i := range columns {
			columns[i] = strings.TrimSpace(columns[i])
		}
		r := row{line: line, policy: columns[4]}
		r.facts = Facts{Direction: Outgoing, Originators: []string{columns[0]}, Sender: columns[0],
			Recipients: []string{columns[1]}}
		for word := range strings.FieldsSeq(columns[2]) {
			switch word {
			case "auth":
				r.facts.Authenticated = true
			case "incoming":
				r.facts.Direction = Incoming
			case "tls=1.0":
				r.facts.TLS = tls.VersionTLS10
			case "tls=1.1":
				r.facts.TLS = tls.VersionTLS11
			case "tls=1.2":
				r.facts.TLS = tls.VersionTLS12
			case "tls=1.3":
				r.facts.TLS = tls.VersionTLS13
			default:
				t.Fatalf("%s: %q is unknown in %q", file, word, line)
			}
		}
		r.facts.Field = fieldsOf(columns[3])
		rows = append(rows, r)
	}
	if len(rows) == 0 {
		t.Fatalf("%s has no decisions", file)
	}
	return rows
}

// fieldsOf makes header fields of "Name: value, Name: value".
func fieldsOf(text string) func(string) []string {
	return func(name string) []string {
		var values []string
		for field := range strings.SplitSeq(text, ", ") {
			if n, v, ok := strings.Cut(field, ":"); ok && strings.EqualFold(n, name) {
				values = append(values, v)
			}
		}
		return values
	}
}

func checkDecisions(t *testing.T, set *Set, rows []row) {
	t.Helper()
	used := map[string]bool{}
	for _, r := range rows {
		d := set.Decide(r.facts)
		if len(d) != 1 || d[0].Recipient != r.facts.Recipients[0] {
			t.Fatalf("%s: decisions %+v", r.line, d)
		}
		got := "-"
		if d[0].Policy != nil {
			got = d[0].Policy.Name
		}
		used[got] = true
		if got != r.policy {
			t.Errorf("%s: got %s, because %+v", r.line, got, d[0].Why)
		}
		checkWhy(t, set, d[0])
	}
	for _, p := range set.Policies() {
		if !used[p.Name] {
			t.Errorf("no line of the table decides for policy %s", p.Name)
		}
	}
}

// checkWhy compares the reasons with the policies of the set, in order.
func checkWhy(t *testing.T, set *Set, d Decision) {
	t.Helper()
	for i, p := range set.Policies() {
		if i >= len(d.Why) || d.Why[i].Policy != p.Name {
			t.Fatalf("%s: reason %d is not about policy %s: %+v", d.Recipient, i, p.Name, d.Why)
		}
		if matched := d.Why[i].Failed == ""; matched != (p == d.Policy) {
			t.Fatalf("%s: reason %d is %+v", d.Recipient, i, d.Why[i])
		}
		if p == d.Policy {
			if len(d.Why) != i+1 {
				t.Fatalf("%s: reasons after the match: %+v", d.Recipient, d.Why[i+1:])
			}
			return
		}
	}
	if d.Policy != nil {
		t.Fatalf("%s: policy %s is not of the set", d.Recipient, d.Policy.Name)
	}
}

func TestGood(t *testing.T) {
	files, err := filepath.Glob("testdata/good/*.hcl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in testdata/good: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			set, err := LoadFiles([]string{file})
			if err != nil {
				t.Fatal(err)
			}
			checkDecisions(t, set, readDecisions(t, strings.TrimSuffix(file, ".hcl")+".decisions"))
		})
	}
}

// The examples are loaded as an administrator may: one file alone, or the folder
// as it is.
func TestExamples(t *testing.T) {
	set, err := Load("examples")
	if err != nil {
		t.Fatal(err)
	}
	checkDecisions(t, set, readDecisions(t, "testdata/examples.decisions"))
	files, _ := filepath.Glob("examples/*")
	if len(files) < 6 {
		t.Errorf("only %d examples: %v", len(files), files)
	}
	for _, file := range files {
		alone, err := LoadFiles([]string{file})
		if err != nil {
			t.Errorf("%s does not load alone: %v", file, err)
		} else if len(alone.Policies()) == 0 {
			t.Errorf("%s has no policy", file)
		}
	}
}
