package pgpmime

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"waxseal/signer"
)

// TestRecipients names the keys that a message is for, or says that they are
// hidden.
func TestRecipients(t *testing.T) {
	g := gpg(t)
	to := []*Certificate{g.recipient(t, "edda@example.com"), g.recipient(t, "nils@example.com")}
	e := &signer.Entity{Body: signer.NewContent([]byte("\r\nHello\r\n"))}
	for _, hidden := range []bool{false, true} {
		var out bytes.Buffer
		if _, err := Encrypt(&out, e, to, nil, EncryptOptions{Hidden: hidden}); err != nil {
			t.Fatal(err)
		}
		_, armored, _ := strings.Cut(out.String(), "-----BEGIN PGP MESSAGE-----")
		armored, _, _ = strings.Cut(armored, "-----END PGP MESSAGE-----")
		armored = "-----BEGIN PGP MESSAGE-----" + armored + "-----END PGP MESSAGE-----\r\n"
		found, err := Recipients(strings.NewReader(armored))
		if err != nil || len(found) != 2 {
			t.Fatalf("%q %v", found, err)
		}
		for _, id := range found {
			if hidden != (id == "hidden") || len(id) != 16 && !hidden {
				t.Errorf("hidden %v: %s", hidden, id)
			}
		}
	}
	for _, text := range []string{"", "Hello", "-----BEGIN PGP SIGNATURE-----\r\n\r\nwsBz\r\n-----END PGP SIGNATURE-----\r\n"} {
		if found, err := Recipients(strings.NewReader(text)); len(found) > 0 || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %q %v", text, found, err)
		}
	}
}
