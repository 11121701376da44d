package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"waxseal/cmd/waxseal/keytool"
	"waxseal/keys"
	"waxseal/keys/issue"
	"waxseal/keys/vault"
)

// made says what generate, issue and rotate have stored.
type made struct {
	Entry       string `json:"entry"`
	Version     int    `json:"version"`
	Key         string `json:"key"`
	Algorithm   string `json:"algorithm"`
	Fingerprint string `json:"fingerprint"`
	NotAfter    string `json:"not_after,omitempty"`
	Source      string `json:"source"`
}

// kindFlags say what key is wanted.
type kindFlags struct {
	algorithm, userName, request string
	transit                      bool
	lifetime                     time.Duration
}

func (k *keysTool) generateCommand() *cobra.Command {
	var scheme string
	var kind kindFlags
	cmd := &cobra.Command{
		Use:   "generate ADDRESS",
		Short: "Make a key",
		Long: `Make a key for an address that has none.

One for S/MIME gets a certificate that it signs itself, which is good for a trial.
-request writes a certificate request for it: give that to an authority, and
import what it answers. "waxseal keys issue" does both with Vault's authority.`,
		Args: cobra.ExactArgs(1),
		RunE: k.run(func(args []string) error { return k.generate(args[0], scheme, kind) }),
	}
	cmd.Flags().StringVar(&scheme, "scheme", "smime", "smime or pgp")
	cmd.Flags().StringVar(&kind.algorithm, "algorithm", "", "`ALGORITHM`: "+strings.Join(issue.Algorithms(), ", ")+", for pgp ed25519 too")
	cmd.Flags().StringVar(&kind.userName, "user-name", "", "the owner's `NAME`, for the user id of an OpenPGP key")
	cmd.Flags().StringVar(&kind.request, "request", "", "`FILE` for a certificate request (PKCS #10)")
	cmd.Flags().BoolVar(&kind.transit, "transit", false, "make the key in Transit, where it stays")
	cmd.Flags().DurationVar(&kind.lifetime, "lifetime", 0, "how long it is valid, as in 8760h; a year for smime, without end for pgp")
	return cmd
}

func (k *keysTool) generate(address, scheme string, kind kindFlags) error {
	if scheme != string(keys.SMIME) && scheme != string(keys.PGP) {
		return fmt.Errorf("there is no scheme %q: use smime or pgp", scheme)
	}
	name, err := keys.Name(address)
	if err != nil {
		return err
	}
	e := keys.Entry{Scheme: keys.Scheme(scheme), Name: name, Own: true}
	_, err = k.store.Read(k.ctx, e)
	if err == nil {
		return fmt.Errorf("%s is there already: to replace it, use waxseal keys rotate", e)
	}
	if !errors.Is(err, keys.ErrNotFound) {
		return err
	}
	return k.make(e, kind, 0)
}

// make makes a key in the place of a version, under the lock that other
// programs take for it.
func (k *keysTool) make(e keys.Entry, kind kindFlags, replaces int) error {
	what := keytool.Kind{Algorithm: kind.algorithm, UserName: kind.userName, Lifetime: kind.lifetime}
	if kind.transit {
		v, ok := k.store.(*vault.Store)
		if !ok {
			return errors.New("a directory has no Transit: use a configuration with keys \"vault\"")
		}
		what.Transit = v
	}
	release, err := k.store.Lock(k.ctx, e.Name, 2*time.Minute)
	if err != nil {
		return err
	}
	defer release(context.WithoutCancel(k.ctx)) // it ends by itself
	history, err := k.store.History(k.ctx, e)
	if err != nil && !errors.Is(err, keys.ErrNotFound) {
		return err
	}
	g, err := keytool.Generate(k.ctx, e, what, history, time.Now())
	if err != nil {
		return err
	}
	if kind.request != "" {
		if g.Request == nil {
			return errors.New("-request is for S/MIME")
		}
		if err := os.WriteFile(kind.request, g.Request, 0o644); err != nil {
			return fmt.Errorf("write the certificate request: %w", err)
		}
	}
	if _, err := k.store.Put(k.ctx, e, g.Material, replaces); err != nil {
		return err
	}
	return k.describeMade(e)
}

// describeMade says what there is now.
func (k *keysTool) describeMade(entries ...keys.Entry) error {
	all := []made{}
	var rows [][]string
	for _, e := range entries {
		r, err := k.store.Read(k.ctx, e)
		if err != nil {
			return err
		}
		i := keytool.Describe(r, time.Now())
		all = append(all, made{i.Entry, i.Version, i.Key, i.Algorithm, i.Fingerprint, moment(i.NotAfter), i.Source})
		rows = append(rows, []string{i.Entry, fmt.Sprint(i.Version), i.Key, i.Algorithm, day(i.NotAfter), i.Source})
	}
	return k.table(all, "ENTRY VERSION KEY ALGORITHM UNTIL SOURCE", rows)
}

func (k *keysTool) issueCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "issue ADDRESS...",
		Short: "Make S/MIME keys and have Vault's authority sign their certificates",
		Long: `Make S/MIME keys and have Vault's PKI engine sign their certificates, as the
issue block of the configuration says. Keys that are there already still decrypt.`,
		Args: cobra.MinimumNArgs(1),
		RunE: k.run(k.issue),
	}
}

func (k *keysTool) issue(addresses []string) error {
	issuer, err := openIssuer(k.settings, k.store)
	if err != nil {
		return err
	}
	if issuer == nil {
		return fmt.Errorf("%s: there is no issue block in keys \"vault\", which says what authority signs", k.config)
	}
	var done []keys.Entry
	var errs []error
	for n, a := range addresses {
		k.progress("issue", n+1, len(addresses))
		e, err := issue.Entry(a)
		if err == nil && len(k.settings.Domains) > 0 && !ours(k.settings, e.Name) {
			err = fmt.Errorf("%s is not in one of our domains (%s)", e.Name, strings.Join(k.settings.Domains, ", "))
		}
		if err == nil {
			_, err = issuer.Issue(k.ctx, a)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		done = append(done, e)
	}
	if len(done) > 0 {
		errs = append(errs, k.describeMade(done...))
	}
	return errors.Join(errs...)
}
