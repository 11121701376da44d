package issue

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"waxseal/keys"
	"waxseal/keys/vault"
	"waxseal/test/vaulttest"
)

const address = "alice@example.com"

// policies returns those that are shipped, for reading and for issuing.
func policies(t *testing.T) (reading, issuing string) {
	t.Helper()
	for file, text := range map[string]*string{"vault-policy.hcl": &reading, "vault-policy-issue.hcl": &issuing} {
		b, err := os.ReadFile(filepath.Join("../../packaging", file))
		if err != nil {
			t.Fatal(err)
		}
		*text = string(b)
	}
	return reading, issuing
}

// bench is a Vault with a CA.
type bench struct {
	*vaulttest.Server
	root string // PEM file
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{Server: vaulttest.Start(t, vaulttest.Options{}), root: filepath.Join(t.TempDir(), "root.pem")}
	b.Write("sys/mounts/pki", map[string]any{"type": "pki", "config": map[string]string{"max_lease_ttl": "87600h"}})
	b.Write("sys/mounts/transit", map[string]any{"type": "transit"})
	ca := b.Write("pki/root/generate/internal", map[string]any{"common_name": "Example CA", "ttl": "80000h"})
	if err := os.WriteFile(b.root, []byte(ca["certificate"].(string)), 0o600); err != nil {
		t.Fatal(err)
	}
	b.role("smime", map[string]any{})
	return b
}

// role makes a role as docs/vault.md has it.
func (b *bench) role(name string, other map[string]any) {
	settings := map[string]any{
		"allowed_domains": "example.com", "allow_bare_domains": true, "allow_subdomains": false, "enforce_hostnames": true,
		"key_type": "any", "key_usage": []string{"DigitalSignature", "KeyEncipherment", "KeyAgreement"},
		"email_protection_flag": true, "server_flag": false, "client_flag": false, "require_cn": false,
		"max_ttl": "9000h", "ttl": "8760h",
	}
	for k, v := range other {
		settings[k] = v
	}
	b.Write("pki/roles/"+name, settings)
}

func (b *bench) store(t *testing.T, token string) *vault.Store {
	t.Helper()
	s, err := vault.Open(vault.Config{Address: b.Address, Token: token, KV: "secret/waxseal"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func issuer(t *testing.T, s *vault.Store, o Options) *Issuer {
	t.Helper()
	if o.PKI == "" {
		o.PKI = "pki"
	}
	if o.Role == "" {
		o.Role = "smime"
	}
	i, err := New(s, o)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// openssl checks a chain with a program that we did not write, and returns what
// it says of the certificate.
func (b *bench) openssl(t *testing.T, chain []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "chain.pem")
	if err := os.WriteFile(file, chain, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, purpose := range []string{"smimesign", "smimeencrypt"} {
		out, err := exec.Command("openssl", "verify", "-CAfile", b.root, "-purpose", purpose, "-verify_email", address, file).CombinedOutput()
		if err != nil {
			t.Errorf("openssl verify -purpose %s: %v\n%s", purpose, err, out)
		}
	}
	out, err := exec.Command("openssl", "x509", "-in", file, "-noout", "-subject", "-ext", "subjectAltName,extendedKeyUsage").CombinedOutput()
	if err != nil {
		t.Fatalf("openssl x509: %v\n%s", err, out)
	}
	return string(out)
}

func TestIssue(t *testing.T) {
	b := newBench(t)
	reading, issuing := policies(t)
	b.Policy("waxseal", reading)
	b.Policy("waxseal-issue", issuing)
	s := b.store(t, b.Token("1h", "waxseal", "waxseal-issue"))
	e := keys.Entry{Scheme: keys.SMIME, Name: address, Own: true}
	version := 0
	for _, c := range []Options{{Algorithm: "rsa-2048"}, {Algorithm: "ecdsa-p256"}, {Transit: true, Algorithm: "rsa-2048", TTL: time.Hour}, {Transit: true, Algorithm: "rsa-2048"}} {
		t.Run(fmt.Sprintf("%s transit %v", c.Algorithm, c.Transit), func(t *testing.T) {
			got, err := issuer(t, s, c).Issue(t.Context(), "Alice@Example.com")
			if version++; err != nil || got != version {
				t.Fatalf("version %d, %v, want %d", got, err, version)
			}
			r, err := s.Read(t.Context(), e)
			if err != nil {
				t.Fatal(err)
			}
			if r.Source != "issued by pki/sign/smime" || (r.TransitKey != "") != c.Transit || (len(r.PrivateKey) > 0) == c.Transit {
				t.Errorf("source %q, Transit key %q, private key of %d octets", r.Source, r.TransitKey, len(r.PrivateKey))
			}
			said := b.openssl(t, r.Certificate)
			for _, want := range []string{"email:" + address, "E-mail Protection", "CN = " + address} {
				if !strings.Contains(said, want) {
					t.Errorf("openssl does not say %q:\n%s", want, said)
				}
			}
			if strings.Contains(said, "TLS") {
				t.Errorf("it is for servers too:\n%s", said)
			}
			k, err := s.Key(t.Context(), keys.SMIME, address)
			if err != nil || k.Signer == nil || len(k.Chain) != 2 {
				t.Fatalf("%v, %v", k, err)
			}
			if c.TTL > 0 && time.Until(k.Chain[0].NotAfter) > c.TTL {
				t.Errorf("valid until %s", k.Chain[0].NotAfter)
			}
		})
	}
	// Two versions of one key in Transit, and the keys that were in KV.
	if all, err := s.Versions(t.Context(), keys.SMIME, address); err != nil || len(all) != 4 {
		t.Errorf("%d keys decrypt, %v, want 4", len(all), err)
	}
}

// TestPolicy: every right in the shipped policy is needed.
func TestPolicy(t *testing.T) {
	b := newBench(t)
	reading, issuing := policies(t)
	b.Policy("reading", reading)
	paths := regexp.MustCompile(`(?m)^path "([^"]+)" \{\s+capabilities = \[([^\]]+)\]`).FindAllStringSubmatch(issuing, -1)
	if len(paths) < 5 {
		t.Fatalf("only %d paths in the policy", len(paths))
	}
	run := 0
	// try does all that needs a right, with the rights that there are without one
	// capability of one path; -1 takes nothing away.
	try := func(path, capability int) error {
		var less strings.Builder
		for p, m := range paths {
			words := strings.Split(m[2], ", ")
			if p == path {
				words = append(words[:capability:capability], words[capability+1:]...)
			}
			fmt.Fprintf(&less, "path %q { capabilities = [%s] }\n", m[1], strings.Join(words, ", "))
		}
		b.Policy("less", less.String())
		run++
		user := fmt.Sprintf("user%d@example.com", run)
		i := issuer(t, b.store(t, b.Token("1h", "reading", "less")), Options{Transit: true, Algorithm: "rsa-2048"})
		if _, err := i.Issue(t.Context(), user); err != nil {
			return err
		}
		// An entry that was made by hand keeps fewer versions.
		b.Write("secret/metadata/waxseal/smime/"+user, map[string]any{"max_versions": 10})
		if _, err := i.Issue(t.Context(), user); err != nil {
			return err
		}
		_, err := i.Renew(t.Context())
		return err
	}
	if err := try(-1, -1); err != nil {
		t.Fatalf("with all rights: %v", err)
	}
	for p, m := range paths {
		for c, word := range strings.Split(m[2], ", ") {
			err := try(p, c)
			switch {
			case err == nil:
				t.Errorf("%s works without %s", m[1], word)
			case errors.Is(err, keys.ErrNotFound), !strings.Contains(err.Error(), "the policy needs") && !errors.Is(err, keys.ErrLocked):
				t.Errorf("%s without %s: %v", m[1], word, err)
			}
		}
	}
}

// TestRefused: what a role does not allow is no reason to try for ever.
func TestRefused(t *testing.T) {
	b := newBench(t)
	s := b.store(t, b.RootToken)
	b.role("tls", map[string]any{"email_protection_flag": false, "server_flag": true})
	for name, c := range map[string]struct {
		options       Options
		address, want string
		permanent     bool
	}{
		"another domain": {Options{}, "x@elsewhere.example", "not allowed", true},
		"servers":        {Options{Role: "tls"}, address, "email_protection_flag", true},
		"no such role":   {Options{Role: "none"}, address, "none", true},
		"no such engine": {Options{PKI: "pki2"}, address, "pki2", false},
		"a domain":       {Options{}, "example.com", "not an address", true},
		"no address":     {Options{}, "a b@example.com", "can't be the name", true},
	} {
		t.Run(name, func(t *testing.T) {
			c.options.Algorithm = "ecdsa-p256"
			i := issuer(t, s, c.options)
			err := i.Ensure(t.Context(), c.address)
			if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, keys.ErrNotFound) != c.permanent {
				t.Errorf("error %v", err)
			}
			if err := i.Ensure(t.Context(), c.address); err == nil || errors.Is(err, keys.ErrNotFound) != c.permanent {
				t.Errorf("a moment later: %v", err)
			}
		})
	}
	if list, err := s.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("stored: %v, %v", list, err)
	}
	for _, o := range []Options{{PKI: "pki"}, {PKI: "pki", Role: "smime", Algorithm: "dsa"}, {PKI: "pki", Role: "smime", Transit: true, Algorithm: "ecdsa-p256"}} {
		if _, err := New(s, o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

// TestAway: while Vault is away it is not known whether there is a key.
func TestAway(t *testing.T) {
	b := newBench(t)
	var later atomic.Int64
	i := issuer(t, b.store(t, b.RootToken), Options{Algorithm: "ecdsa-p256", Now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) }})
	b.Seal()
	if err := i.Ensure(t.Context(), address); err == nil || errors.Is(err, keys.ErrNotFound) || !strings.Contains(err.Error(), "sealed") {
		t.Errorf("sealed: %v", err)
	}
	if done, err := i.Renew(t.Context()); err == nil || len(done) > 0 {
		t.Errorf("sealed: renewed %v, %v", done, err)
	}
	b.Unseal()
	if err := i.Ensure(t.Context(), address); err == nil || !strings.Contains(err.Error(), "tried less than 5s ago") {
		t.Errorf("a moment later: %v", err)
	}
	later.Store(int64(failedPause))
	if err := i.Ensure(t.Context(), address); err != nil {
		t.Errorf("unsealed: %v", err)
	}
}

// TestOnce: however many ask, in several programs, one certificate is issued.
func TestOnce(t *testing.T) {
	b := newBench(t)
	var wg sync.WaitGroup
	for range 4 {
		i := issuer(t, b.store(t, b.RootToken), Options{Algorithm: "ecdsa-p256"})
		for range 5 {
			wg.Go(func() {
				if err := i.Ensure(t.Context(), address); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	s := b.store(t, b.RootToken)
	e, err := Entry(address)
	if err != nil {
		t.Fatal(err)
	}
	if h, err := s.History(t.Context(), e); err != nil || len(h) != 1 {
		t.Errorf("%d versions, %v, want one", len(h), err)
	}
	if n := b.issued(t); n != 2 { // with the root
		t.Errorf("the CA has issued %d certificates, want 2", n)
	}

	// What was retired stays so, until somebody says otherwise.
	if err := s.Retire(t.Context(), e, keys.AnyVersion); err != nil {
		t.Fatal(err)
	}
	i := issuer(t, s, Options{Algorithm: "ecdsa-p256"})
	if err := i.Ensure(t.Context(), address); !errors.Is(err, keys.ErrNotFound) || !strings.Contains(err.Error(), "was retired") {
		t.Errorf("after it was retired: %v", err)
	}
	if _, err := i.Issue(t.Context(), address); err != nil {
		t.Error(err)
	}

	// One whose turn does not come leaves without harm to the others.
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := i.Ensure(gone, "bob@example.com"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestLocked: while another program has the lock a message waits, but not for
// longer than it may, and what the other has stored is taken.
func TestLocked(t *testing.T) {
	b := newBench(t)
	s := b.store(t, b.RootToken)
	i := issuer(t, s, Options{Algorithm: "ecdsa-p256"})
	release, err := s.Lock(t.Context(), address, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.Issue(t.Context(), address); !errors.Is(err, keys.ErrLocked) {
		t.Errorf("issued at once: %v", err)
	}
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := i.Ensure(short, address); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, keys.ErrNotFound) {
		t.Errorf("while it is locked: %v", err)
	}
	done := make(chan error)
	go func() { done <- i.Ensure(t.Context(), address) }()
	e, err := Entry(address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.issue(t.Context(), e); err != nil { // what the other does
		t.Fatal(err)
	}
	if err := release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if h, err := s.History(t.Context(), e); err != nil || len(h) != 1 {
		t.Errorf("%d versions, %v, want one", len(h), err)
	}
}

func (b *bench) issued(t *testing.T) int {
	t.Helper()
	list, ok := b.Read("pki/certs?list=true")["keys"].([]any)
	if !ok {
		t.Fatal("the CA has no list")
	}
	return len(list)
}

// TestRenew: of several programs one renews what ends soon, if it is its own.
func TestRenew(t *testing.T) {
	b := newBench(t)
	s := b.store(t, b.RootToken)
	ctx := t.Context()
	short := issuer(t, s, Options{Algorithm: "ecdsa-p256", TTL: time.Hour})
	for _, a := range []string{address, "bob@example.com"} {
		if _, err := short.Issue(ctx, a); err != nil {
			t.Fatal(err)
		}
	}
	// One that an administrator has imported is left alone.
	other, err := Entry("bob@example.com")
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Read(ctx, other)
	if err != nil {
		t.Fatal(err)
	}
	r.Source = "imported"
	if _, err := s.Put(ctx, other, r.Material, r.Version); err != nil {
		t.Fatal(err)
	}
	long := Options{Algorithm: "ecdsa-p256", TTL: 1000 * time.Hour, RenewBefore: 2 * time.Hour}
	if again, err := short.Renew(ctx); err != nil || len(again) != 0 {
		t.Errorf("renewed %v, %v although none ends soon", again, err)
	}
	var mu sync.Mutex
	var renewed []keys.Entry
	var wg sync.WaitGroup
	late := func() time.Time { return time.Now().Add(40 * time.Minute) }
	for range 4 {
		long.Now = late
		i := issuer(t, b.store(t, b.RootToken), long)
		wg.Go(func() {
			done, err := i.Renew(ctx)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			renewed = append(renewed, done...)
		})
	}
	wg.Wait()
	if len(renewed) != 1 || renewed[0].Name != address {
		t.Errorf("renewed %v, want %s once", renewed, address)
	}
	k, err := s.Key(ctx, keys.SMIME, address)
	if err != nil || k.Version != 2 || time.Until(k.Chain[0].NotAfter) < 900*time.Hour {
		t.Errorf("%v, %v", k, err)
	}
	if all, err := s.Versions(ctx, keys.SMIME, address); err != nil || len(all) != 2 {
		t.Errorf("%d keys decrypt, %v, want the old one too", len(all), err)
	}
	for before, want := range map[time.Duration]time.Duration{720 * time.Hour: time.Hour, 24 * time.Minute: time.Minute, 0: time.Second} {
		if got := issuer(t, s, Options{RenewBefore: before}).Every(); got != want {
			t.Errorf("renew %s before the end: look every %s, want %s", before, got, want)
		}
	}
}

func TestRequest(t *testing.T) {
	key, text, err := NewKey("ecdsa-p384")
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := pem.Decode(text); b == nil {
		t.Error("the key is no PEM")
	} else if again, err := x509.ParsePKCS8PrivateKey(b.Bytes); err != nil || !key.(*ecdsa.PrivateKey).Equal(again) {
		t.Errorf("the key as text is another one: %v", err)
	}
	request, err := Request(address, key)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("openssl", "req", "-verify", "-noout", "-text")
	cmd.Stdin = strings.NewReader(string(request))
	out, err := cmd.CombinedOutput()
	for _, want := range []string{"self-signature verify OK", "email:" + address, "E-mail Protection"} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("openssl req: %v, want %q in\n%s", err, want, out)
		}
	}
	if _, _, err := NewKey("dsa"); err == nil {
		t.Error("a DSA key")
	}
}

func TestTransitName(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{"a.b@example.com", "a-b@example.com", "a@b-example.com", "ä@example.com", "ö@example.com", strings.Repeat("x", 200) + "@example.com", "+@x"} {
		got := TransitName(keys.Entry{Scheme: keys.SMIME, Name: name, Own: true})
		if other, ok := seen[got]; ok {
			t.Errorf("%s and %s have the same key %s", name, other, got)
		}
		seen[got] = name
		if len(got) > 100 || strings.Trim(got, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
}
