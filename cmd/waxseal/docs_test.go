package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"waxseal/policies"
)

// pages are the pages that people copy from.
func pages(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, file := range append(files, "../../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(file)] = string(text)
	}
	return texts
}

// snippet is a piece of HCL on a page.
type snippet struct {
	page, text string
	policy     bool // of a policy file, not of waxseal.hcl
}

var (
	hclStart = regexp.MustCompile(`^([a-z_]+ +=|keys "|policy "|trust_anchors "|revocation \{|header "|sign +"|encrypt "|issue )`)
	// otherFiles begins pieces of files that are not ours; they show their name.
	otherFiles = regexp.MustCompile(`^# (/etc/postfix|/etc/mail|once)`)
)

// snippets cuts the HCL out of a page's indented blocks. A piece ends with an
// empty line outside of braces.
func snippets(page, text string) []snippet {
	var found []snippet
	var piece []string
	depth, foreign := 0, false
	end := func() {
		joined := strings.Join(piece, "\n")
		for len(piece) > 0 && strings.HasPrefix(piece[0], "#") {
			foreign = foreign || otherFiles.MatchString(piece[0])
			piece = piece[1:]
		}
		if len(piece) > 0 && !foreign && hclStart.MatchString(piece[0]) {
			found = append(found, snippet{page, joined + "\n", regexp.MustCompile(`(?m)^(policy|header|sign|encrypt|issue_on_demand)\b`).MatchString(joined)})
		}
		piece, depth, foreign = nil, 0, false
	}
	for line := range strings.Lines(text + "\nend\n") {
		line = strings.TrimRight(line, "\n")
		code := strings.TrimLeft(line, " ")
		if code != "" && len(line)-len(code) < 4 || code == "" && depth == 0 {
			end()
			continue
		}
		piece = append(piece, code)
		depth += strings.Count(code, "{") - strings.Count(code, "}")
	}
	return found
}

// TestDocumentedConfigurations loads every piece of configuration that the
// pages show.
func TestDocumentedConfigurations(t *testing.T) {
	counts := map[string]int{}
	for page, text := range pages(t) {
		for _, s := range snippets(page, text) {
			counts[page]++
			var err error
			if s.policy {
				if !regexp.MustCompile(`(?m)^policy\b`).MatchString(s.text) {
					s.text = "policy \"part\" {\ndirection = \"outgoing\"\n" + s.text + "}\n"
				}
				_, err = policies.Parse(page, []byte(s.text))
			} else {
				if !strings.Contains(s.text, "keys \"") {
					s.text += "keys \"directory\" { path = \"keys\" }\n"
				}
				_, err = readConfig(write(t, "waxseal.hcl", s.text))
			}
			if err != nil {
				t.Errorf("%s shows\n%s%v", page, s.text, err)
			}
		}
	}
	for page, least := range map[string]int{"README.md": 5, "postfix.md": 2, "sendmail.md": 1, "configuration.md": 2, "vault.md": 1, "policies.md": 4} {
		if counts[page] < least {
			t.Errorf("%d pieces of configuration found in %s, want %d at least", counts[page], page, least)
		}
	}
}

var commandLine = regexp.MustCompile("(?m)(?:^ {4,}|`)waxseal ([a-z][^`\n|<>]*)")

// TestDocumentedCommands looks up every command line that the pages show, and
// its flags.
func TestDocumentedCommands(t *testing.T) {
	seen := map[string]bool{}
	for page, text := range pages(t) {
		for _, m := range commandLine.FindAllStringSubmatch(text, -1) {
			line, _, _ := strings.Cut(m[1], "  ")
			args := longFlags(strings.Fields(line))
			cmd, _, err := root().Find(args)
			if err == nil && !cmd.HasParent() {
				err = errors.New("there is no such command")
			}
			if err != nil {
				t.Errorf("%s shows `waxseal %s`: %v", page, line, err)
				continue
			}
			seen[cmd.Name()] = true
			for _, a := range args {
				name, _, _ := strings.Cut(strings.TrimLeft(strings.Trim(a, "[]"), "-"), "=")
				if strings.HasPrefix(strings.Trim(a, "["), "-") && cmd.Flags().Lookup(name) == nil && cmd.InheritedFlags().Lookup(name) == nil {
					t.Errorf("%s shows `waxseal %s`, which has no flag %s", page, line, a)
				}
			}
		}
	}
	for _, name := range []string{"check", "filter"} {
		if !seen[name] {
			t.Errorf("no page shows waxseal %s", name)
		}
	}
}

// TestLinks follows the links between the pages, and looks for the files of code
// that they name.
func TestLinks(t *testing.T) {
	links := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	code := regexp.MustCompile("`([a-z0-9]+/[a-z0-9/*]+\\.go)`")
	for page, text := range pages(t) {
		dir := "../../docs"
		if page == "README.md" {
			dir = "../.."
		}
		for _, m := range links.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(dir, m[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
		for _, m := range code.FindAllStringSubmatch(text, -1) {
			if found, err := filepath.Glob(filepath.Join("../..", m[1])); err != nil || len(found) == 0 {
				t.Errorf("%s names %s, which is not there", page, m[1])
			}
		}
	}
}
