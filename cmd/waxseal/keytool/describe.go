package keytool

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"waxseal/keys"
	"waxseal/signer/pgpmime"
)

// Info is what there is to say of a version of an entry, without its secrets.
type Info struct {
	Entry   string     `json:"entry"`
	Scheme  string     `json:"scheme"`
	Name    string     `json:"name"`
	Own     bool       `json:"own"`
	Version int        `json:"version"`
	Created *time.Time `json:"created,omitempty"`
	Retired *time.Time `json:"retired,omitempty"`
	// Key says where the private key is: "store", "transit NAME version N", or
	// both; "" for somebody's certificate.
	Key       string   `json:"key,omitempty"`
	Algorithm string   `json:"algorithm,omitempty"`
	Addresses []string `json:"addresses,omitempty"`
	Subject   string   `json:"subject,omitempty"`
	Issuer    string   `json:"issuer,omitempty"`
	Serial    string   `json:"serial,omitempty"`
	// Fingerprint is the SHA-256 of a certificate, or that of an OpenPGP key, in
	// hexadecimal.
	Fingerprint string     `json:"fingerprint,omitempty"`
	NotBefore   *time.Time `json:"not_before,omitempty"`
	NotAfter    *time.Time `json:"not_after,omitempty"`
	Source      string     `json:"source,omitempty"`
	// Problem says why it can't be used.
	Problem string `json:"problem,omitempty"`
}

// Describe says what a record is. It asks nobody, so a problem with a key in
// Transit does not show.
func Describe(r *keys.Record, now time.Time) Info {
	i := Info{
		Entry: r.Entry.String(), Scheme: string(r.Scheme), Name: r.Name, Own: r.Own, Version: r.Version,
		Created: pointer(r.Created), Retired: pointer(r.Retired), Source: r.Source,
	}
	var where []string
	if r.TransitKey != "" {
		where = append(where, fmt.Sprintf("transit %s version %d", r.TransitKey, r.TransitVersion))
	}
	if len(r.PrivateKey) > 0 {
		where = append(where, "store")
	}
	i.Key = strings.Join(where, ", ")
	if err := Usable(r, now); err != nil {
		i.Problem = strings.ReplaceAll(strings.TrimPrefix(err.Error(), r.Entry.String()+": "), "\n", "; ")
	}
	certs, public, err := r.Public()
	if err == nil && r.Scheme == keys.PGP {
		err = i.openPGP(r, public, now)
	} else if err == nil {
		i.x509(Leaf(r, certs, now))
	}
	if err != nil && i.Problem == "" {
		i.Problem = err.Error()
	}
	return i
}

// Leaf returns the certificate that an S/MIME entry is used with.
func Leaf(r *keys.Record, certs []*x509.Certificate, now time.Time) *x509.Certificate {
	if r.Own {
		if k, err := keys.Load(r, nil, now); err == nil {
			return k.Chain[0]
		}
	} else if c, err := keys.LoadCertificate(r, now); err == nil {
		return c.X509[0]
	}
	for _, c := range certs {
		if !c.IsCA {
			return c
		}
	}
	return certs[0]
}

func (i *Info) x509(c *x509.Certificate) {
	i.Algorithm = algorithm(c.PublicKey)
	i.Addresses = keys.Addresses(c)
	i.Subject, i.Issuer = c.Subject.String(), c.Issuer.String()
	i.Serial = fmt.Sprintf("%x", c.SerialNumber)
	i.Fingerprint = fmt.Sprintf("%X", sha256.Sum256(c.Raw))
	i.NotBefore, i.NotAfter = pointer(c.NotBefore), pointer(c.NotAfter)
}

func (i *Info) openPGP(r *keys.Record, public []byte, now time.Time) error {
	c, err := pgpmime.ParseCertificate(r.Name, public)
	if err != nil {
		return err
	}
	i.Algorithm, i.Fingerprint = c.Algorithm(), c.Fingerprint()
	i.NotAfter = pointer(c.NotAfter(now))
	i.Addresses, err = c.Addresses(now)
	return err
}

func algorithm(public any) string {
	switch p := public.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("rsa%d", p.N.BitLen())
	case *ecdsa.PublicKey:
		return "ecdsa-" + strings.ToLower(strings.ReplaceAll(p.Curve.Params().Name, "-", ""))
	case ed25519.PublicKey:
		return "ed25519"
	case *ecdh.PublicKey:
		return "x25519"
	}
	return fmt.Sprintf("%T", public)
}

func pointer(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}
