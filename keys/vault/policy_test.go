package vault

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"waxseal/keys"
	"waxseal/keys/storetest"
	"waxseal/test/vaulttest"
)

// right is one capability on one path of a policy file.
type right struct{ path, capability string }

// rights reads a policy file of the few forms that ours has.
func rights(t *testing.T, file string) (out []right) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile(`(?s)path "([^"]+)" \{\s*capabilities = \[([^\]]*)\]\s*\}`)
	for _, m := range block.FindAllStringSubmatch(string(text), -1) {
		for _, c := range strings.Split(m[2], ",") {
			out = append(out, right{m[1], strings.Trim(c, ` "`)})
		}
	}
	if strings.Count(string(text), "path \"") != len(block.FindAllString(string(text), -1)) || len(out) == 0 {
		t.Fatalf("%s has a block that this test can't read", file)
	}
	return out
}

// all writes rights as a policy, but for the one that is left out.
func all(rs []right, without int) string {
	var b strings.Builder
	paths := map[string][]string{}
	for i, r := range rs {
		if i != without {
			paths[r.path] = append(paths[r.path], `"`+r.capability+`"`)
		}
	}
	for path, c := range paths {
		fmt.Fprintf(&b, "path %q { capabilities = [%s] }\n", path, strings.Join(c, ", "))
	}
	return b.String()
}

// TestSmallestPolicy does everything with the policies that are shipped, and
// finds something that fails without each of their rights.
func TestSmallestPolicy(t *testing.T) {
	t.Parallel()
	server := transit(t, vaulttest.Options{})
	ca := newAuthority(t)
	const remote, local = "remote@example.com", "local@example.com"
	public := newKey(t, server, "alice", "rsa-2048").(*rsa.PublicKey)
	server.Put("waxseal/smime/"+remote, map[string]string{"certificate": ca.mail(remote, public, nil), "transit_key": "alice"})
	m := storetest.Material(t, local, time.Hour, 0)
	server.Put("waxseal/smime/"+local, map[string]string{"certificate": string(m.Certificate), "private_key": string(m.PrivateKey)})
	server.Put("waxseal/recipients/"+local, map[string]string{"smime": string(m.Certificate)})
	sealed, err := rsa.EncryptPKCS1v15(rand.Reader, public, []byte("session"))
	if err != nil {
		t.Fatal(err)
	}
	daemon := func(s *Store) error {
		ctx := t.Context()
		if err := s.Ready(ctx); err != nil {
			return err
		}
		for _, name := range []string{remote, local} {
			k, err := keys.FindKey(ctx, s, keys.SMIME, name, "")
			if err == nil {
				_, err = k.Signer.Sign(rand.Reader, make([]byte, 32), crypto.SHA256)
			}
			if err != nil {
				return err
			}
		}
		if _, err := s.Certificate(ctx, keys.SMIME, local); err != nil {
			return err
		}
		old, err := s.Versions(ctx, keys.SMIME, remote)
		if err == nil {
			_, err = old[0].Decrypter.Decrypt(nil, sealed, nil)
		}
		if err == nil {
			_, err = s.List(ctx)
		}
		return err
	}
	n := 0
	admin := func(s *Store) error {
		ctx := t.Context()
		n++
		e := keys.Entry{Scheme: keys.SMIME, Name: fmt.Sprintf("new%d@example.com", n), Own: true}
		// One that somebody has stored by hand keeps fewer versions.
		server.Put("waxseal/smime/"+e.Name, map[string]string{"certificate": string(m.Certificate), "private_key": string(m.PrivateKey)})
		other := e
		other.Name = "other" + e.Name
		for _, e := range []keys.Entry{e, other} {
			if _, err := s.Put(ctx, e, storetest.Material(t, e.Name, time.Hour, 0), keys.AnyVersion); err != nil {
				return err
			}
		}
		if _, err := s.Put(ctx, keys.Entry{Scheme: keys.SMIME, Name: remote, Own: true},
			keys.Material{Certificate: []byte(ca.mail(remote, public, nil)), TransitKey: "alice"}, keys.AnyVersion); err != nil {
			return err
		}
		if err := s.Retire(ctx, e, keys.AnyVersion); err != nil {
			return err
		}
		release, err := s.Lock(ctx, e.Name, time.Minute)
		if err == nil {
			err = release(ctx)
		}
		if err == nil {
			_, err = s.List(ctx)
		}
		return err
	}
	for file, use := range map[string]func(*Store) error{"vault-policy.hcl": daemon, "vault-policy-admin.hcl": admin} {
		rs := rights(t, "../../packaging/"+file)
		for without := -1; without < len(rs); without++ {
			name := strings.TrimSuffix(file, ".hcl") + fmt.Sprint("-", without+1)
			server.Policy(name, all(rs, without))
			err := use(open(t, server, Config{Token: server.Token("1h", name)}))
			switch {
			case without < 0 && err != nil:
				t.Errorf("%s does not do: %v", file, err)
			case without >= 0 && err == nil:
				t.Errorf("%s: %s on %s is not needed", file, rs[without].capability, rs[without].path)
			case without >= 0 && !strings.Contains(err.Error(), "permission denied"):
				t.Errorf("%s without %v: %v", file, rs[without], err)
			}
		}
	}
}
