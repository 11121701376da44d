// Package load measures how many messages a second the daemon takes on its
// socket, beside a milter on the same library that does nothing, in the same
// run. The numbers are printed, not judged: they depend on the machine.
//
//	go test -run - -bench Load -benchtime 5x ./test/load
package load

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"waxseal/test/daemon"
	"waxseal/test/identities"
	"waxseal/test/milterclient"
	"waxseal/test/mta"
)

// turn is how long each milter is driven in one round.
const turn = 400 * time.Millisecond

const policies = `
policy "p256" {
  direction  = "outgoing"
  originator = ["carol@example.com"]
  sign "smime" {}
  on_key_not_found = "reject"
}
policy "rsa" {
  direction  = "outgoing"
  originator = ["alice@example.com"]
  recipient  = ["erin@partner.example"]
  sign "smime" {}
  on_key_not_found = "reject"
}
policy "both" {
  direction  = "outgoing"
  originator = ["alice@example.com"]
  recipient  = ["bob@partner.example"]
  sign "smime" {}
  encrypt "smime" {}
  on_key_not_found = "reject"
}
policy "incoming" {
  direction = "incoming"
  decrypt {}
  verify {}
}
`

// load is one kind of message to one milter.
type load struct {
	name, socket, from, to, report string
	pid                            int // of the milter
	// client is the client's address; keeps says that the body stays although
	// there is a report.
	client string
	keeps  bool
}

// turnResult is what came of one turn, or of several.
type turnResult struct {
	sent int64
	took time.Duration
	// cpu is the processor time of the milter and of the client together. Unlike
	// the time on the clock it says the same on a busy machine.
	cpu time.Duration
}

func (r *turnResult) add(s turnResult) {
	r.sent += s.sent
	r.took += s.took
	r.cpu += s.cpu
}

// rate is in messages a second.
func (r *turnResult) rate() float64 { return float64(r.sent) / r.took.Seconds() }

// each is the processor time of one message in microseconds.
func (r *turnResult) each() float64 { return float64(r.cpu.Microseconds()) / float64(r.sent) }

// loads starts the milters.
func loads(tb testing.TB) []load {
	set := identities.Make(tb)
	dir := mta.Dir(tb)
	d := daemon.Start(tb, &daemon.Configuration{Dir: dir, Keys: set.Store, Policies: map[string]string{"10.hcl": policies},
		Settings: "log_level = \"warn\"\n"})
	noop, pid := startNoop(tb, dir)
	return []load{
		{"noop", noop, identities.Alice, identities.Nobody, "", pid, "127.0.0.1", false},
		{"pass", d.Socket, identities.Alice, identities.Nobody, "", d.Pid(), "127.0.0.1", false},
		{"sign-p256", d.Socket, identities.Carol, identities.Erin, "sign=pass (smime", d.Pid(), "127.0.0.1", false},
		{"sign-rsa2048", d.Socket, identities.Alice, identities.Erin, "sign=pass (smime rsa2048", d.Pid(), "127.0.0.1", false},
		{"sign-encrypt", d.Socket, identities.Alice, identities.Bob, "encrypt=pass (smime", d.Pid(), "127.0.0.1", false},
		{"incoming", d.Socket, identities.Bob, identities.Alice, "verify=none", d.Pid(), "192.0.2.1", true},
	}
}

func startNoop(tb testing.TB, dir string) (socket string, pid int) {
	tb.Helper()
	program := dir + "/noop"
	socket = dir + "/noop.sock"
	if out, err := exec.Command("go", "build", "-o", program, "./noop").CombinedOutput(); err != nil {
		tb.Fatalf("build the no-op milter: %v\n%s", err, out)
	}
	cmd := exec.Command(program, socket)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if c, err := net.Dial("unix", socket); err == nil {
			c.Close()
			return socket, cmd.Process.Pid
		} else if time.Now().After(end) {
			tb.Fatal(err)
		}
	}
}

// message has twelve header fields and a body of the size, in lines.
func message(l load, size int) *milterclient.Message {
	m := &milterclient.Message{From: l.from, To: []string{l.to}, Fields: [][2]string{
		{"Received", "from client.example.com (localhost [127.0.0.1])\n\tby mx.test.example with ESMTPSA id 4Xz1"},
		{"From", "Somebody <" + l.from + ">"}, {"To", l.to}, {"Subject", "load"},
		{"Date", "Mon, 02 Mar 2026 12:00:00 +0000"}, {"Message-ID", "<load@example.com>"},
		{"User-Agent", "load"}, {"In-Reply-To", "<0@example.com>"}, {"References", "<0@example.com>"},
		{"MIME-Version", "1.0"}, {"Content-Type", "text/plain; charset=us-ascii"}, {"Content-Transfer-Encoding", "7bit"},
	}}
	line := []byte("All work and no play makes Jack a dull boy, said Jill, and went up.\r\n")
	m.Body = bytes.Repeat(line, size/len(line))
	return m
}

// cpuTime is the processor time that this process and that of the pid have used.
func cpuTime(tb testing.TB, pid int) time.Duration {
	tb.Helper()
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		tb.Fatal(err)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		tb.Fatal(err)
	}
	// The name, which may have blanks, is in parentheses; utime and stime are
	// fields 14 and 15 (proc(5)), in hundredths of a second.
	const tick = 10 * time.Millisecond
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	total := time.Duration(own.Utime.Nano() + own.Stime.Nano())
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			tb.Fatal(err)
		}
		total += time.Duration(n) * tick
	}
	return total
}

// drive sends messages on so many connections for a turn.
func drive(tb testing.TB, l load, conns, size int) turnResult {
	tb.Helper()
	m := message(l, size)
	var clients []*milterclient.Client
	for range conns {
		c, err := milterclient.Dial(l.socket, l.client)
		if err != nil {
			tb.Fatalf("%s: %v", l.name, err)
		}
		defer c.Close()
		clients = append(clients, c)
	}
	var sent atomic.Int64
	var wait sync.WaitGroup
	begin, cpu := time.Now(), cpuTime(tb, l.pid)
	for _, c := range clients {
		wait.Go(func() {
			for time.Since(begin) < turn {
				v, err := c.Send(m)
				if err == nil && (v.Code != 'a' && v.Code != 'c' || (v.Body >= 0) != (l.report != "" && !l.keeps) ||
					l.report != "" && !strings.Contains(strings.Join(v.Inserted, "\n"), l.report)) {
					err = fmt.Errorf("verdict %+v", v)
				}
				if err != nil {
					tb.Errorf("%s: %v", l.name, err)
					return
				}
				sent.Add(1)
			}
		})
	}
	wait.Wait()
	return turnResult{sent.Load(), time.Since(begin), cpuTime(tb, l.pid) - cpu}
}

// TestLoads drives every milter for a moment, so that a test run shows that
// what the benchmark measures is what it says.
func TestLoads(t *testing.T) {
	for _, l := range loads(t) {
		r := drive(t, l, 2, 4<<10)
		if r.sent == 0 {
			t.Errorf("%s: no message got through", l.name)
			continue
		}
		t.Logf("%s: %.0f messages/s, %.0f us of processor time each", l.name, r.rate(), r.each())
	}
}

// BenchmarkLoad prints messages a second for each milter, and their ratio to
// the one that does nothing, and for RSA to what the machine can sign at all.
func BenchmarkLoad(b *testing.B) {
	all := loads(b)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	for _, size := range []struct {
		name  string
		bytes int
	}{{"4KB", 4 << 10}, {"100KB", 100 << 10}, {"10MB", 10 << 20}} {
		for _, conns := range []int{1, 4, 10} {
			b.Run(fmt.Sprintf("%s/conns=%d", size.name, conns), func(b *testing.B) {
				result := map[string]*turnResult{"bare": {}}
				for _, l := range all {
					result[l.name] = &turnResult{}
				}
				for b.Loop() {
					result["bare"].add(bare(b, key))
					// All take turns, so that what else the machine does hits them alike.
					for _, l := range all {
						result[l.name].add(drive(b, l, conns, size.bytes))
					}
				}
				noop, bare := result["noop"], result["bare"]
				for _, l := range all {
					r := result[l.name]
					b.ReportMetric(r.rate(), l.name+"/s")
					b.ReportMetric(r.each(), l.name+"-cpu-us")
					if l.name != "noop" {
						b.ReportMetric(r.rate()/noop.rate(), l.name+":noop")
						b.ReportMetric(noop.each()/r.each(), l.name+":noop-cpu")
					}
				}
				b.ReportMetric(bare.rate(), "bare-rsa2048/s")
				b.ReportMetric(result["sign-rsa2048"].rate()/bare.rate(), "sign-rsa2048:bare")
				b.ReportMetric(bare.each()/result["sign-rsa2048"].each(), "sign-rsa2048:bare-cpu")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// bare makes RSA-2048 signatures on all cores for a turn: the ceiling of what a
// milter that signs can reach on this machine.
func bare(tb testing.TB, key *rsa.PrivateKey) turnResult {
	digest := sha256.Sum256([]byte("load"))
	var made atomic.Int64
	var wait sync.WaitGroup
	begin, cpu := time.Now(), cpuTime(tb, os.Getpid())
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for time.Since(begin) < turn {
				if _, err := key.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
					return
				}
				made.Add(1)
			}
		})
	}
	wait.Wait()
	// Its own time is counted twice, as client and as milter.
	return turnResult{made.Load(), time.Since(begin), (cpuTime(tb, os.Getpid()) - cpu) / 2}
}
