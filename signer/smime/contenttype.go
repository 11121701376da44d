package smime

import (
	"errors"
	"io"

	"waxseal/signer/smime/cms"
)

// ContentType says what a CMS structure is, whatever the smime-type of the
// entity around it says: "enveloped-data", "auth-enveloped-data", "signed-data",
// "compressed-data", or "" for anything else. r gives it without its transfer
// encoding; its first octets are read. An error is one of r.
func ContentType(r io.Reader) (string, error) {
	c := cms.NewReader(r, cms.Limits{})
	err := c.Enter(cms.TagSequence)
	var id []byte
	if err == nil {
		id, err = c.Element(cms.TagOID)
	}
	var syntax *cms.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return "", nil
	case err != nil:
		return "", err
	}
	// RFC 5652, Section 14; RFC 5083, Section 2; RFC 3274, Section 1.1.
	switch string(id) {
	case "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03":
		return "enveloped-data", nil
	case "\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17":
		return "auth-enveloped-data", nil
	case "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02":
		return "signed-data", nil
	case "\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x09":
		return "compressed-data", nil
	}
	return "", nil
}
