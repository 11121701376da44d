package policies

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

type daemon struct {
	Listen   []string          `hcl:"listen,optional"`
	Name     string            `hcl:"name"`
	Size     int               `hcl:"size,optional"`
	Ratio    *float64          `hcl:"ratio,optional"`
	Quiet    *bool             `hcl:"quiet,optional"`
	Labels   map[string]string `hcl:"labels,optional"`
	Keys     []daemonKeys      `hcl:"keys,block"`
	Monitor  *daemonMonitor    `hcl:"monitor,block"`
	Untagged string
}

type daemonKeys struct {
	Store string `hcl:"store,label"`
	Path  string `hcl:"path,optional"`
	Auth  *struct {
		Method string `hcl:"method,label"`
		Role   string `hcl:"role"`
	} `hcl:"auth,block"`
}

type daemonMonitor struct {
	Port int8 `hcl:"port"`
}

func TestDecode(t *testing.T) {
	var d daemon
	err := Decode("d.hcl", []byte(`
listen = ["unix:/run/x", "inet:127.0.0.1:8891"] # two
name   = "mx1"
size   = 50
ratio  = 0.5
labels = { a = "b" }
keys "vault" {
  auth "approle" {
    role = <<END
abc
END
  }
}
keys "directory" { path = "keys" }
monitor { port = 99 }
`), &d)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%v %s %d %v %v %v %s %s %d", d.Listen, d.Name, d.Size, *d.Ratio, d.Quiet, d.Labels,
		d.Keys[0].Auth.Role, d.Keys[1].Path, d.Monitor.Port)
	if want := "[unix:/run/x inet:127.0.0.1:8891] mx1 50 0.5 <nil> map[a:b] abc\n keys 99"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDecodeProblems(t *testing.T) {
	for _, test := range []struct{ name, src, want string }{
		{"everything at once", "listen = \"x\"\nsize = \"5\"\nquite = true\nlabels = [1]\nkeys {}\nkeys \"v\" {\n  auth \"a\" {}\n}\nmonitor {}\nmonitor {}\n",
			`d.hcl:1:1: name is missing; write name = "..."
d.hcl:1:10: listen must be a list of texts in quotes; write listen = ["..."]
d.hcl:2:8: size must be a number; write size = 1
d.hcl:3:1: unknown setting "quite"; did you mean quiet?
d.hcl:4:10: labels must be a map; write labels = { name = value }
d.hcl:5:1: keys has no store; write keys "STORE" { ... }
d.hcl:7:12: role is missing; write role = "..."
d.hcl:9:9: port is missing; write port = 1
d.hcl:10:1: duplicate block "monitor"; the first is at line 9: keep one`},
		{"number out of range", "name = \"x\"\nmonitor { port = 999 }\n",
			`d.hcl:2:18: unsuitable value type; unsuitable value: value must be a whole number, between -128 and 127`},
		{"no text", "", `d.hcl:1:1: name is missing; write name = "..."`},
		{"syntax", "name = \"x\"\nsize =\n", "d.hcl:2:7: invalid expression; expected the start of an expression, but found an invalid expression token"},
		{"binary", "name = \"x\"\n\x00\xff\n", "d.hcl:2:1: argument or block definition required; an argument or block definition is required here\nd.hcl:2:1: invalid character; this character is not used within the language"},
		{"UTF-16", "\xff\xfen\x00a\x00", "d.hcl:1:1: argument or block definition required; an argument or block definition is required here\nd.hcl:1:1: invalid character encoding; all input files must be UTF-8 encoded. Ensure that UTF-8 encoding is selected in your editor"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var d daemon
			err := Decode("d.hcl", []byte(test.src), &d)
			var problems Problems
			if !errors.As(err, &problems) {
				t.Fatalf("error is %v", err)
			}
			if got := err.Error(); !strings.HasPrefix(got, test.want) {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestDecodeByteOrderMark(t *testing.T) {
	var d daemon
	if err := Decode("d.hcl", []byte("\xef\xbb\xbfname = \"x\"\r\nsize = 1\r\n"), &d); err != nil || d.Name != "x" {
		t.Errorf("name %q, error %v", d.Name, err)
	}
}

func TestLocate(t *testing.T) {
	src := []byte("name = \"x\"\nkeys \"vault\" {\n  path = \"p\"\n}\n")
	got := Locate("d.hcl", src, []Misfit{
		{Setting: "keys.path", Text: "no such folder", Hint: "make it"},
		{Setting: "keys.auth", Text: "missing"},
		{Setting: "name", Text: "bad"},
		{Setting: "listen", Text: "empty"},
	}).Error()
	want := `d.hcl: listen: empty
d.hcl:1:1: name: bad
d.hcl:2:1: keys.auth: missing
d.hcl:3:3: keys.path: no such folder; make it`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := Locate("d.hcl", []byte("a = ["), []Misfit{{Setting: "a", Text: "bad"}}).Error(); got != "d.hcl: a: bad" {
		t.Errorf("with broken syntax: %s", got)
	}
}

// What the parser would go too deep in, or too slow, is refused before.
func TestHostileSyntax(t *testing.T) {
	const size = 60_000
	for name, src := range map[string]string{
		"brackets":    "a = " + strings.Repeat("[", size),
		"braces":      "a = " + strings.Repeat("{a=", size/3),
		"parentheses": "a = " + strings.Repeat("(", size),
		"blocks":      strings.Repeat("a {\n", size/4),
		"not":         "a = " + strings.Repeat("!", size) + "true",
		"minus":       "a = " + strings.Repeat("-", size) + "1",
		"plus":        "a = 1" + strings.Repeat("+1", size/2),
		"conditions":  "a = " + strings.Repeat("b?", size/2) + "1",
		"index":       "a = b" + strings.Repeat("[0]", size/3),
		"variables":   "a = b" + strings.Repeat("[b]", size/3),
		"dots":        "a = b" + strings.Repeat(".b", size/2),
		"splat":       "a = b" + strings.Repeat("[*]", size/3),
		"templates":   "a = " + strings.Repeat(`"${`, size/3),
		"controls":    `a = "` + strings.Repeat(`%{if a}`, size/7),
		"heredocs":    "a = <<E\n" + strings.Repeat("${<<E\n", size/6),
		"quotes":      "a = " + strings.Repeat(`"`, size),
		"for":         "a = " + strings.Repeat("[for a in ", size/10),
		"long name":   strings.Repeat("a", size) + " = 1",
		"unknown":     strings.Repeat("polici {}\n", size/10),
		"digits":      "a = " + strings.Repeat("9", size),
		"exponent":    "policy \"a\" {\n  direction = 1e999999999\n}\n",
		"closed":      "a = " + strings.Repeat("]", size),
		"too long":    strings.Repeat("#", maxFileSize+1),
		"curly quote": strings.Repeat("“", size/3),
		"commas":      "a = [" + strings.Repeat(",", size),
		"same name":   strings.Repeat("a = 1\n", size/6),
		"invalid":     strings.Repeat("\xff", size),
		"policies":    strings.Repeat("policy \"a\" {}\n", size/14),
		"labels":      "policy" + strings.Repeat(` "a"`, size/4) + " {}\n",
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			set, err := Parse("hostile.hcl", []byte(src))
			var problems Problems
			if set != nil || !errors.As(err, &problems) || len(problems) > maxProblems+1 {
				t.Errorf("%d problems: %.200v", len(problems), err)
			}
			t.Logf("%v, %d problems: %.120v", time.Since(start).Round(time.Millisecond), len(problems), err)
			var d daemon
			if Decode("hostile.hcl", []byte(src), &d) == nil {
				t.Error("Decode takes it")
			}
		})
	}
}

func TestProblemsOverflow(t *testing.T) {
	var ps Problems
	for i := range maxProblems + 5 {
		ps = append(ps, Problem{File: "f", Line: maxProblems + 5 - i, Column: 1, Text: "t"})
	}
	ps = append(ps, ps[0])
	got := ps.Sorted()
	if len(got) != maxProblems+1 || got[0].Line != 1 || got[maxProblems].Text != "5 more problems follow" {
		t.Errorf("%d problems, the last is %v", len(got), got[len(got)-1])
	}
}
