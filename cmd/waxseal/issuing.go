package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"waxseal/keys"
	"waxseal/keys/cache"
	"waxseal/keys/issue"
	"waxseal/milter"
	"waxseal/policies"
)

// checkIssuing says of policies that want certificates issued on demand why that
// can't be done.
func checkIssuing(s *settings, set *policies.Set) error {
	var errs []error
	for _, p := range set.Policies() {
		switch {
		case !p.IssueOnDemand:
		case s.Keys.Issue == nil:
			errs = append(errs, fmt.Errorf("%s:%d: policy %q has issue_on_demand, and %s has no issue block in keys \"vault\": add one", p.File, p.Line, p.Name, s.file))
		case len(s.Domains) == 0:
			errs = append(errs, fmt.Errorf("%s:%d: policy %q has issue_on_demand, and %s has no domains: certificates are issued in our own domains only", p.File, p.Line, p.Name, s.file))
		}
	}
	return errors.Join(errs...)
}

// startIssuing has certificates issued for messages that need them, and renewed
// before they end. The closer ends it.
func startIssuing(s *settings, store keys.Store, cache *cache.Cache, filter *milter.Filter, log *slog.Logger) (io.Closer, error) {
	if err := checkIssuing(s, filter.Policies); err != nil {
		return nil, err
	}
	issuer, err := openIssuer(s, store)
	if err != nil {
		return nil, err
	}
	if issuer == nil {
		return io.NopCloser(nil), nil
	}
	filter.Issue = func(ctx context.Context, address string) error {
		e, err := issue.Entry(address)
		if err != nil {
			return err
		}
		if !ours(s, e.Name) {
			return fmt.Errorf("%s is not in one of our domains: %w", e.Name, keys.ErrNotFound)
		}
		if err := issuer.Ensure(ctx, address); err != nil {
			log.Warn("no certificate on demand", "entry", e.String(), "error", err)
			return err
		}
		cache.Forget(e)
		log.Info("certificate on demand", "entry", e.String())
		return nil
	}
	ctx, stop := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { renew(ctx, issuer, cache, log) })
	return closeFunc(func() {
		stop()
		done.Wait()
	}), nil
}

// renew renews certificates until the context ends. Several daemons begin at
// different times, so that they don't all look at once.
func renew(ctx context.Context, issuer *issue.Issuer, cache *cache.Cache, log *slog.Logger) {
	every := issuer.Every()
	failing := false
	for wait := rand.N(min(every, time.Minute)); ; wait = every*3/4 + rand.N(every/2) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		renewed, err := issuer.Renew(ctx)
		for _, e := range renewed {
			cache.Forget(e)
			log.Info("certificate renewed", "entry", e.String())
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			log.Warn("certificates can't be renewed", "error", err)
		case err == nil && failing:
			log.Info("certificates can be renewed again")
		}
		failing = err != nil
	}
}
