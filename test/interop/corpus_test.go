// Package interop sends mail that other people wrote through real mail servers
// with the filter attached, and lets programs that other people wrote judge
// what arrives.
package interop

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"waxseal/test/daemon"
	"waxseal/test/identities"
	"waxseal/test/judge"
	"waxseal/test/mta"
)

// signAll signs whatever comes in the name of the organisation.
const signAll = `
policy "all" {
  direction = "outgoing"
  sign "smime" {
    key = "alice@example.com"
  }
  on_key_not_found = "reject"
}
`

// corpus returns the files of mails below the folder of samples.
func corpus(t *testing.T) []string {
	t.Helper()
	dir := os.Getenv("WAXSEAL_CORPUS")
	if dir == "" {
		dir = "../../../shared/corpus"
	}
	kinds := []string{".eml", ".msg", ".raw", ".txt"}
	var files []string
	err := filepath.WalkDir(filepath.Join(dir, "mail"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && slices.Contains(kinds, filepath.Ext(path)) {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("no sample mails in %s/mail: set WAXSEAL_CORPUS to the folder that has them (%v)", dir, err)
	}
	return files
}

// outcomes counts what became of the mails.
type outcomes struct {
	verified, refused, already, byServer int
	reasons                              map[string]int
}

// TestCorpusSigned: what arrives behind a real mail server after the filter has
// signed it still verifies, whatever the mail looked like. What is not signed
// is refused with a reason.
func TestCorpusSigned(t *testing.T) {
	files := corpus(t)
	set := identities.Make(t)
	for name, start := range map[string]func(testing.TB, mta.Options) *mta.MTA{"postfix": mta.StartPostfix, "sendmail": mta.StartSendmail} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := daemon.Start(t, &daemon.Configuration{Dir: mta.Dir(t), Keys: set.Store, Policies: map[string]string{"10.hcl": signAll}})
			server := start(t, mta.Options{Milter: d.Socket})
			o := outcomes{reasons: make(map[string]int)}
			for _, file := range files {
				send(t, set, server, file, &o)
			}
			server.Sink.None(t)
			t.Logf("%d mails: %d arrived and verify, %d were signed or encrypted already, %d refused by the filter %v, %d by the server itself",
				len(files), o.verified, o.already, o.refused, o.reasons, o.byServer)
			if o.verified < len(files)/2 {
				t.Error("less than half of the mails arrived signed")
			}
		})
	}
}

// send sends one mail and judges what arrives.
func send(t *testing.T, set *identities.Set, server *mta.MTA, file string, o *outcomes) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
	c := mta.Dial(t, server.Addr, "")
	defer c.Close()
	c.Mail(identities.Alice, text)
	c.Rcpt("x@example.net")
	c.BeginData(text)
	if !bytes.HasSuffix(text, []byte("\r\n")) {
		c.BeginLine()
	}
	r, err := c.EndData()
	switch {
	case err != nil || r.Code/100 != 2 && !strings.Contains(r.Text, "(id "):
		// Sendmail hangs up at a carriage return inside a line.
		o.byServer++
		return
	case r.Code/100 == 4:
		t.Errorf("%s: %s", file, r)
		return
	case r.Code/100 == 5:
		o.refused++
		reason, _, _ := strings.Cut(r.Text, " (id")
		o.reasons[reason]++
		return
	}
	got := server.Sink.Next(t).Data
	report := judge.Cut(got).Value("Waxseal-Result")
	if strings.Contains(report, "=already") {
		o.already++
		return
	}
	if !strings.Contains(report, "sign=pass (smime rsa2048-sha256 alice@example.com)") {
		t.Errorf("%s: the report is %q", file, report)
		return
	}
	if err := verify(t, set, got); err != nil {
		t.Errorf("%s: %.600s", file, err)
		return
	}
	o.verified++
}

func verify(t *testing.T, set *identities.Set, message []byte) error {
	if err := judge.TransitProof(message); err != nil {
		return err
	}
	entity, err := judge.VerifySMIME(t, set, message, identities.Alice)
	if err == nil && len(entity) == 0 {
		err = fmt.Errorf("the signed part is empty")
	}
	return err
}
