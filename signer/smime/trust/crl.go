package trust

import (
	"bytes"
	"cmp"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// crl is a certificate revocation list (RFC 5280, Section 5). It does not
// change; what is known about its signature is kept with it.
type crl struct {
	raw                    []byte
	issuer                 name
	thisUpdate, nextUpdate time.Time // nextUpdate is zero if there is none
	tbs, algorithm         []byte
	signature              []byte

	authorityKeyID []byte
	number         *big.Int // nil if there is none
	base           *big.Int // of a delta CRL; nil if it is a complete one
	idp            issuingPoint
	idpRaw         []byte // the extension, nil if there is none
	freshest       []distributionPoint
	// unknown is a critical extension, or one of an entry, that is not known;
	// such a CRL says nothing (RFC 5280, Sections 5.2 and 5.3).
	unknown string

	entries []crlEntry // by serial number
	issuers []name     // of certificates, beside the CRL's own

	mu       sync.Mutex
	verified map[string]bool // by the DER of the key
}

// crlEntry says that a certificate is revoked.
type crlEntry struct {
	serial []byte
	issuer int // in issuers; -1 for that of the CRL
	reason int
	at     time.Time
}

// entrySize is about how many bytes of memory an entry takes.
const entrySize = 72

// issuingPoint is an IssuingDistributionPoint (RFC 5280, Section 5.2.5).
type issuingPoint struct {
	point                                   distributionPoint
	onlyUser, onlyCA, onlyAttribute, direct bool
}

// Reasons of entries that are looked at (RFC 5280, Section 5.3.1).
const removeFromCRL = 8

var errCRL = errors.New("malformed CRL")

// parseCRL reads a CRL in DER or PEM.
func parseCRL(data []byte) (*crl, error) {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("-----BEGIN")) {
		block, _ := pem.Decode(data)
		if block == nil || block.Type != "X509 CRL" {
			return nil, errors.New("not a CRL in PEM")
		}
		data = block.Bytes
	}
	signed, err := parseSigned(data, "CRL")
	if err != nil {
		return nil, err
	}
	c := &crl{raw: data, tbs: signed.tbs, algorithm: signed.algorithm, signature: signed.signature, verified: map[string]bool{}}
	c.idp.point.reasons, c.idp.direct = allReasons, true
	tbs := signed.content
	version := 0
	if tbs.PeekASN1Tag(casn1.INTEGER) && !tbs.ReadASN1Integer(&version) || version < 0 || version > 1 {
		return nil, errCRL
	}
	var algorithm, issuer, revoked, list cryptobyte.String
	var hasRevoked, hasExtensions bool
	if !tbs.ReadASN1Element(&algorithm, casn1.SEQUENCE) || !bytes.Equal(algorithm, c.algorithm) ||
		!tbs.ReadASN1Element(&issuer, casn1.SEQUENCE) || !readTime(&tbs, &c.thisUpdate) {
		return nil, errCRL
	}
	if c.issuer, err = parseName(issuer); err != nil {
		return nil, err
	}
	if tbs.PeekASN1Tag(casn1.UTCTime) || tbs.PeekASN1Tag(casn1.GeneralizedTime) {
		if !readTime(&tbs, &c.nextUpdate) {
			return nil, errCRL
		}
	}
	if !tbs.ReadOptionalASN1(&revoked, &hasRevoked, casn1.SEQUENCE) ||
		!tbs.ReadOptionalASN1(&list, &hasExtensions, casn1.Tag(0).ContextSpecific().Constructed()) || !tbs.Empty() {
		return nil, errCRL
	}
	if hasExtensions {
		if err := c.readExtensions(list); err != nil {
			return nil, fmt.Errorf("malformed CRL: %w", err)
		}
	}
	if err := c.readEntries(revoked); err != nil {
		return nil, err
	}
	return c, nil
}

// readExtensions reads the extensions of the CRL.
func (c *crl) readExtensions(list cryptobyte.String) error {
	var x extensions
	return eachExtension(list, func(e extension) error {
		switch e.oid {
		case oidCRLNumber, oidDeltaCRL:
			n := new(big.Int)
			const longest = 40 // octets; RFC 5280, Section 5.2.3, has 20
			if len(e.value) > longest || !e.value.ReadASN1Integer(n) || !e.value.Empty() {
				return errExtension
			}
			if e.oid == oidCRLNumber {
				c.number = n
			} else {
				c.base = n
			}
		case oidIssuingPoint:
			c.idpRaw = e.value
			return c.idp.read(e.value)
		case oidAuthorityKeyID:
			err := x.readAuthorityKeyID(e.value)
			c.authorityKeyID = x.authorityKeyID
			return err
		case oidFreshestCRL:
			return readPoints(e.value, &c.freshest)
		case oidIssuerAltName, oidAuthorityInfoAccess:
		default:
			if e.critical {
				c.unknown = e.oid
			}
		}
		return nil
	})
}

// read reads an IssuingDistributionPoint.
func (p *issuingPoint) read(value cryptobyte.String) error {
	var content, names cryptobyte.String
	if !value.ReadASN1(&content, casn1.SEQUENCE) || !value.Empty() ||
		!content.ReadOptionalASN1(&names, &p.point.hasName, casn1.Tag(0).ContextSpecific().Constructed()) {
		return errExtension
	}
	if p.point.hasName {
		if err := p.point.readPointName(names); err != nil {
			return err
		}
	}
	tag := func(n uint8) casn1.Tag { return casn1.Tag(n).ContextSpecific() }
	if !readFlag(&content, tag(1), &p.onlyUser) || !readFlag(&content, tag(2), &p.onlyCA) {
		return errExtension
	}
	if content.PeekASN1Tag(tag(3)) {
		bits, err := readBits(&content, tag(3))
		if err != nil {
			return err
		}
		p.point.reasons = reasons(bits) & allReasons
	}
	var indirect bool
	if !readFlag(&content, tag(4), &indirect) || !readFlag(&content, tag(5), &p.onlyAttribute) || !content.Empty() {
		return errExtension
	}
	p.direct = !indirect
	return nil
}

// readEntries reads the content of revokedCertificates. The certificateIssuer
// of an entry holds for those after it too (RFC 5280, Section 5.3.3).
func (c *crl) readEntries(list cryptobyte.String) error {
	issuer := -1
	for !list.Empty() {
		var one, serial, extensions cryptobyte.String
		entry := crlEntry{}
		if !list.ReadASN1(&one, casn1.SEQUENCE) || !one.ReadASN1(&serial, casn1.INTEGER) || !readTime(&one, &entry.at) {
			return errCRL
		}
		entry.serial = serial
		if !one.Empty() {
			if !one.ReadASN1Element(&extensions, casn1.SEQUENCE) || !one.Empty() {
				return errCRL
			}
			if err := c.readEntryExtensions(extensions, &entry, &issuer); err != nil {
				return fmt.Errorf("malformed CRL: %w", err)
			}
		}
		entry.issuer = issuer
		c.entries = append(c.entries, entry)
	}
	c.entries = slices.Clip(c.entries)
	slices.SortStableFunc(c.entries, func(a, b crlEntry) int { return compareSerial(a.serial, b.serial) })
	return nil
}

func (c *crl) readEntryExtensions(list cryptobyte.String, entry *crlEntry, issuer *int) error {
	return eachExtension(list, func(e extension) error {
		switch {
		case e.oid == oidReasonCode:
			var code int
			if !e.value.ReadASN1Enum(&code) || !e.value.Empty() {
				return errExtension
			}
			entry.reason = code
		case e.oid == oidCertificateIssuer && !c.idp.direct:
			var content cryptobyte.String
			if !e.value.ReadASN1(&content, casn1.SEQUENCE) {
				return errExtension
			}
			names, err := parseGeneralNames(content)
			if err != nil {
				return err
			}
			for _, n := range names {
				if n.kind == directoryName {
					c.issuers = append(c.issuers, n.dn)
					*issuer = len(c.issuers) - 1
					return nil
				}
			}
			return errExtension
		case e.oid == oidInvalidityDate:
		case e.critical:
			c.unknown = e.oid
		}
		return nil
	})
}

func compareSerial(a, b []byte) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), bytes.Compare(a, b))
}

// entry returns what the CRL has about a certificate; nil if it is not there.
func (c *crl) entry(cert *certificate) *crlEntry {
	i, _ := slices.BinarySearchFunc(c.entries, cert.serial, func(e crlEntry, serial []byte) int { return compareSerial(e.serial, serial) })
	for ; i < len(c.entries) && bytes.Equal(c.entries[i].serial, cert.serial); i++ {
		e := &c.entries[i]
		issuer := c.issuer
		if e.issuer >= 0 {
			issuer = c.issuers[e.issuer]
		}
		if issuer.equal(cert.issuer) {
			return e
		}
	}
	return nil
}
