package keytool

import (
	"errors"
	"fmt"

	"waxseal/keys"
	"waxseal/signer/pgpmime"
)

// readOpenPGP reads transferable keys. Certificates are reduced to what is
// needed.
func readOpenPGP(data []byte, o ReadOptions) (found []Found, err error) {
	all, err := pgpmime.Split(data)
	if err != nil {
		return nil, fmt.Errorf("read OpenPGP keys: %w", err)
	}
	for n, one := range all {
		more, err := readTransferable(one, o)
		if err != nil {
			return nil, fmt.Errorf("OpenPGP key %d: %w", n+1, err)
		}
		found = append(found, more...)
	}
	return found, nil
}

func readTransferable(one pgpmime.Transferable, o ReadOptions) (found []Found, err error) {
	var c *pgpmime.Certificate
	m := keys.Material{Source: o.Source}
	label := o.Name
	if label == "" {
		label = "it"
	}
	if one.Secret {
		m.PrivateKey = one.Data
		k, err := pgpmime.ParseKey(label, one.Data, nil)
		if errors.Is(err, pgpmime.ErrProtected) {
			if m.PrivateKey, err = unprotect(one.Data, o); err == nil {
				k, err = pgpmime.ParseKey(label, m.PrivateKey, nil)
			}
		}
		if err != nil {
			return nil, err
		}
		c = k.Certificate()
	} else {
		if m.Certificate, err = pgpmime.Minimise(one.Data, o.Now); err != nil {
			return nil, err
		}
		if c, err = pgpmime.ParseCertificate(label, m.Certificate); err != nil {
			return nil, err
		}
	}
	addresses, err := c.Addresses(o.Now)
	if err != nil {
		return nil, err
	}
	all, err := names(o, addresses, "OpenPGP key "+c.Fingerprint())
	if err != nil {
		return nil, err
	}
	for _, name := range all {
		found = append(found, Found{keys.Entry{Scheme: keys.PGP, Name: name, Own: one.Secret}, m, nil})
	}
	return found, nil
}

func unprotect(data []byte, o ReadOptions) ([]byte, error) {
	if o.Passphrase == nil {
		return nil, errors.New("the secret key has a passphrase, and none was given")
	}
	word, err := o.Passphrase()
	if err != nil {
		return nil, err
	}
	return pgpmime.Unprotect(data, word)
}
