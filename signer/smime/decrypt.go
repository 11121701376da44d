package smime

import (
	"fmt"
	"io"

	"waxseal/signer/smime/cms"
)

// Errors of Decrypt, to be found with errors.Is.
var (
	// ErrDecrypt is the one error for all that has to do with a secret.
	ErrDecrypt = cms.ErrDecrypt
	// ErrNoKey says that the message is for others.
	ErrNoKey = cms.ErrNoKey
)

// DecryptionKey is a private key with its certificate. Old keys, whose
// certificates have expired, belong here too. See cms.Key for what Key may be.
type DecryptionKey = cms.Key

// DecryptOptions say what to accept. The zero value is what RFC 8551 asks for.
type DecryptOptions = cms.DecryptOptions

// Decrypted says what was decrypted and how.
type Decrypted = cms.Decrypted

// Decrypt decrypts the body of an application/pkcs7-mime entity of the smime-type
// enveloped-data or authEnveloped-data. r gives it without its transfer encoding,
// in DER or BER. The content, a MIME entity, is written to w while r is read, and
// neither is held in memory.
//
// What w got must not be used before Decrypt has returned without an error, and
// has to be thrown away after one. The errors to tell apart are ErrNoKey: the
// message is for others; ErrDecrypt: for all that is wrong where keys are
// involved, with the same text; *cms.SyntaxError and *cms.UnsupportedError. Any
// other is one of r, of w, or of a key that can't be used now. See cms.Decrypt.
func Decrypt(w io.Writer, r io.Reader, keys []DecryptionKey, o DecryptOptions) (*Decrypted, error) {
	d, err := cms.Decrypt(w, r, keys, o)
	if err != nil {
		return nil, fmt.Errorf("decrypt with S/MIME: %w", err)
	}
	return d, nil
}

// Decompress writes what the body of an application/pkcs7-mime entity of the
// smime-type compressed-data holds (RFC 8551, Section 3.6) to w, at most limit
// bytes. r gives it without its transfer encoding. The error is a
// *cms.TooLargeError for more. Nothing that w got may be used after an error.
func Decompress(w io.Writer, r io.Reader, limit int64) (contentType string, err error) {
	contentType, err = cms.Decompress(w, r, limit)
	if err != nil {
		return "", fmt.Errorf("decompress with S/MIME: %w", err)
	}
	return contentType, nil
}
