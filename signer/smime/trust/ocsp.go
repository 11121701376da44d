package trust

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/ocsp"
)

// maxResponders is how many responders of one certificate are asked.
const maxResponders = 2

// byOCSP says whether the first certificate of a path has been revoked, by the
// responses that are at hand (RFC 6960). What is not is asked for.
func (s *search) byOCSP(path []*certificate) status {
	c, issuer := path[0], path[1]
	if len(c.ocsp) == 0 || s.v.Revocation.fetcher == nil {
		return status{}
	}
	request, err := ocsp.CreateRequest(c.x, issuer.x, nil)
	if err != nil {
		return status{unknown, fmt.Sprintf("no OCSP request can be made: %v", err)}
	}
	why := "no OCSP response is at hand"
	for _, url := range c.ocsp[:min(len(c.ocsp), maxResponders)] {
		der, asked := s.v.Revocation.fetcher.ocsp(url, request)
		s.asked = s.asked || asked
		if der == nil {
			continue
		}
		response, err := s.response(path, der)
		switch {
		case err != nil:
			why = fmt.Sprintf("the OCSP response is no good: %v", err)
		case response.Status == ocsp.Revoked:
			return status{revoked, fmt.Sprintf("revoked on %s%s, says OCSP",
				response.RevokedAt.UTC().Format(time.DateOnly), reasonText(response.RevocationReason))}
		case response.Status == ocsp.Good:
			return status{state: good}
		default:
			why = "the OCSP responder does not know the certificate"
		}
	}
	return status{unknown, why}
}

// response reads a response about the first certificate of a path, and says why
// it is not to be trusted (RFC 6960, Sections 3.2 and 4.2.2.2).
func (s *search) response(path []*certificate, der []byte) (*ocsp.Response, error) {
	c, issuer := path[0], path[1]
	ids, _, err := readResponse(der)
	if err != nil {
		return nil, err
	}
	ids = slices.DeleteFunc(ids, func(id certID) bool { return !bytes.Equal(id.serial, c.serial) })
	if len(ids) != 1 || !ids[0].names(issuer) {
		return nil, errors.New("it is about another certificate")
	}
	r, err := ocsp.ParseResponseForCert(der, c.x, nil)
	if err != nil {
		return nil, err
	}
	if r.SignatureAlgorithm == x509.SHA1WithRSA || r.SignatureAlgorithm == x509.ECDSAWithSHA1 || r.SignatureAlgorithm == x509.DSAWithSHA1 {
		if !s.v.Rules.AllowSHA1 {
			return nil, errors.New("signed with SHA-1")
		}
	}
	if err := s.responder(path, r); err != nil {
		return nil, err
	}
	next := r.NextUpdate
	if next.IsZero() {
		next = r.ThisUpdate.Add(24 * time.Hour)
	}
	if r.ThisUpdate.After(s.at.Add(clockSkew)) {
		return nil, errors.New("it is newer than the message")
	}
	if next.Before(s.at) {
		return nil, fmt.Errorf("it is out of date since %s UTC", next.UTC().Format(time.DateTime))
	}
	return r, nil
}

// responder says why the signer of a response may not answer for the issuer of
// the path's first certificate; nil if he may: it is the issuer, or one who has
// a certificate for it from the issuer itself.
func (s *search) responder(path []*certificate, r *ocsp.Response) error {
	issuer := path[1]
	if r.Certificate == nil {
		return r.CheckSignatureFrom(issuer.x)
	}
	// The library has checked that this certificate's key made the signature.
	c, err := readCertificate(r.Certificate)
	if err != nil {
		return err
	}
	if bytes.Equal(c.spki, issuer.spki) {
		return nil
	}
	switch {
	case c.malformed != nil:
		return c.malformed
	case !slices.Contains(c.extUsage, oidOCSPSigning):
		return errors.New("its signer is not an OCSP responder")
	case !c.mayUse(digitalSignature | nonRepudiation):
		return errors.New("the responder's key may not sign")
	case len(c.unknown) > 0:
		return errors.New("the responder's certificate has an unknown critical extension")
	case !c.issuer.equal(issuer.subject):
		return errors.New("the responder is one of another authority")
	}
	if p := validity(c.notBefore, c.notAfter, s.at); p != "" {
		return fmt.Errorf("the responder's certificate %s", p)
	}
	if p := join(s.v.Rules.weakKey(c.key), s.v.Rules.pathWeakness(c)); p != "" {
		return fmt.Errorf("the responder's certificate: %s", p)
	}
	if key := pathKey(path, 1); key == nil || s.check(c, key) != nil {
		return errors.New("the responder's certificate is not from the authority")
	}
	if !c.ocspNoCheck {
		// Asking a responder about itself says nothing; a CRL does.
		if st := s.byCRL(append([]*certificate{c}, path[1:]...)); st.state == revoked {
			return fmt.Errorf("the responder's certificate was %s", st.reason)
		}
	}
	return nil
}

// join makes one text of two, either of which may be empty.
func join(a, b string) string {
	if a != "" && b != "" {
		return a + ", " + b
	}
	return a + b
}

// certID says which certificate an answer is about (RFC 6960, Section 4.1.1).
type certID struct {
	hash        crypto.Hash
	issuer, key []byte // hashes
	serial      []byte
}

// names says whether that is the issuer in the id.
func (id *certID) names(issuer *certificate) bool {
	var key []byte
	input := cryptobyte.String(issuer.spki)
	var sequence cryptobyte.String
	if id.hash == 0 || !input.ReadASN1(&sequence, casn1.SEQUENCE) || !sequence.SkipASN1(casn1.SEQUENCE) ||
		!sequence.ReadASN1BitStringAsBytes(&key) {
		return false
	}
	hashed := func(data []byte) []byte {
		h := id.hash.New()
		h.Write(data)
		return h.Sum(nil)
	}
	return bytes.Equal(id.issuer, hashed(issuer.rawSubject)) && bytes.Equal(id.key, hashed(key))
}

// readResponse reads of an OCSP response which certificates it is about, and
// when the first of its answers runs out; zero if it does not say. It is an
// error if the responder could not answer.
func readResponse(der []byte) (ids []certID, runsOut time.Time, err error) {
	malformed := errors.New("malformed OCSP response")
	tag := func(n uint8) casn1.Tag { return casn1.Tag(n).ContextSpecific().Constructed() }
	input := cryptobyte.String(der)
	var outer, wrapped, typed, octets, basic, tbs, responderID, list cryptobyte.String
	var state int
	if !input.ReadASN1(&outer, casn1.SEQUENCE) || !input.Empty() || !outer.ReadASN1Enum(&state) {
		return nil, runsOut, malformed
	}
	if state != int(ocsp.Success) {
		return nil, runsOut, ocsp.ResponseError{Status: ocsp.ResponseStatus(state)}
	}
	var idTag casn1.Tag
	if !outer.ReadASN1(&wrapped, tag(0)) || !wrapped.ReadASN1(&typed, casn1.SEQUENCE) ||
		!typed.SkipASN1(casn1.OBJECT_IDENTIFIER) || !typed.ReadASN1(&octets, casn1.OCTET_STRING) ||
		!octets.ReadASN1(&basic, casn1.SEQUENCE) || !basic.ReadASN1(&tbs, casn1.SEQUENCE) ||
		!tbs.SkipOptionalASN1(tag(0)) || !tbs.ReadAnyASN1(&responderID, &idTag) ||
		!tbs.SkipASN1(casn1.GeneralizedTime) || !tbs.ReadASN1(&list, casn1.SEQUENCE) {
		return nil, runsOut, malformed
	}
	for !list.Empty() {
		var one, idContent, hash, issuer, key, serial, answer, nextField cryptobyte.String
		var answerTag casn1.Tag
		var hasNext bool
		if !list.ReadASN1(&one, casn1.SEQUENCE) || !one.ReadASN1(&idContent, casn1.SEQUENCE) ||
			!idContent.ReadASN1Element(&hash, casn1.SEQUENCE) || !idContent.ReadASN1(&issuer, casn1.OCTET_STRING) ||
			!idContent.ReadASN1(&key, casn1.OCTET_STRING) || !idContent.ReadASN1(&serial, casn1.INTEGER) ||
			!one.ReadAnyASN1(&answer, &answerTag) || !one.SkipASN1(casn1.GeneralizedTime) ||
			!one.ReadOptionalASN1(&nextField, &hasNext, tag(0)) {
			return nil, runsOut, malformed
		}
		if hasNext && runsOut.IsZero() && !nextField.ReadASN1GeneralizedTime(&runsOut) {
			return nil, runsOut, malformed
		}
		ids = append(ids, certID{certIDHash(hash), issuer, key, serial})
	}
	return ids, runsOut, nil
}

// certIDHash is the hash of an AlgorithmIdentifier in a certID. SHA-1 is what
// responders know, and only names things here; 0 if it is not known.
func certIDHash(der cryptobyte.String) crypto.Hash {
	if h, ok := parseHash(der); ok {
		return h
	}
	var sequence, oid cryptobyte.String
	if der.ReadASN1(&sequence, casn1.SEQUENCE) && sequence.ReadASN1(&oid, casn1.OBJECT_IDENTIFIER) && oidText(oid) == "1.3.14.3.2.26" {
		return crypto.SHA1
	}
	return 0
}

// ocspRunsOut is when a response is to be asked for again.
func ocspRunsOut(der []byte) (time.Time, error) {
	_, runsOut, err := readResponse(der)
	if err == nil && runsOut.IsZero() {
		runsOut = time.Now().Add(time.Hour)
	}
	return runsOut, err
}
