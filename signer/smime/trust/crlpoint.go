package trust

import (
	"errors"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Limits of what one certificate may make us look for.
const (
	maxURLs   = 4
	maxPoints = 50
)

// reasons is a set of revocation reasons, by bit number (RFC 5280, Section
// 4.2.1.13).
type reasons uint

// allReasons are those that a CRL can be limited to, keyCompromise to
// aACompromise.
const allReasons reasons = 0x1fe

// distributionPoint is a DistributionPoint, or that part of an
// IssuingDistributionPoint.
type distributionPoint struct {
	hasName bool
	full    []generalName
	// relative is an RDN below the name of the CRL's issuer.
	relative  string
	reasons   reasons
	crlIssuer []name // none if it is the certificate's issuer
}

// urls are the places of the CRL.
func (p *distributionPoint) urls() []string {
	var urls []string
	for _, n := range p.full {
		if n.kind == uniformID && len(urls) < maxURLs {
			urls = append(urls, n.text)
		}
	}
	return urls
}

// readPoints reads a CRLDistributionPoints.
func readPoints(value cryptobyte.String, to *[]distributionPoint) error {
	var list cryptobyte.String
	if !value.ReadASN1(&list, casn1.SEQUENCE) || !value.Empty() {
		return errExtension
	}
	for !list.Empty() {
		var one cryptobyte.String
		if !list.ReadASN1(&one, casn1.SEQUENCE) {
			return errExtension
		}
		if len(*to) == maxPoints {
			return errors.New("too many distribution points")
		}
		point, err := readPoint(one)
		if err != nil {
			return err
		}
		*to = append(*to, point)
	}
	return nil
}

// readPoint reads the content of a DistributionPoint.
func readPoint(one cryptobyte.String) (p distributionPoint, err error) {
	p.reasons = allReasons
	var names, issuers cryptobyte.String
	var hasIssuers bool
	if !one.ReadOptionalASN1(&names, &p.hasName, casn1.Tag(0).ContextSpecific().Constructed()) {
		return p, errExtension
	}
	if p.hasName {
		if err := p.readPointName(names); err != nil {
			return p, err
		}
	}
	if tag := casn1.Tag(1).ContextSpecific(); one.PeekASN1Tag(tag) {
		bits, err := readBits(&one, tag)
		if err != nil {
			return p, err
		}
		p.reasons = reasons(bits) & allReasons
	}
	if !one.ReadOptionalASN1(&issuers, &hasIssuers, casn1.Tag(2).ContextSpecific().Constructed()) || !one.Empty() {
		return p, errExtension
	}
	if hasIssuers {
		all, err := parseGeneralNames(issuers)
		if err != nil {
			return p, err
		}
		for _, n := range all {
			if n.kind == directoryName {
				p.crlIssuer = append(p.crlIssuer, n.dn)
			}
		}
		if len(p.crlIssuer) == 0 {
			return p, errors.New("distribution point whose cRLIssuer is no directory name")
		}
	}
	return p, nil
}

// readPointName reads a DistributionPointName.
func (p *distributionPoint) readPointName(names cryptobyte.String) (err error) {
	var content cryptobyte.String
	var tag casn1.Tag
	if !names.ReadAnyASN1(&content, &tag) || !names.Empty() {
		return errExtension
	}
	switch tag {
	case casn1.Tag(0).ContextSpecific().Constructed():
		p.full, err = parseGeneralNames(content)
	case casn1.Tag(1).ContextSpecific().Constructed():
		p.relative, _, err = parseRDN(content)
	default:
		return errExtension
	}
	return err
}

// matches says whether the distribution point of a CRL has a name in common
// with that of a certificate (RFC 5280, Section 6.3.3, b.2.i). A relative name
// is one below the CRL's issuer, or below the point's cRLIssuer.
func (p *distributionPoint) matches(crl *distributionPoint, crlIssuer name) bool {
	theirs := crl.allNames(crlIssuer)
	under := crlIssuer
	if len(p.crlIssuer) == 1 {
		under = p.crlIssuer[0]
	}
	ours := p.allNames(under)
	if !p.hasName { // then the cRLIssuer's name stands for it
		for _, issuer := range p.crlIssuer {
			ours = append(ours, generalName{kind: directoryName, dn: issuer})
		}
	}
	const most = 1000 // names of both; real points have one or two
	if len(ours)*len(theirs) > most {
		return false
	}
	for i := range ours {
		for j := range theirs {
			if sameGeneralName(&ours[i], &theirs[j]) {
				return true
			}
		}
	}
	return false
}

func (p *distributionPoint) allNames(under name) []generalName {
	if p.relative != "" {
		return []generalName{{kind: directoryName, dn: under.add(p.relative)}}
	}
	return p.full[:len(p.full):len(p.full)]
}

// sameGeneralName compares names where distribution points have them.
func sameGeneralName(a, b *generalName) bool {
	switch {
	case a.kind != b.kind:
		return false
	case a.kind == directoryName:
		return a.dn.equal(b.dn)
	case a.kind == uniformID || a.kind == dnsName || a.kind == rfc822Name:
		return a.text == b.text
	}
	return false
}
