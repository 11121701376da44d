package keytool

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// maxIterations bounds how often a password is hashed. Programs write a few
// thousand; a million takes about a second.
const maxIterations = 2_000_000

// maxDepth bounds how deep a PFX is looked into.
const maxDepth = 20

// checkIterations looks for the parameters of password-based encryption and of
// the MAC in a PFX: a salt followed by a number (RFC 7292, Appendix C; RFC 8018,
// Appendix A.2). The library obeys whatever number stands there.
func checkIterations(der cryptobyte.String, depth int) error {
	salt := false
	for !der.Empty() && depth < maxDepth {
		var element, value cryptobyte.String
		var tag casn1.Tag
		if !der.ReadAnyASN1Element(&element, &tag) {
			return nil // not DER: for the library to say
		}
		whole := element
		element.ReadAnyASN1(&value, &tag)
		if tag == casn1.INTEGER && salt {
			var n int64
			if !whole.ReadASN1Integer(&n) || n > maxIterations {
				return fmt.Errorf("its password is to be hashed more than %d times", maxIterations)
			}
		}
		salt = tag == casn1.OCTET_STRING
		if salt || tag&0x20 != 0 { // other structures are in octet strings
			if err := checkIterations(value, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}
