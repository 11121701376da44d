package cache

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"waxseal/keys"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// store answers as the test says and counts.
type store struct {
	mu    sync.Mutex
	asked map[string]int
	err   error         // of every entry
	end   time.Time     // of every certificate
	hold  chan struct{} // if set, answers wait for it or their context
	panic bool
}

func (s *store) answer(ctx context.Context, e keys.Entry) ([]*x509.Certificate, error) {
	s.mu.Lock()
	if s.asked == nil {
		s.asked = map[string]int{}
	}
	s.asked[e.String()]++
	err, end, hold, panics := s.err, s.end, s.hold, s.panic
	s.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if panics {
		panic("broken store")
	}
	if err != nil {
		return nil, err
	}
	return []*x509.Certificate{{NotBefore: start.Add(-time.Hour), NotAfter: end}}, nil
}

func (s *store) Key(ctx context.Context, scheme keys.Scheme, name string) (*keys.Key, error) {
	e := keys.Entry{Scheme: scheme, Name: name, Own: true}
	chain, err := s.answer(ctx, e)
	if err != nil {
		return nil, err
	}
	return &keys.Key{Entry: e, Chain: chain}, nil
}

func (s *store) Certificate(ctx context.Context, scheme keys.Scheme, name string) (*keys.Certificate, error) {
	e := keys.Entry{Scheme: scheme, Name: name}
	chain, err := s.answer(ctx, e)
	if err != nil {
		return nil, err
	}
	return &keys.Certificate{Entry: e, X509: chain}, nil
}

func (s *store) Versions(ctx context.Context, scheme keys.Scheme, name string) ([]*keys.Key, error) {
	k, err := s.Key(ctx, scheme, name)
	if err != nil {
		return nil, err
	}
	return []*keys.Key{k, k}, nil
}

func (s *store) Ready(context.Context) error { return s.err }

func (s *store) List(context.Context) ([]keys.Entry, error) {
	return []keys.Entry{{Scheme: keys.PGP, Name: "listed"}}, nil
}

func (s *store) count() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.asked {
		n += c
	}
	return n
}

func (s *store) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// bench is a cache in front of a store, with a clock.
type bench struct {
	*Cache
	store *store
	t     *testing.T
	now   time.Time
	said  []string
}

func newBench(t *testing.T, o Options) *bench {
	b := &bench{t: t, store: &store{end: start.Add(1000 * time.Hour)}, now: start}
	o.Now = func() time.Time { return b.now }
	o.Changed = func(e keys.Entry, err error) { b.said = append(b.said, fmt.Sprintf("%v: %v", e, err)) }
	b.Cache = New(b.store, o)
	return b
}

// ask asks for an entry and says how often the store was asked for it.
func (b *bench) ask(name string) (err error, asked int) {
	b.t.Helper()
	before := b.store.count()
	k, err := b.Key(b.t.Context(), keys.SMIME, name)
	if (k == nil) != (err != nil) || (k != nil && k.Name != name) {
		b.t.Fatalf("Key(%s) = %v, %v", name, k, err)
	}
	return err, b.store.count() - before
}

var errAway = errors.New("store is away")

// step is one moment in the life of an entry.
type step struct {
	after time.Duration // since the step before
	store error         // how the store answers from now on
	want  error         // nil: a key
	asked int
	said  string
}

func TestLifeOfAnEntry(t *testing.T) {
	none := fmt.Errorf("nothing there: %w", keys.ErrNotFound)
	const m, s = time.Minute, time.Second
	for name, steps := range map[string][]step{
		"remembered, then asked anew": {
			{0, nil, nil, 1, ""}, {4 * m, nil, nil, 0, ""}, {m, nil, nil, 1, ""}, {4 * m, nil, nil, 0, ""},
		},
		"absence is remembered for less long": {
			{0, none, keys.ErrNotFound, 1, ""}, {29 * s, none, keys.ErrNotFound, 0, ""}, {2 * s, nil, nil, 1, ""},
		},
		"errors are not remembered": {
			{0, errAway, errAway, 1, ""}, {0, errAway, errAway, 1, ""}, {0, nil, nil, 1, ""},
		},
		"absence is not served stale": {
			{0, none, keys.ErrNotFound, 1, ""}, {31 * s, errAway, errAway, 1, ""},
		},
		"served on while the store is away": {
			{0, nil, nil, 1, ""},
			{4 * m, errAway, nil, 0, ""},
			{2 * m, errAway, nil, 1, "smime/a@b: store is away"},
			{s, errAway, nil, 0, ""}, // not asked at every message
			{5 * s, errAway, nil, 1, ""},
			{50 * m, errAway, nil, 1, ""},
			{4 * m, errAway, errAway, 1, ""},
			{0, nil, nil, 1, "smime/a@b: <nil>"},
			{0, nil, nil, 0, ""},
		},
		"gone is gone, even from a stale one": {
			{0, nil, nil, 1, ""}, {6 * m, errAway, nil, 1, "smime/a@b: store is away"},
			{6 * s, none, keys.ErrNotFound, 1, "smime/a@b: <nil>"}, {s, errAway, keys.ErrNotFound, 0, ""},
		},
		"a clock set back makes nothing live longer": {
			{0, nil, nil, 1, ""}, {-time.Hour, nil, nil, 1, ""}, {4 * m, nil, nil, 0, ""}, {m, nil, nil, 1, ""},
		},
	} {
		b := newBench(t, Options{})
		for i, st := range steps {
			b.now = b.now.Add(st.after)
			b.store.set(st.store)
			b.said = nil
			err, asked := b.ask("a@b")
			if !errors.Is(err, st.want) || (st.want == nil && err != nil) {
				t.Errorf("%s, step %d: error %v, want %v", name, i, err, st.want)
			}
			if asked != st.asked {
				t.Errorf("%s, step %d: the store was asked %d times, want %d", name, i, asked, st.asked)
			}
			got, _, _ := strings.Cut(strings.Join(b.said, "; "), " (what was read")
			if got != st.said {
				t.Errorf("%s, step %d: said %q, want %q", name, i, got, st.said)
			}
		}
	}
}

// A certificate that ends while it is remembered must not be served, away or
// not.
func TestExpiredIsNotServed(t *testing.T) {
	b := newBench(t, Options{})
	b.store.end = start.Add(2 * time.Minute)
	if err, _ := b.ask("a@b"); err != nil {
		t.Fatal(err)
	}
	b.now = start.Add(3 * time.Minute)
	b.store.set(errAway)
	if err, asked := b.ask("a@b"); !errors.Is(err, errAway) || asked != 1 || !strings.Contains(err.Error(), "smime/a@b: certificate expired") {
		t.Errorf("expired, store away: %v after asking %d times", err, asked)
	}
	b.store.set(nil)
	b.store.mu.Lock()
	b.store.end = start.Add(time.Hour)
	b.store.mu.Unlock()
	if err, asked := b.ask("a@b"); err != nil || asked != 1 {
		t.Errorf("renewed: %v after asking %d times", err, asked)
	}
}

func TestKeyAndCertificateAreApart(t *testing.T) {
	b := newBench(t, Options{})
	for range 2 {
		k, err := b.Key(t.Context(), keys.SMIME, "a@b")
		if err != nil || !k.Own {
			t.Fatalf("key: %v, %v", k, err)
		}
		c, err := b.Certificate(t.Context(), keys.SMIME, "a@b")
		if err != nil || c.Own {
			t.Fatalf("certificate: %v, %v", c, err)
		}
		if p, err := b.Key(t.Context(), keys.PGP, "a@b"); err != nil || p.Scheme != keys.PGP {
			t.Fatalf("PGP key: %v, %v", p, err)
		}
	}
	if n := b.store.count(); n != 3 {
		t.Errorf("the store was asked %d times, want once for each of three", n)
	}
	if l, err := b.List(t.Context()); err != nil || len(l) != 1 {
		t.Errorf("list: %v, %v", l, err)
	}
}

func TestLeastUsedMakesWay(t *testing.T) {
	b := newBench(t, Options{MaxEntries: 3})
	for _, name := range []string{"a@b", "b@b", "c@b", "a@b", "d@b"} { // b is the one not used for the longest time
		b.ask(name)
	}
	if len(b.items) != 3 || b.used.Len() != 3 {
		t.Errorf("%d items, %d in the list; want 3", len(b.items), b.used.Len())
	}
	var again []string
	for _, name := range []string{"a@b", "c@b", "d@b", "b@b"} {
		if _, asked := b.ask(name); asked > 0 {
			again = append(again, name)
		}
	}
	if !slices.Equal(again, []string{"b@b"}) {
		t.Errorf("asked anew for %q, want b alone", again)
	}
}

// One who leaves must not take the answer from the others.
func TestOneFlight(t *testing.T) {
	b := newBench(t, Options{})
	b.store.hold = make(chan struct{})
	leaver, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := b.Key(leaver, keys.SMIME, "a@b")
		left <- err
	}()
	for b.store.count() == 0 {
		time.Sleep(time.Millisecond)
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if k, err := b.Key(t.Context(), keys.SMIME, "a@b"); err != nil || k.Name != "a@b" {
				t.Errorf("one who stayed: %v, %v", k, err)
			}
		})
	}
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("the one who left: %v", err)
	}
	close(b.store.hold)
	wg.Wait()
	if n := b.store.count(); n != 1 {
		t.Errorf("the store was asked %d times, want once", n)
	}
}

func TestStoreThatHangs(t *testing.T) {
	b := newBench(t, Options{Timeout: 10 * time.Millisecond})
	b.store.hold = make(chan struct{})
	if err, _ := b.ask("a@b"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want that of its deadline", err)
	}
}

func TestStoreThatPanics(t *testing.T) {
	b := newBench(t, Options{})
	b.store.panic = true
	if err, _ := b.ask("a@b"); err == nil || errors.Is(err, keys.ErrNotFound) || !strings.Contains(err.Error(), "smime/a@b") {
		t.Errorf("error %v, want one that names the entry", err)
	}
}

// Many at once on few entries with a small bound: for the race detector.
func TestConcurrent(t *testing.T) {
	s := &store{end: time.Now().Add(time.Hour)}
	c := New(s, Options{MaxEntries: 4, Lifetime: time.Millisecond, Retry: time.Millisecond})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				switch i % 50 {
				case 0:
					s.set(errAway)
				case 25:
					s.set(nil)
				}
				name := fmt.Sprintf("%d@b", (i+g)%6)
				if k, err := c.Key(t.Context(), keys.SMIME, name); err == nil && k.Name != name {
					t.Errorf("asked for %s, got %v", name, k)
				}
			}
		})
	}
	wg.Wait()
	if len(c.items) > 4 || len(c.items) != c.used.Len() {
		t.Errorf("%d items, %d in the list; want at most 4", len(c.items), c.used.Len())
	}
}

func BenchmarkHit(b *testing.B) {
	c := New(&store{end: time.Now().Add(time.Hour)}, Options{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.Key(b.Context(), keys.SMIME, "a@b"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// Versions are remembered apart from the key of the same name, and those whose
// certificate has expired are as good as others.
func TestVersions(t *testing.T) {
	b := newBench(t, Options{})
	b.store.end = b.now.Add(-time.Hour)
	for range 2 {
		got, err := b.Cache.Versions(t.Context(), keys.SMIME, "a@b")
		if err != nil || len(got) != 2 {
			t.Fatalf("%v, %v", got, err)
		}
	}
	if n := b.store.count(); n != 1 {
		t.Errorf("the store was asked %d times for versions, want once", n)
	}
	b.store.set(fmt.Errorf("gone: %w", keys.ErrNotFound))
	if _, err := b.Cache.Key(t.Context(), keys.SMIME, "a@b"); !errors.Is(err, keys.ErrNotFound) {
		t.Errorf("the key: %v, want what the store says of it", err)
	}
	b.store.set(errors.New("away"))
	b.now = b.now.Add(10 * time.Minute)
	if _, err := b.Cache.Versions(t.Context(), keys.SMIME, "a@b"); err != nil {
		t.Errorf("stale: %v", err)
	}
	if len(b.said) != 1 || !strings.Contains(b.said[0], "away (what was read 10m0s ago serves on until it is 1h0m0s old)") {
		t.Errorf("said %q", b.said)
	}
	if err := b.Cache.Ready(t.Context()); err == nil {
		t.Error("ready although the store is away")
	}
}

// A store that hangs must not hold up those who could be served a stale entry.
func TestPatience(t *testing.T) {
	b := newBench(t, Options{Patience: time.Millisecond})
	if err, _ := b.ask("a@b"); err != nil {
		t.Fatal(err)
	}
	hold := make(chan struct{})
	b.store.mu.Lock()
	b.store.hold = hold
	b.store.mu.Unlock()
	b.now = b.now.Add(10 * time.Minute)
	for range 3 {
		if err, _ := b.ask("a@b"); err != nil {
			t.Errorf("stale, while the store hangs: %v", err)
		}
	}
	if n := b.store.count(); n != 2 {
		t.Errorf("the store was asked %d times, want once before and once in the end", n)
	}
	close(hold)
}
