// Package replicas runs several daemons on one Vault: they share all but their
// caches, and one may die at any moment.
package replicas_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"waxseal/test/daemon"
	"waxseal/test/identities"
	"waxseal/test/judge"
	"waxseal/test/mta"
	"waxseal/test/vaulttest"
)

const (
	secret = "the secret plan"
	zoe    = "zoe@example.com" // who has no key at first
)

const policy = `
policy "partners" {
  direction = "outgoing"
  recipient = ["*@partner.example"]
  sign    "smime" {}
  encrypt "smime" {}
  on_key_not_found = "reject"
  issue_on_demand  = true
}
`

// stage is a Vault with an authority and the certificate of Bob, and daemons
// that use it.
type stage struct {
	vault  *vaulttest.Server
	set    *identities.Set // whose CA is Vault's
	config string          // of waxseal keys
}

func newStage(t *testing.T) *stage {
	t.Helper()
	set := *identities.Make(t)
	s := &stage{vault: vaulttest.Start(t, vaulttest.Options{}), set: &set}
	v := s.vault
	v.Write("sys/mounts/pki", map[string]any{"type": "pki", "config": map[string]string{"max_lease_ttl": "87600h"}})
	ca := v.Write("pki/root/generate/internal", map[string]any{"common_name": "Example CA", "ttl": "80000h"})
	v.Write("pki/roles/smime", map[string]any{
		"allowed_domains": "example.com", "allow_bare_domains": true, "key_type": "any",
		"key_usage":             []string{"DigitalSignature", "KeyEncipherment"},
		"email_protection_flag": true, "server_flag": false, "client_flag": false, "require_cn": false, "max_ttl": "9000h",
	})
	dir := t.TempDir()
	set.CA = filepath.Join(dir, "ca.pem")
	bob, err := os.ReadFile(set.Certificate(identities.Bob))
	if err != nil {
		t.Fatal(err)
	}
	s.config = filepath.Join(dir, "waxseal.hcl")
	if err := errors.Join(os.WriteFile(set.CA, []byte(ca["certificate"].(string)), 0o600),
		os.WriteFile(s.config, []byte(s.keys("20s")), 0o600)); err != nil {
		t.Fatal(err)
	}
	v.Put("waxseal/recipients/"+identities.Bob, map[string]string{"smime": string(bob)})
	return s
}

// keys is the keys block of the daemons.
func (s *stage) keys(ttl string) string {
	return fmt.Sprintf("keys \"vault\" {\n  address = %q\n  auth \"token\" {\n    token = %q\n  }\n  kv = \"secret/waxseal\"\n"+
		"  issue {\n    role = \"smime\"\n    algorithm = \"rsa-2048\"\n    ttl = %q\n    renew_before = \"24s\"\n  }\n}\n",
		s.vault.Address, s.vault.RootToken, ttl)
}

func (s *stage) replica(t *testing.T) *daemon.Configuration {
	t.Helper()
	return &daemon.Configuration{Dir: mta.Dir(t), Policies: map[string]string{"10.hcl": policy}, Settings: s.keys("240h")}
}

// versions counts those of an address's key.
func (s *stage) versions(t *testing.T, address string) int {
	t.Helper()
	out, err := exec.Command(daemon.Binary(t), "keys", "history", "-config", s.config, "-json", address).Output()
	if err != nil {
		t.Fatalf("waxseal keys history: %v\n%s", err, out)
	}
	return bytes.Count(out, []byte(`"fingerprint"`))
}

// balancer is a socket that connects to the first daemon that is there, each
// time beginning with the next one.
func balancer(t *testing.T, sockets ...string) string {
	t.Helper()
	path := filepath.Join(mta.Dir(t), "balancer.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for n := 0; ; n++ {
			front, err := l.Accept()
			if err != nil {
				return
			}
			var back net.Conn
			for try := range len(sockets) {
				if back, err = net.Dial("unix", sockets[(n+try)%len(sockets)]); err == nil {
					break
				}
			}
			if err != nil {
				front.Close()
				continue
			}
			go join(front, back)
			go join(back, front)
		}
	}()
	return path
}

// join copies until either side ends, and then ends both.
func join(to, from net.Conn) {
	io.Copy(to, from)
	to.Close()
	from.Close()
}

func message(token string) []byte {
	return []byte("From: Zoe <" + zoe + ">\r\nTo: " + identities.Bob + "\r\nSubject: " + token + "\r\nMessage-ID: <" + token + "@example.com>\r\n" +
		"MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n" + secret + " " + token + "\r\n" + strings.Repeat("And a line of it.\r\n", 3000))
}

// TestKilled sends messages by way of a balancer to two daemons, which are killed
// and started again in turns. A client sends again what was deferred, as its
// queue would. Nothing is lost, doubled or in clear, and the originator, who had
// no key, gets one certificate.
func TestKilled(t *testing.T) {
	s := newStage(t)
	configs := []*daemon.Configuration{s.replica(t), s.replica(t)}
	daemons := []*daemon.Daemon{daemon.Start(t, configs[0]), daemon.Start(t, configs[1])}
	server := mta.StartPostfix(t, mta.Options{Milter: balancer(t, configs[0].Socket(), configs[1].Socket())})

	const workers, each = 4, 15
	var accepted, deferred atomic.Int64
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for n := range each {
				token := fmt.Sprintf("token-%d-%d-", w, n)
				for {
					r := mta.Dial(t, server.Addr, "").Send(zoe, []string{identities.Bob}, message(token))
					if r.Code == 250 {
						accepted.Add(1)
						break
					}
					if r.Code/100 != 4 {
						t.Errorf("%s: %s", token, r)
						return
					}
					deferred.Add(1)
					time.Sleep(20 * time.Millisecond)
				}
			}
		})
	}
	after := func(n int64) {
		for end := time.Now().Add(2 * time.Minute); accepted.Load() < n && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
	}
	after(workers * each / 4)
	daemons[0].Kill()
	after(workers * each / 2)
	daemons[0] = daemon.Start(t, configs[0])
	daemons[1].Kill()
	wg.Wait()
	t.Logf("%d messages accepted, %d deferred on the way", accepted.Load(), deferred.Load())

	arrived := map[string]int{}
	for range int(accepted.Load()) {
		m := server.Sink.Next(t)
		if bytes.Contains(m.Data, []byte(secret)) {
			t.Fatalf("delivered in clear:\n%.2000s", m.Data)
		}
		signed, err := judge.DecryptSMIME(t, s.set, m.Data, identities.Bob, "aes-256-cbc")
		if err != nil {
			t.Fatal(err)
		}
		entity, err := judge.VerifySMIME(t, s.set, signed, zoe)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := bytes.Cut(entity, []byte(secret+" "))
		token, _, _ := bytes.Cut(rest, []byte("\r\n"))
		arrived[string(token)]++
	}
	if !server.QueueEmpty(t) {
		t.Errorf("in the queue:\n%s", server.Queue(t))
	}
	server.Sink.None(t)
	for w := range workers {
		for n := range each {
			if token := fmt.Sprintf("token-%d-%d-", w, n); arrived[token] != 1 {
				t.Errorf("message %s arrived %d times", token, arrived[token])
			}
		}
	}
	if n := s.versions(t, zoe); n != 1 {
		t.Errorf("%s has %d certificates, want one", zoe, n)
	}
}

// TestRenewed: of two daemons one renews a certificate that ends soon, and both
// sign with the new one.
func TestRenewed(t *testing.T) {
	s := newStage(t)
	if out, err := exec.Command(daemon.Binary(t), "keys", "issue", "-config", s.config, zoe).CombinedOutput(); err != nil {
		t.Fatalf("waxseal keys issue: %v\n%s", err, out)
	}
	configs := []*daemon.Configuration{s.replica(t), s.replica(t)}
	var daemons []*daemon.Daemon
	for _, c := range configs {
		daemons = append(daemons, daemon.Start(t, c))
	}
	for end := time.Now().Add(time.Minute); s.versions(t, zoe) < 2; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nobody has renewed the certificate within a minute")
		}
	}
	time.Sleep(3 * time.Second) // in which both look again
	if n := s.versions(t, zoe); n != 2 {
		t.Errorf("there are %d versions, want 2", n)
	}
	if n := strings.Count(daemons[0].Log()+daemons[1].Log(), "certificate renewed"); n != 1 {
		t.Errorf("it was renewed %d times", n)
	}
	for _, c := range configs {
		server := mta.StartPostfix(t, mta.Options{Milter: c.Socket()})
		if r := mta.Dial(t, server.Addr, "").Send(zoe, []string{identities.Bob}, message("renewed")); r.Code != 250 {
			t.Fatal(r)
		}
		signed, err := judge.DecryptSMIME(t, s.set, server.Sink.Next(t).Data, identities.Bob, "aes-256-cbc")
		if err == nil {
			_, err = judge.VerifySMIME(t, s.set, signed, zoe)
		}
		if err != nil {
			t.Error(err)
		}
	}
	for _, d := range daemons {
		d.Stop(t)
	}
}
