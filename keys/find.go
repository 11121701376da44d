package keys

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// FindKey returns the key that signs for address. which says under what name it
// is stored: "address" (or ""), the address itself; "domain", its domain; "any",
// the address or else its domain; anything else is the name of an entry.
//
// A key that is kept elsewhere is bound to ctx: it signs until ctx ends.
//
// The error wraps ErrNotFound if there is no such key. An entry that is there
// but can't be used is an error of its own, never a reason to look further.
func FindKey(ctx context.Context, s Store, scheme Scheme, address, which string) (*Key, error) {
	var names []lookup
	switch which {
	case "", "address":
		names = []lookup{{Name, address}}
	case "domain":
		names = []lookup{{Domain, address}}
	case "any":
		names = []lookup{{Name, address}, {Domain, address}}
	default:
		names = []lookup{{Name, which}}
	}
	var tried []string
	for _, l := range names {
		name, err := l.normal(l.of)
		if err == nil {
			var k *Key
			if k, err = s.Key(ctx, scheme, name); err == nil {
				return k.WithContext(ctx), nil
			}
		}
		if !errors.Is(err, ErrNotFound) {
			return nil, fmt.Errorf("find %s key of %q: %w", scheme, address, err)
		}
		tried = append(tried, place(name, err, Entry{Scheme: scheme, Name: name, Own: true}))
	}
	return nil, notFound(fmt.Sprintf("%s key of %q", scheme, address), tried)
}

// FindCertificate returns what messages to address are encrypted to: the
// certificate stored for the address, else that of our own key for it (a
// recipient of ours), else the same two for its domain (a gateway there).
// Errors are as in FindKey.
func FindCertificate(ctx context.Context, s Store, scheme Scheme, address string) (*Certificate, error) {
	var tried []string
	for _, l := range []lookup{{Name, address}, {Domain, address}} {
		name, err := l.normal(l.of)
		if err != nil {
			tried = append(tried, place(name, err, Entry{}))
			continue
		}
		for _, get := range []func(context.Context, Store, Scheme, string) (*Certificate, error){theirs, ours} {
			c, err := get(ctx, s, scheme, name)
			if err == nil {
				return c, nil
			}
			if !errors.Is(err, ErrNotFound) {
				return nil, fmt.Errorf("find %s certificate of %q: %w", scheme, address, err)
			}
		}
		tried = append(tried, "recipients/"+name, string(scheme)+"/"+name)
	}
	return nil, notFound(fmt.Sprintf("%s certificate of %q", scheme, address), tried)
}

// lookup is a name to try and how it comes from what was asked for.
type lookup struct {
	normal func(string) (string, error)
	of     string
}

func theirs(ctx context.Context, s Store, scheme Scheme, name string) (*Certificate, error) {
	return s.Certificate(ctx, scheme, name)
}

func ours(ctx context.Context, s Store, scheme Scheme, name string) (*Certificate, error) {
	k, err := s.Key(ctx, scheme, name)
	if err != nil {
		return nil, err
	}
	return k.Certificate()
}

// place says in words where was looked.
func place(name string, err error, e Entry) string {
	if name == "" {
		return strings.TrimSuffix(err.Error(), ": "+ErrNotFound.Error())
	}
	return e.String()
}

func notFound(what string, tried []string) error {
	return fmt.Errorf("%s (looked for %s): %w", what, strings.Join(tried, ", "), ErrNotFound)
}
