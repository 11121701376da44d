package incoming_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"waxseal/test/daemon"
	"waxseal/test/identities"
	"waxseal/test/judge"
	"waxseal/test/mta"
)

// encrypted is a message to somebody, by openssl.
func encrypted(t testing.TB, set *identities.Set, entity, to, recipient string) []byte {
	t.Helper()
	in := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(in, []byte(entity), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("openssl", "cms", "-encrypt", "-binary", "-aes256", "-outform", "DER", "-in", in, set.Certificate(to))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return smimeMail(header(identities.Bob, recipient), out)
}

// signed is a message that Bob has signed.
func signed(t testing.TB, set *identities.Set, entity string) string {
	t.Helper()
	cmd := exec.Command("openssl", "cms", "-sign", "-md", "sha256", "-binary", "-outform", "DER",
		"-signer", set.Certificate(identities.Bob), "-inkey", set.Key(identities.Bob), "-certfile", set.Certificate("intermediate"))
	cmd.Stdin = strings.NewReader(entity)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return smimeSigned(entity, out)
}

// TestForgedReports: nobody but us says what we found.
func TestForgedReports(t *testing.T) {
	set := identities.Make(t)
	forged := []string{
		"Authentication-Results: mx.test.example; smime=pass forged", "authentication-RESULTS: MX.TEST.EXAMPLE; smime=pass forged",
		"Authentication-Results:\r\n\tmx.test.example;\r\n\tsmime=pass forged", "Authentication-Results: (x) mx.test.example 1; smime=pass forged",
		"Authentication-Results : mx.test.example; smime=pass forged", "Authentication-Results: =?us-ascii?q?mx.test.example?=; smime=pass forged",
		"Authentication-Results: \"mx.test.example\"; smime=pass forged", "Waxseal-Result: mx.test.example; decrypt=pass forged",
		"waxseal-result:forged", "Waxseal-Result : mx.test.example; forged", "Waxseal-Result:\r\n forged",
	}
	kept := "Authentication-Results: mx.partner.example; smime=pass kept\r\n"
	top, bottom := strings.Join(forged, "\r\n")+"\r\n", kept+strings.Join(forged, "\r\n")+"\r\n"
	policies := strings.Replace(policy, "direction = \"incoming\"", "direction = \"incoming\"\n  recipient = [\"alice@example.com\"]", 1) +
		"policy \"sign\" {\n  direction = \"outgoing\"\n  recipient = [\"bob@partner.example\"]\n  sign \"smime\" {}\n  on_key_not_found = \"reject\"\n}\n"
	everywhere(t, configuration(set, policies), func(t *testing.T, server *mta.MTA, _ *daemon.Daemon) {
		for _, c := range []struct{ name, client, from, to, has string }{
			{"incoming", outside, identities.Bob, identities.Alice, "decrypt=none"},
			{"incoming without a policy", outside, identities.Bob, identities.Carol, ""},
			{"outgoing", "127.0.0.1", identities.Alice, identities.Bob, "sign=pass"},
			{"outgoing without a policy", "127.0.0.1", identities.Alice, identities.Erin, ""},
		} {
			t.Run(c.name, func(t *testing.T) {
				client := mta.Dial(t, server.Addr, c.client)
				defer client.Close()
				for n := range 2 {
					message := top + header(c.from, c.to) + bottom + "\r\nHello\r\n"
					if r := client.Send(c.from, []string{c.to}, []byte(message)); r.Code != 250 {
						t.Fatal(r)
					}
					got := string(server.Sink.Next(t).Data)
					if strings.Contains(got, "forged") || strings.Count(got, "kept") != 1 || strings.Count(got, "Waxseal-Result") != min(len(c.has), 1) || !strings.Contains(got, c.has) {
						t.Errorf("message %d:\n%.3000s", n+1, got)
					}
				}
			})
		}
		t.Run("a flood", func(t *testing.T) {
			begin := time.Now()
			_, got := arrives(t, server, identities.Bob, []string{identities.Alice},
				[]byte(strings.Repeat("Waxseal-Result: forged\r\n", 500)+header(identities.Bob, identities.Alice)+"\r\nHello\r\n"))
			if strings.Contains(string(got), "forged") {
				t.Errorf("%.2000s", got)
			}
			t.Logf("500 forged reports: %v", time.Since(begin).Round(time.Millisecond))
		})
	})
}

// TestActions: what happens to mail that policy does not want.
func TestActions(t *testing.T) {
	set := identities.Make(t)
	good := signed(t, set, entities["text"])
	bad := strings.Replace(good, "Hello Alice", "Hello Mallory", 1)
	policies := ""
	for _, action := range []string{"reject", "tempfail", "quarantine", "discard"} {
		policies += fmt.Sprintf("policy %q {\n  direction = \"incoming\"\n  recipient = [\"%s@example.com\"]\n  decrypt {}\n  verify {}\n  on_bad_signature = %q\n  on_untrusted = %q\n  on_no_signature = %q\n  on_decrypt_error = %q\n}\n",
			action, action, action, action, action, action)
	}
	config := configuration(set, policies)
	everywhere(t, config, func(t *testing.T, server *mta.MTA, d *daemon.Daemon) {
		for name, c := range map[string]struct{ from, body string }{
			"bad": {identities.Bob, bad}, "untrusted": {"eve@evil.example", good}, "unsigned": {identities.Bob, entities["text"]},
		} {
			for action, code := range map[string]int{"reject": 5, "tempfail": 4, "quarantine": 2, "discard": 2} {
				t.Run(name+"/"+action, func(t *testing.T) {
					to := action + "@example.com"
					client := mta.Dial(t, server.Addr, outside)
					defer client.Close()
					r := client.Send("x@partner.example", []string{to}, []byte(header(c.from, to)+"MIME-Version: 1.0\r\n"+c.body))
					if r.Code/100 != code || strings.Contains(r.Text, "Hello") {
						t.Errorf("the server answered: %s", r)
					}
					if held := server.Held(t); held != (action == "quarantine") {
						t.Errorf("held: %v", held)
					}
					server.Purge(t)
				})
			}
		}
		_, got := arrives(t, server, "x@partner.example", []string{"reject@example.com"}, []byte(header(identities.Bob, "reject@example.com")+"MIME-Version: 1.0\r\n"+good))
		if !strings.Contains(string(got), "smime=pass") {
			t.Errorf("%.3000s", got)
		}
		server.Sink.None(t)
		if strings.Contains(d.Log(), "Hello") {
			t.Error("text of a message is in the log")
		}
	})
}

// TestKeysAway: without its keys, a gateway waits, and delivers nothing that is
// encrypted but where policy says so. Plain mail needs no keys.
func TestKeysAway(t *testing.T) {
	set := identities.Make(t)
	message := encrypted(t, set, entities["text"], identities.Alice, identities.Alice)
	accept := strings.Replace(policy, "decrypt {}", "recipient = [\"accept@example.com\"]\n  on_keys_unavailable = \"accept\"\n  decrypt {}", 1)
	config := configuration(set, strings.Replace(accept, "\"incoming\"", "\"accept\"", 1)+policy)
	config.Settings += "keys \"vault\" {\n  address = \"http://127.0.0.1:1\"\n  timeout = \"1s\"\n}\n"
	config.Env = []string{"VAULT_TOKEN=x"}
	everywhere(t, config, func(t *testing.T, server *mta.MTA, _ *daemon.Daemon) {
		client := mta.Dial(t, server.Addr, outside)
		defer client.Close()
		if r := client.Send(identities.Bob, []string{identities.Alice}, message); r.Code != 451 {
			t.Errorf("the server answered: %s", r)
		}
		if !server.QueueEmpty(t) {
			t.Errorf("it is in the queue:\n%s", server.Queue(t))
		}
		server.Sink.None(t)
		_, got := arrives(t, server, identities.Bob, []string{"accept@example.com"}, message)
		if err := judge.SameBytes(message, got); err != nil {
			t.Error(err)
		}
		if said := judge.Cut(got).Value("Waxseal-Result"); !strings.Contains(said, "decrypt=temperror") {
			t.Error(said)
		}
		_, got = arrives(t, server, identities.Bob, []string{identities.Alice}, []byte(header(identities.Bob, identities.Alice)+"\r\nHello\r\n"))
		if !strings.Contains(string(got), "decrypt=none") {
			t.Errorf("%s", got)
		}
	})
}

// TestConnection has several messages and one that is given up on one
// connection: nothing of one shows in another.
func TestConnection(t *testing.T) {
	set := identities.Make(t)
	message := encrypted(t, set, entities["multipart"], identities.Alice, identities.Alice)
	plain := []byte(header("mallory@evil.example", identities.Carol) + "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nHello Carol\r\n")
	everywhere(t, configuration(set, policy), func(t *testing.T, server *mta.MTA, _ *daemon.Daemon) {
		c := mta.Dial(t, server.Addr, outside)
		defer c.Close()
		for range 3 {
			if r := c.Send(identities.Bob, []string{identities.Alice}, message); r.Code != 250 {
				t.Fatal(r)
			}
			reads(t, message, server.Sink.Next(t).Data, entities["multipart"], "decrypt=pass")
			c.Mail(identities.Bob, message)
			c.Rcpt(identities.Alice)
			c.Must(250, "RSET")
			if r := c.Send("mallory@evil.example", []string{identities.Carol}, plain); r.Code != 250 {
				t.Fatal(r)
			}
			got := server.Sink.Next(t)
			reads(t, plain, got.Data, "Content-Type: text/plain\r\n\r\nHello Carol\r\n", "decrypt=none")
			if got.From != "mallory@evil.example" || strings.Contains(got.Args, "RET=HDRS") {
				t.Errorf("from %s %s", got.From, got.Args)
			}
		}
	})
}

// TestBounce: who sends what somebody else has encrypted for us does not get it
// back in clear when it can't be delivered.
func TestBounce(t *testing.T) {
	set := identities.Make(t)
	full := mta.Full + "@example.com"
	copyFile(t, filepath.Join(set.Store, "smime", full+".pem"), set.Certificate(identities.Alice), set.Certificate("intermediate"), set.Key(identities.Alice))
	secret := "Content-Type: text/plain; charset=us-ascii\r\n\r\nthe winter mutes\r\n"
	message := encrypted(t, set, secret, identities.Alice, full)
	everywhere(t, configuration(set, policy), func(t *testing.T, server *mta.MTA, d *daemon.Daemon) {
		c := mta.Dial(t, server.Addr, outside)
		defer c.Close()
		c.Must(250, "MAIL FROM:<mallory@evil.example> RET=FULL")
		c.Must(250, "RCPT TO:<%s> NOTIFY=SUCCESS,FAILURE,DELAY", full)
		if r := c.Data(message); r.Code != 250 {
			t.Fatal(r)
		}
		bounce := server.Sink.Next(t)
		if bounce.From != "" || len(bounce.To) != 1 || bounce.To[0] != "mallory@evil.example" || !strings.Contains(string(bounce.Data), "mailbox full") {
			t.Fatalf("no bounce, but mail from %q to %q:\n%s", bounce.From, bounce.To, bounce.Data)
		}
		if strings.Contains(string(bounce.Data), "winter") {
			t.Errorf("the bounce has what was decrypted:\n%s", bounce.Data)
		}
		if !strings.Contains(d.Log(), "decrypt=\"pass") {
			t.Errorf("it was not decrypted:\n%s", d.Log())
		}
		// The next server is told the same.
		if r := c.Send(identities.Bob, []string{identities.Alice}, encrypted(t, set, secret, identities.Alice, identities.Alice)); r.Code != 250 {
			t.Fatal(r)
		}
		if got := server.Sink.Next(t); got.From != identities.Bob || !strings.Contains(got.Args, "RET=HDRS") || !strings.Contains(string(got.Data), "winter") {
			t.Errorf("from %s %s:\n%s", got.From, got.Args, got.Data)
		}
	})
}

// maxMemory is what the daemon may take, in MB, whatever the size of a message.
const maxMemory = 128

// TestLarge decrypts 25 MB in little memory.
func TestLarge(t *testing.T) {
	set := identities.Make(t)
	var body strings.Builder
	body.WriteString("Content-Type: text/plain; charset=us-ascii\r\n\r\n")
	for i := 0; body.Len() < 25<<20; i++ {
		fmt.Fprintf(&body, "line %d of a message that has many, and more than memory should be spent on\r\n", i)
	}
	entity := body.String()
	file := filepath.Join(t.TempDir(), "entity")
	if err := os.WriteFile(file, []byte(entity), 0o600); err != nil {
		t.Fatal(err)
	}
	armor, err := exec.Command("gpg", "--homedir", set.GnuPG(), "--batch", "--quiet", "--armor", "--trust-model", "always",
		"--encrypt", "-r", identities.Alice, "-o", "-", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	inner := signed(t, set, entity)
	messages := []struct {
		name, entity, report string
		data                 []byte
	}{
		{"S/MIME", entity, "decrypt=pass", encrypted(t, set, entity, identities.Alice, identities.Alice)},
		{"S/MIME, signed", inner, "verify=pass", encrypted(t, set, inner, identities.Alice, identities.Alice)},
		{"PGP", entity, "verify=none", pgpMail(header(identities.Bob, identities.Alice), armor)},
	}
	config := configuration(set, policy)
	config.Settings += "max_message_size = \"64MiB\"\nmta_message_size_limit = \"150MiB\"\n"
	peak := regexp.MustCompile(`VmHWM:\s+(\d+) kB`)
	everywhere(t, config, func(t *testing.T, server *mta.MTA, d *daemon.Daemon) {
		for _, m := range messages {
			begin := time.Now()
			_, got := arrives(t, server, identities.Bob, []string{identities.Alice}, m.data)
			took := time.Since(begin)
			reads(t, m.data, got, m.entity, "decrypt=pass", m.report)
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.Pid()))
			if err != nil {
				t.Fatal(err)
			}
			kilobytes, err := strconv.Atoi(peak.FindStringSubmatch(string(status))[1])
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s, %d MB: %v, at most %d MB of memory", m.name, len(m.data)>>20, took.Round(10*time.Millisecond), kilobytes>>10)
			if kilobytes>>10 > maxMemory {
				t.Errorf("%s takes %d MB of memory, more than %d", m.name, kilobytes>>10, maxMemory)
			}
		}
	})
}
