package smime

import "testing"

func TestParseEncryptOptions(t *testing.T) {
	for _, c := range []struct{ cipher, transport, want string }{
		{"", "", "aes256-cbc rsa15"},
		{"aes256-cbc", "rsa15", "aes256-cbc rsa15"},
		{"aes128-gcm", "oaep-sha256", "aes128-gcm oaep-sha256"},
		{"aes256-gcm", "oaep-sha1", "aes256-gcm oaep-sha1"},
		{"aes128-cbc", "", "aes128-cbc rsa15"},
	} {
		o, err := ParseEncryptOptions(c.cipher, c.transport)
		if got := o.Cipher.String() + " " + o.KeyTransport.String(); err != nil || got != c.want {
			t.Errorf("%q, %q: %s, %v; want %s", c.cipher, c.transport, got, err, c.want)
		}
	}
	for _, c := range [][2]string{{"des3", ""}, {"rot13", ""}, {"", "rsa"}} {
		if _, err := ParseEncryptOptions(c[0], c[1]); err == nil {
			t.Errorf("%q: no error", c)
		}
	}
}
