package mta

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// StartPostfix starts a Postfix that has the filter for mail over SMTP and for
// the sendmail command.
func StartPostfix(t testing.TB, o Options) *MTA {
	t.Helper()
	postfix := Program(t, "postfix", "postfix")
	dir := Dir(t)
	if o.Sink == nil {
		o.Sink = StartSink(t)
	}
	if o.SizeLimit == 0 {
		o.SizeLimit = 160_000_000
	}
	m := &MTA{Name: "postfix", Addr: freeAddr(t), Dir: dir, Sink: o.Sink, log: dir + "/log/mail.log"}
	etc := dir + "/etc"
	m.queue = []string{Program(t, "postqueue", "postfix"), "-c", etc, "-p"}
	m.flush = []string{m.queue[0], "-c", etc, "-f"}
	m.command = []string{Program(t, "sendmail", "postfix"), "-C", etc}

	for _, d := range []string{"etc", "spool", "data", "log"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("chown", "postfix", dir+"/data").CombinedOutput(); err != nil {
		t.Fatalf("give Postfix its data directory: %v\n%s", err, out)
	}
	startDovecotAuth(t, dir+"/auth.sock")
	certificate, key := tlsCertificate(t, dir)
	milter := ""
	if o.Milter != "" {
		milter = "unix:" + o.Milter
	}
	fill := strings.NewReplacer("@DIR@", dir, "@ADDR@", m.Addr, "@SINK@", port(o.Sink.Addr), "@MILTER@", milter,
		"@LIMIT@", fmt.Sprint(o.SizeLimit), "@CERT@", certificate, "@KEY@", key, "@REFUSED@", Refused)
	for name, text := range map[string]string{"main.cf": postfixMain + o.Main, "master.cf": postfixMaster} {
		if err := os.WriteFile(filepath.Join(etc, name), []byte(fill.Replace(text)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m.logOnFailure(t)
	m.startMaster(t, postfix)
	return m
}

// startMaster runs Postfix in the foreground, so that it can't outlive the test
// process, after Postfix has made its queue directories.
func (m *MTA) startMaster(t testing.TB, postfix string) {
	t.Helper()
	output, err := os.Create(m.Dir + "/log/output")
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	check := exec.Command(postfix, "-c", m.Dir+"/etc", "check")
	check.Stdout, check.Stderr = output, output // not pipes: Postfix's own children inherit them
	if err := check.Run(); err != nil {
		b, _ := os.ReadFile(output.Name())
		t.Fatalf("postfix check: %v\n%s%s", err, b, m.Log())
	}
	master := exec.Command("/usr/lib/postfix/sbin/master", "-c", m.Dir+"/etc", "-d")
	master.Stdout, master.Stderr = output, output
	master.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
	if err := master.Start(); err != nil {
		t.Fatal(err)
	}
	dead := make(chan struct{})
	go func() {
		defer close(dead)
		master.Wait()
	}()
	t.Cleanup(func() {
		master.Process.Signal(syscall.SIGTERM)
		select {
		case <-dead:
		case <-time.After(10 * time.Second):
			t.Errorf("Postfix does not stop")
			syscall.Kill(-master.Process.Pid, syscall.SIGKILL)
			<-dead
		}
	})
	waitForGreeting(t, m.Addr, dead)
}

const postfixMain = `compatibility_level = 3.6
queue_directory = @DIR@/spool
data_directory = @DIR@/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
meta_directory = /etc/postfix
shlib_directory = /usr/lib/postfix
mail_owner = postfix
setgid_group = postdrop
maillog_file = @DIR@/log/mail.log
maillog_file_prefixes = @DIR@/log
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.test.example
mydomain = test.example
myorigin = test.example
mydestination =
mynetworks = 127.0.0.0/8
local_recipient_maps =
alias_maps =
alias_database =
local_transport = error:no local delivery
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = check_recipient_access inline:{ {@REFUSED@@=REJECT} }, permit_mynetworks, reject
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = @DIR@/auth.sock
smtpd_tls_security_level = may
smtpd_tls_cert_file = @CERT@
smtpd_tls_key_file = @KEY@
relayhost = [127.0.0.1]:@SINK@
smtp_host_lookup = native
disable_dns_lookups = yes
smtp_dns_support_level = disabled
smtputf8_enable = yes
message_size_limit = @LIMIT@
mailbox_size_limit = 0
biff = no
smtpd_milters = @MILTER@
non_smtpd_milters = @MILTER@
milter_default_action = tempfail
`

const postfixMaster = `@ADDR@ inet n - n - - smtpd
pickup    unix  n - n 1 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
tlsmgr    unix  - - n 1000? 1 tlsmgr
postlog   unix-dgram n - n - 1 postlogd
`
