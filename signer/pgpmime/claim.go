package pgpmime

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"waxseal/signer"
)

// claim is a signature as it stands in a message, before anything of it is
// believed.
type claim struct {
	version, kind, algorithm, digest byte
	// packet is nil if the signature could not be read; why says why.
	packet *packet.Signature
	why    signer.Finding
}

// readClaim reads the content of a signature packet, RFC 9580, Section 5.2.
func readClaim(body []byte) claim {
	var c claim
	if len(body) < 5 {
		c.why = signer.Finding{Verdict: signer.PermError, Reason: "the signature is cut short"}
		return c
	}
	c.version = body[0]
	switch c.version {
	case 4, 6:
		c.kind, c.algorithm, c.digest = body[1], body[2], body[3]
	default:
		c.why = signer.Finding{Verdict: signer.Neutral, Reason: fmt.Sprintf("signatures of version %d are not supported", c.version)}
		return c
	}
	if known, name := digestByID(c.digest); known == 0 {
		c.why = signer.Finding{Verdict: signer.Neutral, Reason: "digest " + name + " is not supported"}
		if isWeakDigest(c.digest) {
			c.why = signer.Finding{Verdict: signer.Policy, Reason: "digest " + name + " is too weak"}
		}
		return c
	}
	p, err := parsePacket(tagSignature, body)
	var unsupported pgperrors.UnsupportedError
	switch sig, ok := p.(*packet.Signature); {
	case errors.As(err, &unsupported):
		c.why = signer.Finding{Verdict: signer.Neutral, Reason: "the signature has something that is not supported"}
	case err != nil || !ok:
		c.why = signer.Finding{Verdict: signer.PermError, Reason: "the signature is malformed"}
	default:
		c.packet = sig
	}
	return c
}

// digestKey returns how a document is to be hashed for the signature.
func (c *claim) digestKey() digestKey {
	k := digestKey{id: c.digest, text: packet.SignatureType(c.kind) == packet.SigTypeText}
	if c.packet != nil {
		k.salt = string(c.packet.Salt())
	}
	return k
}

// isOfDocument reports whether it is a signature over a document, not over a key
// or nothing. RFC 9580, Section 5.2.1.
func (c *claim) isOfDocument() bool {
	kind := packet.SignatureType(c.kind)
	return kind == packet.SigTypeBinary || kind == packet.SigTypeText
}

// issuer returns the fingerprint or key id that the signature names.
func (c *claim) issuer() string {
	switch {
	case c.packet == nil:
		return ""
	case len(c.packet.IssuerFingerprint) > 0:
		return strings.ToUpper(hex.EncodeToString(c.packet.IssuerFingerprint))
	case c.packet.IssuerKeyId != nil:
		return fmt.Sprintf("%016X", *c.packet.IssuerKeyId)
	}
	return ""
}

// algorithmName returns the algorithm for reports; the key may be nil.
func (c *claim) algorithmName(k *packet.PublicKey) string {
	_, digest := digestByID(c.digest)
	if k != nil {
		return algorithmName(k) + "-" + digest
	}
	switch packet.PublicKeyAlgorithm(c.algorithm) {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly:
		return "rsa-" + digest
	case packet.PubKeyAlgoDSA:
		return "dsa-" + digest
	case packet.PubKeyAlgoECDSA:
		return "ecdsa-" + digest
	case packet.PubKeyAlgoEdDSA, packet.PubKeyAlgoEd25519:
		return "ed25519-" + digest
	case packet.PubKeyAlgoEd448:
		return "ed448-" + digest
	case packet.PubKeyAlgoMldsa65Ed25519:
		return "mldsa65-ed25519-" + digest
	}
	return fmt.Sprintf("algorithm%d-%s", c.algorithm, digest)
}
