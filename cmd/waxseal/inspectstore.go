package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"path/filepath"
	"time"

	"waxseal/keys"
	"waxseal/signer/pgpmime"
)

// readKeyFile reads a file of a key or certificate.
func readKeyFile(flag, file string) ([]byte, error) {
	text, err := readBounded(file, keys.MaxSize)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return text, nil
}

// addKey reads a private key: PEM with its certificate, or OpenPGP.
func (s *inspectStore) addKey(file string) error {
	text, err := readKeyFile("-key", file)
	if err != nil {
		return err
	}
	e := keys.Entry{Scheme: keys.SMIME, Name: filepath.Base(file), Own: true}
	if bytes.Contains(text, []byte("-----BEGIN CERTIFICATE")) || bytes.Contains(text, []byte("PRIVATE KEY-----")) {
		found, err := keys.ParseVersion(e, text, nil)
		if err != nil {
			return fmt.Errorf("-key %s: %w; the file needs the certificate and its private key, without a passphrase", file, err)
		}
		s.keys = append(s.keys, found...)
		return nil
	}
	e.Scheme = keys.PGP
	k, err := keys.ParseOpenPGPKey(e, text)
	if err == nil {
		_, err = pgpmime.ParseKey(e.Name, text, nil)
	}
	if err != nil {
		return fmt.Errorf("-key %s: %w", file, err)
	}
	s.keys = append(s.keys, k)
	return nil
}

// addCertificate reads somebody's OpenPGP certificate.
func (s *inspectStore) addCertificate(file string) error {
	text, err := readKeyFile("-cert", file)
	if err != nil {
		return err
	}
	c, err := keys.ParseOpenPGPCertificate(keys.Entry{Scheme: keys.PGP, Name: filepath.Base(file)}, text)
	if err != nil {
		return fmt.Errorf("-cert %s: %w", file, err)
	}
	s.certs = append(s.certs, c)
	return nil
}

// Key implements keys.Store: nothing is signed here.
func (s *inspectStore) Key(context.Context, keys.Scheme, string) (*keys.Key, error) {
	return nil, keys.ErrNotFound
}

// Versions implements keys.Store.
func (s *inspectStore) Versions(ctx context.Context, scheme keys.Scheme, name string) ([]*keys.Key, error) {
	var all []*keys.Key
	for _, k := range s.keys {
		if k.Scheme == scheme {
			all = append(all, k)
		}
	}
	seen := map[string]bool{}
	for _, address := range s.addresses {
		for _, normal := range []func(string) (string, error){keys.Name, keys.Domain} {
			name, err := normal(address)
			if err != nil || s.next == nil || seen[name] {
				continue
			}
			seen[name] = true
			found, err := s.next.Versions(ctx, scheme, name)
			if err != nil && !errors.Is(err, keys.ErrNotFound) {
				return nil, err
			}
			all = append(all, found...)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s key of %s: %w", scheme, name, keys.ErrNotFound)
	}
	return all, nil
}

// Certificate implements keys.Store: the one of the files that is for that
// address, else that of the store, else the first of the files.
func (s *inspectStore) Certificate(ctx context.Context, scheme keys.Scheme, name string) (*keys.Certificate, error) {
	var first *keys.Certificate
	for _, c := range s.certs {
		if c.Scheme != scheme {
			continue
		}
		if parsed, err := pgpmime.ParseCertificate(name, c.OpenPGP); err == nil && parsed.CheckUserID(time.Now()) == nil {
			// Who names the file holds it for that address.
			held := *c
			held.Name = name
			return &held, nil
		}
		if first == nil {
			first = c
		}
	}
	if s.next != nil {
		if c, err := s.next.Certificate(ctx, scheme, name); err == nil || !errors.Is(err, keys.ErrNotFound) {
			return c, err
		}
	}
	if first == nil {
		return nil, fmt.Errorf("%s certificate of %s: %w", scheme, name, keys.ErrNotFound)
	}
	return first, nil
}

// Ready implements keys.Store.
func (s *inspectStore) Ready(context.Context) error { return nil }

// List implements keys.Store.
func (s *inspectStore) List(context.Context) ([]keys.Entry, error) { return nil, nil }
