package trust

import (
	"errors"
	"fmt"
	"math"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Key usages (RFC 5280, Section 4.2.1.3), by bit number.
const (
	digitalSignature = 1 << 0
	nonRepudiation   = 1 << 1
	keyCertSign      = 1 << 5
	cRLSign          = 1 << 6
)

// extensions are those of a certificate. Numbers are unlimited where they say
// how many certificates something is about and the extension is not there.
type extensions struct {
	ca       bool
	basic    bool // there is a basicConstraints extension
	pathLen  int
	usages   uint // bits of keyUsage, when hasUsages
	extUsage []string

	hasUsages, hasExtUsage bool

	subjectKeyID, authorityKeyID []byte

	altNames    []generalName
	hasAltNames bool
	constraints *constraints

	policies    []string
	hasPolicies bool
	mappings    [][2]string // issuer's and subject's policy

	requirePolicy, inhibitMapping, inhibitAny int

	crlPoints, freshest []distributionPoint
	ocsp                []string // URLs of responders
	ocspNoCheck         bool

	unknown []string // critical and not known
}

// unlimited is more certificates than there are in any path.
const unlimited = math.MaxInt32

func (x *extensions) init() {
	x.pathLen, x.requirePolicy, x.inhibitMapping, x.inhibitAny = unlimited, unlimited, unlimited, unlimited
}

// mayUse says whether the key may be used in one of those ways.
func (x *extensions) mayUse(usages uint) bool { return !x.hasUsages || x.usages&usages != 0 }

var errExtension = errors.New("malformed")

// readExtensions reads all extensions of a certificate.
func (x *extensions) readExtensions(list cryptobyte.String) error {
	return eachExtension(list, func(e extension) error {
		switch e.oid {
		case oidBasicConstraints:
			return x.readBasicConstraints(e.value)
		case oidKeyUsage:
			bits, err := readBits(&e.value, casn1.BIT_STRING)
			x.usages, x.hasUsages = bits, true
			return orTrailing(err, e.value)
		case oidExtKeyUsage:
			return x.readExtKeyUsage(e.value)
		case oidSubjectKeyID:
			return readOctets(e.value, &x.subjectKeyID)
		case oidAuthorityKeyID:
			return x.readAuthorityKeyID(e.value)
		case oidSubjectAltName:
			return x.readAltNames(e.value)
		case oidNameConstraints:
			return x.readConstraints(e.value)
		case oidPolicies:
			return x.readPolicies(e.value)
		case oidPolicyMappings:
			return x.readMappings(e.value)
		case oidPolicyConstraints:
			return x.readPolicyConstraints(e.value)
		case oidInhibitAnyPolicy:
			return readSkip(&e.value, casn1.INTEGER, &x.inhibitAny)
		case oidCRLPoints:
			return readPoints(e.value, &x.crlPoints)
		case oidFreshestCRL:
			return readPoints(e.value, &x.freshest)
		case oidAuthorityInfoAccess:
			return x.readInfoAccess(e.value)
		case oidOCSPNoCheck:
			x.ocspNoCheck = true
		case oidIssuerAltName, oidSubjectInfoAccess, oidSMIMECapabilitiesExt:
			// Nothing in them bears on validity.
		default:
			if e.critical {
				x.unknown = append(x.unknown, e.oid)
			}
		}
		return nil
	})
}

func orTrailing(err error, rest cryptobyte.String) error {
	if err == nil && !rest.Empty() {
		return errExtension
	}
	return err
}

// readBits reads a BIT STRING of named bits, bit 0 in the lowest place.
func readBits(input *cryptobyte.String, tag casn1.Tag) (uint, error) {
	var content cryptobyte.String
	if !input.ReadASN1(&content, tag) || len(content) == 0 || content[0] > 7 || content[0] > 0 && len(content) == 1 {
		return 0, errExtension
	}
	var bits uint
	for i, b := range content[1:min(len(content), 4)] {
		for j := range 8 {
			if b&(0x80>>j) != 0 {
				bits |= 1 << (8*i + j)
			}
		}
	}
	return bits, nil
}

func readOctets(value cryptobyte.String, to *[]byte) error {
	var content cryptobyte.String
	if !value.ReadASN1(&content, casn1.OCTET_STRING) || !value.Empty() {
		return errExtension
	}
	*to = content
	return nil
}

// readSkip reads a SkipCerts, which says after how many more certificates
// something begins to hold.
func readSkip(value *cryptobyte.String, tag casn1.Tag, to *int) error {
	var content cryptobyte.String
	if !value.ReadASN1(&content, tag) || len(content) == 0 || content[0]&0x80 != 0 {
		return errExtension
	}
	n := 0
	for _, b := range content {
		n = min(n<<8|int(b), unlimited)
	}
	*to = n
	return nil
}

func (x *extensions) readBasicConstraints(value cryptobyte.String) error {
	var content cryptobyte.String
	if !value.ReadASN1(&content, casn1.SEQUENCE) || !value.Empty() {
		return errExtension
	}
	x.basic = true
	if !readFlag(&content, casn1.BOOLEAN, &x.ca) {
		return errExtension
	}
	if content.Empty() {
		return nil
	}
	return orTrailing(readSkip(&content, casn1.INTEGER, &x.pathLen), content)
}

func (x *extensions) readExtKeyUsage(value cryptobyte.String) error {
	oids, err := readOIDs(&value)
	x.extUsage, x.hasExtUsage = oids, true
	return orTrailing(err, value)
}

// maxOIDs is how many usages, policies or mappings a certificate may have.
const maxOIDs = 1000

// readOIDs reads a SEQUENCE of object identifiers.
func readOIDs(value *cryptobyte.String) (oids []string, err error) {
	var list cryptobyte.String
	if !value.ReadASN1(&list, casn1.SEQUENCE) {
		return nil, errExtension
	}
	for !list.Empty() {
		var oid cryptobyte.String
		if !list.ReadASN1(&oid, casn1.OBJECT_IDENTIFIER) || len(oids) == maxOIDs {
			return nil, errExtension
		}
		oids = append(oids, oidText(oid))
	}
	return oids, nil
}

func (x *extensions) readAuthorityKeyID(value cryptobyte.String) error {
	var content, id cryptobyte.String
	var present bool
	if !value.ReadASN1(&content, casn1.SEQUENCE) || !value.Empty() ||
		!content.ReadOptionalASN1(&id, &present, casn1.Tag(0).ContextSpecific()) {
		return errExtension
	}
	x.authorityKeyID = id
	return nil
}

func (x *extensions) readAltNames(value cryptobyte.String) (err error) {
	var content cryptobyte.String
	if !value.ReadASN1(&content, casn1.SEQUENCE) || !value.Empty() {
		return errExtension
	}
	x.hasAltNames = true
	x.altNames, err = parseGeneralNames(content)
	return err
}

func (x *extensions) readPolicies(value cryptobyte.String) error {
	var list cryptobyte.String
	if !value.ReadASN1(&list, casn1.SEQUENCE) || !value.Empty() {
		return errExtension
	}
	x.hasPolicies = true
	seen := map[string]bool{}
	for !list.Empty() {
		var one, oid cryptobyte.String
		if !list.ReadASN1(&one, casn1.SEQUENCE) || !one.ReadASN1(&oid, casn1.OBJECT_IDENTIFIER) || len(seen) == maxOIDs {
			return errExtension
		}
		policy := oidText(oid)
		if seen[policy] {
			return fmt.Errorf("policy %s comes twice", policy)
		}
		seen[policy] = true
		x.policies = append(x.policies, policy)
	}
	return nil
}

func (x *extensions) readMappings(value cryptobyte.String) error {
	var list cryptobyte.String
	if !value.ReadASN1(&list, casn1.SEQUENCE) || !value.Empty() {
		return errExtension
	}
	for !list.Empty() {
		pair, err := readOIDs(&list)
		if err != nil || len(pair) != 2 || len(x.mappings) == maxOIDs {
			return errExtension
		}
		x.mappings = append(x.mappings, [2]string{pair[0], pair[1]})
	}
	return nil
}

func (x *extensions) readPolicyConstraints(value cryptobyte.String) error {
	var content cryptobyte.String
	if !value.ReadASN1(&content, casn1.SEQUENCE) || !value.Empty() {
		return errExtension
	}
	for i, to := range []*int{&x.requirePolicy, &x.inhibitMapping} {
		tag := casn1.Tag(i).ContextSpecific()
		if !content.PeekASN1Tag(tag) {
			continue
		}
		if err := readSkip(&content, tag, to); err != nil {
			return err
		}
	}
	return orTrailing(nil, content)
}

// readInfoAccess reads where the authority's responders and certificates are
// (RFC 5280, Section 4.2.2.1). Only the responders are kept.
func (x *extensions) readInfoAccess(value cryptobyte.String) error {
	var list cryptobyte.String
	if !value.ReadASN1(&list, casn1.SEQUENCE) || !value.Empty() {
		return errExtension
	}
	for !list.Empty() {
		var one, method cryptobyte.String
		if !list.ReadASN1(&one, casn1.SEQUENCE) || !one.ReadASN1(&method, casn1.OBJECT_IDENTIFIER) {
			return errExtension
		}
		location, err := readGeneralName(&one)
		if err != nil {
			return err
		}
		if oidText(method) == oidOCSP && location.kind == uniformID && len(x.ocsp) < maxURLs {
			x.ocsp = append(x.ocsp, location.text)
		}
	}
	return nil
}

// readFlag reads a BOOLEAN with that tag that is false if it is not there.
func readFlag(input *cryptobyte.String, tag casn1.Tag, to *bool) bool {
	var content cryptobyte.String
	var present bool
	if !input.ReadOptionalASN1(&content, &present, tag) || present && len(content) != 1 {
		return false
	}
	*to = present && content[0] != 0
	return true
}
