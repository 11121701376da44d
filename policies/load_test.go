package policies

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const onePolicy = "policy %q {\n  direction = \"outgoing\"\n  recipient = [%q]\n}\n"

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLoadOrder(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "20-b.hcl", fmt.Sprintf(onePolicy, "b", "b.example"))
	write(t, dir, "10-a.hcl", fmt.Sprintf(onePolicy, "a", "a.example")+fmt.Sprintf(onePolicy, "a2", "a2.example"))
	write(t, dir, "100-c.hcl", fmt.Sprintf(onePolicy, "c", "c.example"))
	write(t, dir, "30-empty.hcl", "# nothing yet\n")
	for _, ignored := range []string{".hidden.hcl", "README", "d.hcl~", "d.hcl.dpkg-old", "#d.hcl#", "d.HCL"} {
		write(t, dir, ignored, "this is no policy")
	}
	if err := os.Mkdir(filepath.Join(dir, "folder.hcl"), 0o700); err != nil {
		t.Fatal(err)
	}
	outside := t.TempDir()
	write(t, outside, "z", fmt.Sprintf(onePolicy, "z", "z.example"))
	if err := os.Symlink(filepath.Join(outside, "z"), filepath.Join(dir, "90-link.hcl")); err != nil {
		t.Fatal(err)
	}
	set, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range set.Policies() {
		names = append(names, fmt.Sprintf("%s:%s:%d", p.Name, filepath.Base(p.File), p.Line))
	}
	if got, want := strings.Join(names, " "), "a:10-a.hcl:1 a2:10-a.hcl:5 c:100-c.hcl:1 b:20-b.hcl:1 z:90-link.hcl:1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	set.Policies()[0] = nil
	if set.Policies()[0] == nil {
		t.Error("a caller can change the set")
	}
}

// Problems of several files come together, and name both places of a name.
func TestLoadAllProblems(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "1.hcl", fmt.Sprintf(onePolicy, "same", "a.example"))
	write(t, dir, "2.hcl", fmt.Sprintf(onePolicy, "same", "b.example"))
	write(t, dir, "3.hcl", fmt.Sprintf(onePolicy, "late", "*@a.example"))
	write(t, dir, "4.hcl", "policy \"x\" {\n")
	write(t, dir, "5.hcl", strings.Repeat("\n", maxFileSize+1))
	if err := syscall.Mkfifo(filepath.Join(dir, "6.hcl"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "7.hcl")); err != nil {
		t.Fatal(err)
	}
	_, err := Load(dir)
	got := strings.ReplaceAll(err.Error(), dir+"/", "")
	want := `2.hcl:1:8: duplicate policy name "same"; the first is at 1.hcl:1: give this one another name
3.hcl:1:1: policy "late" can never match: "same" at 1.hcl:1 matches first; put it before that one, or make that one narrower
4.hcl:1:12: unclosed configuration block; there is no closing brace for this block before the end of the file. This may be caused by incorrect brace nesting elsewhere in this file
5.hcl: the file is longer than 1048576 bytes; divide it into several files
6.hcl: read policies: it is not a regular file; check the name, and that the daemon's user may read it
7.hcl: read policies: no such file or directory; check the name, and that the daemon's user may read it`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestLoadNothing(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct{ dir, want string }{
		{dir, dir + ": there is no policy file in the directory; write one with a name that ends in .hcl"},
		{dir + "/no", dir + "/no: read policies: no such file or directory; check the name, and that the daemon's user may read it"},
	} {
		_, err := Load(test.dir)
		var problems Problems
		if !errors.As(err, &problems) || err.Error() != test.want {
			t.Errorf("got %v, want %s", err, test.want)
		}
	}
}

func TestTooMany(t *testing.T) {
	if _, err := LoadFiles(make([]string, maxFiles+1)); err == nil || !strings.Contains(err.Error(), "more than 1000 policy files") {
		t.Errorf("too many files: %v", err)
	}
	// Short ones, so that they fit into one file: the count must be what stops it.
	l := loader{names: map[string]*Policy{}}
	l.count = maxPolicies - 1
	l.add("a.hcl", []byte(fmt.Sprintf(onePolicy, "last", "a.example")+fmt.Sprintf(onePolicy, "over", "b.example")))
	if len(l.policies) != 1 || len(l.found) != 1 || !strings.Contains(l.found[0].Text, "more than 10000 policies") {
		t.Errorf("policies %v, problems %v", l.policies, l.found)
	}
}

func TestDefaults(t *testing.T) {
	set, err := Parse("a.hcl", []byte(`policy "a" {
  direction = "outgoing"
  sign "smime" {}
}
policy "b" {
  direction = "outgoing"
  authenticated = false
  originator = ["b.example"]
}
`))
	if err == nil {
		t.Fatal("a policy after one that matches everything was accepted")
	}
	set, err = Parse("a.hcl", []byte(`policy "a" {
  direction = "outgoing"
  sign "smime" {}
}
policy "b" {
  direction = "incoming"
}
`))
	if err != nil {
		t.Fatal(err)
	}
	p := set.Policies()[0]
	if *p.Sign != (Sign{Scheme: SMIME, Key: "address", Mode: "detached"}) || p.Encrypt != nil ||
		p.Decrypt != nil || p.Verify != nil || p.SubjectTag != nil ||
		p.OnKeyNotFound != Reject || p.OnAlreadyProtected != Accept || p.FoldLocalPart || p.RequireLoginMatch ||
		p.Authenticated != nil || p.TLS != 0 {
		t.Errorf("defaults: %+v, sign %+v", p, p.Sign)
	}
	set, err = Parse("a.hcl", []byte(`policy "a" {
  direction = "outgoing"
  fold_local_part = true
  require_login_match = true
  authenticated = true
  tls = "1.3"
  sign "any" {
    key = "org.example.com"
    mode = "opaque"
    digest = "sha512"
    pss = true
  }
  encrypt "any" {
    also_to = ["archive@example.com", "\"j d\"@münchen.example"]
    cipher = "aes128-gcm"
    key_transport = "oaep-sha256"
    hidden = true
  }
  on_key_not_found = "quarantine"
  on_already_protected = "reject"
}
`))
	if err != nil {
		t.Fatal(err)
	}
	p = set.Policies()[0]
	if *p.Sign != (Sign{Scheme: Any, Key: "org.example.com", Mode: "opaque", Digest: "sha512", PSS: true}) ||
		fmt.Sprint(*p.Encrypt) != `{any [archive@example.com "j d"@münchen.example] aes128-gcm oaep-sha256 true}` ||
		p.OnKeyNotFound != Quarantine || p.OnAlreadyProtected != Reject || !p.FoldLocalPart || !p.RequireLoginMatch ||
		!*p.Authenticated || p.TLS != 0x0304 {
		t.Errorf("all set: %+v, sign %+v, encrypt %+v", p, p.Sign, p.Encrypt)
	}
}

// However they are made, 10,000 policies are compared in a time that an
// administrator accepts; it is printed.
func TestManyPolicies(t *testing.T) {
	pattern := func(text string) []Pattern {
		p, problem, _ := parsePattern(text)
		if problem != "" {
			t.Fatal(problem)
		}
		return []Pattern{p}
	}
	for name, clause := range map[string]func(i int, p *Policy){
		"domains":     func(i int, p *Policy) { p.Recipient = pattern(fmt.Sprintf("d%d.example", i)) },
		"originators": func(i int, p *Policy) { p.Originator = pattern(fmt.Sprintf("a%d@example.com", i)) },
		"headers":     func(i int, p *Policy) { p.Header = []Trigger{{Name: "X", Equals: fmt.Sprintf("t%d", i)}} },
		"crossing": func(i int, p *Policy) {
			p.Recipient = pattern(fmt.Sprintf("d%d.example", i%100))
			p.Originator = pattern(fmt.Sprintf("o%d.example", i/100))
		},
		"subdomains": func(i int, p *Policy) {
			p.Recipient = pattern("*@" + strings.Repeat("a.", 120-i%100) + fmt.Sprintf("d%d.example", i))
		},
	} {
		t.Run(name, func(t *testing.T) {
			var policies []*Policy
			for i := range maxPolicies {
				p := &Policy{Name: fmt.Sprint("p", i), Direction: Outgoing}
				clause(i, p)
				policies = append(policies, p)
			}
			start := time.Now()
			if found := shadowed(policies); len(found) > 0 {
				t.Fatal(found.Error())
			}
			t.Logf("%v", time.Since(start))
		})
	}
}
