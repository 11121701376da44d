// Command demo shows Waxseal's main job: it starts a throwaway Postfix on
// loopback with Waxseal attached and keys made on the spot, sends mail through
// it, and shows each message before and after. openssl and gpg verify and
// decrypt what came out. It ends with status 1 if anything is not as it should
// be. It needs root, because Postfix does.
package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"waxseal/test/daemon"
	"waxseal/test/identities"
	"waxseal/test/mta"
)

var policyFiles = map[string]string{
	"10-partner.hcl": `# Everything to the partner is signed and encrypted, with what he has.
policy "partner" {
  direction = "outgoing"
  recipient = ["*@partner.example"]
  sign    "any" {}
  encrypt "any" {}
  on_key_not_found = "reject"
}
`,
	"90-sign.hcl": `# Everything else is signed.
policy "sign-all" {
  direction = "outgoing"
  sign "smime" {}
  on_key_not_found = "accept"
}
`,
}

// scene is one message.
type scene struct {
	title string
	to    string
	text  string
	// judge shows what other programs make of the result and returns the text
	// that the recipient reads; nil for a message that must be refused.
	judge func(*stage, *identities.Set, []byte) []byte
}

var scenes = []scene{
	{"S/MIME, signed", "somebody@elsewhere.example", "Signed, for everybody to read.", verifySMIME},
	{"S/MIME, signed and encrypted", identities.Bob, "For Bob's eyes only.", decryptSMIME},
	{"PGP/MIME, signed and encrypted", identities.Dan, "For Dan, who uses OpenPGP.", decryptPGP},
	{"refused: there is no key for the recipient", identities.Nobody, "This never leaves in clear.", nil},
}

func main() {
	s := &stage{}
	s.run(show)
	if s.failed {
		fmt.Println("\nSomething went wrong, see above.")
		os.Exit(1)
	}
	fmt.Println("\nAll as it should be. README.md says how to attach Waxseal to your own mail server.")
}

func show(s *stage) {
	s.say("Making keys and certificates for Alice (ours), Bob (S/MIME) and Dan (OpenPGP) with openssl and gpg")
	set := identities.Make(s)
	s.say("Starting Waxseal")
	for _, name := range []string{"10-partner.hcl", "90-sign.hcl"} {
		s.block("policies/"+name, []byte(policyFiles[name]), 20)
	}
	waxseal := daemon.Start(s, &daemon.Configuration{Dir: mta.Dir(s), Keys: set.Store, Policies: policyFiles})
	s.say("Starting Postfix with smtpd_milters = unix:" + waxseal.Socket)
	postfix := mta.StartPostfix(s, mta.Options{Milter: waxseal.Socket})
	for i, scene := range scenes {
		fmt.Printf("\n=== %d. %s ===\n", i+1, scene.title)
		scene.play(s, set, postfix)
	}
	fmt.Println("\n=== What Waxseal logged ===")
	for _, line := range strings.Split(waxseal.Log(), "\n") {
		if strings.Contains(line, "msg=message") {
			fmt.Println(line)
		}
	}
	waxseal.Stop(s)
}

func (c scene) play(s *stage, set *identities.Set, postfix *mta.MTA) {
	before := []byte("From: Alice <" + identities.Alice + ">\r\nTo: " + c.to + "\r\nSubject: " + c.title +
		"\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + c.text + "\r\n")
	s.block("goes in", before, 20)
	client := mta.Dial(s, postfix.Addr, "client.example.com")
	reply := client.Send(identities.Alice, []string{c.to}, before)
	client.Close()
	fmt.Println("Postfix answers:", reply)
	if c.judge == nil {
		if reply.Code != 550 {
			s.Errorf("the message should have been refused with 550")
		}
		postfix.Sink.None(s)
		return
	}
	if reply.Code != 250 {
		s.Fatalf("the message should have been taken")
	}
	after := postfix.Sink.Next(s).Data
	s.block("comes out", after, 24)
	read := c.judge(s, set, after)
	if !bytes.Contains(read, []byte(c.text)) {
		s.Errorf("the recipient does not read %q", c.text)
	}
}

func verifySMIME(s *stage, set *identities.Set, mail []byte) []byte {
	return s.command(mail, "openssl", "cms", "-verify", "-CAfile", set.CA, "-purpose", "smimesign", "-signer", os.DevNull)
}

func decryptSMIME(s *stage, set *identities.Set, mail []byte) []byte {
	signed := s.command(mail, "openssl", "cms", "-decrypt", "-recip", set.Certificate(identities.Bob), "-inkey", set.Key(identities.Bob))
	return verifySMIME(s, set, signed)
}

func decryptPGP(s *stage, set *identities.Set, mail []byte) []byte {
	const begin, end = "-----BEGIN PGP MESSAGE-----", "-----END PGP MESSAGE-----"
	_, armor, ok := bytes.Cut(mail, []byte(begin))
	armor, _, ok2 := bytes.Cut(armor, []byte(end))
	if !ok || !ok2 {
		s.Fatalf("there is no OpenPGP message in the result")
	}
	return s.command([]byte(begin+string(armor)+end+"\n"), "gpg", "--homedir", set.GnuPG(), "--batch", "--decrypt")
}

// command runs a judge and shows what it says and what it gives.
func (s *stage) command(in []byte, program string, args ...string) []byte {
	shown := make([]string, len(args))
	for i, a := range args {
		if shown[i] = a; filepath.IsAbs(a) && a != os.DevNull {
			shown[i] = filepath.Base(a)
		}
	}
	cmd := exec.Command(program, args...)
	cmd.Stdin = bytes.NewReader(in)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	fmt.Printf("$ %s %s\n%s", program, strings.Join(shown, " "), said.Bytes())
	if err != nil {
		s.Fatalf("%s says no: %v", program, err)
	}
	s.block("what "+program+" gives", out, 12)
	return out
}
