package smime_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"

	"waxseal/signer"
	"waxseal/signer/smime"
	"waxseal/signer/smime/cms"
	"waxseal/signer/smime/trust"
	"waxseal/test/judge"
)

var update = flag.Bool("update", false, "write docs/interop.md anew")

// reasons says why programs do not read or write something.
var reasons = map[string]string{
	"a": "gpgsm 2.2 takes the 521 bits for an error, and those of Ed25519 too.",
	"b": "OpenSSL 3.0 and NSS 3.87 do not know Ed25519 in CMS.",
	"c": "libksba of Debian 12 can't parse identifiers by key, neither those of OpenSSL and Bouncy Castle.",
	"d": "gpgsm 2.2 imports private keys with RSA only.",
	"e": "gpgsm 2.2 and NSS 3.87 can't read AuthEnvelopedData.",
	"f": "gpgsm 2.2 and NSS 3.87 do not know RSAES-OAEP.",
	"g": "gpgsm 2.2 and NSS 3.87 do not know key agreement with elliptic curves; NSS then refuses the whole message.",
	"h": "OpenSSL 3.0 and NSS 3.87 do not know X25519 in CMS (RFC 8418).",
}

// signRows are the algorithms of signatures. "read" is what the programs do with
// ours, "written" what they make and we verify, in the order of judge.Programs.
var signRows = []struct {
	name, person  string
	digest        crypto.Hash
	pss, keyID    bool
	read, written string
}{
	{"RSA PKCS #1 v1.5, SHA-256", "rsa", crypto.SHA256, false, false, "yes yes yes yes", "yes yes yes yes"},
	{"RSA PKCS #1 v1.5, SHA-384", "rsa", crypto.SHA384, false, false, "yes yes yes yes", "yes yes yes yes"},
	{"RSA PKCS #1 v1.5, SHA-512", "rsa", crypto.SHA512, false, false, "yes yes yes yes", "yes yes yes yes"},
	{"RSASSA-PSS, SHA-256", "rsa", crypto.SHA256, true, false, "yes yes yes yes", "yes - - yes"},
	{"RSASSA-PSS, SHA-384", "rsa", crypto.SHA384, true, false, "yes yes yes yes", "yes - - yes"},
	{"RSASSA-PSS, SHA-512", "rsa", crypto.SHA512, true, false, "yes yes yes yes", "yes - - yes"},
	{"ECDSA P-256, SHA-256", "p256", crypto.SHA256, false, false, "yes yes yes yes", "yes d yes yes"},
	{"ECDSA P-384, SHA-384", "p384", crypto.SHA384, false, false, "yes yes yes yes", "yes d yes yes"},
	{"ECDSA P-521, SHA-512", "p521", crypto.SHA512, false, false, "yes a yes yes", "yes d yes yes"},
	{"Ed25519", "ed25519", crypto.SHA512, false, false, "b a b yes", "b d b yes"},
	{"RSA, signer named by key identifier", "rsa", crypto.SHA256, false, true, "yes c yes yes", "yes - - yes"},
	{"ECDSA P-256, signer named by key identifier", "p256", crypto.SHA256, false, true, "yes c yes yes", "yes - - yes"},
}

var digestNames = map[crypto.Hash]string{crypto.SHA256: "sha256", crypto.SHA384: "sha384", crypto.SHA512: "sha512"}

// text is what is protected: no short message, so that it does not fit into one
// chunk of any program.
var text = "Content-Type: text/plain; charset=us-ascii\r\n\r\n" + strings.Repeat("Hello from the other side\r\n", 2000)

func entity() *signer.Entity {
	head, body, _ := strings.Cut(text, "\r\n\r\n")
	return &signer.Entity{
		Header: signer.Header{{Name: "Content-Type", Raw: []byte(head + "\r\n")}},
		Body:   signer.NewContent([]byte(body)),
	}
}

func matrix(title string, programs []judge.CMS) *judge.Matrix {
	m := &judge.Matrix{Title: title, Reasons: reasons}
	for _, p := range programs {
		m.Columns = append(m.Columns, p.Name())
	}
	return m
}

// TestInterop tries all algorithms with all programs, in both directions.
func TestInterop(t *testing.T) {
	people := judge.NewPeople(t)
	programs := judge.Programs(t, people)
	signed := matrix("Signed by Waxseal, verified by", programs)
	verified := matrix("Verified by Waxseal, signed by", programs)
	for _, row := range signRows {
		person := people.Person(row.person)
		o := smime.SignOptions{Digest: row.digest, PSS: row.pss}
		if row.keyID {
			o.SignerID = smime.SubjectKeyID
		}
		s := judge.SignAs{Digest: digestNames[row.digest], PSS: row.pss, SubjectKeyID: row.keyID}
		signed.Row(t, row.name, row.read, func(i int) error {
			err := sign(t, person, o, programs[i])
			onlyOurs(t, err, programs, i, func(other judge.CMS) error {
				data, err := other.Sign(t, person, []byte(text), s)
				if err != nil {
					return err
				}
				return same(programs[i].Verify(t, data, nil))
			})
			return err
		})
		verified.Row(t, row.name, row.written, func(i int) error { return verify(t, person, s, programs[i]) })
	}
	encrypted := matrix("Encrypted by Waxseal, decrypted by", programs)
	decrypted := matrix("Decrypted by Waxseal, encrypted by", programs)
	for _, row := range encryptRows {
		var to []*judge.Person
		for _, name := range strings.Fields(row.to) {
			to = append(to, people.Person(name))
		}
		encrypted.Row(t, row.name, row.read, func(i int) error {
			err := encrypt(t, to, row.options, programs[i])
			onlyOurs(t, err, programs, i, func(other judge.CMS) error {
				data, err := other.Encrypt(t, to, []byte(text), encryptAs(row.options))
				if err != nil {
					return err
				}
				return same(programs[i].Decrypt(t, to[len(to)-1], data))
			})
			return err
		})
		decrypted.Row(t, row.name, row.written, func(i int) error { return decrypt(t, to, row.options, programs[i]) })
	}
	all := []*judge.Matrix{signed, verified, encrypted, decrypted}
	for _, m := range all {
		m.Log(t)
	}
	judge.Document(t, "../../docs/interop.md", "smime", *update, all...)
}

// onlyOurs makes it an error of ours if a program can't read what we have made,
// but can read what some other program makes of the same kind.
func onlyOurs(t *testing.T, err error, programs []judge.CMS, reader int, try func(other judge.CMS) error) {
	t.Helper()
	if err == nil || errors.Is(err, judge.ErrCannot) {
		return
	}
	for i, other := range programs {
		if i != reader && try(other) == nil {
			t.Errorf("%s reads what %s makes, and not ours: %v", programs[reader].Name(), other.Name(), err)
		}
	}
}

// encryptRows are the algorithms of encryption. The last of the recipients is
// who decrypts.
var encryptRows = []struct {
	name, to      string
	options       smime.EncryptOptions
	read, written string
}{
	{"AES-128-CBC, RSA PKCS #1 v1.5", "rsa", smime.EncryptOptions{Cipher: cms.AES128CBC}, "yes yes yes yes", "yes yes yes yes"},
	{"AES-256-CBC, RSA PKCS #1 v1.5", "rsa", smime.EncryptOptions{}, "yes yes yes yes", "yes yes - yes"},
	{"AES-128-GCM, RSA PKCS #1 v1.5", "rsa", smime.EncryptOptions{Cipher: cms.AES128GCM}, "yes e e yes", "yes - - yes"},
	{"AES-256-GCM, RSA PKCS #1 v1.5", "rsa", smime.EncryptOptions{Cipher: cms.AES256GCM}, "yes e e yes", "yes - - yes"},
	{"AES-256-CBC, RSAES-OAEP with SHA-1", "rsa", smime.EncryptOptions{KeyTransport: cms.OAEPSHA1}, "yes f f yes", "yes - - yes"},
	{"AES-256-CBC, RSAES-OAEP with SHA-256", "rsa", smime.EncryptOptions{KeyTransport: cms.OAEPSHA256}, "yes f f yes", "yes - - yes"},
	{"AES-128-GCM, RSAES-OAEP with SHA-256", "rsa", smime.EncryptOptions{Cipher: cms.AES128GCM, KeyTransport: cms.OAEPSHA256}, "yes e e yes", "yes - - yes"},
	{"AES-128-CBC, ECDH P-256", "p256", smime.EncryptOptions{Cipher: cms.AES128CBC}, "yes d g yes", "yes g g yes"},
	{"AES-256-CBC, ECDH P-256", "p256", smime.EncryptOptions{}, "yes d g yes", "yes g - yes"},
	{"AES-256-CBC, ECDH P-384", "p384", smime.EncryptOptions{}, "yes d g yes", "yes g - yes"},
	{"AES-256-CBC, ECDH P-521", "p521", smime.EncryptOptions{}, "yes d g yes", "yes g - yes"},
	{"AES-256-GCM, ECDH P-256", "p256", smime.EncryptOptions{Cipher: cms.AES256GCM}, "yes d e yes", "yes - - yes"},
	{"AES-256-CBC, X25519", "x25519", smime.EncryptOptions{}, "h d h yes", "h g - yes"},
	{"AES-256-GCM, X25519", "x25519", smime.EncryptOptions{Cipher: cms.AES256GCM}, "h d h yes", "h - - yes"},
	{"AES-256-CBC, RSA, recipient named by key identifier", "rsa", smime.EncryptOptions{RecipientID: cms.SubjectKeyID}, "yes c yes yes", "yes - - yes"},
	{"AES-256-CBC, ECDH P-256, recipient named by key identifier", "p256", smime.EncryptOptions{RecipientID: cms.SubjectKeyID}, "yes d g yes", "yes - - yes"},
	{"Two recipients with RSA, read by the second", "rsa rsa-other", smime.EncryptOptions{Cipher: cms.AES128CBC}, "yes yes yes yes", "yes yes yes yes"},
	{"Recipients with P-256 and RSA, read by the latter", "p256 rsa", smime.EncryptOptions{Cipher: cms.AES128CBC}, "yes yes g yes", "yes g g yes"},
	{"Recipients with RSA and P-256, read by the latter", "rsa p256", smime.EncryptOptions{Cipher: cms.AES128CBC}, "yes d g yes", "yes g g yes"},
}

// sign signs in both modes and has a program verify.
func sign(t *testing.T, as *judge.Person, o smime.SignOptions, program judge.CMS) error {
	t.Helper()
	for _, mode := range []string{smime.Detached, smime.Opaque} {
		o.Mode = mode
		signed, err := smime.Sign(entity(), as.Chain, as.Key.(crypto.Signer), o)
		if err != nil {
			t.Fatal(err)
		}
		var message bytes.Buffer
		if _, err := signed.WriteTo(&message); err != nil {
			t.Fatal(err)
		}
		var data, content []byte
		if mode == smime.Detached {
			content, data, err = judge.SignedParts(message.Bytes())
		} else {
			data, err = base64.StdEncoding.DecodeString(string(judge.Cut(message.Bytes()).Body))
		}
		if err != nil {
			t.Fatal(err)
		}
		got, err := program.Verify(t, data, content)
		if err := same(got, err); err != nil {
			return fmt.Errorf("%s: %w", mode, err)
		}
	}
	return nil
}

// verify has a program sign in both modes, and verifies.
func verify(t *testing.T, as *judge.Person, s judge.SignAs, program judge.CMS) error {
	t.Helper()
	anchors, err := trust.NewPool(as.Chain[len(as.Chain)-1])
	if err != nil {
		t.Fatal(err)
	}
	// Not every program puts the intermediate certificate into the message.
	intermediates, err := trust.NewPool(as.Chain[1])
	if err != nil {
		t.Fatal(err)
	}
	o := smime.VerifyOptions{
		Address: as.Name + "@example.com",
		Trust:   &trust.Validator{Anchors: anchors, Intermediates: intermediates},
	}
	for _, detached := range []bool{true, false} {
		s.Detached = detached
		data, err := program.Sign(t, as, []byte(text), s)
		if err != nil {
			return fmt.Errorf("sign: %w", err)
		}
		var found []signer.Verification
		content := []byte(text)
		if detached {
			found, err = smime.Verify(context.Background(), bytes.NewReader([]byte(text)), bytes.NewReader(data), o)
		} else {
			var out bytes.Buffer
			found, err = smime.VerifyOpaque(context.Background(), &out, bytes.NewReader(data), o)
			content = out.Bytes()
		}
		if err := same(content, err); err != nil {
			return fmt.Errorf("verify: %w", err)
		}
		if len(found) != 1 || found[0].Result().Verdict != signer.Pass {
			return fmt.Errorf("verify: %+v", found)
		}
	}
	return nil
}

// encrypt encrypts and has a program decrypt as the last of the recipients.
func encrypt(t *testing.T, to []*judge.Person, o smime.EncryptOptions, program judge.CMS) error {
	t.Helper()
	var certificates []*x509.Certificate
	for _, p := range to {
		certificates = append(certificates, p.Certificate())
	}
	var body bytes.Buffer
	if _, err := smime.Encrypt(&body, entity(), certificates, o); err != nil {
		t.Fatal(err)
	}
	data, err := base64.StdEncoding.DecodeString(body.String())
	if err != nil {
		t.Fatal(err)
	}
	return same(program.Decrypt(t, to[len(to)-1], data))
}

// encryptAs asks a program for what our options ask of us.
func encryptAs(o smime.EncryptOptions) judge.EncryptAs {
	e := judge.EncryptAs{
		Cipher:       strings.Replace(o.Cipher.String(), "aes", "aes-", 1),
		SubjectKeyID: o.RecipientID == cms.SubjectKeyID,
	}
	if name, ok := strings.CutPrefix(o.KeyTransport.String(), "oaep-"); ok {
		e.OAEP = name
	}
	return e
}

// decrypt has a program encrypt, and decrypts as the last of the recipients.
func decrypt(t *testing.T, to []*judge.Person, o smime.EncryptOptions, program judge.CMS) error {
	t.Helper()
	data, err := program.Encrypt(t, to, []byte(text), encryptAs(o))
	if err != nil {
		return fmt.Errorf("encrypt: %w", err)
	}
	reader := to[len(to)-1]
	var out bytes.Buffer
	d, err := smime.Decrypt(&out, bytes.NewReader(data), []smime.DecryptionKey{{Certificate: reader.Certificate(), Key: reader.Key}}, smime.DecryptOptions{})
	if err == nil && d.Cipher != o.Cipher {
		err = fmt.Errorf("it is %v, not %v", d.Cipher, o.Cipher)
	}
	return same(out.Bytes(), err)
}

// same compares a content with the one that went in.
func same(got []byte, err error) error {
	if err == nil && string(got) != text {
		err = errors.New("the content is another one")
	}
	return err
}
