package issue

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"

	"waxseal/keys"
)

// Algorithms are the kinds of keys that both sign and decrypt, in Transit's
// words.
func Algorithms() []string {
	return []string{"rsa-3072", "rsa-2048", "rsa-4096", "ecdsa-p256", "ecdsa-p384"}
}

// CheckAlgorithm returns an error if there is no such kind of key. In Transit,
// keys on elliptic curves can't decrypt.
func CheckAlgorithm(algorithm string, transit bool) error {
	if !slices.Contains(Algorithms(), algorithm) {
		return fmt.Errorf("there is no algorithm %q: use one of %s", algorithm, strings.Join(Algorithms(), ", "))
	}
	if transit && !strings.HasPrefix(algorithm, "rsa-") {
		return fmt.Errorf("a key of %s in Transit can't decrypt: use rsa-3072, or keep the key in KV", algorithm)
	}
	return nil
}

// NewKey makes a private key, which is also returned as PEM (PKCS#8).
func NewKey(algorithm string) (key crypto.Signer, text []byte, err error) {
	switch algorithm {
	case "rsa-2048":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "rsa-3072":
		key, err = rsa.GenerateKey(rand.Reader, 3072)
	case "rsa-4096":
		key, err = rsa.GenerateKey(rand.Reader, 4096)
	case "ecdsa-p256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ecdsa-p384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	default:
		err = CheckAlgorithm(algorithm, false)
	}
	var der []byte
	if err == nil {
		der, err = x509.MarshalPKCS8PrivateKey(key)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

var (
	oidExtendedKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidEmailProtection  = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 4}
)

// Request makes a certificate request (RFC 2986) for an address, as PEM, with the
// address as common name and subjectAltName, and emailProtection.
func Request(address string, key crypto.Signer) ([]byte, error) {
	usage, err := asn1.Marshal([]asn1.ObjectIdentifier{oidEmailProtection})
	if err != nil {
		return nil, fmt.Errorf("make a certificate request: %w", err)
	}
	request := &x509.CertificateRequest{
		EmailAddresses:  []string{address},
		ExtraExtensions: []pkix.Extension{{Id: oidExtendedKeyUsage, Value: usage}},
	}
	if len(address) <= 64 { // ub-common-name of RFC 5280
		request.Subject.CommonName = address
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, request, key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate request: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// TransitName returns the name of an entry's key in Transit. Transit's names
// have letters, digits, dots, hyphens and underscores only, so a part of a
// digest keeps two entries apart that would look the same.
func TransitName(e keys.Entry) string {
	words := strings.FieldsFunc(e.Name, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9')
	})
	name := strings.Join(words, "-")
	if len(name) > 60 {
		name = name[:60]
	}
	return fmt.Sprintf("%s-%s-%.8x", e.Scheme, name, sha256.Sum256([]byte(e.Name)))
}
