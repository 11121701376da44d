package trust

import (
	"crypto/dsa"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
)

// ParseCertificate reads a DER certificate. It takes some that crypto/x509
// refuses, although RFC 5280 allows them, or tells its readers to take them:
// negative serial numbers, distribution points relative to the CRL's issuer,
// DSA keys with the parameters of the issuer. Of the extensions of such a
// certificate only some are there, but Validate reads them all.
func ParseCertificate(der []byte) (*x509.Certificate, error) {
	if len(der) > maxCertificate {
		return nil, fmt.Errorf("certificate has %d bytes, more than %d", len(der), maxCertificate)
	}
	x, refused := x509.ParseCertificate(der)
	if refused == nil {
		return x, nil
	}
	c, err := parseCertificate(der)
	if err == nil {
		err = c.malformed
	}
	if err != nil {
		return nil, refused
	}
	x = &x509.Certificate{
		Raw: c.raw, RawTBSCertificate: c.tbs, RawSubjectPublicKeyInfo: c.spki,
		RawSubject: c.rawSubject, RawIssuer: c.rawIssuer,
		Signature: c.signature, PublicKey: c.key, Version: c.version,
		SerialNumber: signedInt(c.serial), NotBefore: c.notBefore, NotAfter: c.notAfter,
		KeyUsage:              x509.KeyUsage(c.usages & 0x1ff),
		BasicConstraintsValid: c.basic, IsCA: c.ca,
		SubjectKeyId: c.subjectKeyID, AuthorityKeyId: c.authorityKeyID,
		EmailAddresses: c.addresses(), OCSPServer: c.ocsp,
		PublicKeyAlgorithm: keyAlgorithm(c), SignatureAlgorithm: signatureAlgorithm(c),
	}
	for _, part := range []struct {
		raw []byte
		to  *pkix.Name
	}{{c.rawIssuer, &x.Issuer}, {c.rawSubject, &x.Subject}} {
		var rdns pkix.RDNSequence
		if _, err := asn1.Unmarshal(part.raw, &rdns); err != nil {
			return nil, refused
		}
		part.to.FillFromRDNSequence(&rdns)
	}
	return x, nil
}

// signedInt is the value of the octets of an INTEGER.
func signedInt(octets []byte) *big.Int {
	n := new(big.Int).SetBytes(octets)
	if octets[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(octets))))
	}
	return n
}

func keyAlgorithm(c *certificate) x509.PublicKeyAlgorithm {
	switch c.key.(type) {
	case *rsa.PublicKey:
		return x509.RSA
	case *ecdsa.PublicKey:
		return x509.ECDSA
	case ed25519.PublicKey:
		return x509.Ed25519
	case *dsa.PublicKey:
		return x509.DSA
	}
	return x509.UnknownPublicKeyAlgorithm
}

// signatureAlgorithm is the algorithm in the terms of crypto/x509.
func signatureAlgorithm(c *certificate) x509.SignatureAlgorithm {
	a, err := parseAlgorithm(c.algorithm)
	if err != nil {
		return x509.UnknownSignatureAlgorithm
	}
	byHash := map[kind][]x509.SignatureAlgorithm{ // SHA-1, 256, 384, 512
		rsaPKCS1:  {x509.SHA1WithRSA, x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA},
		rsaPSS:    {0, x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS},
		ecdsaKind: {x509.ECDSAWithSHA1, x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512},
		dsaKind:   {x509.DSAWithSHA1, x509.DSAWithSHA256, 0, 0},
	}[a.kind]
	if a.kind == ed25519Kind {
		return x509.PureEd25519
	}
	return byHash[map[int]int{20: 0, 32: 1, 48: 2, 64: 3}[a.hash.Size()]]
}
