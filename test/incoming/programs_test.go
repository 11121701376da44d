package incoming_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"waxseal/test/daemon"
	"waxseal/test/judge"
	"waxseal/test/mta"
)

// TestPrograms has other programs sign and encrypt, and reads what a mailbox
// gets: what went in, byte for byte.
func TestPrograms(t *testing.T) {
	people := judge.NewPeople(t)
	owners, pgp := judge.OpenPGPPrograms(t)
	store := t.TempDir()
	bob, alice := people.Person("rsa-other"), people.Person("rsa")
	copyFile(t, filepath.Join(store, "smime", "rsa@example.com.pem"), alice.CertFile, alice.ChainFile, alice.KeyFile)
	for _, kind := range []string{"rsa", "legacy"} {
		copyFile(t, filepath.Join(store, "pgp", kind+"@example.com.asc"), owners[kind].KeyFile)
	}
	copyFile(t, filepath.Join(store, "recipients", "p256@example.com.asc"), owners["p256"].CertFile)
	messages := []message{}
	for _, program := range judge.Programs(t, people) {
		messages = append(messages, smimeMessages(t, program, bob, alice)...)
	}
	for _, program := range pgp {
		for _, to := range []string{"rsa", "legacy"} {
			messages = append(messages, pgpMessages(t, program, owners["p256"], owners[to])...)
		}
	}
	t.Logf("%d messages", len(messages))
	config := daemon.Configuration{Keys: store, Policies: map[string]string{"10.hcl": policy}, Settings: anchors(people.RootFile)}
	everywhere(t, config, func(t *testing.T, server *mta.MTA, _ *daemon.Daemon) {
		for _, m := range messages {
			t.Run(m.name, func(t *testing.T) {
				_, got := arrives(t, server, "envelope@partner.example", []string{m.to}, m.data)
				if m.signer == nil {
					reads(t, m.data, got, m.entity, m.reports...)
					return
				}
				// The signature that was encrypted together with the text is beside it now.
				content, signature, err := judge.PGPParts(got)
				if err != nil {
					t.Fatalf("%v\n%s", err, got)
				}
				if string(content) != m.entity {
					t.Errorf("the signed part is %q, it was %q", content, m.entity)
				}
				if err := m.verifier.Verify(t, m.signer, content, signature); err != nil {
					t.Error(err)
				}
				reads(t, m.data, got, string(got[bytes.Index(got, []byte("Content-Type: multipart/signed")):]), m.reports...)
			})
		}
	})
}

// message is one that a program has made, and what has to come of it.
type message struct {
	name, to, entity string
	data             []byte
	reports          []string
	// verifier is to check a signature of signer in the end.
	signer   *judge.KeyOwner
	verifier judge.OpenPGP
}

// nssName is the program that can't sign detached: cmsutil of Debian 12 says that
// the digest is not found.
const nssName = "NSS cmsutil"

func smimeMessages(t *testing.T, program judge.CMS, from, to *judge.Person) []message {
	t.Helper()
	var all []message
	head := header(from.Name+"@example.com", to.Name+"@example.com")
	add := func(name, entity string, data []byte, reports ...string) {
		all = append(all, message{name: program.Name() + ", " + name, to: to.Name + "@example.com", entity: entity, data: data, reports: reports})
	}
	encrypt := func(entity, cipher string) []byte {
		if program.Name() == nssName && cipher == "aes-256-cbc" {
			cipher = "aes-128-cbc" // its own choice
		}
		data, err := program.Encrypt(t, []*judge.Person{to}, []byte(entity), judge.EncryptAs{Cipher: cipher})
		if errors.Is(err, judge.ErrCannot) {
			return nil
		}
		if err != nil {
			t.Fatal(err)
		}
		return smimeMail(head, data)
	}
	sign := func(entity string, detached bool) []byte {
		data, err := program.Sign(t, from, []byte(entity), judge.SignAs{Digest: "sha256", Detached: detached})
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for name, entity := range entities {
		add(name+" encrypted", entity, encrypt(entity, "aes-256-cbc"), "decrypt=pass (smime aes", "-cbc not authenticated rsa@example.com)", "verify=none", "smime=none")
	}
	if data := encrypt(entities["text"], "aes-256-gcm"); data != nil {
		add("with GCM", entities["text"], data, "decrypt=pass (smime aes256-gcm authenticated rsa@example.com)")
	}
	text := entities["text"]
	opaque := strings.TrimPrefix(string(smimeMail("", sign(text, false))), "MIME-Version: 1.0\r\n")
	add("signed opaquely and encrypted", opaque, encrypt(opaque, "aes-256-cbc"), "decrypt=pass", "verify=pass", "smime=pass")
	if program.Name() == nssName {
		return all
	}
	signed := smimeSigned(text, sign(text, true))
	add("signed", signed, []byte(head+"MIME-Version: 1.0\r\n"+signed), "decrypt=none", "verify=pass", "smime=pass")
	add("signed and encrypted", signed, encrypt(signed, "aes-256-cbc"), "decrypt=pass", "verify=pass", "smime=pass")
	triple := strings.TrimPrefix(string(encrypt(signed, "aes-256-cbc")), head+"MIME-Version: 1.0\r\n")
	outer := smimeSigned(triple, sign(triple, true))
	outer = strings.ReplaceAll(outer, "=_s", "=_t")
	add("wrapped three times", signed, []byte(head+"MIME-Version: 1.0\r\n"+outer), "decrypt=pass", "verify=pass", "smime=pass")
	return all
}

func pgpMessages(t *testing.T, program judge.OpenPGP, from, to *judge.KeyOwner) []message {
	t.Helper()
	var all []message
	head := header(from.Name+"@example.com", to.Name+"@example.com")
	add := func(name, entity string, data []byte, reports ...string) {
		all = append(all, message{name: program.Name() + ", to " + to.Name + ", " + name, to: to.Name + "@example.com", entity: entity, data: data, reports: reports})
	}
	encrypt := func(entity string, by *judge.KeyOwner) []byte {
		data, err := program.Encrypt(t, []*judge.KeyOwner{to}, by, false, []byte(entity))
		if err != nil {
			t.Fatal(err)
		}
		return pgpMail(head, data)
	}
	for name, entity := range entities {
		add(name+" encrypted", entity, encrypt(entity, nil), "decrypt=pass (pgp aes", " authenticated "+to.Name+"@example.com)", "verify=none", "x-openpgp=none")
	}
	text := entities["text"]
	signature, err := program.Sign(t, from, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	signed := pgpSigned(text, signature)
	add("signed", signed, []byte(head+"MIME-Version: 1.0\r\n"+signed), "decrypt=none", "verify=pass", "x-openpgp=pass")
	add("signed inside", signed, encrypt(signed, nil), "decrypt=pass", "verify=pass", "x-openpgp=pass")
	add("signed and encrypted at once", text, encrypt(text, from), "decrypt=pass", "verify=pass", "x-openpgp=pass")
	last := &all[len(all)-1]
	last.signer, last.verifier = from, program
	return all
}
