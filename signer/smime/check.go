package smime

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"waxseal/signer/smime/cms"
)

// CheckSigner tells whether mail can be signed with the certificate at that
// time: its validity, its usages (RFC 8550, Sections 4.4.2 and 4.4.4), and its
// kind of key. The error says what is wrong.
func CheckSigner(cert *x509.Certificate, now time.Time) error {
	if err := checkUse(cert, now, x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment,
		"digitalSignature or nonRepudiation"); err != nil {
		return err
	}
	_, _, err := keyKind(cert)
	return err
}

// CheckRecipient tells whether mail can be encrypted to the certificate at that
// time, in the way of CheckSigner. It is a *cms.UnsupportedKeyError if the key is
// of a kind that can't be encrypted to.
func CheckRecipient(cert *x509.Certificate, now time.Time) error {
	usage, name := x509.KeyUsageKeyEncipherment, "keyEncipherment"
	if cms.AgreesOnKey(cert) {
		usage, name = x509.KeyUsageKeyAgreement, "keyAgreement"
	}
	if err := checkUse(cert, now, usage, name); err != nil {
		return err
	}
	return checkRecipientKey(cert)
}

// checkRecipientKey is the part of CheckRecipient that Encrypt insists on.
func checkRecipientKey(cert *x509.Certificate) error {
	if err := cms.CheckRecipientKey(cert); err != nil {
		return err
	}
	if pub, ok := cert.PublicKey.(*rsa.PublicKey); ok {
		return checkRSA(pub)
	}
	return nil
}

// checkUse looks at the validity and at the usages. A certificate without the
// extension in question may be used for anything.
func checkUse(cert *x509.Certificate, now time.Time, usage x509.KeyUsage, name string) error {
	switch {
	case now.Before(cert.NotBefore):
		return fmt.Errorf("the certificate is not valid before %s", cert.NotBefore.UTC().Format(time.RFC3339))
	case now.After(cert.NotAfter):
		return fmt.Errorf("the certificate expired on %s", cert.NotAfter.UTC().Format(time.RFC3339))
	case cert.KeyUsage != 0 && cert.KeyUsage&usage == 0:
		return fmt.Errorf("the certificate's key usage lacks %s", name)
	}
	extended := len(cert.ExtKeyUsage)+len(cert.UnknownExtKeyUsage) > 0
	if extended && !slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageEmailProtection) &&
		!slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageAny) {
		return errors.New("the certificate's extended key usage lacks emailProtection")
	}
	return nil
}
