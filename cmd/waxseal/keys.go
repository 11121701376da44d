package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"waxseal/cmd/waxseal/keytool"
	"waxseal/keys"
	"waxseal/keys/issue"
	"waxseal/keys/vault"
)

// keysTool is what the commands about keys have in common.
type keysTool struct {
	config string
	json   bool

	ctx       context.Context
	out, errs io.Writer
	in        io.Reader
	settings  *settings
	store     keys.Writer
	closer    io.Closer
}

func keysCommand() *cobra.Command {
	k := &keysTool{}
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Import, make, show, renew and try keys and certificates",
		Long: `Import, make, show, renew and try keys and certificates, in Vault or in a
directory, whichever the configuration names.

An entry is named by its address or domain, and by where it is where that leaves
a choice: smime/alice@example.com and pgp/alice@example.com are our own keys,
recipients/bob@example.org is somebody's certificate. The exit status is 0 if all
went well and 1 if not.`,
		Args: cobra.NoArgs, // a command that there is not
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&k.config, "config", configDefault, "configuration `FILE`")
	cmd.PersistentFlags().BoolVar(&k.json, "json", false, "write JSON, for programs")
	cmd.AddCommand(k.importCommand(), k.listCommand(), k.showCommand(), k.exportCommand(), k.generateCommand(), k.issueCommand(),
		k.rotateCommand(), k.retireCommand(), k.historyCommand(), k.verifyCommand(), k.copyCommand())
	return cmd
}

// run opens the store of the configuration for one command.
func (k *keysTool) run(work func(args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := forbidCoreDumps(); err != nil {
			return err
		}
		if k.ctx = cmd.Context(); k.ctx == nil {
			k.ctx = context.Background()
		}
		k.out, k.errs, k.in = cmd.OutOrStdout(), cmd.ErrOrStderr(), cmd.InOrStdin()
		var err error
		if k.settings, k.store, k.closer, err = openWriter(k.config); err != nil {
			return k.fail(err)
		}
		defer k.closer.Close()
		if err := work(args); err != nil {
			return k.fail(err)
		}
		return nil
	}
}

// fail says all that is wrong.
func (k *keysTool) fail(err error) error {
	var status exitStatus
	if !errors.As(err, &status) {
		fmt.Fprintln(k.errs, err)
	}
	return exitStatus(1)
}

// openWriter opens the key store of a configuration file to write to it.
func openWriter(file string) (*settings, keys.Writer, io.Closer, error) {
	s, err := readConfig(file)
	if err != nil {
		return nil, nil, nil, err
	}
	store, closer, err := openStore(s)
	if err != nil {
		return nil, nil, nil, err
	}
	w, ok := store.(keys.Writer)
	if !ok {
		return nil, nil, nil, errors.Join(fmt.Errorf("the key store %q can't be written to", s.Keys.Store), closer.Close())
	}
	return s, w, closer, nil
}

// openIssuer makes what issues certificates, or nil if the configuration has no
// issue block.
func openIssuer(s *settings, store keys.Store) (*issue.Issuer, error) {
	b := s.Keys.Issue
	v, ok := store.(*vault.Store)
	if b == nil || !ok {
		return nil, nil
	}
	return issue.New(v, issue.Options{
		PKI: b.PKI, Role: b.Role, Transit: b.Key == "transit", Algorithm: b.Algorithm, TTL: s.issueTTL, RenewBefore: s.renewBefore,
	})
}

// emit writes a value as JSON.
func (k *keysTool) emit(v any) error {
	e := json.NewEncoder(k.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// table writes rows under a head, or v as JSON.
func (k *keysTool) table(v any, head string, rows [][]string) error {
	if k.json {
		return k.emit(v)
	}
	w := tabwriter.NewWriter(k.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.ReplaceAll(head, " ", "\t"))
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

// candidates returns the entries that a name may stand for.
func candidates(arg string) ([]keys.Entry, error) {
	folder, name, found := strings.Cut(arg, "/")
	if !found {
		folder, name = "", arg
	}
	name, scheme, _ := strings.Cut(name, " ") // "recipients/bob@example.org (pgp)", as it is printed
	scheme = strings.Trim(scheme, "()")
	name, err := keys.Name(name)
	if err != nil {
		return nil, err
	}
	var out []keys.Entry
	for _, e := range []keys.Entry{
		{Scheme: keys.SMIME, Name: name, Own: true}, {Scheme: keys.PGP, Name: name, Own: true},
		{Scheme: keys.SMIME, Name: name}, {Scheme: keys.PGP, Name: name},
	} {
		where := "recipients"
		if e.Own {
			where = string(e.Scheme)
		}
		if (folder == "" || folder == where) && (scheme == "" || scheme == string(e.Scheme)) {
			out = append(out, e)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%q names no entry: it begins with smime/, pgp/ or recipients/, or has no slash", arg)
	}
	return out, nil
}

// find returns what is stored under a name, in up to four entries.
func (k *keysTool) find(arg string) (found []*keys.Record, err error) {
	all, err := candidates(arg)
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		r, err := k.store.Read(k.ctx, e)
		if errors.Is(err, keys.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found = append(found, r)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: there is no such entry: %w", arg, keys.ErrNotFound)
	}
	return found, nil
}

// findOne is find where one entry alone is meant.
func (k *keysTool) findOne(arg string) (*keys.Record, error) {
	found, err := k.find(arg)
	if err != nil {
		return nil, err
	}
	if len(found) > 1 {
		var names []string
		for _, r := range found {
			names = append(names, fmt.Sprintf("%q", r.Entry))
		}
		return nil, fmt.Errorf("%s is several entries: say which of %s", arg, strings.Join(names, ", "))
	}
	return found[0], nil
}

// progress writes on a terminal how far long work has come.
func (k *keysTool) progress(verb string, n, of int) {
	f, ok := k.errs.(*os.File)
	if !ok || !isTerminal(f) || of < 10 {
		return
	}
	end := ""
	if n == of {
		end = "\n"
	}
	fmt.Fprintf(f, "\r%s %d of %d%s", verb, n, of, end)
}

// day is a time for a table.
func day(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Format(time.DateOnly)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// state says in a word or two how an entry is, for a table.
func state(i keytool.Info, now time.Time) string {
	switch {
	case i.Retired != nil:
		return "retired " + day(i.Retired)
	case i.Problem != "":
		return i.Problem
	case i.NotAfter != nil && i.NotAfter.Before(now.Add(expiresSoon)):
		return fmt.Sprintf("ends in %d days", int(i.NotAfter.Sub(now).Hours()/24))
	}
	return "ok"
}
