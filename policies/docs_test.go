package policies

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// settingNames lists every setting and block that a policy file can have.
func settingNames(typ reflect.Type) []string {
	var names []string
	s := schemaOf(typ)
	for _, name := range s.names {
		names = append(names, name)
		if s.settings[name].block {
			names = append(names, settingNames(structOf(s.settings[name].typ))...)
		}
	}
	return names
}

func TestDocumentation(t *testing.T) {
	page, err := os.ReadFile("../docs/policies.md")
	if err != nil {
		t.Fatal(err)
	}
	names := settingNames(reflect.TypeFor[policyBlock]())
	if len(names) < 40 {
		t.Fatalf("only %d settings: %v", len(names), names)
	}
	for _, name := range names {
		text := string(page)
		if !strings.Contains(text, "`"+name+"`") && !strings.Contains(text, "`"+name+" ") {
			t.Errorf("docs/policies.md does not say what %s is", name)
		}
	}
	for _, word := range []string{"outgoing", "incoming", "accept", "reject", "tempfail", "discard", "quarantine",
		"address", "domain", "any", "detached", "opaque", "sha256", "sha384", "sha512", "aes256-cbc", "aes256-gcm",
		"aes128-cbc", "aes128-gcm", "rsa15", "oaep-sha1", "oaep-sha256", "plain", "keep", "check", "require", "off", "all",
		"1.0", "1.1", "1.2", "1.3"} {
		if !strings.Contains(string(page), `"`+word+`"`) {
			t.Errorf("docs/policies.md does not have the value %q", word)
		}
	}
	for _, scheme := range []string{"smime", "pgp", "any"} {
		for _, block := range []string{"sign", "encrypt"} {
			if want := "`" + block + ` "` + scheme + `" {}`; !strings.Contains(string(page), want) {
				t.Errorf("docs/policies.md does not have %s", want)
			}
		}
	}
}

// The page's examples are policies, or parts of one.
func TestDocumentationExamples(t *testing.T) {
	page, err := os.ReadFile("../docs/policies.md")
	if err != nil {
		t.Fatal(err)
	}
	var example strings.Builder
	examples := 0
	for line := range strings.Lines(string(page) + "\n") {
		if code, ok := strings.CutPrefix(line, "    "); ok {
			example.WriteString(code)
			continue
		}
		if text := example.String(); text != "" {
			if !strings.HasPrefix(text, "policy") {
				text = "policy \"part\" {\ndirection = \"outgoing\"\n" + text + "}\n"
			}
			if _, err := Parse("docs/policies.md", []byte(text)); err != nil {
				t.Errorf("%s\n%v", text, err)
			}
			examples++
		}
		example.Reset()
	}
	if examples < 4 {
		t.Errorf("%d examples found", examples)
	}
}
