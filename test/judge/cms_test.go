package judge_test

import (
	"bytes"
	"testing"

	"waxseal/test/judge"
)

// TestCMS gives each program what another made, and the same with something
// changed.
func TestCMS(t *testing.T) {
	people := judge.NewPeople(t)
	content := []byte(entity)
	rsa, other := people.Person("rsa"), people.Person("rsa-other")
	programs := judge.Programs(t, people)
	for i, writer := range programs {
		reader := programs[(i+1)%len(programs)]
		name := writer.Name() + " to " + reader.Name()
		opaque, err := writer.Sign(t, rsa, content, judge.SignAs{Digest: "sha256"})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, err := reader.Verify(t, opaque, nil); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: opaque: %q, %v", name, got, err)
		}
		if _, err := reader.Verify(t, bytes.Replace(opaque, []byte("Hello"), []byte("Jello"), 1), nil); err == nil {
			t.Errorf("%s: another content passes", name)
		}
		detached, err := writer.Sign(t, rsa, content, judge.SignAs{Digest: "sha256", Detached: true})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, err := reader.Verify(t, detached, content); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: detached: %q, %v", name, got, err)
		}
		if _, err := reader.Verify(t, detached, []byte("another content")); err == nil {
			t.Errorf("%s: another content passes as the signed one", name)
		}
		sealed, err := writer.Encrypt(t, []*judge.Person{rsa}, content, judge.EncryptAs{Cipher: "aes-128-cbc"})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, err := reader.Decrypt(t, rsa, sealed); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: encrypted: %q, %v", name, got, err)
		}
	}
	stranger := judge.NewPeople(t).Person("rsa")
	for _, p := range programs {
		data, err := programs[0].Sign(t, stranger, content, judge.SignAs{Digest: "sha256"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Verify(t, data, nil); err == nil {
			t.Errorf("%s trusts a root that it does not have", p.Name())
		}
		sealed, err := programs[0].Encrypt(t, []*judge.Person{stranger}, content, judge.EncryptAs{Cipher: "aes-128-cbc"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Decrypt(t, other, sealed); err == nil {
			t.Errorf("%s reads what is for somebody else", p.Name())
		}
	}
}
