package main

import (
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"waxseal/keys"
	"waxseal/signer/pgpmime"
)

// TestOpenPGPWarnings makes keys that work, and not for everybody.
func TestOpenPGPWarnings(t *testing.T) {
	now := time.Now()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		options pgpmime.BuildOptions
		theirs  bool
		want    string // "" for no warning
	}{
		"as gpg":            {pgpmime.BuildOptions{}, false, ""},
		"version 6":         {pgpmime.BuildOptions{Version: 6}, false, "pgp/kim@example.com: this kind of key is one of RFC 9580: gpg and many other programs can't verify"},
		"new Ed25519":       {pgpmime.BuildOptions{NewEd25519: true}, false, "one of RFC 9580"},
		"theirs, version 6": {pgpmime.BuildOptions{Version: 6}, true, ""},
		"ends soon":         {pgpmime.BuildOptions{Lifetime: 48 * time.Hour}, false, "expires on "},
	} {
		c.options.UserIDs = []string{"Kim <kim@example.com>"}
		built, err := pgpmime.Build(private, c.options)
		if err != nil {
			t.Fatal(err)
		}
		k, err := pgpmime.ParseKey("kim@example.com", built.Certificate, private)
		if err != nil {
			t.Fatal(err)
		}
		e := keys.Entry{Scheme: keys.PGP, Name: "kim@example.com", Own: !c.theirs}
		got := openpgpWarnings(e, k.Certificate(), k.NotAfter(now), now)
		if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
			t.Errorf("%s: %q, want one with %q", name, got, c.want)
		}
	}
}

// TestPostQuantum holds the setting and what keys are read with together.
func TestPostQuantum(t *testing.T) {
	const keysBlock = "keys \"directory\" {\n  path = \"keys\"\n}\n"
	for text, want := range map[string]bool{"": false, "post_quantum = false\n": false, "post_quantum = true\n": true} {
		s, err := readConfig(write(t, "waxseal.hcl", text+keysBlock, "policies/10.hcl", "policy \"p\" {\n  direction = \"outgoing\"\n}\n"))
		if err != nil {
			t.Fatal(err)
		}
		filter, closer, err := openFilter(s, nil, newLog(s, t.Output()))
		if err != nil {
			t.Fatal(err)
		}
		if got := filter.Keyring.Options.PostQuantum; got != want {
			t.Errorf("%q: the daemon takes %t", text, got)
		}
		if err := closer.Close(); err != nil {
			t.Error(err)
		}
	}
}
