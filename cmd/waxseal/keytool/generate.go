package keytool

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"waxseal/keys"
	"waxseal/keys/issue"
	"waxseal/keys/vault"
	"waxseal/signer/pgpmime"
)

// Kind says what key is to be made.
type Kind struct {
	// Algorithm is as in issue.Algorithms, and "ed25519" for OpenPGP, which is
	// its default.
	Algorithm string
	// Transit, if not nil, makes the key in Transit.
	Transit *vault.Store
	// UserName stands before the address in the user id of an OpenPGP key.
	UserName string
	// Lifetime is how long it is valid; without end, for OpenPGP only, if zero.
	Lifetime time.Duration
}

// Generated is a new entry.
type Generated struct {
	Found
	// Request asks an authority for a certificate (PKCS #10, PEM); nil for
	// OpenPGP.
	Request []byte
}

// Generate makes a key. One for S/MIME has a certificate that it has signed
// itself, until there is a better one. history has the entry's versions so far,
// so that a key in Transit gets a new version.
func Generate(ctx context.Context, e keys.Entry, k Kind, history []*keys.Record, now time.Time) (*Generated, error) {
	if !strings.Contains(e.Name, "@") {
		return nil, fmt.Errorf("%s: a key is made for an address; to use it for a domain, import its certificate with -name", e)
	}
	if k.Algorithm == "" {
		k.Algorithm = issue.Algorithms()[0]
		if e.Scheme == keys.PGP && k.Transit == nil {
			k.Algorithm = "ed25519"
		}
	}
	if !(e.Scheme == keys.PGP && k.Transit == nil && k.Algorithm == "ed25519") {
		if err := issue.CheckAlgorithm(k.Algorithm, k.Transit != nil); err != nil {
			return nil, err
		}
	}
	g := &Generated{Found: Found{e, keys.Material{Source: "made by waxseal keys generate"}, nil}}
	var signer crypto.Signer
	var err error
	switch {
	case k.Transit != nil:
		g.TransitKey = issue.TransitName(e)
		signer, g.TransitVersion, err = k.Transit.FreshTransitKey(ctx, g.TransitKey, k.Algorithm, used(g.TransitKey, history))
	case e.Scheme == keys.PGP:
		g.PrivateKey, err = generateOpenPGP(e, k, now)
		return g, err
	default:
		signer, g.PrivateKey, err = issue.NewKey(k.Algorithm)
	}
	if err != nil {
		return nil, err
	}
	if e.Scheme == keys.PGP {
		g.Certificate, err = certifyOpenPGP(e, signer, k, now)
		return g, err
	}
	if g.Request, err = issue.Request(e.Name, signer); err != nil {
		return nil, err
	}
	g.Certificate, err = selfSigned(e.Name, signer, k.Lifetime, now)
	return g, err
}

// used says for which versions of a key in Transit there is a certificate.
func used(name string, history []*keys.Record) func(int) bool {
	return func(version int) bool {
		for _, r := range history {
			if r.TransitKey == name && r.TransitVersion >= version {
				return true
			}
		}
		return false
	}
}

func generateOpenPGP(e keys.Entry, k Kind, now time.Time) ([]byte, error) {
	o := pgpmime.GenerateOptions{Name: k.UserName, Address: e.Name, Lifetime: k.Lifetime, Time: now}
	if bits, ok := strings.CutPrefix(k.Algorithm, "rsa-"); ok {
		n, err := strconv.Atoi(bits)
		if err != nil {
			return nil, fmt.Errorf("algorithm %q: %w", k.Algorithm, err)
		}
		o.RSABits = n
	} else if k.Algorithm != "ed25519" {
		return nil, fmt.Errorf("an OpenPGP key is of ed25519 or of RSA, not of %s", k.Algorithm)
	}
	return pgpmime.Generate(o)
}

// certifyOpenPGP makes the certificate of a key in Transit, which both signs and
// decrypts.
func certifyOpenPGP(e keys.Entry, signer crypto.Signer, k Kind, now time.Time) ([]byte, error) {
	public, ok := signer.Public().(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("a key in Transit has to be of RSA to decrypt")
	}
	id := e.Name
	if k.UserName != "" {
		id = k.UserName + " <" + e.Name + ">"
	}
	built, err := pgpmime.Build(signer, pgpmime.BuildOptions{UserIDs: []string{id}, Lifetime: k.Lifetime, Subkey: public, Time: now})
	if err != nil {
		return nil, err
	}
	return built.Certificate, nil
}

// selfSigned makes a certificate that its own key has signed. Only those who
// were given it otherwise have a reason to believe it.
func selfSigned(address string, key crypto.Signer, lifetime time.Duration, now time.Time) ([]byte, error) {
	if lifetime <= 0 {
		lifetime = 365 * 24 * time.Hour
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	usage := x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement
	if _, ok := key.Public().(*rsa.PublicKey); ok {
		usage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	}
	c := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)), EmailAddresses: []string{address},
		NotBefore: now.Add(-5 * time.Minute), NotAfter: now.Add(lifetime),
		KeyUsage: usage, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}, BasicConstraintsValid: true,
		Subject: pkix.Name{CommonName: address[:min(len(address), 64)]},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// Adopt makes of somebody's certificate a new version of our own entry of that
// name if it is for its key: what an authority has answered to a request.
func Adopt(ctx context.Context, w keys.Writer, f Found) (Found, error) {
	if f.Entry.Own || f.Entry.Scheme != keys.SMIME {
		return f, nil
	}
	own := f.Entry
	own.Own = true
	r, err := w.Read(ctx, own)
	if errors.Is(err, keys.ErrNotFound) {
		return f, nil
	}
	if err != nil {
		return f, err
	}
	theirs, err := keys.Certificates(f.Certificate)
	if err != nil {
		return f, err
	}
	ours, err := keys.Certificates(r.Certificate)
	if err != nil {
		return f, err
	}
	leaf := Leaf(r, ours, time.Now())
	for _, c := range theirs {
		if p, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); ok && p.Equal(c.PublicKey) {
			m := r.Material
			m.Certificate, m.Source = append(bytes.Clone(f.Certificate), f.Chain...), f.Source
			return Found{own, m, nil}, nil
		}
	}
	return f, nil
}
