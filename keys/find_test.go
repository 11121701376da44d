package keys

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"
)

// fake is a store that records what it was asked for.
type fake struct {
	keys  map[string]*Key
	certs map[string]*Certificate
	errs  map[string]error // by Entry.String
	asked []string
}

func (f *fake) Key(_ context.Context, scheme Scheme, name string) (*Key, error) {
	e := Entry{scheme, name, true}.String()
	f.asked = append(f.asked, e)
	if err := f.errs[e]; err != nil {
		return nil, err
	}
	if k := f.keys[e]; k != nil {
		return k, nil
	}
	return nil, ErrNotFound
}

func (f *fake) Versions(context.Context, Scheme, string) ([]*Key, error) { return nil, ErrNotFound }

func (f *fake) Ready(context.Context) error { return nil }

func (f *fake) Certificate(_ context.Context, scheme Scheme, name string) (*Certificate, error) {
	e := Entry{scheme, name, false}.String()
	f.asked = append(f.asked, e)
	if err := f.errs[e]; err != nil {
		return nil, err
	}
	if c := f.certs[e]; c != nil {
		return c, nil
	}
	return nil, ErrNotFound
}

func (f *fake) List(context.Context) ([]Entry, error) { return nil, nil }

func TestFindKey(t *testing.T) {
	own, domain := &Key{Entry: Entry{SMIME, "alice@example.com", true}}, &Key{Entry: Entry{SMIME, "example.com", true}}
	broken := errors.New("certificate expired")
	for _, c := range []struct {
		name, which, address string
		keys                 []*Key
		broken               string
		want                 *Key
		asked                []string
	}{
		{"own", "address", "Alice@Example.com", []*Key{own, domain}, "", own, []string{"smime/alice@example.com"}},
		{"default", "", "alice@example.com", []*Key{own}, "", own, []string{"smime/alice@example.com"}},
		{"own is missing", "address", "alice@example.com", []*Key{domain}, "", nil, []string{"smime/alice@example.com"}},
		{"domain", "domain", "alice@example.com", []*Key{own, domain}, "", domain, []string{"smime/example.com"}},
		{"any, own first", "any", "alice@example.com", []*Key{own, domain}, "", own, []string{"smime/alice@example.com"}},
		{"any, domain then", "any", "alice@example.com", []*Key{domain}, "", domain, []string{"smime/alice@example.com", "smime/example.com"}},
		{"any, none", "any", "alice@example.com", nil, "", nil, []string{"smime/alice@example.com", "smime/example.com"}},
		{"any, own is broken", "any", "alice@example.com", []*Key{domain}, "smime/alice@example.com", nil, []string{"smime/alice@example.com"}},
		{"any, address is no name", "any", "a/b@example.com", []*Key{domain}, "", domain, []string{"smime/example.com"}},
		{"by name", "Example.com", "bob@example.org", []*Key{domain}, "", domain, []string{"smime/example.com"}},
		{"no address", "any", "", nil, "", nil, nil},
	} {
		s := &fake{keys: map[string]*Key{}, errs: map[string]error{c.broken: broken}}
		for _, k := range c.keys {
			s.keys[k.Entry.String()] = k
		}
		got, err := FindKey(t.Context(), s, SMIME, c.address, c.which)
		if got != c.want || (err == nil) != (c.want != nil) {
			t.Errorf("%s: got %v, %v; want %v", c.name, got, err, c.want)
		}
		if err != nil && errors.Is(err, ErrNotFound) != (c.broken == "") {
			t.Errorf("%s: error %v confuses absent and broken", c.name, err)
		}
		if c.broken != "" && !errors.Is(err, broken) {
			t.Errorf("%s: error %v lost its cause", c.name, err)
		}
		if !slices.Equal(s.asked, c.asked) {
			t.Errorf("%s: asked for %q, want %q", c.name, s.asked, c.asked)
		}
	}
}

func TestFindCertificate(t *testing.T) {
	m := newMaker(t)
	leaf := m.leaf(m.root, nil)
	signing := m.leaf(m.root, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature })
	key := func(name string, c *x509.Certificate) *Key {
		return &Key{Entry: Entry{SMIME, name, true}, Chain: []*x509.Certificate{c, m.root.cert}, Signer: m.rsa}
	}
	order := []string{"recipients/alice@example.com (smime)", "smime/alice@example.com", "recipients/example.com (smime)", "smime/example.com"}
	for _, c := range []struct {
		name   string
		have   []string
		own    *x509.Certificate
		broken int // index of order, from 1
		want   string
		asked  int
	}{
		{"all", order, leaf, 0, order[0], 1},
		{"no recipient", order[1:], leaf, 0, order[1], 2},
		{"own for signing alone", order[1:], signing, 0, order[2], 3},
		{"domain", order[2:], leaf, 0, order[2], 3},
		{"own domain", order[3:], leaf, 0, order[3], 4},
		{"none", nil, leaf, 0, "", 4},
		{"recipient is broken", order, leaf, 1, "", 1},
		{"own is broken", order[2:], leaf, 2, "", 2},
	} {
		s := &fake{keys: map[string]*Key{}, certs: map[string]*Certificate{}, errs: map[string]error{}}
		for _, e := range c.have {
			name := "example.com"
			if strings.Contains(e, "@") {
				name = "alice@example.com"
			}
			if strings.HasPrefix(e, "smime/") {
				s.keys[e] = key(name, c.own)
			} else {
				s.certs[e] = &Certificate{Entry: Entry{SMIME, name, false}}
			}
		}
		if c.broken > 0 {
			s.errs[order[c.broken-1]] = errors.New("broken")
		}
		got, err := FindCertificate(t.Context(), s, SMIME, "Alice@example.com")
		switch {
		case c.want == "" && err == nil:
			t.Errorf("%s: got %v, want an error", c.name, got)
		case c.want == "" && errors.Is(err, ErrNotFound) != (c.broken == 0):
			t.Errorf("%s: error %v confuses absent and broken", c.name, err)
		case c.want != "" && (err != nil || got.Entry.String() != c.want):
			t.Errorf("%s: got %v, %v; want %s", c.name, got, err, c.want)
		}
		if !slices.Equal(s.asked, order[:c.asked]) {
			t.Errorf("%s: asked for %q, want %q", c.name, s.asked, order[:c.asked])
		}
		if err == nil && got.Own && (len(got.X509) != 1 || !got.X509[0].Equal(leaf)) {
			t.Errorf("%s: our own certificate did not come out", c.name)
		}
	}
	_, err := FindCertificate(t.Context(), &fake{}, SMIME, "nobody@example.org")
	if err == nil || !strings.Contains(err.Error(), "recipients/nobody@example.org, smime/nobody@example.org, recipients/example.org, smime/example.org") {
		t.Errorf("error %v doesn't say where was looked", err)
	}
}
