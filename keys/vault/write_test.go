package vault

import (
	"errors"
	"strings"
	"testing"
	"time"

	"waxseal/keys"
	"waxseal/keys/storetest"
	"waxseal/test/vaulttest"
)

// writePolicy is what an administrator's commands need.
const writePolicy = `
path "secret/data/waxseal/*"     { capabilities = ["create", "read", "update"] }
path "secret/metadata/waxseal/*" { capabilities = ["create", "read", "update", "list"] }
path "transit/keys/*"            { capabilities = ["read"] }
`

func TestWriter(t *testing.T) {
	server := vaulttest.Start(t, vaulttest.Options{})
	server.Write("sys/mounts/transit", map[string]any{"type": "transit"})
	n := 0
	storetest.Run(t, func(t *testing.T, now func() time.Time) keys.Writer {
		n++
		base := "secret/" + strings.Repeat("x", n)
		server.Policy("writer", strings.ReplaceAll(writePolicy, "waxseal/*", strings.Repeat("x", n)+"/*"))
		return open(t, server, Config{KV: base, Now: now, Token: server.Token("1h", "writer")})
	})
}

// What was deleted in Vault is not there for decryption either, and what was
// deleted as a whole can be written again.
func TestDeletedVersions(t *testing.T) {
	server := vaulttest.Start(t, vaulttest.Options{})
	server.Policy("writer", writePolicy)
	s := open(t, server, Config{Token: server.Token("1h", "writer")})
	e := keys.Entry{Scheme: keys.SMIME, Name: storetest.Address, Own: true}
	path := "waxseal/smime/" + e.Name
	var all []keys.Material
	for i := range 4 {
		all = append(all, storetest.Material(t, e.Name, time.Hour, 0))
		if _, err := s.Put(t.Context(), e, all[i], i); err != nil {
			t.Fatal(err)
		}
	}
	server.Write("secret/delete/"+path, map[string]any{"versions": []int{4, 2}})
	server.Write("secret/destroy/"+path, map[string]any{"versions": []int{1}})
	h, err := s.History(t.Context(), e)
	if err != nil || len(h) != 1 || h[0].Version != 3 {
		t.Errorf("history %v, %v, want version 3", h, err)
	}
	if _, err := s.Key(t.Context(), keys.SMIME, e.Name); !errors.Is(err, keys.ErrNotFound) {
		t.Errorf("the newest is deleted: %v", err)
	}
	if v, err := s.Put(t.Context(), e, all[0], 0); err != nil || v != 5 {
		t.Errorf("version %d, %v, want 5", v, err)
	}
	server.Write("secret/delete/"+path, map[string]any{"versions": []int{3, 5}})
	if _, err := s.Versions(t.Context(), keys.SMIME, e.Name); !errors.Is(err, keys.ErrNotFound) {
		t.Errorf("all deleted: %v", err)
	}
	server.Delete("secret/metadata/" + path)
	if _, err := s.Versions(t.Context(), keys.SMIME, e.Name); !errors.Is(err, keys.ErrNotFound) {
		t.Errorf("no metadata: %v", err)
	}

	// A lock that somebody has deleted can be had.
	if _, err := s.Lock(t.Context(), e.Name, time.Hour); err != nil {
		t.Fatal(err)
	}
	server.Delete("secret/data/waxseal/locks/" + e.Name)
	if _, err := s.Lock(t.Context(), e.Name, time.Hour); err != nil {
		t.Errorf("a deleted lock: %v", err)
	}
	if _, err := s.Lock(t.Context(), e.Name, time.Hour); !errors.Is(err, keys.ErrLocked) {
		t.Errorf("taken: %v", err)
	}

	// Who may only read can't write, and is told what is missing.
	server.Policy("waxseal", policy+`path "secret/metadata/waxseal/*" { capabilities = ["read", "list"] }`)
	reader := open(t, server, Config{})
	_, err = reader.Put(t.Context(), keys.Entry{Scheme: keys.SMIME, Name: "bob@partner.example"}, keys.Material{
		Certificate: storetest.Material(t, "bob@partner.example", time.Hour, 0).Certificate}, 0)
	wantError(t, "without the right", err, "create and update on secret/data/waxseal/*")
}

// One version that is broken must not take the others away.
func TestBrokenVersion(t *testing.T) {
	server := vaulttest.Start(t, vaulttest.Options{})
	s := open(t, server, Config{Token: server.RootToken})
	m := storetest.Material(t, storetest.Address, time.Hour, 0)
	path := "waxseal/smime/" + storetest.Address
	server.Put(path, map[string]string{"certificate": string(m.Certificate), "private_key": string(m.PrivateKey)})
	server.Put(path, map[string]string{"certificate": string(m.Certificate), "private_key": "x"})
	all, err := s.Versions(t.Context(), keys.SMIME, storetest.Address)
	if err != nil || len(all) != 1 || all[0].Version != 1 || len(all[0].Notes) != 1 || !strings.Contains(all[0].Notes[0], "version 2: ") {
		t.Errorf("%v, %v", all, err)
	}
	server.Put("waxseal/smime/bob@example.com", map[string]string{"certificate": string(m.Certificate), "private_key": "x"})
	_, err = s.Versions(t.Context(), keys.SMIME, "bob@example.com")
	wantError(t, "none can decrypt", err, "none of its versions can decrypt", "version 1: ")
}
