package judge_test

import (
	"bytes"
	"testing"

	"waxseal/test/judge"
)

// TestOpenPGP gives each program what another made, and the same with something
// changed.
func TestOpenPGP(t *testing.T) {
	owners, programs := judge.OpenPGPPrograms(t)
	content := []byte(entity)
	alice, bob := owners["rsa"], owners["legacy"]
	for i, writer := range programs {
		reader := programs[(i+1)%len(programs)]
		name := writer.Name() + " to " + reader.Name()
		signature, err := writer.Sign(t, alice, content)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := reader.Verify(t, alice, content, signature); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := reader.Verify(t, alice, []byte("another content"), signature); err == nil {
			t.Errorf("%s: another content passes", name)
		}
		if err := reader.Verify(t, bob, content, signature); err == nil {
			t.Errorf("%s: the signature of another passes", name)
		}
		plain, err := writer.Encrypt(t, []*judge.KeyOwner{bob}, nil, false, content)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := reader.Decrypt(t, bob, nil, plain); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if _, err := reader.Decrypt(t, bob, alice, plain); err == nil {
			t.Errorf("%s: a signature that is not there passes", name)
		}
		signed, err := writer.Encrypt(t, []*judge.KeyOwner{bob}, alice, false, content)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := reader.Decrypt(t, bob, alice, signed); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if _, err := reader.Decrypt(t, bob, bob, signed); err == nil {
			t.Errorf("%s: the signature of another in the message passes", name)
		}
	}
}
