package smime

import (
	"errors"

	"waxseal/signer/smime/cms"
)

// IsMalformed reports whether an error of Decrypt or Decompress is about the
// message itself, which no key and no other time makes better: it is broken, too
// large, or uses what is not supported.
func IsMalformed(err error) bool {
	var syntax *cms.SyntaxError
	var unsupported *cms.UnsupportedError
	var large *cms.TooLargeError
	return errors.As(err, &syntax) || errors.As(err, &unsupported) || errors.As(err, &large)
}
