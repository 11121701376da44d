package faults_test

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"waxseal/test/daemon"
	"waxseal/test/identities"
	"waxseal/test/mta"
)

// TestLog: at the level that says most, a message has one line, every key of
// which docs/configuration.md explains, and the log has nothing of what is in
// messages or keys.
func TestLog(t *testing.T) {
	set := identities.Make(t)
	s := &stage{set: set, config: &daemon.Configuration{Dir: mta.Dir(t), Keys: set.Store,
		Policies: map[string]string{"10.hcl": protect}, Settings: "log_level = \"debug\"\n"}}
	s.server = mta.StartPostfix(t, mta.Options{Milter: s.config.Socket()})
	s.daemon = daemon.Start(t, s.config)
	const subject = "wintermute"
	broken := bytes.Replace(mail(identities.Bob, subject, 0), []byte("Content-Type"), []byte("Content-Type: text/html\r\nContent-Type"), 1)
	messages := []struct {
		to   string
		code int
		text []byte
	}{
		{identities.Bob, 250, mail(identities.Bob, subject, 0)},
		{"x@example.net", 250, mail("x@example.net", subject, 0)},
		{identities.Nobody, 550, mail(identities.Nobody, subject, 0)},
		{identities.Bob, 550, broken},
	}
	c := mta.Dial(t, s.server.Addr, "")
	for _, m := range messages {
		if r := c.Send(identities.Alice, []string{m.to}, m.text); r.Code != m.code {
			t.Errorf("to %s: %s", m.to, r)
		}
	}
	s.daemon.Stop(t)
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "## The log")
	lines := 0
	for line := range strings.Lines(s.daemon.Log()) {
		for _, private := range []string{secret, subject, "PRIVATE KEY", "This line"} {
			if strings.Contains(line, private) {
				t.Errorf("the log has %q: %s", private, line)
			}
		}
		if !strings.Contains(line, "msg=message ") {
			continue
		}
		if !strings.Contains(line, " from="+identities.Alice+" to="+messages[lines].to+" recipients=1 ") {
			t.Errorf("the line of message %d has another envelope: %s", lines, line)
		}
		lines++
		line = regexp.MustCompile(`"(\\.|[^"\\])*"`).ReplaceAllString(line, "")
		for _, m := range regexp.MustCompile(`\b([a-z]+)=`).FindAllStringSubmatch(line, -1) {
			if key := m[1]; key != "time" && key != "level" && key != "msg" && !strings.Contains(section, "`"+key+"`") {
				t.Errorf("docs/configuration.md does not explain %s: %s", key, line)
			}
		}
	}
	if lines != len(messages) {
		t.Errorf("%d lines for %d messages:\n%s", lines, len(messages), s.daemon.Log())
	}
}
