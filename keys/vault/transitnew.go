package vault

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// FreshTransitKey returns the newest version of a key in Transit, for which
// there is no certificate yet, and its number. The key is made, of the given
// type ("rsa-3072"), where there is none; it gets another version where used
// says that the newest one has its certificate already. It needs the rights to
// create, read and update keys/NAME, to update keys/NAME/rotate where there is
// one, and to update sign/NAME.
func (s *Store) FreshTransitKey(ctx context.Context, name, kind string, used func(version int) bool) (crypto.Signer, int, error) {
	if !plainPath(name) || strings.Contains(name, "/") {
		return nil, 0, fmt.Errorf("%.100q is not the name of a key in Transit: %w", name, errTransit)
	}
	path := s.conf.Transit + "/keys/" + name
	t, found, err := s.newest(ctx, name)
	if err != nil {
		return nil, 0, err
	}
	switch {
	case t == nil:
		err = s.changeTransit(ctx, path, "create and update", map[string]any{"type": kind})
	case found != kind:
		return nil, 0, fmt.Errorf("the key %s is of type %s, not %s: configure that, or give it another name", path, found, kind)
	case used(t.version):
		err = s.changeTransit(ctx, path+"/rotate", "update", map[string]any{})
	default:
		return t, t.version, nil
	}
	if err != nil {
		return nil, 0, err
	}
	if t, _, err = s.newest(ctx, name); err == nil && t == nil {
		err = fmt.Errorf("the key %s has gone again: %w", path, errTransit)
	}
	if err != nil {
		return nil, 0, err
	}
	return t, t.version, nil
}

func (s *Store) changeTransit(ctx context.Context, path, right string, body any) error {
	ctx, cancel := context.WithTimeout(ctx, s.conf.Timeout)
	defer cancel()
	if err := s.session.do(ctx, "POST", path, body, nil); err != nil {
		return s.explainTransit("write "+path, right, path, err)
	}
	return nil
}

// newest reads the newest version of a key, nil if there is no such key, and its
// type.
func (s *Store) newest(ctx context.Context, name string) (*transitKey, string, error) {
	path := s.conf.Transit + "/keys/" + name
	ctx, cancel := context.WithTimeout(ctx, s.conf.Timeout)
	defer cancel()
	var answer struct {
		Data struct {
			Type string
			Keys map[string]struct {
				Public string `json:"public_key"`
			}
			Latest int `json:"latest_version"`
		}
	}
	err := s.session.do(ctx, "GET", path, nil, &answer)
	var r *refusal
	switch {
	case missing(err) || errors.As(err, &r) && r.status == http.StatusNotFound && !r.raw && r.words == "encryption key not found":
		return nil, "", nil
	case err != nil:
		return nil, "", s.explainTransit("read "+path, "read", path, err)
	}
	d := answer.Data
	public, err := parsePublic(d.Keys[strconv.Itoa(d.Latest)].Public)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w: %w", path, err, errTransit)
	}
	return &transitKey{store: s, ctx: s.session.ctx, name: name, version: d.Latest, public: public}, d.Type, nil
}
