package pgpmime

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Minimise returns a certificate reduced to what is needed to encrypt to it and
// to verify with it, armored if data is. What others have signed is dropped,
// and images, user ids and subkeys that are not valid, and signatures that newer
// ones have replaced. Subkeys that can sign stay when they have ended or been
// revoked, so that this can be said of their signatures.
//
// Certificates from key servers come with megabytes of what is dropped.
func Minimise(data []byte, now time.Time) (minimal []byte, err error) {
	defer guard(&err)
	m := &minimiser{now: now}
	minimal, err = m.run(data)
	if err != nil {
		return nil, fmt.Errorf("minimise OpenPGP certificate: %w", err)
	}
	return minimal, nil
}

// minimiser is one run of Minimise.
type minimiser struct {
	now     time.Time
	primary *packet.PublicKey
	checked int // signatures
}

// component is a user id or a subkey, or at the start the primary key, with the
// signatures after it, in the order of the certificate.
type component struct {
	tag        int
	body       []byte
	signatures [][]byte // contents of their packets
}

func (m *minimiser) run(data []byte) ([]byte, error) {
	binary, err := dearmor(data)
	if err != nil {
		return nil, err
	}
	if err := checkPackets(binary); err != nil {
		return nil, err
	}
	parts, err := components(binary)
	if err != nil {
		return nil, err
	}
	p, err := parsePacket(parts[0].tag, parts[0].body)
	if err != nil {
		return nil, err
	}
	var ok bool
	if m.primary, ok = p.(*packet.PublicKey); !ok {
		return nil, errors.New("it is a secret key: store what gpg --export writes, and keep the secret key elsewhere")
	}
	var out []byte
	ids := 0
	for i := range parts {
		c := &parts[i]
		kept, err := m.minimal(c)
		if err != nil {
			return nil, err
		}
		if c.tag == tagUserID && len(kept) > 0 {
			ids++
		}
		out = append(out, kept...)
	}
	if ids == 0 && m.primary.Version < 6 {
		return nil, errors.New("it has no valid user id")
	}
	if bytes.Contains(data, []byte("-----BEGIN PGP ")) {
		return armorBlockOf("PGP PUBLIC KEY BLOCK", out)
	}
	return out, nil
}

// components splits a certificate. Signatures that follow nothing they could
// belong to are left out.
func components(data []byte) (parts []component, err error) {
	for len(data) > 0 {
		tag, body, rest, err := nextPacket(data)
		if err != nil {
			return nil, err
		}
		data = rest
		switch tag {
		case tagSignature:
			if len(parts) > 0 {
				last := &parts[len(parts)-1]
				last.signatures = append(last.signatures, body)
			}
		case tagTrust, tagMarker, tagPadding:
		default:
			parts = append(parts, component{tag: tag, body: body})
		}
	}
	if len(parts) == 0 || parts[0].tag != tagPublicKey && parts[0].tag != tagSecretKey {
		return nil, errors.New("it does not begin with a primary key")
	}
	return parts, nil
}

// minimal returns what is kept of a component.
func (m *minimiser) minimal(c *component) ([]byte, error) {
	var keep [][]byte
	var err error
	switch c.tag {
	case tagPublicKey:
		keep, err = m.primaryKey(c)
	case tagUserID:
		keep, err = m.userID(c)
	case tagPublicSubkey:
		keep, err = m.subkey(c)
	}
	if err != nil || keep == nil {
		return nil, err
	}
	out := appendPacket(nil, c.tag, c.body)
	for _, s := range keep {
		out = appendPacket(out, tagSignature, s)
	}
	return out, nil
}

// latest returns the newest of the signatures of some types that are valid;
// verify says whether one is.
func (m *minimiser) latest(c *component, verify func(*packet.Signature) error, kinds ...packet.SignatureType) (newest []byte, sig *packet.Signature, err error) {
	for _, body := range c.signatures {
		if len(body) < 2 || !bytes.Contains(kindsOf(kinds), body[1:2]) {
			continue
		}
		p, err := parsePacket(tagSignature, body)
		one, ok := p.(*packet.Signature)
		if err != nil || !ok || !one.CheckKeyIdOrFingerprint(m.primary) {
			continue
		}
		if m.checked++; m.checked > maxSelfSignatures {
			return nil, nil, fmt.Errorf("it has more than %d self-signatures", maxSelfSignatures)
		}
		if one.SigExpired(m.now) || sig != nil && !one.CreationTime.After(sig.CreationTime) || verify(one) != nil {
			continue
		}
		newest, sig = body, one
	}
	return newest, sig, nil
}

func kindsOf(kinds []packet.SignatureType) (octets []byte) {
	for _, k := range kinds {
		octets = append(octets, byte(k))
	}
	return octets
}

// primaryKey keeps its revocation and the newest signature over itself.
func (m *minimiser) primaryKey(c *component) ([][]byte, error) {
	keep := [][]byte{}
	revocation, _, err := m.latest(c, m.primary.VerifyRevocationSignature, packet.SigTypeKeyRevocation)
	if err != nil {
		return nil, err
	}
	direct, _, err := m.latest(c, m.primary.VerifyDirectKeySignature, packet.SigTypeDirectSignature)
	if err != nil {
		return nil, err
	}
	if direct == nil && m.primary.Version >= 6 {
		return nil, errors.New("it has no valid signature over its primary key") // RFC 9580, Section 10.1.1
	}
	for _, s := range [][]byte{revocation, direct} {
		if s != nil {
			keep = append(keep, s)
		}
	}
	return keep, nil
}

// userID keeps one that is valid, with its newest self-signature.
func (m *minimiser) userID(c *component) ([][]byte, error) {
	verify := func(s *packet.Signature) error {
		return m.primary.VerifyUserIdSignature(string(c.body), m.primary, s)
	}
	certification, self, err := m.latest(c, verify,
		packet.SigTypeGenericCert, packet.SigTypePersonaCert, packet.SigTypeCasualCert, packet.SigTypePositiveCert)
	if err != nil || self == nil {
		return nil, err
	}
	_, revocation, err := m.latest(c, verify, packet.SigTypeCertificationRevocation)
	if err != nil || revocation != nil && !revocation.CreationTime.Before(self.CreationTime) {
		return nil, err
	}
	return [][]byte{certification}, nil
}

// subkey keeps one that is bound, and can be used or says why it can't.
func (m *minimiser) subkey(c *component) ([][]byte, error) {
	p, err := parsePacket(c.tag, c.body)
	sub, ok := p.(*packet.PublicKey)
	if err != nil || !ok {
		return nil, nil // not supported
	}
	binding, bound, err := m.latest(c, func(s *packet.Signature) error {
		return m.primary.VerifyKeySignature(sub, s)
	}, packet.SigTypeSubkeyBinding)
	if err != nil || bound == nil {
		return nil, err
	}
	revocation, revoked, err := m.latest(c, func(s *packet.Signature) error {
		return m.primary.VerifySubkeyRevocationSignature(s, sub)
	}, packet.SigTypeSubkeyRevocation)
	if err != nil {
		return nil, err
	}
	if (revoked != nil || sub.KeyExpired(bound, m.now)) && !bound.FlagSign {
		return nil, nil
	}
	if revocation != nil {
		return [][]byte{revocation, binding}, nil
	}
	return [][]byte{binding}, nil
}
