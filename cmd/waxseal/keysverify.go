package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"waxseal/cmd/waxseal/keytool"
	"waxseal/keys"
)

// tried is a line of what verify says.
type tried struct {
	Entry    string   `json:"entry"`
	Sign     string   `json:"sign"`
	Encrypt  string   `json:"encrypt"`
	Decrypt  string   `json:"decrypt"`
	Versions int      `json:"versions,omitempty"`
	Error    string   `json:"error,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

func (k *keysTool) verifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify [NAME...]",
		Short: "Try keys: sign, verify, encrypt and decrypt a probe with each",
		Long: `Try all keys, or those named: sign a text and verify it, encrypt it to the
certificate and decrypt it, with older versions too. The exit status is 1 if one
does not work.`,
		RunE: k.run(k.verify),
	}
}

func (k *keysTool) verify(args []string) error {
	entries, err := k.selected(args)
	errs := []error{err}
	all := []tried{}
	var rows [][]string
	for n, e := range entries {
		k.progress("try", n+1, len(entries))
		t := keytool.Try(k.ctx, k.store, e, time.Now())
		line := tried{Entry: e.String(), Sign: t.Sign, Encrypt: t.Encrypt, Decrypt: t.Decrypt, Versions: t.Versions, Warnings: t.Warnings}
		if t.Err != nil {
			line.Error = strings.ReplaceAll(t.Err.Error(), "\n", "; ")
			errs = append(errs, t.Err)
		}
		versions := "-"
		if e.Own {
			versions = strconv.Itoa(t.Versions)
		}
		all = append(all, line)
		rows = append(rows, []string{line.Entry, line.Sign, line.Encrypt, line.Decrypt, versions})
		for _, w := range t.Warnings {
			fmt.Fprintln(k.errs, "warning:", w)
		}
	}
	return errors.Join(append(errs, k.table(all, "ENTRY SIGN ENCRYPT DECRYPT VERSIONS", rows))...)
}

// selected returns the entries that are named, or all.
func (k *keysTool) selected(args []string) (entries []keys.Entry, err error) {
	if len(args) == 0 {
		return k.store.List(k.ctx)
	}
	for _, arg := range args {
		found, err := k.find(arg)
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			entries = append(entries, r.Entry)
		}
	}
	return entries, nil
}

// copied is a line of what copy says.
type copied struct {
	Entry   string `json:"entry"`
	Version int    `json:"version,omitempty"`
	Left    int    `json:"left_out,omitempty"`
	Done    string `json:"done"`
	Error   string `json:"error,omitempty"`
}

func (k *keysTool) copyCommand() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:   "copy -config FROM -to-config TO [NAME...]",
		Short: "Copy entries, with their older versions, to the store of another configuration",
		Long: `Copy all entries, or those named, with their older versions, to the store of
another configuration: from a directory into Vault, or the other way. Nothing
that is there is overwritten. A key in Transit can't be copied.`,
		RunE: k.run(func(args []string) error { return k.copy(to, args) }),
	}
	cmd.Flags().StringVar(&to, "to-config", "", "configuration `FILE` of the other store")
	cmd.MarkFlagRequired("to-config")
	return cmd
}

func (k *keysTool) copy(file string, args []string) error {
	entries, err := k.selected(args)
	if err != nil {
		return err
	}
	_, to, closer, err := openWriter(file)
	if err != nil {
		return err
	}
	defer closer.Close()
	all := []copied{}
	var rows [][]string
	var errs []error
	for n, e := range entries {
		k.progress("copy", n+1, len(entries))
		done, left, err := keytool.Copy(k.ctx, k.store, to, e)
		line := copied{Entry: e.String(), Version: done.Version, Left: left, Done: done.Done}
		if err != nil {
			line.Done, line.Error = "refused", strings.ReplaceAll(err.Error(), "\n", "; ")
			errs = append(errs, err)
		}
		all = append(all, line)
		rows = append(rows, []string{line.Entry, strconv.Itoa(line.Version), line.Done})
	}
	return errors.Join(append(errs, k.table(all, "ENTRY VERSION DONE", rows))...)
}
