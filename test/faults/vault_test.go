package faults_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"waxseal/test/daemon"
	"waxseal/test/identities"
	"waxseal/test/mta"
	"waxseal/test/vaulttest"
)

// TestVault takes the keys from a real Vault, which is then sealed, killed, and
// there again.
func TestVault(t *testing.T) {
	set := identities.Make(t)
	vault := vaulttest.Start(t, vaulttest.Options{Persistent: true})
	fill(t, vault, set)
	vault.Policy("waxseal", `path "secret/data/waxseal/*" { capabilities = ["read"] }`)
	config := &daemon.Configuration{Dir: mta.Dir(t), Policies: map[string]string{"10.hcl": protect},
		Settings: fmt.Sprintf("keys \"vault\" {\n  address = %q\n  kv = \"secret/waxseal\"\n  timeout = \"2s\"\n  cache = \"1ms\"\n  stale = \"1ms\"\n}\n", vault.Address),
		Env:      []string{"VAULT_TOKEN=" + vault.Token("1h", "waxseal")}}
	server := mta.StartPostfix(t, mta.Options{Milter: config.Socket()})
	s := &stage{set: set, config: config, server: server, daemon: daemon.Start(t, config)}

	send := func(token string) mta.Reply {
		t.Helper()
		return mta.Dial(t, server.Addr, "").Send(identities.Alice, []string{identities.Bob}, mail(identities.Bob, token, 0))
	}
	passes := func(token string) {
		t.Helper()
		if r := send(token); r.Code != 250 {
			t.Fatalf("%s: %s", token, r)
		}
		s.encrypted(t, mail(identities.Bob, token, 0), server.Sink.Next(t).Data)
	}
	waits := func(token string) {
		t.Helper()
		if r := send(token); r.Code != 451 {
			t.Errorf("%s: %s", token, r)
		}
		if !server.QueueEmpty(t) {
			t.Errorf("%s: in the queue:\n%s", token, server.Queue(t))
		}
		server.Sink.None(t)
	}
	passes("unsealed")
	if r := mta.Dial(t, server.Addr, "").Send(identities.Alice, []string{identities.Nobody}, mail(identities.Nobody, "nobody", 0)); r.Code != 550 {
		t.Errorf("to somebody without a certificate: %s", r)
	}
	vault.Seal()
	waits("sealed")
	vault.Unseal()
	passes("unsealed-again")
	vault.Kill()
	waits("killed")
	vault.Restart()
	waits("restarted-sealed")
	vault.Unseal()
	passes("there-again")

	// A daemon that starts while Vault is away defers too, and does not die.
	s.daemon.Stop(t)
	vault.Kill()
	s.restart(t)
	waits("started-without-vault")
	vault.Restart()
	vault.Unseal()
	passes("vault-came-later")
	for _, token := range config.Env {
		if bytes.Contains([]byte(s.daemon.Log()), []byte(token[len("VAULT_TOKEN="):])) {
			t.Error("the token is in the log")
		}
	}
}

// TestVaultCached: keys that were fetched serve on while Vault is away.
func TestVaultCached(t *testing.T) {
	set := identities.Make(t)
	vault := vaulttest.Start(t, vaulttest.Options{})
	fill(t, vault, set)
	config := &daemon.Configuration{Dir: mta.Dir(t), Policies: map[string]string{"10.hcl": protect},
		Settings: fmt.Sprintf("keys \"vault\" {\n  address = %q\n  kv = \"secret/waxseal\"\n  timeout = \"2s\"\n  cache = \"1ms\"\n  stale = \"1h\"\n}\n", vault.Address),
		Env:      []string{"VAULT_TOKEN=" + vault.RootToken}}
	server := mta.StartPostfix(t, mta.Options{Milter: config.Socket()})
	s := &stage{set: set, config: config, server: server, daemon: daemon.Start(t, config)}
	for n := range 2 {
		message := mail(identities.Bob, fmt.Sprint("cached", n), 0)
		if r := mta.Dial(t, server.Addr, "").Send(identities.Alice, []string{identities.Bob}, message); r.Code != 250 {
			t.Fatal(r)
		}
		s.encrypted(t, message, server.Sink.Next(t).Data)
		vault.Kill()
	}
	if r := mta.Dial(t, server.Addr, "").Send(identities.Alice, []string{identities.Erin}, mail(identities.Erin, "uncached", 0)); r.Code != 451 {
		t.Errorf("a certificate that was never fetched: %s", r)
	}
	server.Sink.None(t)
}

// fill puts the keys of the directory store into Vault.
func fill(t *testing.T, vault *vaulttest.Server, set *identities.Set) {
	t.Helper()
	read := func(path string) string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	vault.Put("waxseal/smime/"+identities.Alice, map[string]string{
		"certificate": read(set.Certificate(identities.Alice)) + read(set.Certificate("intermediate")),
		"private_key": read(set.Key(identities.Alice)),
	})
	vault.Put("waxseal/pgp/"+identities.Alice, map[string]string{"private_key": read(filepath.Join(set.Store, "pgp", identities.Alice+".asc"))})
	for _, name := range []string{identities.Bob, identities.Erin} {
		vault.Put("waxseal/recipients/"+name, map[string]string{"smime": read(set.Certificate(name))})
	}
}
