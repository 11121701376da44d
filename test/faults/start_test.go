package faults_test

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"waxseal/test/daemon"
	"waxseal/test/identities"
	"waxseal/test/mta"
)

// TestNoCoreFiles: a daemon that dies leaves no core file, which would have
// private keys in it.
func TestNoCoreFiles(t *testing.T) {
	d := daemon.Start(t, &daemon.Configuration{Dir: mta.Dir(t), Keys: identities.Make(t).Store, Policies: map[string]string{"10.hcl": protect}})
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", d.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^Max core file size +0 +0 `).Match(limits) {
		t.Errorf("the daemon may write core files:\n%s", limits)
	}
}

// TestCannotListen: of several sockets one is taken. The daemon says which, and
// leaves none of the others behind.
func TestCannotListen(t *testing.T) {
	dir := mta.Dir(t)
	first, second := dir+"/first.sock", dir+"/no/such/directory.sock"
	c := &daemon.Configuration{Dir: dir, Keys: identities.Make(t).Store, Policies: map[string]string{"10.hcl": protect},
		Settings: fmt.Sprintf("listen = [%q, %q]\n", "unix:"+first, "unix:"+second)}
	c.Write(t)
	out, err := exec.Command(daemon.Binary(t), "serve", "-config", c.File()).CombinedOutput()
	if err == nil || strings.Count(string(out), "listen on") != 1 || !strings.Contains(string(out), "listen on "+second) {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := os.Stat(first); !os.IsNotExist(err) {
		t.Errorf("the first socket is left behind: %v", err)
	}
}

// TestCheckWithoutVault: `waxseal check` says that Vault can't be reached, soon
// and without the token; `waxseal filter` defers.
func TestCheckWithoutVault(t *testing.T) {
	const token = "hvs.CAESIJ"
	c := &daemon.Configuration{Dir: mta.Dir(t), Policies: map[string]string{"10.hcl": protect},
		Settings: fmt.Sprintf("keys \"vault\" {\n  address = \"http://127.0.0.1:1\"\n  timeout = \"1s\"\n  auth \"token\" { token = %q }\n}\n", token)}
	status, notes := daemon.Check(t, c)
	if status != 1 || !strings.Contains(notes, "Vault can't be reached") || strings.Contains(notes, token) {
		t.Errorf("waxseal check ended with %d and said:\n%s", status, notes)
	}
	f := daemon.Filter(t, c, daemon.Envelope{From: identities.Alice, To: []string{identities.Bob}}, mail(identities.Bob, "token", 0))
	if f.Status != 75 || len(f.Message) > 0 || !strings.Contains(f.Notes, "451 4.7.5") || strings.Contains(f.Notes, token) {
		t.Errorf("waxseal filter ended with %d and said:\n%s\n%s", f.Status, f.Notes, f.Message)
	}
}

// TestFilterWithoutRoom: a message for which there is no room can be tried again.
func TestFilterWithoutRoom(t *testing.T) {
	c := &daemon.Configuration{Dir: mta.Dir(t), Keys: identities.Make(t).Store, Policies: map[string]string{"10.hcl": protect},
		Settings: "spool_limit = \"100KiB\"\n"}
	f := daemon.Filter(t, c, daemon.Envelope{From: identities.Alice, To: []string{identities.Bob}}, mail(identities.Bob, "room", 200<<10))
	if f.Status != 75 || len(f.Message) > 0 || !strings.Contains(f.Notes, "spool is full") {
		t.Errorf("waxseal filter ended with %d and said:\n%s", f.Status, f.Notes)
	}
}
