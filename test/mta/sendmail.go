package mta

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// StartSendmail starts a Sendmail that has the filter, from unpacked packages:
// Debian does not install it beside Postfix.
func StartSendmail(t testing.TB, o Options) *MTA {
	t.Helper()
	m4 := Program(t, "m4", "m4")
	unshare := Program(t, "unshare", "util-linux")
	root := sendmailRoot(t)
	program := root + "/usr/libexec/sendmail/sendmail"
	dir := Dir(t)
	if o.Sink == nil {
		o.Sink = StartSink(t)
	}
	m := &MTA{Name: "sendmail", Addr: freeAddr(t), Dir: dir, Sink: o.Sink, log: dir + "/log/mail.log"}
	cf := dir + "/etc/sendmail.cf"
	inside := []string{unshare, "--uts", "--mount", "sh", "-c", sendmailNamespace(dir) + `exec "$0" "$@"`, program}
	m.queue = append(slices.Clone(inside), "-C", cf, "-bp")
	m.flush = append(slices.Clone(inside), "-C", dir+"/etc/submit.cf", "-q")
	m.command = append(slices.Clone(inside), "-C", dir+"/etc/submit.cf")

	for d, mode := range map[string]os.FileMode{"etc": 0o755, "mqueue": 0o700, "clientmqueue": 0o700, "log": 0o755, "sasl": 0o755} {
		if err := os.Mkdir(filepath.Join(dir, d), mode); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("chown", "nobody", dir+"/clientmqueue").CombinedOutput(); err != nil {
		t.Fatalf("give the sendmail command its queue: %v\n%s", err, out)
	}
	startSyslog(t, dir+"/log/dev-log", m.log)
	startSASLAuthd(t, dir+"/sasl/mux")
	filter := ""
	if o.Milter != "" {
		filter = fmt.Sprintf("INPUT_MAIL_FILTER(`waxseal', `S=unix:%s, F=T, T=C:10s;S:30s;R:30s;E:5m')dnl\n", o.Milter)
	}
	certificate, key := tlsCertificate(t, dir)
	fill := strings.NewReplacer("@DIR@", dir, "@ROOT@", root, "@PORT@", port(m.Addr), "@SINK@", port(o.Sink.Addr),
		"@FILTER@", filter, "@REFUSED@", Refused, "@CERT@", certificate, "@KEY@", key)
	for name, text := range map[string]string{
		"etc/sendmail.mc":      fill.Replace(sendmailMC),
		"etc/submit.mc":        fill.Replace(submitMC),
		"etc/service.switch":   "hosts files\naliases files\n",
		"etc/local-host-names": "",
		"etc/trusted-users":    "root\n",
		"sasl/Sendmail.conf":   "pwcheck_method: saslauthd\nsaslauthd_path: " + dir + "/sasl/mux\nmech_list: PLAIN\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"sendmail", "submit"} {
		out, err := exec.Command(m4, dir+"/etc/"+name+".mc").Output()
		if err != nil {
			t.Fatalf("make %s.cf: %v", name, err)
		}
		if err := os.WriteFile(dir+"/etc/"+name+".cf", out, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m.logOnFailure(t)
	m.startSendmail(t, append(inside, "-C", cf, "-bD", "-q1m"))
	return m
}

// startSendmail runs the daemon in the foreground, so that it can't outlive
// the test process.
func (m *MTA) startSendmail(t testing.TB, command []string) {
	t.Helper()
	output, err := os.Create(m.Dir + "/log/output")
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	dead := make(chan struct{})
	go func() {
		defer close(dead)
		cmd.Wait()
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-dead:
		case <-time.After(10 * time.Second):
			t.Errorf("Sendmail does not stop")
		}
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-dead
		if t.Failed() {
			b, _ := os.ReadFile(output.Name())
			t.Logf("sendmail printed: %s", b)
		}
	})
	waitForGreeting(t, m.Addr, dead)
}

// sendmailNamespace is what a shell does in name spaces of its own before it
// becomes Sendmail: a host name with a dot, without which Sendmail sleeps for a
// minute; a /dev whose log is our sink, because it can log with syslog(3) only;
// and a SASL configuration, whose place is compiled in.
func sendmailNamespace(dir string) string {
	return `set -e
hostname sm.test.example
mount -t tmpfs -o size=64k,mode=755 none /dev
mknod -m 666 /dev/null c 1 3
mknod -m 666 /dev/zero c 1 5
mknod -m 666 /dev/random c 1 8
mknod -m 666 /dev/urandom c 1 9
ln -s '` + dir + `/log/dev-log' /dev/log
if [ -d /usr/lib/sasl2 ]; then mount --bind '` + dir + `/sasl' /usr/lib/sasl2; fi
`
}

// sendmailRoot unpacks Sendmail's packages into the cache, once a machine.
func sendmailRoot(t testing.TB) string {
	t.Helper()
	const cache = "/var/cache/waxseal-test/sendmail"
	if _, err := os.Stat(cache + "/root/usr/libexec/sendmail/sendmail"); err == nil {
		return cache + "/root"
	}
	temp := Dir(t)
	download := func() ([]byte, error) {
		cmd := exec.Command("apt-get", "-q", "download", "sendmail-bin", "sendmail-base", "sendmail-cf")
		cmd.Dir = temp
		return cmd.CombinedOutput()
	}
	out, err := download()
	if err != nil {
		exec.Command("apt-get", "-q", "update").Run()
		out, err = download()
	}
	if err != nil {
		t.Fatalf("Sendmail's packages are needed (apt-get download sendmail-bin sendmail-base sendmail-cf): %v\n%s", err, out)
	}
	packages, _ := filepath.Glob(temp + "/*.deb")
	for _, p := range packages {
		if out, err := exec.Command("dpkg", "-x", p, temp+"/root").CombinedOutput(); err != nil {
			t.Fatalf("unpack %s: %v\n%s", p, err, out)
		}
	}
	if out, err := exec.Command(Program(t, "ldd", "libc-bin"), temp+"/root/usr/libexec/sendmail/sendmail").CombinedOutput(); err != nil ||
		strings.Contains(string(out), "not found") {
		t.Fatalf("Sendmail lacks libraries (apt-get install libwrap0 libdb5.3 libnsl2 libldap-2.5-0 libsasl2-2 liblockfile1): %v\n%s", err, out)
	}
	// Another test process may have come first: then its copy is as good.
	os.MkdirAll(cache, 0o755)
	if err := os.Rename(temp+"/root", cache+"/root"); err != nil {
		if _, err2 := os.Stat(cache + "/root/usr/libexec/sendmail/sendmail"); err2 != nil {
			t.Fatal(err)
		}
	}
	return cache + "/root"
}

var syslogPriority = regexp.MustCompile(`^<\d+>`)

// startSyslog writes what comes to a datagram socket to a file.
func startSyslog(t testing.TB, socket, log string) {
	t.Helper()
	c, err := net.ListenPacket("unixgram", socket)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(socket, 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		defer f.Close()
		for b := make([]byte, 64<<10); ; {
			n, _, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			line := syslogPriority.ReplaceAll(b[:n], nil)
			fmt.Fprintf(f, "%s\n", strings.TrimRight(string(line), "\x00\n"))
		}
	}()
}

// submitMC is for the sendmail command: it hands the message to the daemon over
// SMTP, as Debian's Sendmail does, so that the filter sees it.
const submitMC = "divert(-1)\n" +
	"define(`_CF_DIR_', `@ROOT@/usr/share/sendmail/cf/')dnl\n" +
	"include(`@ROOT@/usr/share/sendmail/cf/m4/cf.m4')\n" +
	"divert(0)dnl\n" +
	"define(`__OSTYPE__', `')dnl\n" +
	"define(`confDOMAIN_NAME', `sm.test.example')dnl\n" +
	"define(`MSP_QUEUE_DIR', `@DIR@/clientmqueue')dnl\n" +
	"define(`confRUN_AS_USER', `nobody')dnl\n" + // it refuses root
	"define(`confTRUSTED_USER', `nobody')dnl\n" +
	"define(`confTRUSTED_USERS', `root nobody')dnl\n" +
	"define(`confPID_FILE', `@DIR@/submit.pid')dnl\n" +
	"define(`STATUS_FILE', `')dnl\n" +
	"define(`confDELIVERY_MODE', `i')dnl\n" +
	"define(`confDONT_PROBE_INTERFACES', `True')dnl\n" +
	"define(`confBIND_OPTS', `-DNSRCH -DEFNAMES')dnl\n" +
	"define(`confSERVICE_SWITCH_FILE', `@DIR@/etc/service.switch')dnl\n" +
	"define(`RELAY_MAILER_ARGS', `TCP $h @PORT@')dnl\n" +
	"FEATURE(`msp', `[127.0.0.1]')dnl\n"

const sendmailMC = "divert(-1)\n" +
	"define(`_CF_DIR_', `@ROOT@/usr/share/sendmail/cf/')dnl\n" +
	"include(`@ROOT@/usr/share/sendmail/cf/m4/cf.m4')\n" +
	"divert(0)dnl\n" +
	"OSTYPE(`linux')dnl\n" +
	"define(`confDOMAIN_NAME', `sm.test.example')dnl\n" +
	"define(`QUEUE_DIR', `@DIR@/mqueue')dnl\n" +
	"define(`confPID_FILE', `@DIR@/sendmail.pid')dnl\n" +
	"define(`STATUS_FILE', `@DIR@/statistics')dnl\n" +
	"define(`HELP_FILE', `')dnl\n" +
	"define(`ALIAS_FILE', `')dnl\n" +
	"define(`confCW_FILE', `-o @DIR@/etc/local-host-names')dnl\n" +
	"define(`confCT_FILE', `-o @DIR@/etc/trusted-users')dnl\n" +
	"define(`confCONTROL_SOCKET_NAME', `')dnl\n" +
	"define(`confPRIVACY_FLAGS', `novrfy,noexpn')dnl\n" +
	"define(`confDEF_USER_ID', `nobody:nogroup')dnl\n" +
	"define(`confTRUSTED_USERS', `root')dnl\n" +
	"define(`confDONT_BLAME_SENDMAIL', `GroupWritableDirPathSafe')dnl\n" +
	"define(`confDONT_PROBE_INTERFACES', `True')dnl\n" +
	"define(`confDELIVERY_MODE', `b')dnl\n" +
	"define(`confTO_IDENT', `0')dnl\n" +
	"define(`confREJECT_LOG_INTERVAL', `0')dnl\n" +
	"define(`confREFUSE_LA', `0')dnl\n" +
	"define(`confQUEUE_LA', `500')dnl\n" +
	"define(`confLOG_LEVEL', `14')dnl\n" +
	"define(`confBIND_OPTS', `-DNSRCH -DEFNAMES')dnl\n" +
	"define(`confSERVICE_SWITCH_FILE', `@DIR@/etc/service.switch')dnl\n" +
	"define(`confHOSTS_FILE', `/etc/hosts')dnl\n" +
	"define(`confAUTH_MECHANISMS', `PLAIN')dnl\n" +
	"define(`confSERVER_CERT', `@CERT@')dnl\n" +
	"define(`confSERVER_KEY', `@KEY@')dnl\n" +
	"define(`confCACERT_PATH', `@DIR@/sasl')dnl\n" +
	"define(`confCACERT', `@CERT@')dnl\n" +
	"define(`SMART_HOST', `esmtp:[127.0.0.1]')dnl\n" +
	"define(`ESMTP_MAILER_ARGS', `TCP $h @SINK@')dnl\n" +
	"define(`confME_TOO', `True')dnl\n" +
	// As docs/sendmail.md says: otherwise Sendmail rewrites the MIME structure of
	// what it sends, whatever looks odd to it, and the signature of such a message
	// is dead.
	"define(`confMAX_MIME_HEADER_LENGTH', `0/0')dnl\n" +
	"FEATURE(`nocanonify')dnl\n" +
	"FEATURE(`accept_unqualified_senders')dnl\n" +
	"FEATURE(`accept_unresolvable_domains')dnl\n" +
	"FEATURE(`promiscuous_relay')dnl\n" +
	"FEATURE(`no_default_msa')dnl\n" +
	"DAEMON_OPTIONS(`Name=MSA, Family=inet, Addr=127.0.0.1, Port=@PORT@')dnl\n" +
	"@FILTER@" +
	"MAILER(`smtp')dnl\n" +
	"LOCAL_RULESETS\n" +
	"SLocal_check_rcpt\n" +
	"R$* @REFUSED@@$*\t$#error $@ 5.1.1 $: \"550 no such user\"\n" +
	"R$*<@REFUSED@@$*\t$#error $@ 5.1.1 $: \"550 no such user\"\n"
