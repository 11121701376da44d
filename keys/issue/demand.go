package issue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"waxseal/keys"
	"waxseal/keys/vault"
)

// An address that got no certificate is not tried again for a while, as every try
// may cost Vault a key and a signature: refusedPause after it was refused,
// failedPause after anything else.
const (
	refusedPause = time.Minute
	failedPause  = 5 * time.Second
)

// patience is how long a message waits for its certificate. Another daemon may
// have died with the lock in its hand: then the message is better deferred than
// kept waiting until the lock ends.
const patience = 30 * time.Second

// maxFailures bounds how many addresses are remembered for that.
const maxFailures = 10000

type failure struct {
	err error
	at  time.Time
}

// Ensure sees to it that an address has a key: it issues a certificate if there
// is none, or waits while another program does so. However many ask, here and
// elsewhere, it is issued once. It is not issued for an entry that was retired.
//
// The error wraps keys.ErrNotFound if there is no key and will be none; every
// other one is temporary.
func (i *Issuer) Ensure(ctx context.Context, address string) error {
	e, err := Entry(address)
	if err != nil {
		return err
	}
	if err := i.remembered(e.Name); err != nil {
		return err
	}
	result := i.flights.DoChan(e.Name, func() (any, error) {
		// Others may wait for the same: that one of them leaves is no reason to stop.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lockTime)
		defer cancel()
		err := i.ensure(ctx, e)
		if err != nil {
			i.remember(e.Name, err)
		}
		return nil, err
	})
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case r := <-result:
		return r.Err
	case <-waiting.Done():
		return fmt.Errorf("wait for the certificate of %s: %w", e.Name, waiting.Err())
	}
}

func (i *Issuer) ensure(ctx context.Context, e keys.Entry) (err error) {
	defer func() { // in a flight it would end the process
		if p := recover(); p != nil {
			err = fmt.Errorf("issue a certificate for %s: panic: %v", e.Name, p)
		}
	}()
	for {
		if there, err := i.there(ctx, e); there || err != nil {
			return err
		}
		release, err := i.store.Lock(ctx, e.Name, lockTime)
		if err == nil {
			defer i.release(ctx, release)
			break
		}
		if !errors.Is(err, keys.ErrLocked) {
			return fmt.Errorf("issue a certificate for %s: %w", e.Name, err)
		}
		select { // somebody else is at it
		case <-time.After(200*time.Millisecond + rand.N(200*time.Millisecond)):
		case <-ctx.Done():
			return fmt.Errorf("wait for the certificate of %s: %w", e.Name, ctx.Err())
		}
	}
	if there, err := i.there(ctx, e); there || err != nil {
		return err
	}
	_, err = i.issue(ctx, e)
	switch {
	case errors.Is(err, keys.ErrConflict): // somebody has stored one by hand
		return nil
	case errors.Is(err, vault.ErrRefused):
		return fmt.Errorf("%w: %w", err, keys.ErrNotFound)
	}
	return err
}

// there says whether an entry has a key. The error wraps keys.ErrNotFound if it
// had one that was retired.
func (i *Issuer) there(ctx context.Context, e keys.Entry) (bool, error) {
	_, err := i.store.Read(ctx, e)
	if err == nil || !errors.Is(err, keys.ErrNotFound) {
		return err == nil, err
	}
	history, err := i.store.History(ctx, e)
	switch {
	case errors.Is(err, keys.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	case !history[0].Retired.IsZero():
		return false, fmt.Errorf("%s was retired: to give it a key again, use waxseal keys issue: %w", e, keys.ErrNotFound)
	}
	return false, nil
}

func (i *Issuer) remembered(name string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	f, ok := i.failed[name]
	if !ok {
		return nil
	}
	pause := failedPause
	if errors.Is(f.err, keys.ErrNotFound) {
		pause = refusedPause
	}
	if age := i.options.Now().Sub(f.at); age < 0 || age >= pause {
		delete(i.failed, name)
		return nil
	}
	return fmt.Errorf("%w (tried less than %s ago)", f.err, pause)
}

func (i *Issuer) remember(name string, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.failed) >= maxFailures {
		clear(i.failed)
	}
	i.failed[name] = failure{err, i.options.Now()}
}
