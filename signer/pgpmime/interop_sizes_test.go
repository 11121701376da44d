package pgpmime_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"waxseal/signer"
	"waxseal/signer/pgpmime"
	"waxseal/test/judge"
)

// TestInteropSizes goes over the sizes around those of chunks, ours and others',
// with a signature inside, in both directions. OpenPGP.js reads and writes both
// versions of encrypted data.
func TestInteropSizes(t *testing.T) {
	owners, programs := judge.OpenPGPPrograms(t)
	program := programs[len(programs)-1]
	for _, name := range []string{"rsa", "rsa-ocb", "rsa-gcm"} {
		owner := owners[name]
		key, cert := parse(t, owner)
		for _, around := range []int{1 << 12, 1 << 15, 1 << 16, 1 << 18} {
			for size := around - 24; size <= around+4; size += 4 {
				if err := bothWays(t, program, owner, key, cert, size); err != nil {
					t.Errorf("%s, %d bytes: %v", name, size, err)
				}
			}
		}
	}
}

// bothWays encrypts an entity of that size for a program, and has it decrypted
// back from that program.
func bothWays(t *testing.T, program judge.OpenPGP, owner *judge.KeyOwner, key *pgpmime.Key, cert *pgpmime.Certificate, size int) error {
	t.Helper()
	e := &signer.Entity{Body: signer.NewContent([]byte(strings.Repeat("a", size-2)))}
	want := "\r\n" + strings.Repeat("a", size-2)
	var body bytes.Buffer
	header, err := pgpmime.Encrypt(&body, e, []*pgpmime.Certificate{cert}, key, pgpmime.EncryptOptions{})
	if err != nil {
		return err
	}
	message, err := judge.EncryptedPartPGP(fmt.Appendf(nil, "%s\r\n%s", header[0].Raw, body.Bytes()))
	if err != nil {
		return err
	}
	if got, err := program.Decrypt(t, owner, owner, message); err != nil || string(got) != want {
		return fmt.Errorf("%s reads %d bytes: %w", program.Name(), len(got), err)
	}
	if message, err = program.Encrypt(t, []*judge.KeyOwner{owner}, owner, false, []byte(want)); err != nil {
		return err
	}
	var out bytes.Buffer
	d, err := pgpmime.Decrypt(&out, bytes.NewReader(message), []*pgpmime.Key{key}, pgpmime.DecryptOptions{
		Certificates: []*pgpmime.Certificate{cert},
		Verify:       pgpmime.VerifyOptions{Address: owner.Name + "@example.com"},
	})
	if err != nil || out.String() != want {
		return fmt.Errorf("%d bytes are decrypted of what %s writes: %w", out.Len(), program.Name(), err)
	}
	return passed(d.Signatures, nil)
}
