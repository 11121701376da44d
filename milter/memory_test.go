package milter

import (
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"testing"

	"waxseal/keys/directory"
	"waxseal/policies"
	"waxseal/signer/pgpmime"
	"waxseal/test/identities"
)

// TestMemory: all that is allocated for one message, its spools and what is sent
// to the MTA included, is less than 4 MiB, whatever the size of the message.
func TestMemory(t *testing.T) {
	set := identities.Make(t)
	line := []byte("The quick brown fox jumps over the lazy dog, again and again, all day.\r\n")
	for _, scheme := range []string{"smime", "pgp"} {
		for _, size := range []int{1 << 20, 25 << 20, 60 << 20} {
			t.Run(fmt.Sprintf("%s/%d", scheme, size), func(t *testing.T) {
				parsed, err := policies.Parse("p.hcl", fmt.Appendf(nil, "policy \"p\" {\n  direction = \"outgoing\"\n"+
					"  sign %q {}\n  encrypt %[1]q {}\n  on_key_not_found = \"reject\"\n}\n", scheme))
				if err != nil {
					t.Fatal(err)
				}
				f := &Filter{Policies: parsed, Keys: &directory.Store{Path: set.Store}, Keyring: &pgpmime.Keyring{},
					AuthservID: "mx.test", Internal: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				tx := newTestTransaction(t, "From: alice@example.com\r\nContent-Type: text/plain\r\n\r\n")
				tx.Sender, tx.Recipients, tx.Client = identities.Alice, []string{identities.Bob}, netip.MustParseAddr("127.0.0.1")
				for n := 0; n < size; n += len(line) {
					if _, err := tx.Body.Write(line); err != nil {
						t.Fatal(err)
					}
				}
				out, err := f.Apply(t.Context(), tx)
				if err != nil || out.Action != policies.Accept {
					t.Fatal(err, out.Reply, out.Log)
				}
				if n, err := out.Body.WriteTo(io.Discard); err != nil || n < int64(size) {
					t.Fatalf("%d bytes written: %v", n, err)
				}
				runtime.ReadMemStats(&after)
				if got := after.TotalAlloc - before.TotalAlloc; got >= 4<<20 {
					t.Errorf("%d bytes allocated", got)
				} else {
					t.Logf("%d bytes allocated", got)
				}
			})
		}
	}
}
