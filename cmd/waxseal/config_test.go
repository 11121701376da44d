package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// write makes the files of a configuration and returns the path of the first.
func write(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		name := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			continue
		}
		if err := os.WriteFile(name, []byte(files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, files[0])
}

func TestDefaults(t *testing.T) {
	file := write(t, "waxseal.hcl", "keys \"directory\" {\n  path = \"keys\"\n}\n")
	s, err := readConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(file)
	if got := s.Listen; !reflect.DeepEqual(got, []string{"unix:/run/waxseal/milter.sock"}) {
		t.Errorf("listen %q", got)
	}
	if s.Policies != filepath.Join(dir, "policies") || s.Keys.Path != filepath.Join(dir, "keys") {
		t.Errorf("paths are not relative to the file: %s, %s", s.Policies, s.Keys.Path)
	}
	if s.maxMessage != 50<<20 || s.maxResult != 0 || s.spoolLimit != 4<<30 || s.socketMode != 0o660 || s.MaxConnections != 1000 {
		t.Errorf("limits: %+v", s)
	}
	if s.cache != 5*time.Minute || s.stale != time.Hour || s.messageTimeout != 4*time.Minute {
		t.Errorf("times: %+v", s)
	}
	if len(s.internal) != 2 || s.AuthservID == "" {
		t.Errorf("internal %v, authserv_id %q", s.internal, s.AuthservID)
	}
}

var badConfigs = []struct{ name, text, want string }{
	{"syntax", "keys {{{\n", "w.hcl:1:"},
	{"no keys block", "", `missing`},
	{"unknown store", "keys \"redis\" {\n}\n", `w.hcl:1:1: keys: there is no store "redis"; write keys "vault" or keys "directory"`},
	{"unknown setting", "intern = []\nkeys \"directory\" {\n  path = \"k\"\n}\n", `w.hcl:1:1: unknown setting "intern"; did you mean internal?`},
	{"several at once", "socket_mode = \"99\"\nmax_message_size = \"10 apples\"\nkeys \"directory\" {\n  path = \"k\"\n  cache = \"soon\"\n}\n",
		`w.hcl:1:1: socket_mode: "99" is not a file mode; write it in octal, as "0660"
w.hcl:2:1: max_message_size: "10 apples" is not a size; write it as "50MiB" or as a number of bytes
w.hcl:5:3: keys.cache: "soon" is not a time; write it as "5m" or "30s"`},
	{"unknown and wrong", "typo = 1\nlog_level = \"loud\"\nkeys \"directory\" {\n  path = \"k\"\n}\n", "w.hcl:2:1: log_level: \"loud\" is not known; write one of info, debug, warn, error"},
	{"no path", "keys \"directory\" {\n}\n", `w.hcl:1:1: keys: has no path; write path = "keys"`},
	{"setting of the other store", "keys \"directory\" {\n  path = \"k\"\n  kv = \"x\"\n}\n", `w.hcl:3:3: keys.kv: is a setting of keys "vault", and this is keys "directory"; take it out`},
	{"listen", "listen = [\"tcp:1\"]\nkeys \"directory\" {\n  path = \"k\"\n}\n", `w.hcl:1:1: listen: listen on "tcp:1": it is neither unix:, local:, inet: nor inet6:`},
	{"network", "internal = [\"10.0.0.0/99\"]\nkeys \"directory\" {\n  path = \"k\"\n}\n", `w.hcl:1:1: internal: "10.0.0.0/99" is not a network`},
	{"host name", "authserv_id = \"a; b\"\nkeys \"directory\" {\n  path = \"k\"\n}\n", `w.hcl:1:1: authserv_id: "a; b" is not a host name`},
	{"setting of another login", "keys \"vault\" {\n  auth \"cert\" {\n    role_id = \"x\"\n  }\n}\n",
		`w.hcl:3:5: keys.auth.role_id: is a setting of auth "approle", and this is auth "cert"; take it out`},
	{"issue", "keys \"vault\" {\n  issue {\n    key = \"usb\"\n    ttl = \"1y\"\n    algorithm = \"dsa\"\n  }\n}\n",
		`w.hcl:2:3: keys.issue: has no role; write role = "smime", or the name that the role in Vault has
w.hcl:3:5: keys.issue.key: "usb" is not known; write one of local, transit
w.hcl:4:5: keys.issue.ttl: "1y" is not a time; write it as "5m" or "30s"
w.hcl:5:5: keys.issue.algorithm: there is no algorithm "dsa"`},
	{"issue from a directory", "keys \"directory\" {\n  path = \"k\"\n  issue {\n    role = \"smime\"\n  }\n}\n",
		`w.hcl:3:3: keys.issue: is a setting of keys "vault", and this is keys "directory"; take it out`},
	{"auth method", "keys \"vault\" {\n  auth \"ldap\" {\n  }\n}\n", `w.hcl:2:3: keys.auth: "ldap" is not known; write one of token`},
}

func TestBadConfigs(t *testing.T) {
	for _, c := range badConfigs {
		t.Run(c.name, func(t *testing.T) {
			file := write(t, "w.hcl", c.text)
			_, err := readConfig(file)
			if err == nil {
				t.Fatal("no error")
			}
			if got := strings.ReplaceAll(err.Error(), file, "w.hcl"); !strings.Contains(got, c.want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
			}
		})
	}
}

func TestConfigIsBounded(t *testing.T) {
	file := write(t, "w.hcl", strings.Repeat("#", maxConfigSize+1))
	if _, err := readConfig(file); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("got %v", err)
	}
}

// TestSettingsAreDocumented holds docs/configuration.md and the settings
// together.
func TestSettingsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{config{}, keysBlock{}, authBlock{}, issueBlock{}, anchorsBlock{}, revocationBlock{}} {
		for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
			name, kind, _ := strings.Cut(f.Tag.Get("hcl"), ",")
			if name == "" || kind == "label" {
				continue
			}
			if !strings.Contains(string(page), "`"+name) && !strings.Contains(string(page), name+" =") {
				t.Errorf("docs/configuration.md does not know %s", name)
			}
		}
	}
}

// TestShippedConfig loads what is shipped as an example.
func TestShippedConfig(t *testing.T) {
	if _, err := readConfig("../../packaging/waxseal.hcl"); err != nil {
		t.Error(err)
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "10240000": 10240000, "50MiB": 50 << 20, "10MB": 10e6, "1k": 1024, " 2 gib ": 2 << 30, "7b": 7,
	} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1", "x", "1.5MiB", "9999999999GiB", "1 apple", "MiB"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q: %d, want an error", text, got)
		}
	}
}

func TestLongFlags(t *testing.T) {
	got := longFlags([]string{"filter", "-from", "a", "--to=b", "-h", "-", "--", "-x"})
	want := []string{"filter", "--from", "a", "--to=b", "-h", "-", "--", "-x"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
