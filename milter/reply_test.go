package milter

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestRepliesAreDocumented holds docs/replies.md and the table of causes
// together.
func TestRepliesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/replies.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	want.WriteString("| cause | reply | what to do |\n|---|---|---|\n")
	seen := map[string]bool{}
	for _, c := range Causes() {
		if seen[c.Name] {
			t.Errorf("two causes are called %s", c.Name)
		}
		seen[c.Name] = true
		fmt.Fprintf(&want, "| %s | %d %s %s | %s |\n", c.Name, c.Code, c.Enhanced, c.Text, c.Advice)
	}
	if !strings.Contains(string(page), want.String()) {
		t.Errorf("docs/replies.md does not have this table:\n%s", want.String())
	}
}

func TestReplyClassesAgree(t *testing.T) {
	for _, c := range Causes() {
		if fmt.Sprint(c.Code)[0] != c.Enhanced[0] {
			t.Errorf("%s: %d and %s are of different classes", c.Name, c.Code, c.Enhanced)
		}
		if c.Advice == "" || c.Text == "" {
			t.Errorf("%s: says too little", c.Name)
		}
	}
}

func TestReply(t *testing.T) {
	r := CauseKeyNotFound.Reply("4Xz1", "no S/MIME certificate for bob@bank.example")
	if got, want := r.String(), "550 5.7.1 no S/MIME certificate for bob@bank.example (id 4Xz1)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := CauseSpool.Reply("", "").Text; got != CauseSpool.Text {
		t.Errorf("got %q, want %q", got, CauseSpool.Text)
	}
}
