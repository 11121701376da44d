// Package scenarios has text files that each say what an administrator wrote,
// what a client sent, and what has to come of it. The test runs each of them
// through `waxseal filter`, a real Postfix and a real Sendmail, and lets openssl
// and gpg judge the result. README.md explains the files.
package scenarios

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"golang.org/x/tools/txtar"
)

// Scenario is one file.
type Scenario struct {
	Policies map[string]string // file name and text
	Settings string            // of waxseal.hcl

	From, Login, Client string
	To                  []string
	SMTPUTF8            bool
	SevenBit            bool     // the next hop has no 8BITMIME
	On                  []string // where it runs: "filter", "postfix", "sendmail"

	Message []byte // with CRLF line ends
	Expect  Expect
}

// Expect is what has to come of a scenario.
type Expect struct {
	Outcome string         // "accept", "reject" or "tempfail"
	Reply   *regexp.Regexp // of a refusal
	Result  *regexp.Regexp // Waxseal-Result, nil: there is none

	// Treatment is "untouched", or "sign", "encrypt" or both, then the scheme
	// and what else there is to say: "sign smime opaque", "sign encrypt smime
	// aes-256-gcm".
	Treatment []string
	Signer    string
	Readers   []string // who can decrypt it
	Strangers []string // who can't
	// Content is "bytes" if the protected part is what went in byte for byte,
	// "shown" if a mail program shows the same, "any" if a mail server has
	// changed it before the filter saw it.
	Content string
	Changed []string // fields that do not come through as they were
	Has     []*regexp.Regexp
	HasNot  []*regexp.Regexp
	// Structure is what openssl's account of the CMS structures, from the outside
	// in, has to match.
	Structure []*regexp.Regexp
}

// Read reads a scenario file.
func Read(file string) (*Scenario, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	s := &Scenario{Policies: make(map[string]string), On: []string{"filter", "postfix", "sendmail"}}
	seen := make(map[string]bool)
	for _, f := range txtar.Parse(b).Files {
		if seen[f.Name] {
			return nil, fmt.Errorf("%s: two sections %s", file, f.Name)
		}
		seen[f.Name] = true
		switch {
		case strings.HasPrefix(f.Name, "policies/"):
			s.Policies[strings.TrimPrefix(f.Name, "policies/")] = string(f.Data)
		case f.Name == "waxseal.hcl":
			s.Settings = string(f.Data)
		case f.Name == "envelope":
			err = lines(f.Data, s.envelope)
		case f.Name == "message":
			s.Message, err = message(f.Data)
		case f.Name == "expect":
			err = lines(f.Data, s.Expect.set)
		default:
			err = fmt.Errorf("unknown section")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", file, f.Name, err)
		}
	}
	if !seen["message"] || !seen["envelope"] || !slices.Contains([]string{"accept", "reject", "tempfail"}, s.Expect.Outcome) {
		return nil, fmt.Errorf("%s: has no message, envelope or outcome", file)
	}
	if s.Expect.Outcome == "accept" && len(s.Expect.Treatment) == 0 || s.Expect.Outcome != "accept" && s.Expect.Reply == nil {
		return nil, fmt.Errorf("%s: an accepted message needs a treatment, a refused one a reply", file)
	}
	if s.Expect.Content == "" {
		s.Expect.Content = "bytes"
	}
	return s, nil
}

func (s *Scenario) envelope(key, value string) error {
	switch key {
	case "from":
		s.From = value
	case "to":
		s.To = list(value)
	case "auth":
		s.Login = value
	case "client":
		s.Client = value
	case "smtputf8":
		s.SMTPUTF8 = value == "yes"
	case "next hop":
		s.SevenBit = value == "7bit"
	case "on":
		s.On = list(value)
	default:
		return fmt.Errorf("unknown word %q", key)
	}
	return nil
}

func (e *Expect) set(key, value string) error {
	pattern, err := regexp.Compile(value)
	switch key {
	case "outcome":
		e.Outcome = value
	case "reply":
		e.Reply = pattern
	case "result":
		e.Result = pattern
	case "treatment":
		e.Treatment = strings.Fields(value)
	case "signer":
		e.Signer = value
	case "readers":
		e.Readers = list(value)
	case "strangers":
		e.Strangers = list(value)
	case "content":
		e.Content = value
	case "changed":
		e.Changed = list(strings.ToLower(value))
	case "has":
		e.Has = append(e.Has, pattern)
	case "has not":
		e.HasNot = append(e.HasNot, pattern)
	case "structure":
		e.Structure = append(e.Structure, pattern)
	default:
		return fmt.Errorf("unknown word %q", key)
	}
	if slices.Contains([]string{"reply", "result", "has", "has not", "structure"}, key) {
		return err
	}
	return nil
}

// lines calls set with each "key: value".
func lines(text []byte, set func(key, value string) error) error {
	for _, line := range strings.Split(string(text), "\n") {
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			return fmt.Errorf("%q has no colon", line)
		}
		if err := set(strings.TrimSpace(key), strings.TrimSpace(value)); err != nil {
			return err
		}
	}
	return nil
}

func list(value string) []string {
	var items []string
	for _, item := range strings.Split(value, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// cut marks the end of a message that has no final line end.
const cut = "\x00cut here"

// message expands the template and makes the line ends CRLF.
func message(text []byte) ([]byte, error) {
	functions := template.FuncMap{
		// repeat writes a text so many times.
		"repeat": func(n int, s string) string { return strings.Repeat(s, n) },
		// number writes a text with %d so many times.
		"number": func(n int, s string) string {
			var b strings.Builder
			for i := range n {
				b.WriteString(strings.ReplaceAll(s, "%d", fmt.Sprint(i)))
			}
			return b.String()
		},
		// cut ends the message here, without a line end.
		"cut": func() string { return cut },
	}
	tmpl, err := template.New("").Delims("{{", "}}").Funcs(functions).Parse(string(text))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := tmpl.Execute(&out, nil); err != nil {
		return nil, err
	}
	expanded, _, _ := bytes.Cut(out.Bytes(), []byte(cut))
	return bytes.ReplaceAll(expanded, []byte("\n"), []byte("\r\n")), nil
}
