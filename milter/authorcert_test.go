package milter

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"waxseal/policies"
	"waxseal/signer"
	"waxseal/test/identities"
)

// TestAuthorCertificate has a signature that comes without the signer's
// certificate, which we hold or do not hold for the visible author.
func TestAuthorCertificate(t *testing.T) {
	set := identities.Make(t)
	message := crlf(run(t, innerEntity, "openssl", "cms", "-sign", "-nocerts", "-md", "sha256",
		"-signer", set.Certificate(identities.Bob), "-inkey", set.Key(identities.Bob), "-certfile", set.Certificate("intermediate")))
	f := newIncoming(t, set, incomingPolicy)
	judge := func(author string) signer.Verdict {
		t.Helper()
		tx := newTestTransaction(t, "From: "+author+"\r\nSubject: s\r\n"+message)
		tx.Sender, tx.Recipients = identities.Bob, []string{identities.Alice}
		tx.Client = netip.MustParseAddr("192.0.2.1")
		out, err := f.Apply(t.Context(), tx)
		if err != nil || out.Action != policies.Accept {
			t.Fatalf("%+v, %v", out, err)
		}
		for _, a := range out.Log {
			if a.Key == "verify" {
				return signer.Verdict(a.Value.String())
			}
		}
		return ""
	}
	if got := judge(identities.Bob); got != signer.Pass {
		t.Errorf("held: %s, want pass", got)
	}
	if got := judge(identities.Erin); got == signer.Pass {
		t.Error("another author: passes")
	}
	if err := os.Remove(filepath.Join(set.Store, "recipients", identities.Bob+".pem")); err != nil {
		t.Fatal(err)
	}
	if got := judge(identities.Bob); got != signer.Neutral {
		t.Errorf("not held: %s, want neutral", got)
	}
	f.Keys = &faultyStore{f.Keys, identities.Bob}
	tx := newTestTransaction(t, "From: bob@partner.example\r\nSubject: s\r\n"+message)
	tx.Sender, tx.Recipients = identities.Bob, []string{identities.Alice}
	tx.Client = netip.MustParseAddr("192.0.2.1")
	if out, err := f.Apply(t.Context(), tx); err != nil || out.Action != policies.Tempfail {
		t.Errorf("the store is away: %+v, %v; want tempfail", out, err)
	}
}
