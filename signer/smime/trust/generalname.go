package trust

import (
	"errors"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// nameType is the kind of a GeneralName, its tag (RFC 5280, Section 4.2.1.6).
type nameType uint8

const (
	otherName     nameType = 0
	rfc822Name    nameType = 1
	dnsName       nameType = 2
	x400Address   nameType = 3
	directoryName nameType = 4
	ediPartyName  nameType = 5
	uniformID     nameType = 6
	ipAddress     nameType = 7
	registeredID  nameType = 8
)

// generalName is a GeneralName.
type generalName struct {
	kind nameType
	text string // rfc822Name, dnsName, uniformID; ipAddress: its octets
	dn   name   // directoryName
	// smtpUTF8 says that it is an otherName that is a SmtpUTF8Mailbox (RFC
	// 9598), whose address is text.
	smtpUTF8 bool
}

// maxGeneralNames is how many names one list may have.
const maxGeneralNames = 10000

var errGeneralName = errors.New("malformed general name")

// parseGeneralNames reads the content of a GeneralNames, with any tag around
// it taken off.
func parseGeneralNames(content cryptobyte.String) ([]generalName, error) {
	var names []generalName
	for !content.Empty() {
		if len(names) == maxGeneralNames {
			return nil, errors.New("too many general names")
		}
		n, err := readGeneralName(&content)
		if err != nil {
			return nil, err
		}
		names = append(names, n)
	}
	return names, nil
}

// readGeneralName reads one GeneralName off the input.
func readGeneralName(input *cryptobyte.String) (generalName, error) {
	var value cryptobyte.String
	var tag casn1.Tag
	if !input.ReadAnyASN1(&value, &tag) || tag&0xc0 != 0x80 || tag&0x1f > casn1.Tag(registeredID) {
		return generalName{}, errGeneralName
	}
	n := generalName{kind: nameType(tag & 0x1f)}
	switch n.kind {
	case rfc822Name, dnsName, uniformID:
		for _, b := range value { // IA5String
			if b >= 0x80 {
				return n, errGeneralName
			}
		}
		n.text = string(value)
	case ipAddress:
		n.text = string(value)
	case directoryName:
		dn, err := parseName(value)
		if err != nil {
			return n, err
		}
		n.dn = dn
	case otherName:
		var oid, wrapped, text cryptobyte.String
		if !value.ReadASN1(&oid, casn1.OBJECT_IDENTIFIER) ||
			!value.ReadASN1(&wrapped, casn1.Tag(0).ContextSpecific().Constructed()) || !value.Empty() {
			return n, errGeneralName
		}
		if oidText(oid) == oidSmtpUTF8Mailbox {
			if !wrapped.ReadASN1(&text, casn1.UTF8String) || !wrapped.Empty() {
				return n, errGeneralName
			}
			n.smtpUTF8, n.text = true, string(text)
		}
	}
	return n, nil
}
