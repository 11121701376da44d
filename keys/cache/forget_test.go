package cache

import (
	"context"
	"errors"
	"testing"

	"waxseal/keys"
)

// changing is a store that finds nothing at first and a key from then on.
type changing struct {
	keys.Store
	asked int
}

func (s *changing) Key(_ context.Context, scheme keys.Scheme, name string) (*keys.Key, error) {
	if s.asked++; s.asked == 1 {
		return nil, keys.ErrNotFound
	}
	return &keys.Key{Entry: keys.Entry{Scheme: scheme, Name: name, Own: true}, Version: s.asked}, nil
}

func TestForget(t *testing.T) {
	s := &changing{}
	c := New(s, Options{})
	ctx := t.Context()
	e := keys.Entry{Scheme: keys.SMIME, Name: "a@b", Own: true}
	for range 2 {
		if _, err := c.Key(ctx, e.Scheme, e.Name); !errors.Is(err, keys.ErrNotFound) {
			t.Fatal(err)
		}
	}
	for version := 2; version < 4; version++ {
		c.Forget(e)
		for range 2 {
			if k, err := c.Key(ctx, e.Scheme, e.Name); err != nil || k.Version != version {
				t.Fatalf("%v, %v, want version %d", k, err, version)
			}
		}
	}
	c.Forget(keys.Entry{Scheme: keys.PGP, Name: "a@b", Own: true}) // of which nothing is known
	if k, err := c.Key(ctx, e.Scheme, e.Name); err != nil || k.Version != 3 {
		t.Errorf("another entry is forgotten: %v, %v", k, err)
	}
}
