package vault

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"waxseal/keys"
	"waxseal/test/identities"
	"waxseal/test/vaulttest"
)

// policy is the smallest that the store works with.
const policy = `
path "secret/data/waxseal/*"      { capabilities = ["read"] }
path "secret/metadata/waxseal/*"  { capabilities = ["list"] }
`

// filled starts a Vault server and puts in what the directory store of ids has.
func filled(t *testing.T, o vaulttest.Options, ids *identities.Set) *vaulttest.Server {
	t.Helper()
	s := vaulttest.Start(t, o)
	for path, fields := range entries(t, ids) {
		s.Put("waxseal/"+path, fields)
	}
	s.Policy("waxseal", policy)
	return s
}

// entries turns a directory store into KV entries.
func entries(t *testing.T, ids *identities.Set) map[string]map[string]string {
	t.Helper()
	out := map[string]map[string]string{}
	err := filepath.WalkDir(ids.Store, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		dir, suffix := filepath.Base(filepath.Dir(path)), filepath.Ext(path)
		entry := dir + "/" + strings.TrimSuffix(d.Name(), suffix)
		if out[entry] == nil {
			out[entry] = map[string]string{}
		}
		switch {
		case dir == "smime":
			i := bytes.Index(text, []byte("-----BEGIN PRIVATE KEY"))
			if i < 0 {
				t.Fatalf("%s has no private key", path)
			}
			end := i + bytes.Index(text[i:], []byte("-----END PRIVATE KEY-----\n")) + len("-----END PRIVATE KEY-----\n")
			out[entry]["private_key"] = string(text[i:end])
			out[entry]["certificate"] = string(text[:i]) + string(text[end:])
		case dir == "pgp":
			out[entry]["private_key"] = string(text)
		case suffix == ".asc":
			out[entry]["pgp"] = string(text)
		default:
			out[entry]["smime"] = string(text)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// open opens a store that sees nothing of the environment.
func open(t *testing.T, s *vaulttest.Server, c Config) *Store {
	t.Helper()
	if c.Address == "" {
		c.Address = s.Address
	}
	if c.CACert == "" {
		c.CACert = s.CAFile
	}
	if c.KV == "" {
		c.KV = "secret/waxseal"
	}
	if c.Token == "" && c.TokenFile == "" && !c.logsIn() {
		c.Token = s.Token("1h", "waxseal")
	}
	store, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

// reads asks for Alice's key, which every filled server has.
func reads(t *testing.T, s *Store) error {
	t.Helper()
	_, err := s.Key(t.Context(), keys.SMIME, identities.Alice)
	return err
}

func wantError(t *testing.T, what string, err error, words ...string) {
	t.Helper()
	if err == nil || errors.Is(err, keys.ErrNotFound) {
		t.Errorf("%s: error %v, want one that is not ErrNotFound", what, err)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: error %q, want one with %q", what, err, w)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: error %q has more than one line", what, err)
	}
}

// TestWithIdentities runs what needs keys and certificates, which take a while
// to make.
func TestWithIdentities(t *testing.T) {
	ids := identities.Make(t)
	for name, test := range map[string]func(*testing.T, *identities.Set){
		"Store": testStore, "BrokenEntries": testBrokenEntries, "List": testList,
		"Token": testToken, "TokenFile": testTokenFile, "AppRole": testAppRole, "Renewal": testRenewal,
		"Environment": testEnvironment, "TLS": testTLS, "Sealed": testSealed, "Killed": testKilled,
		"Slow": testSlow, "Cached": testCached, "Wrapped": testWrapped, "Cert": testCert, "Life": testLife,
	} {
		t.Run(name, func(t *testing.T) { test(t, ids) })
	}
}

func testStore(t *testing.T, ids *identities.Set) {
	server := filled(t, vaulttest.Options{}, ids)
	store := open(t, server, Config{})
	ctx := t.Context()

	if err := store.Ready(ctx); err != nil {
		t.Errorf("ready: %v", err)
	}
	k, err := store.Key(ctx, keys.SMIME, identities.Alice)
	if err != nil {
		t.Fatal(err)
	}
	if len(k.Chain) < 2 || k.Signer == nil || !k.Own || k.Name != identities.Alice {
		t.Errorf("key %v: chain of %d, signer %T", k, len(k.Chain), k.Signer)
	}
	if k, err := store.Key(ctx, keys.PGP, identities.Pia); err != nil || !bytes.Contains(k.OpenPGP, []byte("PRIVATE KEY BLOCK")) {
		t.Errorf("PGP key: %v", err)
	}
	if c, err := store.Certificate(ctx, keys.SMIME, identities.Gateway); err != nil || len(c.X509) != 1 {
		t.Errorf("certificate of a domain: %v", err)
	}
	if c, err := store.Certificate(ctx, keys.PGP, identities.Dan); err != nil || len(c.OpenPGP) == 0 {
		t.Errorf("PGP certificate: %v", err)
	}
	for _, e := range []keys.Entry{
		{Scheme: keys.SMIME, Name: identities.Nobody}, {Scheme: keys.SMIME, Name: identities.Nobody, Own: true},
		{Scheme: keys.PGP, Name: identities.Erin}, // has S/MIME alone
		{Scheme: keys.SMIME, Name: "../x"},
	} {
		if e.Own {
			_, err = store.Key(ctx, e.Scheme, e.Name)
		} else {
			_, err = store.Certificate(ctx, e.Scheme, e.Name)
		}
		if !errors.Is(err, keys.ErrNotFound) {
			t.Errorf("%v: error %v, want ErrNotFound", e, err)
		}
	}
	_, err = store.Key(ctx, "x509", identities.Alice)
	wantError(t, "unknown scheme", err)
	_, err = store.Key(ctx, keys.SMIME, "Alice@example.com")
	wantError(t, "name not in normal form", err)

	server.Put("waxseal/smime/odd+name'&=~!$^_`{|}-x@example.com", map[string]string{"x": "y"})
	_, err = store.Key(ctx, keys.SMIME, "odd+name'&=~!$^_`{|}-x@example.com")
	wantError(t, "odd name", err, "private_key is missing")
	server.Put("waxseal/smime/用户@example.com", map[string]string{"x": "y"})
	_, err = store.Key(ctx, keys.SMIME, "用户@example.com")
	wantError(t, "UTF-8 name", err, "private_key is missing")

	// The newest version counts, and a deleted one is not there.
	server.Delete("secret/data/waxseal/smime/" + identities.Alice)
	if _, err := store.Key(ctx, keys.SMIME, identities.Alice); !errors.Is(err, keys.ErrNotFound) {
		t.Errorf("deleted: error %v, want ErrNotFound", err)
	}
	server.Put("waxseal/smime/"+identities.Alice, entries(t, ids)["smime/"+identities.Alice])
	if err := reads(t, store); err != nil {
		t.Errorf("written anew: %v", err)
	}
}

func testBrokenEntries(t *testing.T, ids *identities.Set) {
	good := entries(t, ids)["smime/"+identities.Alice]
	server := filled(t, vaulttest.Options{}, ids)
	store := open(t, server, Config{})
	for want, data := range map[string]map[string]any{
		"private_key is missing": {"certificate": good["certificate"]},
		"certificate is missing": {"private_key": good["private_key"]},
		"on transit/keys/alice":  {"certificate": good["certificate"], "transit_key": "alice"},
		"is not a text":          {"certificate": 7, "private_key": good["private_key"]},
		"more than one private":  {"certificate": good["private_key"], "private_key": good["private_key"]},
		"not for alice":          {"certificate": entries(t, ids)["smime/"+identities.Carol]["certificate"], "private_key": entries(t, ids)["smime/"+identities.Carol]["private_key"]},
	} {
		server.Write("secret/data/waxseal/smime/"+identities.Alice, map[string]any{"data": data})
		err := reads(t, store)
		wantError(t, want, err, "smime/alice@example.com: ", want)
		if err != nil && strings.Contains(err.Error(), "BEGIN") {
			t.Errorf("%s: the error has key material: %v", want, err)
		}
	}
	late := open(t, server, Config{Now: func() time.Time { return time.Now().Add(50 * 365 * 24 * time.Hour) }})
	_, err := late.Certificate(t.Context(), keys.SMIME, identities.Bob)
	wantError(t, "in fifty years", err, "recipients/bob@partner.example (smime): certificate expired")
}

func testList(t *testing.T, ids *identities.Set) {
	server := filled(t, vaulttest.Options{}, ids)
	store := open(t, server, Config{})
	got, err := store.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var want []keys.Entry
	for path, fields := range entries(t, ids) {
		dir, name, _ := strings.Cut(path, "/")
		for _, scheme := range []keys.Scheme{keys.SMIME, keys.PGP} {
			if own := dir == string(scheme); own || fields[string(scheme)] != "" {
				want = append(want, keys.Entry{Scheme: scheme, Name: name, Own: own})
			}
		}
	}
	slices.SortFunc(want, keys.Entry.Compare)
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}

	server.Put("waxseal/recipients/Bob@Partner.example", map[string]string{"smime": "x"})
	server.Put("waxseal/recipients/sub/folder", map[string]string{"smime": "x"})
	more, err := store.List(t.Context())
	wantError(t, "misnamed entry", err, "recipients/Bob@Partner.example is never found: move it to recipients/bob@partner.example")
	if !slices.Equal(more, want) {
		t.Errorf("with a misnamed entry: %v", more)
	}

	empty := open(t, server, Config{KV: "secret/nothing/here", Token: server.RootToken})
	if got, err := empty.List(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("empty path: %v, %v", got, err)
	}
}

// An engine that is not KV v2, or not there, must not look like one without
// keys: mail would go out unsigned by a policy that accepts a missing key.
func TestMount(t *testing.T) {
	server := vaulttest.Start(t, vaulttest.Options{})
	server.Write("sys/mounts/old", map[string]any{"type": "kv", "options": map[string]string{"version": "1"}})
	server.Write("sys/mounts/deep/er", map[string]any{"type": "kv", "options": map[string]string{"version": "2"}})
	server.Write("deep/er/data/mail/smime/x@y.example", map[string]any{"data": map[string]string{"a": "b"}})
	for _, c := range []struct{ name, kv, mount, want string }{
		{"KV v1", "old/waxseal", "", `old/ is no KV v2 engine (type "kv", version "1"`},
		{"no such mount", "none/waxseal", "", "none/"},
		{"mount with a slash, unsaid", "deep/er/mail", "", "deep"},
		{"mount with a slash", "deep/er/mail", "deep/er", "private_key is missing"},
	} {
		store := open(t, server, Config{KV: c.kv, KVMount: c.mount, Token: server.RootToken})
		_, err := store.Key(t.Context(), keys.SMIME, "x@y.example")
		wantError(t, c.name, err, c.want)
		if err := store.Ready(t.Context()); (err == nil) != (c.mount != "") {
			t.Errorf("%s: ready: %v", c.name, err)
		}
	}
	// The whole mount, without a path below it.
	server.Put("smime/x@y.example", map[string]string{"a": "b"})
	_, err := open(t, server, Config{KV: "secret", Token: server.RootToken}).Key(t.Context(), keys.SMIME, "x@y.example")
	wantError(t, "mount alone", err, "private_key is missing")
}
