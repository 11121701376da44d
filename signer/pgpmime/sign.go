package pgpmime

import (
	"bytes"
	"crypto"
	"fmt"
	"io"
	"time"

	"waxseal/signer"
)

// SignOptions says how Sign signs; the zero value is a good choice.
type SignOptions struct {
	// Digest is SHA-256 if 0. A longer one is taken if the key is stronger.
	Digest crypto.Hash
	// Time is when the signature is made, now if zero.
	Time time.Time
	// Rand is where random bytes come from, crypto/rand if nil.
	Rand io.Reader
}

// Sign returns a multipart/signed entity (RFC 3156, Section 5) of e and a
// detached signature over e as e.WriteTo writes it. That must be in a form that
// no MTA alters, and with CRLF line ends.
//
// Whatever can fail has been done when Sign returns: the signature has been
// made, by a remote key too, and verified. The body of the result reads e again.
func Sign(e *signer.Entity, k *Key, o SignOptions) (*signer.Entity, error) {
	signed, err := sign(e, k, o)
	if err != nil {
		return nil, fmt.Errorf("sign with OpenPGP key of %s: %w", k.cert.name, err)
	}
	return signed, nil
}

func sign(e *signer.Entity, k *Key, o SignOptions) (*signer.Entity, error) {
	env := environment{time: o.Time, rand: o.Rand}
	s, err := newSignature(k, o.Digest, env)
	if err != nil {
		return nil, err
	}
	if err := writeEntity(s, e); err != nil {
		return nil, err
	}
	packet, err := s.finish()
	if err != nil {
		return nil, err
	}
	boundary, err := env.boundary()
	if err != nil {
		return nil, err
	}
	digest, err := digestName(s.digest)
	if err != nil {
		return nil, err
	}
	return multipartSigned(e, packet, digest, boundary)
}

// multipartSigned puts a content, which is an entity as it stands, and signature
// packets over it into a multipart/signed.
func multipartSigned(content signer.Content, packets []byte, digest, boundary string) (*signer.Entity, error) {
	var armored bytes.Buffer
	armor, err := newArmorWriter(&armored, "PGP SIGNATURE")
	if err != nil {
		return nil, err
	}
	if _, err := armor.Write(packets); err != nil {
		return nil, err
	}
	if err := armor.Close(); err != nil {
		return nil, err
	}
	field, err := signer.NewField("Content-Type", "multipart/signed; micalg=pgp-"+digest+
		`; protocol="application/pgp-signature"; `+signer.Param("boundary", boundary))
	if err != nil {
		return nil, err
	}
	// The CRLF before a boundary belongs to the boundary and is not signed.
	before := "--" + boundary + "\r\n"
	after := "\r\n--" + boundary + "\r\n" +
		"Content-Type: application/pgp-signature; name=\"signature.asc\"\r\n" +
		"Content-Description: OpenPGP digital signature\r\n" +
		"Content-Disposition: attachment; filename=\"signature.asc\"\r\n" +
		"\r\n" + armored.String() + "\r\n--" + boundary + "--\r\n"
	return &signer.Entity{
		Header: signer.Header{field},
		Body:   signer.Concat(signer.NewContent([]byte(before)), content, signer.NewContent([]byte(after))),
	}, nil
}

// writeEntity writes an entity and makes sure that it was all of it.
func writeEntity(w io.Writer, e *signer.Entity) error {
	n, err := e.WriteTo(w)
	if err != nil {
		return fmt.Errorf("read what is to be protected: %w", err)
	}
	if size := e.Size(); n != size {
		return fmt.Errorf("read what is to be protected: %d bytes instead of %d", n, size)
	}
	return nil
}
