package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"waxseal/cmd/waxseal/keytool"
	"waxseal/keys"
)

func (k *keysTool) listCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List all entries",
		Args:  cobra.NoArgs,
		RunE:  k.run(func([]string) error { return k.list() }),
	}
}

func (k *keysTool) list() error {
	entries, err := k.store.List(k.ctx)
	errs := []error{err}
	now := time.Now()
	all := []keytool.Info{}
	var rows [][]string
	for n, e := range entries {
		k.progress("read", n+1, len(entries))
		r, err := k.store.Read(k.ctx, e)
		if errors.Is(err, keys.ErrNotFound) { // since it was listed
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		i := keytool.Describe(r, now)
		all = append(all, i)
		rows = append(rows, []string{i.Entry, orDash(i.Algorithm), orDash(i.Key), day(i.NotAfter), state(i, now)})
	}
	return errors.Join(append(errs, k.table(all, "ENTRY ALGORITHM KEY UNTIL STATE", rows))...)
}

func (k *keysTool) showCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show NAME...",
		Short: "Show all but the secrets of entries",
		Args:  cobra.MinimumNArgs(1),
		RunE:  k.run(k.show),
	}
}

func (k *keysTool) show(args []string) error {
	now := time.Now()
	all := []keytool.Info{}
	for _, arg := range args {
		found, err := k.find(arg)
		if err != nil {
			return err
		}
		for _, r := range found {
			all = append(all, keytool.Describe(r, now))
		}
	}
	if k.json {
		return k.emit(all)
	}
	for n, i := range all {
		if n > 0 {
			fmt.Fprintln(k.out)
		}
		w := tabwriter.NewWriter(k.out, 0, 0, 2, ' ', 0)
		for _, line := range [][2]string{
			{"entry", i.Entry}, {"version", strconv.Itoa(i.Version)}, {"stored", moment(i.Created)}, {"source", i.Source},
			{"private key", i.Key}, {"algorithm", i.Algorithm}, {"addresses", strings.Join(i.Addresses, ", ")},
			{"subject", i.Subject}, {"issuer", i.Issuer}, {"serial", i.Serial}, {"fingerprint", i.Fingerprint},
			{"from", moment(i.NotBefore)}, {"until", moment(i.NotAfter)}, {"state", state(i, now)},
		} {
			if line[1] != "" {
				fmt.Fprintf(w, "%s\t%s\n", line[0], line[1])
			}
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}

func moment(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.Format("2006-01-02 15:04 UTC")
}

func (k *keysTool) historyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "history NAME",
		Short: "List the versions of our own keys, retired ones too: all of them decrypt",
		Args:  cobra.ExactArgs(1),
		RunE:  k.run(func(args []string) error { return k.history(args[0]) }),
	}
}

func (k *keysTool) history(arg string) error {
	entries, err := candidates(arg)
	if err != nil {
		return err
	}
	now := time.Now()
	all := []keytool.Info{}
	var rows [][]string
	for _, e := range entries {
		records, err := k.store.History(k.ctx, e)
		if errors.Is(err, keys.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		for _, r := range records {
			i := keytool.Describe(r, now)
			all = append(all, i)
			rows = append(rows, []string{i.Entry, strconv.Itoa(i.Version), day(i.Created), orDash(i.Algorithm), orDash(i.Key),
				day(i.NotAfter), state(i, now), orDash(i.Source)})
		}
	}
	if len(all) == 0 {
		return fmt.Errorf("%s: there is no such entry: %w", arg, keys.ErrNotFound)
	}
	return k.table(all, "ENTRY VERSION STORED ALGORITHM KEY UNTIL STATE SOURCE", rows)
}
