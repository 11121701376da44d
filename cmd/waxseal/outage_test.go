package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"waxseal/keys"
)

func TestOutage(t *testing.T) {
	var out bytes.Buffer
	now := time.Now()
	o := &outage{log: slog.New(slog.NewTextHandler(&out, nil)), now: func() time.Time { return now }, failing: map[keys.Entry]bool{}}
	entry := func(n int) keys.Entry {
		return keys.Entry{Scheme: keys.SMIME, Name: fmt.Sprintf("a%d@example.com", n), Own: true}
	}
	lines := func(what string, want ...string) {
		t.Helper()
		got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		out.Reset()
		if got[0] == "" {
			got = nil
		}
		if len(got) != len(want) {
			t.Errorf("%s: %q, want %d lines", what, got, len(want))
			return
		}
		for i, w := range want {
			if !strings.Contains(got[i], w) {
				t.Errorf("%s: %q, want %q", what, got[i], w)
			}
		}
	}
	away := errors.New("Vault is sealed")
	for n := range 1000 {
		o.changed(entry(n), away)
	}
	lines("it begins", "entry=smime/a0@example.com entries=1 error=\"Vault is sealed\"")
	now = now.Add(time.Minute)
	o.changed(entry(1000), away)
	lines("a minute later", "entries=1001")
	for n := range 1001 {
		o.changed(entry(n), nil)
	}
	lines("it ends", "key store gives the entry again")
	o.changed(entry(1), away)
	lines("again at once", "does not give an entry")
	// An entry that nobody asks for any more does not hide the next outage.
	o.changed(entry(2), away)
	o.changed(entry(2), nil)
	o.changed(entry(3), away)
	lines("another one", "entry=smime/a3@example.com entries=2")
}
