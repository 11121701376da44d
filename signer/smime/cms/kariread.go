package cms

import (
	"crypto/ecdh"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// agreement is a KeyAgreeRecipientInfo that was read, but for its recipients.
type agreement struct {
	originator []byte // the public key
	static     bool   // the originator is a certificate
	ukm        []byte // nil if there is none
	algorithm  []byte // the DER of keyEncryptionAlgorithm
}

// keyAgree reads a KeyAgreeRecipientInfo (RFC 5652, Section 6.2.2), which may
// name several recipients.
func (ring *keyring) keyAgree(in cryptobyte.String) ([]candidate, error) {
	var a agreement
	var originator, ukm, algorithm, recipients cryptobyte.String
	var hasUKM bool
	if !in.SkipASN1(casn1.INTEGER) ||
		!in.ReadASN1(&originator, tagExplicit0) || !a.readOriginator(originator) ||
		!in.ReadOptionalASN1(&ukm, &hasUKM, tagExplicit1) ||
		hasUKM && (!ukm.ReadASN1(&ukm, casn1.OCTET_STRING) || ukm == nil) ||
		!in.ReadASN1Element(&algorithm, casn1.SEQUENCE) ||
		!in.ReadASN1(&recipients, casn1.SEQUENCE) || !in.Empty() {
		return nil, shapeError("a recipient")
	}
	if hasUKM {
		a.ukm = ukm
	}
	a.algorithm = algorithm
	var found []candidate
	for !recipients.Empty() {
		var r, wrapped cryptobyte.String
		if !recipients.ReadASN1(&r, casn1.SEQUENCE) {
			return nil, shapeError("a recipient")
		}
		// RecipientKeyIdentifier has a date and more after the identifier.
		k, ours, ok := ring.find(&r, tagExplicit0, func(id *cryptobyte.String) bool { return id.ReadASN1(id, casn1.OCTET_STRING) })
		if !ok || !r.ReadASN1(&wrapped, casn1.OCTET_STRING) || !r.Empty() {
			return nil, shapeError("a recipient")
		}
		exchanger, agrees := k.exchanger()
		if !ours || !agrees || len(found) == maxCandidates {
			continue
		}
		c, err := a.candidate(k, exchanger, wrapped)
		if err != nil {
			return nil, err
		}
		found = append(found, c)
	}
	return found, nil
}

// readOriginator reads OriginatorIdentifierOrKey.
func (a *agreement) readOriginator(in cryptobyte.String) bool {
	var key cryptobyte.String
	if !in.PeekASN1Tag(tagExplicit1) {
		a.static = true
		return true
	}
	return in.ReadASN1(&key, tagExplicit1) && in.Empty() && key.SkipASN1(casn1.SEQUENCE) &&
		key.ReadASN1BitStringAsBytes(&a.originator) && key.Empty()
}

// candidate is what remains to be done with one of our keys.
func (a *agreement) candidate(k Key, exchanger ecdh.KeyExchanger, wrapped []byte) (candidate, error) {
	if a.static {
		return candidate{}, &UnsupportedError{"key agreement", "with the originator's certificate"}
	}
	oid, parameters, ok := parseAlgorithm(a.algorithm)
	i := slices.IndexFunc(schemes, func(s scheme) bool { return s.oid.Equal(oid) })
	if ok && i < 0 {
		return candidate{}, &UnsupportedError{"key agreement", oid.String()}
	}
	var wrap cryptobyte.String
	if !ok || !parameters.ReadASN1Element(&wrap, casn1.SEQUENCE) || !parameters.Empty() {
		return candidate{}, shapeError("a recipient's algorithm")
	}
	wrapOID, _, ok := parseAlgorithm(wrap)
	if !ok {
		return candidate{}, shapeError("a recipient's algorithm")
	}
	size := wrapKeySize(wrapOID)
	if size == 0 {
		return candidate{}, &UnsupportedError{"key wrap", wrapOID.String()}
	}
	open := func(int) ([]byte, error) {
		pub, err := exchanger.Curve().NewPublicKey(a.originator)
		if err != nil {
			return nil, nil
		}
		secret, err := exchanger.ECDH(pub)
		if err != nil {
			return nil, unavailable(err)
		}
		kek, err := schemes[i].derive(secret, wrap, a.ukm, size)
		if err != nil {
			return nil, err
		}
		return unwrapKey(kek, wrapped), nil
	}
	return candidate{k, "ecdh-" + curveName(exchanger.Curve()) + "-" + schemes[i].name, true, open}, nil
}

func curveName(curve ecdh.Curve) string {
	switch curve {
	case ecdh.P256():
		return "p256"
	case ecdh.P384():
		return "p384"
	case ecdh.P521():
		return "p521"
	case ecdh.X25519():
		return "x25519"
	}
	return "other"
}
