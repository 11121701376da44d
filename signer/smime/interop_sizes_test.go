package smime_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"waxseal/signer"
	"waxseal/signer/smime"
	"waxseal/signer/smime/cms"
	"waxseal/test/judge"
)

// TestInteropSizes goes over sizes around those of blocks and chunks, ours and
// others', in both directions. Bouncy Castle reads and writes all ciphers.
func TestInteropSizes(t *testing.T) {
	people := judge.NewPeople(t)
	program := judge.NewBouncyCastle(t, people)
	for _, cipher := range []cms.Cipher{cms.AES256CBC, cms.AES256GCM} {
		for _, around := range []int{16, 1 << 10, 1 << 12, 1 << 15, 1 << 16, 1 << 18} {
			for size := around - 3; size <= around+3; size++ {
				if err := bothWays(t, program, people.Person("p256"), cipher, size); err != nil {
					t.Errorf("%v, %d bytes: %v", cipher, size, err)
				}
			}
		}
	}
}

// bothWays encrypts an entity of that size for a program, and has it decrypted
// back from that program.
func bothWays(t *testing.T, program judge.CMS, p *judge.Person, cipher cms.Cipher, size int) error {
	t.Helper()
	e := &signer.Entity{Body: signer.NewContent([]byte(strings.Repeat("a", size-2)))}
	want := "\r\n" + strings.Repeat("a", size-2)
	o := smime.EncryptOptions{Cipher: cipher}
	var body bytes.Buffer
	if _, err := smime.Encrypt(&body, e, []*x509.Certificate{p.Certificate()}, o); err != nil {
		return err
	}
	data, err := base64.StdEncoding.DecodeString(body.String())
	if err != nil {
		return err
	}
	if got, err := program.Decrypt(t, p, data); err != nil || string(got) != want {
		return fmt.Errorf("%s reads %d bytes: %w", program.Name(), len(got), err)
	}
	if data, err = program.Encrypt(t, []*judge.Person{p}, []byte(want), encryptAs(o)); err != nil {
		return err
	}
	var out bytes.Buffer
	_, err = smime.Decrypt(&out, bytes.NewReader(data), []smime.DecryptionKey{{Certificate: p.Certificate(), Key: p.Key}}, smime.DecryptOptions{})
	if err != nil || out.String() != want {
		return fmt.Errorf("%d bytes are decrypted of what %s writes: %w", out.Len(), program.Name(), err)
	}
	return nil
}
