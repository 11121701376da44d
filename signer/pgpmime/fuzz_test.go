package pgpmime

import (
	"io"
	"testing"
)

// Whatever is stored as a key: no panic, no long computation, and what is taken
// can be asked and used.
func FuzzParseKey(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := ParseKey("rosa@example.com", data, nil)
		if err != nil {
			return
		}
		_ = k.CheckSign(day())
		k.Algorithm(0)
		k.NotAfter(day())
		now := day()
		_, err = Sign(entity("Hello\n"), k, SignOptions{Time: now})
		if _, refused := k.choose(now); refused != nil && err == nil {
			t.Error("signs with a key that is refused")
		}
	})
}

func FuzzParseCertificate(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseCertificate("rosa@example.com", data)
		if err != nil {
			return
		}
		_ = c.CheckEncrypt(day())
		_ = c.CheckUserID(day())
		c.NotAfter(day())
		to := []*Certificate{c}
		now := day()
		_, err = Encrypt(io.Discard, entity("Hello\n"), to, nil, EncryptOptions{Time: now})
		if _, refused := c.choose(now); refused != nil && err == nil {
			t.Error("encrypts to a certificate that is refused")
		}
		Cipher(to, EncryptOptions{})
	})
}
