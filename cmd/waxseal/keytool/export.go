package keytool

import (
	"bytes"
	"encoding/pem"
	"fmt"

	"waxseal/keys"
	"waxseal/signer/pgpmime"
	"waxseal/signer/smime"
)

// Formats are what Export writes: the first is the default of S/MIME, "armor"
// that of OpenPGP.
func Formats() []string { return []string{"pem", "p7c", "armor", "binary"} }

// Export writes the public parts of a record: certificates as PEM or in a
// PKCS #7 bundle (RFC 8551, Section 3.8), an OpenPGP certificate armored or
// binary.
func Export(r *keys.Record, format string) ([]byte, error) {
	certs, public, err := r.Public()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.Entry, err)
	}
	switch {
	case r.Scheme == keys.SMIME && (format == "" || format == "pem"):
		var out bytes.Buffer
		for _, c := range certs {
			pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
		}
		return out.Bytes(), nil
	case r.Scheme == keys.SMIME && format == "p7c":
		return smime.Bundle(certs)
	case r.Scheme == keys.PGP && (format == "" || format == "armor" || format == "binary"):
		all, err := pgpmime.Split(public)
		if err != nil || len(all) != 1 || all[0].Secret {
			return nil, fmt.Errorf("%s: its public part can't be written: %w", r.Entry, err)
		}
		if format == "binary" {
			return pgpmime.Binary(all[0].Data)
		}
		return all[0].Data, nil
	case r.Scheme == keys.SMIME:
		return nil, fmt.Errorf("%s: S/MIME certificates are written as pem or p7c, not as %q", r.Entry, format)
	}
	return nil, fmt.Errorf("%s: an OpenPGP certificate is written as armor or binary, not as %q", r.Entry, format)
}
