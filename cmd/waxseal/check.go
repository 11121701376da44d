package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"waxseal/keys"
	"waxseal/milter"
	"waxseal/policies"
	"waxseal/signer/pgpmime"
)

// expiresSoon is how long before the end of a key check warns of it.
const expiresSoon = 30 * 24 * time.Hour

func checkCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Load the configuration, the policies and every key, and say what is wrong with them",
		Long: `Load the configuration, the policies and every key, and say what is wrong.

Errors, all at once, each with file, line, column and a hint, make the exit
status 1. Warnings, such as certificates that expire soon, do not.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return check(cmd.Context(), file, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&file, "config", configDefault, "configuration `FILE`")
	return cmd
}

func check(ctx context.Context, file string, out, errs io.Writer) error {
	if ctx == nil {
		ctx = context.Background()
	}
	s, configErr := readConfig(file)
	if configErr != nil {
		describe(errs, configErr)
	}
	if s == nil {
		return exitStatus(1)
	}
	set, policyErr := policies.Load(s.Policies)
	if policyErr != nil {
		describe(errs, policyErr)
	}
	var trustErr error
	if policyErr == nil {
		var background io.Closer
		background, trustErr = openTrust(s, &milter.Filter{Policies: set}, slog.New(slog.DiscardHandler))
		defer background.Close()
		if trustErr != nil {
			describe(errs, trustErr)
		}
	}
	if configErr != nil {
		return exitStatus(1) // the key store can't be relied on
	}
	warnings, keyErr := checkKeys(ctx, s, set)
	if keyErr != nil {
		describe(errs, keyErr)
	}
	if set != nil {
		warnings = append(warnings, verifiesWithoutAnchors(s, set)...)
		if err := checkIssuing(s, set); err != nil {
			describe(errs, err)
			return exitStatus(1)
		}
	}
	for _, w := range warnings {
		fmt.Fprintln(errs, "warning:", w)
	}
	if policyErr != nil || keyErr != nil || trustErr != nil {
		return exitStatus(1)
	}
	fmt.Fprintf(out, "%s is good: %d policies, %d warnings\n", file, len(set.Policies()), len(warnings))
	return nil
}

// checkKeys loads every entry of the store.
func checkKeys(ctx context.Context, s *settings, set *policies.Set) (warnings []string, err error) {
	store, closer, err := openStore(s)
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	entries, err := store.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the key store: %w", err)
	}
	var errs []error
	keyring := s.keyring()
	now := time.Now()
	have := map[keys.Entry]bool{}
	for _, e := range entries {
		have[e] = true
		notes, err := checkEntry(ctx, store, keyring, e, now)
		warnings = append(warnings, notes...)
		if err != nil {
			errs = append(errs, err)
		}
		if e.Own && len(s.Domains) > 0 && !ours(s, e.Name) {
			warnings = append(warnings, fmt.Sprintf("%s: not in one of our domains (%s)", e, strings.Join(s.Domains, ", ")))
		}
	}
	if set != nil {
		warnings = append(warnings, missingEntries(set, have)...)
	}
	return warnings, errors.Join(errs...)
}

func checkEntry(ctx context.Context, store keys.Store, keyring *pgpmime.Keyring, e keys.Entry, now time.Time) (warnings []string, err error) {
	if !e.Own {
		c, err := store.Certificate(ctx, e.Scheme, e.Name)
		if err != nil {
			return nil, err
		}
		if e.Scheme == keys.PGP {
			parsed, err := keyring.Certificate(c.Name, c.OpenPGP)
			if err == nil {
				err = parsed.CheckEncrypt(now)
			}
			if err != nil {
				return c.Warnings(now), fmt.Errorf("%s: %w", e, err)
			}
			return append(c.Warnings(now), openpgpWarnings(e, parsed, parsed.NotAfter(now), now)...), nil
		}
		return c.Warnings(now), c.Valid(now)
	}
	k, err := store.Key(ctx, e.Scheme, e.Name)
	if err != nil {
		return nil, err
	}
	if e.Scheme == keys.PGP {
		parsed, err := keyring.Key(k.Name, k.OpenPGP, k.Signer)
		if err == nil {
			err = parsed.CheckSign(now)
		}
		if err != nil {
			return k.Warnings(now), fmt.Errorf("%s: %w", e, err)
		}
		return append(k.Warnings(now), openpgpWarnings(e, parsed.Certificate(), parsed.NotAfter(now), now)...), nil
	}
	return k.Warnings(now), k.Valid(now)
}

// missingEntries warns of entries that a policy names and the store has not.
func missingEntries(set *policies.Set, have map[keys.Entry]bool) []string {
	var warnings []string
	for _, p := range set.Policies() {
		if p.Sign == nil {
			continue
		}
		switch p.Sign.Key {
		case "", "address", "domain", "any":
			continue
		}
		name, err := keys.Name(p.Sign.Key)
		found := false
		for _, scheme := range []keys.Scheme{keys.SMIME, keys.PGP} {
			found = found || have[keys.Entry{Scheme: scheme, Name: name, Own: true}]
		}
		if err != nil || !found {
			warnings = append(warnings, fmt.Sprintf("%s:%d: policy %q signs with the key %q, which the store does not have",
				p.File, p.Line, p.Name, p.Sign.Key))
		}
	}
	return warnings
}

// openpgpWarnings are what keys.Key.Warnings says of an S/MIME key, for an
// OpenPGP one.
func openpgpWarnings(e keys.Entry, c *pgpmime.Certificate, end, now time.Time) []string {
	var warnings []string
	if !end.IsZero() && end.Before(now.Add(expiresSoon)) {
		warnings = append(warnings, fmt.Sprintf("%s: expires on %s; renew it", e, end.UTC().Format(time.DateOnly)))
	}
	if err := c.CheckUserID(now); err != nil {
		warnings = append(warnings, fmt.Sprintf("%s: %v", e, err))
	}
	if e.Own && c.NeedsRFC9580() {
		warnings = append(warnings, fmt.Sprintf("%s: this kind of key is one of RFC 9580: gpg and many other programs can't verify what it signs; a key of version 4 with RSA, ECDSA or Ed25519 in its older form is read by all", e))
	}
	return warnings
}

// ours reports whether an entry's name lies in one of our domains.
func ours(s *settings, name string) bool {
	domain := name[strings.LastIndexByte(name, '@')+1:]
	for _, d := range s.Domains {
		d, err := keys.Domain(d)
		if err == nil && (domain == d || strings.HasSuffix(domain, "."+d)) {
			return true
		}
	}
	return false
}
