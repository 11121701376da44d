package judge

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"waxseal/test/identities"
)

// VerifyPGP lets gpg verify a multipart/signed message (RFC 3156, Section 5)
// and returns the signed entity.
func VerifyPGP(t testing.TB, s *identities.Set, message []byte, signer string) ([]byte, error) {
	t.Helper()
	entity, signature, err := signed(message, "application/pgp-signature")
	if err != nil {
		return nil, err
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "entity"), entity)
	write(t, filepath.Join(dir, "signature.asc"), signature.Body)
	_, status, err := gpg(s, "--verify", filepath.Join(dir, "signature.asc"), filepath.Join(dir, "entity"))
	if err != nil {
		return nil, err
	}
	return entity, goodSignature(status, signer)
}

// DecryptPGP lets gpg decrypt a multipart/encrypted message (RFC 3156, Section
// 4) and returns the entity inside. It checks that each of the readers can
// decrypt it, and that the signer, if any, has signed inside.
func DecryptPGP(t testing.TB, s *identities.Set, message []byte, readers []string, signer string) ([]byte, error) {
	t.Helper()
	data, err := EncryptedPartPGP(message)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(t.TempDir(), "data.asc")
	write(t, file, data)
	entity, status, err := gpg(s, "--decrypt", file)
	if err != nil {
		return nil, err
	}
	if err := encryptedTo(s, status, readers); err != nil {
		return nil, err
	}
	if signer == "" {
		if strings.Contains(status, "SIG") {
			return nil, fmt.Errorf("gpg found a signature:\n%s", status)
		}
		return entity, nil
	}
	return entity, goodSignature(status, signer)
}

// SignedPartsPGP returns the first part of a multipart/signed message (RFC 3156,
// Section 5) and the armored signature in the second.
func SignedPartsPGP(message []byte) (content, signature []byte, err error) {
	content, second, err := signed(message, "application/pgp-signature")
	return content, second.Body, err
}

// EncryptedPartPGP returns the armored message in a multipart/encrypted one (RFC
// 3156, Section 4).
func EncryptedPartPGP(message []byte) ([]byte, error) {
	m := Cut(message)
	mediaType, params := m.MediaType()
	if mediaType != "multipart/encrypted" || params["protocol"] != "application/pgp-encrypted" {
		return nil, fmt.Errorf("the message is %s with protocol %q", mediaType, params["protocol"])
	}
	p := parts(m.Body, params["boundary"])
	if len(p) != 2 {
		return nil, fmt.Errorf("the multipart/encrypted has %d parts", len(p))
	}
	control, data := Cut(p[0]), Cut(p[1])
	if got, _ := control.MediaType(); got != "application/pgp-encrypted" || strings.TrimSpace(string(control.Body)) != "Version: 1" {
		return nil, fmt.Errorf("the first part is %s %q", got, control.Body)
	}
	if got, _ := data.MediaType(); got != "application/octet-stream" {
		return nil, fmt.Errorf("the second part is %s", got)
	}
	return data.Body, nil
}

// encryptedTo checks that the message names a subkey of each reader.
func encryptedTo(s *identities.Set, status string, readers []string) error {
	for _, reader := range readers {
		list, err := exec.Command("gpg", "--homedir", s.GnuPG(), "--batch", "--with-colons", "--list-keys", reader).Output()
		if err != nil {
			return fmt.Errorf("gpg --list-keys %s: %w", reader, err)
		}
		found := false
		for _, line := range strings.Split(string(list), "\n") {
			fields := strings.Split(line, ":")
			if (fields[0] == "sub" || fields[0] == "pub") && strings.Contains(status, "ENC_TO "+fields[4]) {
				found = true
			}
		}
		if !found {
			return fmt.Errorf("the message is not encrypted to %s:\n%s", reader, status)
		}
	}
	return nil
}

func goodSignature(status, signer string) error {
	for _, line := range strings.Split(status, "\n") {
		if strings.HasPrefix(line, "[GNUPG:] GOODSIG ") && strings.HasSuffix(line, "<"+signer+">") {
			return nil
		}
	}
	return fmt.Errorf("gpg found no good signature of %s:\n%s", signer, status)
}

// gpg returns what gpg wrote and its status lines.
func gpg(s *identities.Set, args ...string) (out []byte, status string, err error) {
	cmd := exec.Command("gpg", append([]string{"--homedir", s.GnuPG(), "--batch", "--status-fd", "2"}, args...)...)
	var output, notes bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &notes
	if err := cmd.Run(); err != nil {
		return nil, "", fmt.Errorf("gpg %s: %w\n%s", strings.Join(args, " "), err, notes.String())
	}
	return output.Bytes(), notes.String(), nil
}
