package milter

import (
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"waxseal/keys/cache"
	"waxseal/keys/directory"
	"waxseal/policies"
	"waxseal/signer"
	"waxseal/signer/pgpmime"
	"waxseal/test/identities"
)

// cpuTime is the processor time that this process has used. Unlike the time on
// the clock it says the same on a busy machine.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkFilter measures Apply and the writing of the result, without an MTA.
func BenchmarkFilter(b *testing.B) {
	set := identities.Make(b)
	for _, c := range []struct{ name, from, policy string }{
		{"sign-p256", identities.Carol, `sign "smime" {}`},
		{"sign-rsa2048", identities.Alice, `sign "smime" {}`},
		{"sign-encrypt", identities.Alice, "sign \"smime\" {}\n  encrypt \"smime\" {}"},
		{"sign-encrypt-pgp", identities.Alice, "sign \"pgp\" {}\n  encrypt \"pgp\" {}"},
	} {
		for _, size := range []int{4 << 10, 10 << 20} {
			b.Run(fmt.Sprintf("%s/%d", c.name, size), func(b *testing.B) {
				parsed, err := policies.Parse("p.hcl", []byte("policy \"p\" {\n  direction = \"outgoing\"\n  on_key_not_found = \"reject\"\n  "+c.policy+"\n}"))
				if err != nil {
					b.Fatal(err)
				}
				f := &Filter{Policies: parsed, Keys: cache.New(&directory.Store{Path: set.Store}, cache.Options{}), Keyring: &pgpmime.Keyring{},
					AuthservID: "mx.test", Internal: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
				spools, err := NewSpools(filepath.Join("/dev/shm", fmt.Sprintf("waxseal-bench-%d", size)), 256<<10, 1<<30)
				if err != nil {
					b.Fatal(err)
				}
				body := []byte(strings.Repeat("The quick brown fox jumps over the lazy dog, again and again, all day.\r\n", size/72))
				header, _, err := signer.ReadHeader(strings.NewReader("From: "+c.from+"\r\nTo: "+identities.Bob+"\r\nSubject: s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"), 1<<20)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(size))
				b.ReportAllocs()
				begin := cpuTime(b)
				for b.Loop() {
					tx := NewTransaction(spools)
					tx.Header, tx.Sender, tx.Recipients, tx.Client = header, c.from, []string{identities.Bob}, netip.MustParseAddr("127.0.0.1")
					if _, err := tx.Body.Write(body); err != nil {
						b.Fatal(err)
					}
					out, err := f.Apply(b.Context(), tx)
					if err != nil || out.Action != policies.Accept {
						b.Fatal(err, out.Reply)
					}
					if _, err := out.Body.WriteTo(io.Discard); err != nil {
						b.Fatal(err)
					}
					tx.Close()
				}
				b.ReportMetric(float64(cpuTime(b)-begin)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}
