package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"waxseal/cmd/waxseal/keytool"
	"waxseal/keys"
)

func (k *keysTool) rotateCommand() *cobra.Command {
	var kind kindFlags
	cmd := &cobra.Command{
		Use:   "rotate NAME",
		Short: "Replace one of our own keys by a new one; the old one still decrypts",
		Long: `Replace one of our own keys by a new one, which signs from now on. The old one
still decrypts.

A certificate that Vault's authority has signed is issued anew, where the
configuration has an issue block. An OpenPGP key, and a certificate that its own
key has signed, are made anew, of the same kind unless told otherwise. For a
certificate of another authority, make a request with the key's own tools and
import the answer.`,
		Args: cobra.ExactArgs(1),
		RunE: k.run(func(args []string) error { return k.rotate(args[0], kind) }),
	}
	cmd.Flags().StringVar(&kind.algorithm, "algorithm", "", "`ALGORITHM` of the new key, if that is to be another one")
	cmd.Flags().StringVar(&kind.userName, "user-name", "", "the owner's `NAME`, for the user id of an OpenPGP key")
	cmd.Flags().StringVar(&kind.request, "request", "", "`FILE` for a certificate request (PKCS #10)")
	cmd.Flags().DurationVar(&kind.lifetime, "lifetime", 0, "how long the new key is valid")
	return cmd
}

func (k *keysTool) rotate(arg string, kind kindFlags) error {
	r, err := k.findOne(arg)
	if err != nil {
		return err
	}
	if !r.Own {
		return fmt.Errorf("%s is somebody else's: import the new certificate", r.Entry)
	}
	i := keytool.Describe(r, time.Now())
	if strings.HasPrefix(r.Source, "issued by ") && kind == (kindFlags{}) {
		return k.issue([]string{r.Name})
	}
	if r.Scheme == keys.SMIME && i.Subject != i.Issuer {
		return errors.New("an authority has signed the certificate of " + r.Entry.String() +
			": have it sign a new one and import that, or use waxseal keys issue")
	}
	kind.transit = r.TransitKey != ""
	if kind.algorithm == "" {
		kind.algorithm = algorithmOf(i.Algorithm)
	}
	return k.make(r.Entry, kind, r.Version)
}

// algorithmOf turns what Describe says into what Generate wants.
func algorithmOf(word string) string {
	if bits, ok := strings.CutPrefix(word, "rsa"); ok {
		return "rsa-" + bits
	}
	return word
}

func (k *keysTool) retireCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "retire NAME...",
		Short: "Take entries out of use",
		Long: `Take entries out of use. One of our own keys still decrypts, and signs no more.
Somebody's certificate is gone.`,
		Args: cobra.MinimumNArgs(1),
		RunE: k.run(func(args []string) error { return k.retire(args, yes) }),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it; without, it is only said what would be done")
	return cmd
}

// retired is a line of what retire says.
type retired struct {
	Entry string `json:"entry"`
	Done  string `json:"done"`
}

func (k *keysTool) retire(args []string, yes bool) error {
	var records []*keys.Record
	for _, arg := range args {
		r, err := k.findOne(arg)
		if err != nil {
			return err
		}
		records = append(records, r)
	}
	all := []retired{}
	var rows [][]string
	var errs []error
	for _, r := range records {
		done := "retired"
		if !yes {
			done = "would be retired"
		} else if err := k.store.Retire(k.ctx, r.Entry, r.Version); err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, retired{r.Entry.String(), done})
		rows = append(rows, []string{r.Entry.String(), done})
	}
	errs = append(errs, k.table(all, "ENTRY DONE", rows))
	if !yes {
		errs = append(errs, errors.New("nothing was done: a retired key can't be brought back but by another import; say -yes"))
	}
	return errors.Join(errs...)
}
