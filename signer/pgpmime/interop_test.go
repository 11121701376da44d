package pgpmime_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"waxseal/signer"
	"waxseal/signer/pgpmime"
	"waxseal/test/judge"
)

var update = flag.Bool("update", false, "write docs/interop.md anew")

// reasons says why programs do not read or write something.
var reasons = map[string]string{
	"a": "gpg 2.2, sq and sqop 0.27, gosop of 2022, and RNP 0.16 are older than RFC 9580: they do not know its forms of keys.",
	"b": "They do not know version 2 of the packet of encrypted data either.",
	"c": "RNP 0.16 does not look for the key of a hidden recipient.",
}

// signRows are the kinds of keys that sign. "read" is what the programs do with
// our signatures, "written" what they make and we verify, in the order of
// judge.OpenPGPPrograms.
var signRows = []struct{ name, key, read, written string }{
	{"Version 4, RSA", "rsa", "yes yes yes yes yes yes", "yes yes yes yes yes yes"},
	{"Version 4, ECDSA P-256", "p256", "yes yes yes yes yes yes", "yes yes yes yes yes yes"},
	{"Version 4, ECDSA P-384", "p384", "yes yes yes yes yes yes", "yes yes yes yes yes yes"},
	{"Version 4, Ed25519 (legacy)", "legacy", "yes yes yes yes yes yes", "yes yes yes yes yes yes"},
	{"Version 4, Ed25519 (RFC 9580)", "new", "a a a a a yes", "a a a a a yes"},
	{"Version 6, Ed25519", "v6-ocb", "a a a a a yes", "a a a a a yes"},
}

// encryptRows are the kinds of keys that are encrypted to. The last of them
// decrypts. The cipher is what has to be used.
var encryptRows = []struct {
	name, to, cipher string
	hidden           bool   // all of them
	blind            string // the one who is hidden
	read, written    string
}{
	{"Version 4, RSA; SEIPD 1", "rsa", "aes256", false, "", "yes yes yes yes yes yes", "yes yes yes yes yes yes"},
	{"Version 4, ECDH P-256; SEIPD 1", "p256", "aes256", false, "", "yes yes yes yes yes yes", "yes yes yes yes yes yes"},
	{"Version 4, ECDH P-384; SEIPD 1", "p384", "aes256", false, "", "yes yes yes yes yes yes", "yes yes yes yes yes yes"},
	{"Version 4, Curve25519 (legacy); SEIPD 1", "legacy", "aes256", false, "", "yes yes yes yes yes yes", "yes yes yes yes yes yes"},
	{"Version 4, X25519 (RFC 9580); SEIPD 1", "new", "aes256", false, "", "a a a a a yes", "a a a a a yes"},
	{"Version 4, RSA; SEIPD 2 with OCB", "rsa-ocb", "aes256-ocb", false, "", "b b b b b yes", "- - - - - yes"},
	{"Version 4, RSA; SEIPD 2 with GCM", "rsa-gcm", "aes256-gcm", false, "", "b b b b b yes", "- - - - - yes"},
	{"Version 6, X25519; SEIPD 2 with OCB", "v6-ocb", "aes256-ocb", false, "", "a a a a a yes", "a a a a a yes"},
	{"Version 6, X25519; SEIPD 2 with GCM", "v6-gcm", "aes256-gcm", false, "", "a a a a a yes", "a a a a a yes"},
	{"RSA and Curve25519, read by the latter; SEIPD 1", "rsa legacy", "aes256", false, "", "yes yes yes yes yes yes", "yes yes yes yes yes yes"},
	{"Version 6 and 4, read by the latter; SEIPD 1", "v6-ocb rsa", "aes256", false, "", "yes yes yes yes yes yes", "a a a a a yes"},
	{"Version 4 and 6, read by the latter; SEIPD 1", "rsa v6-ocb", "aes256", false, "", "a a a a a yes", "a a a a a yes"},
	{"Version 4, RSA, hidden; SEIPD 1", "rsa", "aes256", true, "", "yes yes yes yes c yes", "yes - - - - yes"},
	{"Curve25519, and RSA hidden, read by the former; SEIPD 1", "rsa legacy", "aes256", false, "rsa", "yes yes yes yes yes yes", "- - - - - -"},
}

// onlyOurs makes it an error of ours if a program can't read what we have made,
// but can read what some other program makes of the same kind.
func onlyOurs(t *testing.T, err error, programs []judge.OpenPGP, reader int, try func(other judge.OpenPGP) error) {
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

// text is what is protected, with lines that end in white space and begin with
// dashes.
var text = "Content-Type: text/plain; charset=us-ascii\r\n\r\n" + strings.Repeat("Hello from the other side \r\n- and\tmore\r\n", 1000)

func entity() *signer.Entity {
	head, body, _ := strings.Cut(text, "\r\n\r\n")
	return &signer.Entity{
		Header: signer.Header{{Name: "Content-Type", Raw: []byte(head + "\r\n")}},
		Body:   signer.NewContent([]byte(body)),
	}
}

func matrix(title string, programs []judge.OpenPGP) *judge.Matrix {
	m := &judge.Matrix{Title: title, Reasons: reasons}
	for _, p := range programs {
		m.Columns = append(m.Columns, p.Name())
	}
	return m
}

// TestInterop tries all kinds of keys with all programs, in both directions.
func TestInterop(t *testing.T) {
	owners, programs := judge.OpenPGPPrograms(t)
	ours := map[string]*pgpmime.Key{}
	certs := map[string]*pgpmime.Certificate{}
	for name, k := range owners {
		ours[name], certs[name] = parse(t, k)
	}
	signed := matrix("Signed by Waxseal, verified by", programs)
	verified := matrix("Verified by Waxseal, signed by", programs)
	for _, row := range signRows {
		signed.Row(t, row.name, row.read, func(i int) error {
			err := sign(t, ours[row.key], owners[row.key], programs[i])
			onlyOurs(t, err, programs, i, func(other judge.OpenPGP) error {
				signature, err := other.Sign(t, owners[row.key], []byte(text))
				if err != nil {
					return err
				}
				return programs[i].Verify(t, owners[row.key], []byte(text), signature)
			})
			return err
		})
		verified.Row(t, row.name, row.written, func(i int) error { return verify(t, owners[row.key], certs[row.key], programs[i]) })
	}
	encrypted := matrix("Encrypted by Waxseal, decrypted by", programs)
	decrypted := matrix("Decrypted by Waxseal, encrypted by", programs)
	for _, row := range encryptRows {
		var to []*pgpmime.Certificate
		var toOwners []*judge.KeyOwner
		o := pgpmime.EncryptOptions{Hidden: row.hidden}
		for _, name := range strings.Fields(row.to) {
			toOwners = append(toOwners, owners[name])
			if name == row.blind {
				o.Blind = append(o.Blind, certs[name])
			} else {
				to = append(to, certs[name])
			}
		}
		reader := toOwners[len(toOwners)-1]
		if got := pgpmime.Cipher(to, o); got != row.cipher {
			t.Errorf("%s: the cipher is %s, not %s", row.name, got, row.cipher)
		}
		// The signer is who reads, so that programs that know only older keys
		// are not stopped by a newer one.
		encrypted.Row(t, row.name, row.read, func(i int) error {
			err := encrypt(t, to, ours[reader.Name], o, reader, programs[i])
			onlyOurs(t, err, programs, i, func(other judge.OpenPGP) error {
				message, err := other.Encrypt(t, toOwners, reader, row.hidden, []byte(text))
				if err != nil {
					return err
				}
				if d, err := pgpmime.Decrypt(io.Discard, bytes.NewReader(message), []*pgpmime.Key{ours[reader.Name]}, pgpmime.DecryptOptions{}); err != nil || d.Cipher != row.cipher {
					return errors.New("it is of another kind")
				}
				return same(programs[i].Decrypt(t, reader, reader, message))
			})
			return err
		})
		decrypted.Row(t, row.name, row.written, func(i int) error {
			if row.blind != "" {
				return judge.ErrCannot
			}
			return decrypt(t, toOwners, ours[reader.Name], certs[reader.Name], row.hidden, row.cipher, programs[i])
		})
	}
	made := &judge.Matrix{Title: "With keys that programs have made", Columns: []string{
		"Waxseal signs, the maker verifies", "the maker signs, Waxseal verifies",
		"Waxseal encrypts, the maker decrypts", "the maker encrypts, Waxseal decrypts",
	}}
	for _, k := range judge.MadeKeys(t) {
		key, cert := parse(t, k.KeyOwner)
		to, toOwners := []*pgpmime.Certificate{cert}, []*judge.KeyOwner{k.KeyOwner}
		made.Row(t, k.Kind, "yes yes yes yes", func(column int) error {
			switch column {
			case 0:
				return sign(t, key, k.KeyOwner, k.Maker)
			case 1:
				return verify(t, k.KeyOwner, cert, k.Maker)
			case 2:
				return encrypt(t, to, key, pgpmime.EncryptOptions{}, k.KeyOwner, k.Maker)
			}
			return decrypt(t, toOwners, key, cert, false, "aes256", k.Maker)
		})
	}
	all := []*judge.Matrix{signed, verified, encrypted, decrypted, made}
	for _, m := range all {
		m.Log(t)
	}
	judge.Document(t, "../../docs/interop.md", "pgp", *update, all...)
}

// parse reads somebody's key and certificate.
func parse(t *testing.T, k *judge.KeyOwner) (*pgpmime.Key, *pgpmime.Certificate) {
	t.Helper()
	key, err := pgpmime.ParseKey(k.Name+"@example.com", readFile(t, k.KeyFile), nil)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := pgpmime.ParseCertificate(k.Name+"@example.com", readFile(t, k.CertFile))
	if err != nil {
		t.Fatal(err)
	}
	return key, cert
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sign signs and has a program verify.
func sign(t *testing.T, k *pgpmime.Key, by *judge.KeyOwner, program judge.OpenPGP) error {
	t.Helper()
	signed, err := pgpmime.Sign(entity(), k, pgpmime.SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var message bytes.Buffer
	if _, err := signed.WriteTo(&message); err != nil {
		t.Fatal(err)
	}
	content, signature, err := judge.SignedPartsPGP(message.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if string(content) != text {
		t.Fatalf("the signed part is not what went in: %.200q", content)
	}
	return program.Verify(t, by, content, signature)
}

// verify has a program sign, and verifies.
func verify(t *testing.T, by *judge.KeyOwner, cert *pgpmime.Certificate, program judge.OpenPGP) error {
	t.Helper()
	signature, err := program.Sign(t, by, []byte(text))
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	found, err := pgpmime.Verify(strings.NewReader(text), signature, []*pgpmime.Certificate{cert},
		pgpmime.VerifyOptions{Address: by.Name + "@example.com"})
	return passed(found, err)
}

func passed(found []signer.Verification, err error) error {
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	if len(found) != 1 || found[0].Result().Verdict != signer.Pass {
		return fmt.Errorf("verify: %+v", found)
	}
	return nil
}

// encrypt encrypts, without a signature and with one of the reader, and has a
// program decrypt.
func encrypt(t *testing.T, to []*pgpmime.Certificate, by *pgpmime.Key, o pgpmime.EncryptOptions, reader *judge.KeyOwner, program judge.OpenPGP) error {
	t.Helper()
	for _, signs := range []*pgpmime.Key{nil, by} {
		var body bytes.Buffer
		header, err := pgpmime.Encrypt(&body, entity(), to, signs, o)
		if err != nil {
			t.Fatal(err)
		}
		message, err := judge.EncryptedPartPGP(append(append(header[0].Raw[:len(header[0].Raw):len(header[0].Raw)], "\r\n"...), body.Bytes()...))
		if err != nil {
			t.Fatal(err)
		}
		var signer *judge.KeyOwner
		if signs != nil {
			signer = reader
		}
		if err := same(program.Decrypt(t, reader, signer, message)); err != nil {
			return fmt.Errorf("signed %t: %w", signs != nil, err)
		}
	}
	return nil
}

// decrypt has a program encrypt, without a signature and with one, and decrypts.
func decrypt(t *testing.T, to []*judge.KeyOwner, key *pgpmime.Key, cert *pgpmime.Certificate, hidden bool, cipher string, program judge.OpenPGP) error {
	t.Helper()
	reader := to[len(to)-1]
	for _, by := range []*judge.KeyOwner{nil, reader} {
		message, err := program.Encrypt(t, to, by, hidden, []byte(text))
		if err != nil {
			return fmt.Errorf("encrypt: %w", err)
		}
		var out bytes.Buffer
		d, err := pgpmime.Decrypt(&out, bytes.NewReader(message), []*pgpmime.Key{key}, pgpmime.DecryptOptions{
			Certificates: []*pgpmime.Certificate{cert},
			Verify:       pgpmime.VerifyOptions{Address: reader.Name + "@example.com"},
		})
		if err := same(out.Bytes(), err); err != nil {
			return fmt.Errorf("decrypt: %w", err)
		}
		if d.Cipher != cipher {
			return fmt.Errorf("%w: it chose %s", judge.ErrCannot, d.Cipher)
		}
		if d.Hidden != hidden {
			return fmt.Errorf("the message is taken for one that is hidden: %t", d.Hidden)
		}
		if by != nil {
			if err := passed(d.Signatures, nil); err != nil {
				return err
			}
		} else if len(d.Signatures) > 0 {
			return fmt.Errorf("there is no signature, and %+v was found", d.Signatures)
		}
	}
	return nil
}

// same compares a content with the one that went in.
func same(got []byte, err error) error {
	if err == nil && string(got) != text {
		err = errors.New("the content is another one")
	}
	return err
}
