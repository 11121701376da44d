package issue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"waxseal/keys"
)

// Renew issues new certificates in the place of those that this issuer's role
// has signed and that end soon, with new keys. The old keys still decrypt. What
// another program is at already is left to it. It returns what has been renewed,
// also together with an error about the others.
func (i *Issuer) Renew(ctx context.Context) (renewed []keys.Entry, err error) {
	entries, err := i.store.List(ctx)
	errs := []error{err}
	for _, e := range entries {
		if !e.Own || e.Scheme != keys.SMIME {
			continue
		}
		done, err := i.renew(ctx, e)
		if done {
			renewed = append(renewed, e)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("renew %s: %w", e, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return renewed, errors.Join(errs...)
}

func (i *Issuer) renew(ctx context.Context, e keys.Entry) (bool, error) {
	if due, err := i.due(ctx, e); !due || err != nil {
		return false, err
	}
	release, err := i.store.Lock(ctx, e.Name, lockTime)
	if errors.Is(err, keys.ErrLocked) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer i.release(ctx, release)
	if due, err := i.due(ctx, e); !due || err != nil { // somebody else was quicker
		return false, err
	}
	if _, err := i.issue(ctx, e); err != nil {
		return false, err
	}
	return true, nil
}

// due says whether the certificate of an entry is one of ours and ends soon.
func (i *Issuer) due(ctx context.Context, e keys.Entry) (bool, error) {
	r, err := i.store.Read(ctx, e)
	if errors.Is(err, keys.ErrNotFound) || err == nil && r.Source != i.source() {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	c, err := leaf(r.Certificate)
	if err != nil {
		return false, err
	}
	before := min(i.options.RenewBefore, c.NotAfter.Sub(c.NotBefore)*2/3)
	return !i.options.Now().Before(c.NotAfter.Add(-before)), nil
}

// Every is how often Renew should be called: often enough for an end that is
// RenewBefore away, and once an hour at least.
func (i *Issuer) Every() time.Duration {
	return min(max(i.options.RenewBefore/24, time.Second), time.Hour)
}
