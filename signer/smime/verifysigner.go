package smime

import (
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"waxseal/signer"
	"waxseal/signer/smime/cms"
	"waxseal/signer/smime/trust"
)

const (
	// maxCandidates is how many certificates are tried for one signer. More
	// than one fits if a key has been certified anew, or if someone has made a
	// certificate that looks like another's.
	maxCandidates = 4
	// maxChecks is how many signatures are computed for one message, each for
	// its trust.SignatureCost, and maxJudged how many certificates are judged:
	// with the largest keys that are taken, both take long.
	maxChecks = 100
	maxJudged = 8
	// maxIdentifier is the most of a name that goes into a report, in bytes.
	maxIdentifier = 512
	// maxName is the longest name that is written out, in bytes of DER.
	maxName = 4 << 10
	// clockSkew is how far ahead a signer's clock may be.
	clockSkew = 24 * time.Hour
)

// verifier judges the signers of one SignedData.
type verifier struct {
	ctx     context.Context
	data    *cms.SignedData
	digests *digests
	o       VerifyOptions

	certificates []candidate
	known        []*x509.Certificate // outside the message, once asked is set
	asked        bool
	err          error // of asking
	checks       int
	results      map[string]trust.Result // by certificate
}

// candidate is a certificate that may be a signer's.
type candidate struct {
	*cms.Certificate
	x509 *x509.Certificate // nil if it breaks the rules of X.509
	err  error             // why it does
}

// readCertificates reads the certificates of the message, each once. One that is
// malformed is none.
func (v *verifier) readCertificates() {
	seen := map[string]bool{}
	for _, der := range v.data.Certificates {
		outline, err := cms.ReadCertificate(der)
		if err != nil || seen[string(der)] {
			continue
		}
		seen[string(der)] = true
		c := candidate{Certificate: outline}
		c.x509, c.err = trust.ParseCertificate(der)
		v.certificates = append(v.certificates, c)
	}
}

// candidates are the certificates that the signer may mean: of the message, or
// if there are none, of those that are known.
func (v *verifier) candidates(s *cms.SignerInfo) []candidate {
	var found []candidate
	for _, c := range v.certificates {
		if s.Identifies(c.Certificate) {
			found = append(found, c)
		}
	}
	if len(found) > 0 {
		return found[:min(len(found), maxCandidates)]
	}
	if !v.asked {
		v.asked = true
		if v.o.Certificates != nil {
			v.known, v.err = v.o.Certificates(v.ctx)
		}
		if v.o.Trust != nil {
			v.known = slices.Concat(v.known, v.o.Trust.Anchors.Certificates())
		}
	}
	for _, cert := range v.known {
		outline, err := cms.ReadCertificate(cert.Raw)
		if err == nil && s.Identifies(outline) {
			found = append(found, candidate{Certificate: outline, x509: cert})
		}
	}
	return found[:min(len(found), maxCandidates)]
}

// signer judges one signer.
func (v *verifier) signer(s *cms.SignerInfo) signer.Verification {
	out := signer.Verification{Scheme: "smime", Identifier: identifierOf(s)}
	if s.Err != nil {
		out.Integrity = signer.Finding{Verdict: signer.PermError, Reason: s.Err.Error()}
		return out
	}
	attributes := readAttributes(s)
	out.SignedAt = attributes.signedAt
	hash, structure := v.structure(s, attributes)

	// More than one certificate may be meant. The one that comes closest to a
	// pass is taken.
	var best *signer.Verification
	for i, c := range v.candidates(s) {
		with := out
		with.Integrity = v.integrity(s, attributes, hash, structure, c.Certificate, &with)
		if i > 0 && with.Integrity.Verdict != signer.Pass && with.Integrity.Verdict != signer.Policy {
			continue // no more of it than that is of interest
		}
		v.certificate(c, &with)
		if best == nil || closeness(&with) > closeness(best) {
			best = &with
		}
	}
	if best == nil {
		out.Integrity = structure
		if structure.Verdict == signer.Pass {
			out.Integrity = signer.Finding{Verdict: signer.Neutral, Reason: "the signer's certificate is not there to check the signature with"}
		}
		out.Certificate = signer.Finding{Verdict: signer.Neutral, Reason: "it is neither in the message nor known"}
		return out
	}
	v.plausible(best)
	return *best
}

// structure is what can be said of a signature without the key: the digest, and
// the signed attributes (RFC 5652, Sections 5.3 to 5.6 and 11). It returns the
// digest's algorithm, 0 if there is none to go on with.
func (v *verifier) structure(s *cms.SignerInfo, a *attributes) (crypto.Hash, signer.Finding) {
	hash := hashOf(s.Digest.ID)
	if hash == 0 {
		return 0, signer.Finding{Verdict: signer.Neutral, Reason: "digest algorithm " + s.Digest.ID.String() + " is not known"}
	}
	digest := v.digests.of(hash)
	switch {
	case digest == nil:
		return 0, signer.Finding{Verdict: signer.PermError, Reason: hash.String() + " is not among the announced digest algorithms"}
	case s.Signed == nil:
		return hash, v.structureBare()
	}
	return hash, a.check(v.data.ContentType, digest, v.digests.bareLF())
}

// structureBare is structure for a signature without signed attributes, which is
// one over the content itself.
func (v *verifier) structureBare() signer.Finding {
	switch {
	case v.data.ContentType.String() != typeData:
		return signer.Finding{Verdict: signer.PermError, Reason: "there are no signed attributes, which a content of type " + v.data.ContentType.String() + " must have"}
	case v.digests.looksSigned():
		return signer.Finding{Verdict: signer.Fail, Reason: "the content is what is signed of another signature, its attributes"}
	}
	return signer.Finding{Verdict: signer.Pass}
}

// integrity says whether the signature is one over the content, made with that
// certificate's key. It names the algorithm.
func (v *verifier) integrity(s *cms.SignerInfo, a *attributes, hash crypto.Hash, structure signer.Finding, c *cms.Certificate, out *signer.Verification) signer.Finding {
	key, err := readKey(c.Key)
	if err != nil {
		return worse(structure, signer.Finding{Verdict: signer.Neutral, Reason: err.Error()})
	}
	scheme, ok := schemeOf(s.Algorithm)
	if ok {
		out.Algorithm = key.algorithm(scheme, hash)
	}
	if structure.Verdict != signer.Pass {
		return structure
	}
	if !ok {
		return signer.Finding{Verdict: signer.Neutral, Reason: "signature algorithm " + s.Algorithm.ID.String() + " is not known"}
	}
	if f := key.fits(scheme, hash, s.Signed != nil); f.Verdict != signer.Pass {
		return f
	}
	if f := a.names(c); f.Verdict != signer.Pass {
		return f
	}
	if f := a.protects(s); f.Verdict != signer.Pass {
		return f
	}
	if v.checks >= maxChecks {
		return signer.Finding{Verdict: signer.Neutral, Reason: "it was not checked: the message has too many signatures and certificates for them"}
	}
	if !v.signatureFits(s, key, scheme, hash) {
		return signer.Finding{Verdict: signer.Fail, Reason: "the signature is not one of this content by the certificate's key"}
	}
	// What stands against a signature that is right. Only now: of one that is
	// wrong nothing better can be said.
	if reason := v.rule(s, key, scheme, hash); reason != "" {
		return signer.Finding{Verdict: signer.Policy, Reason: reason}
	}
	return signer.Finding{Verdict: signer.Pass}
}

// signatureFits does the arithmetic.
func (v *verifier) signatureFits(s *cms.SignerInfo, key *publicKey, sc scheme, hash crypto.Hash) bool {
	v.checks += trust.SignatureCost(key.key)
	if s.Signed == nil {
		return key.verify(sc, hash, v.digests.of(hash), nil, s.Signature)
	}
	fits := func(signed []byte) bool {
		h := hash.New()
		h.Write(signed)
		return key.verify(sc, hash, h.Sum(nil), signed, s.Signature)
	}
	if fits(s.Signed) {
		return true
	}
	// The attributes are signed in DER, which sorts them, but need not be sent
	// so. The order says nothing, so both count.
	sorted := sortSet(s.Signed)
	if sorted == nil {
		return false
	}
	v.checks += trust.SignatureCost(key.key)
	return fits(sorted)
}

// rule says which rule of ours stands against a signature that is right.
func (v *verifier) rule(s *cms.SignerInfo, key *publicKey, sc scheme, hash crypto.Hash) string {
	if reason := weak(hash); reason != "" {
		return reason
	}
	if id := v.data.ContentType.String(); id != typeData {
		return "the content is of type " + id + ", which is no mail"
	}
	return key.rule(sc, hash, v.o.MinRSABits)
}

// certificate adds what is to be said of the certificate.
func (v *verifier) certificate(c candidate, out *signer.Verification) {
	out.Identifier = nameOf(c.Subject)
	if c.x509 == nil {
		out.Certificate = signer.Finding{Verdict: signer.PermError, Reason: "malformed certificate: " + c.err.Error()}
		return
	}
	out.X509 = c.x509
	out.Addresses = c.x509.EmailAddresses
	if v.o.Trust == nil {
		return
	}
	result, ok := v.results[string(c.Raw)]
	if !ok && len(v.results) == maxJudged {
		out.Certificate = signer.Finding{Verdict: signer.Neutral, Reason: fmt.Sprintf("it was not judged: the message has more than %d signers", maxJudged)}
		out.Chain = out.Certificate
		return
	}
	if !ok {
		result = v.o.Trust.Validate(v.ctx, c.x509, v.intermediates(c), v.o.At, v.o.Address)
		v.results[string(c.Raw)] = result
	}
	out.Certificate, out.Chain, out.Revocation = result.Certificate, result.Chain, result.Revocation
	out.Address, out.Addresses = result.Address, result.Addresses
}

// intermediates are the other certificates of the message.
func (v *verifier) intermediates(leaf candidate) []*x509.Certificate {
	var others []*x509.Certificate
	for _, c := range v.certificates {
		if c.x509 != nil && c.Certificate != leaf.Certificate {
			others = append(others, c.x509)
		}
	}
	return others
}

// plausible notes a claimed time that can't be. Nothing depends on it.
func (v *verifier) plausible(out *signer.Verification) {
	if out.Integrity.Verdict == signer.Pass && out.SignedAt.After(v.o.At.Add(clockSkew)) {
		out.Integrity.Reason = "the signer claims to have signed after the message was received"
	}
}

// identifierOf names a signer by what the SignerInfo has.
func identifierOf(s *cms.SignerInfo) string {
	switch {
	case s.KeyID != nil:
		return fmt.Sprintf("key identifier %x", s.KeyID[:min(len(s.KeyID), 64)])
	case s.Serial != nil:
		return shortened(fmt.Sprintf("serial number %x of %s", new(big.Int).SetBytes(s.Serial[:min(len(s.Serial), 64)]), nameOf(s.Issuer)))
	}
	return ""
}

// nameOf is a Name in words (RFC 4514). One that is absurdly long would take long.
func nameOf(der []byte) string {
	if len(der) > maxName {
		return fmt.Sprintf("a name of %d bytes", len(der))
	}
	var name pkix.RDNSequence
	if rest, err := asn1.Unmarshal(der, &name); err != nil || len(rest) > 0 {
		return "a malformed name"
	}
	return shortened(name.String())
}

func shortened(name string) string {
	if len(name) > maxIdentifier {
		name = strings.ToValidUTF8(name[:maxIdentifier], "") + "..."
	}
	return name
}

// worse returns the first finding unless it is a pass.
func worse(a, b signer.Finding) signer.Finding {
	if a.Verdict != signer.Pass {
		return a
	}
	return b
}
