// Package cache stands between a key store and those who ask it for every
// message: it remembers answers, asks once for what several want at the same
// time, and serves on for a while when the store is away.
package cache

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"waxseal/keys"
)

// Options of a cache. A zero field stands for its default.
type Options struct {
	// Lifetime is how long an entry is served without asking the store. 5m.
	Lifetime time.Duration
	// Stale is how old an entry may be to be served because the store can't
	// be asked. 1h; at least Lifetime.
	Stale time.Duration
	// Negative is how long it is remembered that there is no entry. 30s.
	Negative time.Duration
	// Retry is how long a stale entry is served before the store is asked
	// again. 5s.
	Retry time.Duration
	// Patience is how long the store may take where an entry could be served
	// stale. 1s.
	Patience time.Duration
	// Timeout is how long the store may take; it goes on when the one who
	// asked has left. It is for a store that doesn't bound its own time. 1m.
	Timeout time.Duration
	// MaxEntries bounds the memory; those not used for the longest time make
	// way. 10000.
	MaxEntries int
	// Changed, if set, is called when an entry begins to be served stale, with
	// the reason, and with nil when the store answers for it again. It must be
	// quick and not call the cache.
	Changed func(keys.Entry, error)
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Cache is a keys.Store in front of another. It may be used from several
// goroutines at once.
type Cache struct {
	store   keys.Store
	options Options
	flights singleflight.Group

	mu    sync.Mutex
	items map[question]*list.Element
	used  list.List // of *item, the latest first
}

// question is what the store is asked: for an entry, or for its versions.
type question struct {
	keys.Entry
	versions bool
}

// item is the last answer of the store to a question: a value or ErrNotFound.
// It is not changed once it is stored, except under the cache's lock.
type item struct {
	of      question
	value   value // nil: there is no entry
	absent  error // wraps keys.ErrNotFound if value is nil
	loaded  time.Time
	retry   time.Time // don't ask before
	failing bool
}

// value is a *keys.Key, a *keys.Certificate or versions.
type value interface{ Valid(time.Time) error }

// versions are for decryption, for which no certificate is too old.
type versions []*keys.Key

// Valid is always nil.
func (versions) Valid(time.Time) error { return nil }

// New makes a cache in front of store.
func New(store keys.Store, o Options) *Cache {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.Lifetime, 5 * time.Minute}, {&o.Stale, time.Hour}, {&o.Negative, 30 * time.Second},
		{&o.Retry, 5 * time.Second}, {&o.Patience, time.Second}, {&o.Timeout, time.Minute},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	o.Stale = max(o.Stale, o.Lifetime)
	if o.MaxEntries <= 0 {
		o.MaxEntries = 10000
	}
	if o.Changed == nil {
		o.Changed = func(keys.Entry, error) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Cache{store: store, options: o, items: map[question]*list.Element{}}
}

// Key implements keys.Store.
func (c *Cache) Key(ctx context.Context, scheme keys.Scheme, name string) (*keys.Key, error) {
	q := question{Entry: keys.Entry{Scheme: scheme, Name: name, Own: true}}
	v, err := c.get(ctx, q, func(ctx context.Context) (value, error) { return c.store.Key(ctx, scheme, name) })
	if err != nil {
		return nil, err
	}
	return v.(*keys.Key), nil
}

// Certificate implements keys.Store.
func (c *Cache) Certificate(ctx context.Context, scheme keys.Scheme, name string) (*keys.Certificate, error) {
	q := question{Entry: keys.Entry{Scheme: scheme, Name: name}}
	v, err := c.get(ctx, q, func(ctx context.Context) (value, error) { return c.store.Certificate(ctx, scheme, name) })
	if err != nil {
		return nil, err
	}
	return v.(*keys.Certificate), nil
}

// Versions implements keys.Store.
func (c *Cache) Versions(ctx context.Context, scheme keys.Scheme, name string) ([]*keys.Key, error) {
	q := question{Entry: keys.Entry{Scheme: scheme, Name: name, Own: true}, versions: true}
	v, err := c.get(ctx, q, func(ctx context.Context) (value, error) {
		v, err := c.store.Versions(ctx, scheme, name)
		return versions(v), err
	})
	if err != nil {
		return nil, err
	}
	return v.(versions), nil
}

// Ready implements keys.Store. It always asks the store: entries that are
// remembered may serve on while it is not ready.
func (c *Cache) Ready(ctx context.Context) error { return c.store.Ready(ctx) }

// List implements keys.Store. It always asks the store.
func (c *Cache) List(ctx context.Context) ([]keys.Entry, error) { return c.store.List(ctx) }

// get returns what is remembered of q, or what load finds.
func (c *Cache) get(ctx context.Context, q question, load func(context.Context) (value, error)) (value, error) {
	if v, err, ok := c.look(q); ok {
		return v, err
	}
	result := c.flights.DoChan(q.String(), func() (any, error) {
		// Others may wait for the same, and the next message will want it, so
		// that one caller leaves is no reason to stop.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.options.Timeout)
		defer cancel()
		return c.refresh(ctx, q, load)
	})
	var enough <-chan time.Time
	old := c.stale(q)
	if old != nil {
		timer := time.NewTimer(c.options.Patience)
		defer timer.Stop()
		enough = timer.C
	}
	select {
	case r := <-result:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(value), nil
	case <-enough: // the store goes on, and whoever asks next may profit
		return old, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for %s: %w", q, ctx.Err())
	}
}

// String names the question, for people and for what is asked once at a time.
func (q question) String() string {
	if q.versions {
		return "the versions of " + q.Entry.String()
	}
	return q.Entry.String()
}

// look returns what can be served without asking the store.
func (c *Cache) look(q question) (value, error, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	el := c.items[q]
	if el == nil {
		return nil, nil, false
	}
	it, now := el.Value.(*item), c.options.Now()
	c.used.MoveToFront(el)
	age := now.Sub(it.loaded)
	switch {
	case age < 0: // the clock was set back
		return nil, nil, false
	case it.value == nil:
		return nil, it.absent, age < c.options.Negative
	case it.value.Valid(now) != nil:
		return nil, nil, false
	case age < c.options.Lifetime, age < c.options.Stale && now.Before(it.retry):
		return it.value, nil, true
	}
	return nil, nil, false
}

// stale returns what could be served if the store did not answer.
func (c *Cache) stale(q question) value {
	c.mu.Lock()
	defer c.mu.Unlock()
	el := c.items[q]
	if el == nil {
		return nil
	}
	it, now := el.Value.(*item), c.options.Now()
	if age := now.Sub(it.loaded); it.value == nil || age < 0 || age >= c.options.Stale || it.value.Valid(now) != nil {
		return nil
	}
	return it.value
}

// refresh asks the store and remembers the answer. If the store can't answer,
// what is remembered of an earlier answer does for a while.
func (c *Cache) refresh(ctx context.Context, q question, load func(context.Context) (value, error)) (v value, err error) {
	if v, err, ok := c.look(q); ok { // the flight before this one has just landed
		return v, err
	}
	v, err = guarded(ctx, q, load)
	now := c.options.Now()
	if err == nil {
		c.remember(&item{of: q, value: v, loaded: now})
		return v, nil
	}
	if errors.Is(err, keys.ErrNotFound) {
		c.remember(&item{of: q, absent: err, loaded: now})
		return nil, err
	}
	c.mu.Lock()
	el := c.items[q]
	if el == nil || el.Value.(*item).value == nil {
		c.mu.Unlock()
		return nil, err
	}
	it := el.Value.(*item)
	age := now.Sub(it.loaded)
	if age < 0 || age >= c.options.Stale {
		c.mu.Unlock()
		return nil, err
	}
	if bad := it.value.Valid(now); bad != nil {
		c.mu.Unlock()
		return nil, fmt.Errorf("%w (and what is remembered is no longer good: %w)", err, bad)
	}
	first := !it.failing
	it.failing, it.retry, v = true, now.Add(c.options.Retry), it.value
	c.mu.Unlock()
	if first {
		c.options.Changed(q.Entry, fmt.Errorf("%w (what was read %s ago serves on until it is %s old)", err, age.Round(time.Second), c.options.Stale))
	}
	return v, nil
}

// guarded calls load and turns a panic into an error: in a flight it would end
// the process.
func guarded(ctx context.Context, q question, load func(context.Context) (value, error)) (v value, err error) {
	defer func() {
		if p := recover(); p != nil {
			v, err = nil, fmt.Errorf("load %s: panic: %v", q, p)
		}
	}()
	return load(ctx)
}

// remember stores an answer of the store.
func (c *Cache) remember(it *item) {
	c.mu.Lock()
	failing := false
	if el := c.items[it.of]; el != nil {
		failing = el.Value.(*item).failing
		el.Value = it
		c.used.MoveToFront(el)
	} else {
		c.items[it.of] = c.used.PushFront(it)
	}
	for len(c.items) > c.options.MaxEntries {
		last := c.used.Back()
		delete(c.items, c.used.Remove(last).(*item).of)
	}
	c.mu.Unlock()
	if failing {
		c.options.Changed(it.of.Entry, nil)
	}
}
