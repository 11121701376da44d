package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"waxseal/keys"
	"waxseal/milter"
	"waxseal/policies"
	"waxseal/signer"
	"waxseal/signer/pgpmime"
	"waxseal/signer/smime/trust"
)

// maxInspected bounds the body of a message in bytes.
const maxInspected = 256 << 20

// inspectFlags say how a message is looked at.
type inspectFlags struct {
	config             string
	keys, certs, trust []string // files
	from               string
	to                 []string
	at                 string
	json               bool
}

func inspectCommand() *cobra.Command {
	var f inspectFlags
	cmd := &cobra.Command{
		Use:   "inspect [-key FILE] [-anchors FILE] [-config FILE] FILE",
		Short: "Say what is in a signed or encrypted message, layer by layer, and why it is valid or not",
		Long: `Say what is in a signed or encrypted message, layer by layer, and why it is valid
or not: algorithms, signers, chains, verdicts and reasons. FILE is a message; -
is standard input. Nothing is changed, and no text of the message is shown.

Without -config the message is judged by what the other flags name alone. The
exit status is 0 if the message could be looked at, whatever was found.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := cmd.InOrStdin()
			if args[0] != "-" {
				file, err := os.Open(args[0])
				if err != nil {
					return fmt.Errorf("read the message: %w", err)
				}
				defer file.Close()
				in = file
			}
			return inspectMessage(cmd.Context(), f, in, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.config, "config", "", "configuration `FILE`, for its keys, trust anchors and revocation lists")
	flags.StringSliceVar(&f.keys, "key", nil, "`FILE` with a private key to decrypt with: PEM with its certificate, or an OpenPGP key")
	flags.StringSliceVar(&f.certs, "cert", nil, "`FILE` with the OpenPGP certificate of a signer")
	flags.StringSliceVar(&f.trust, "anchors", nil, "`FILE` of PEM certificates that are trusted")
	flags.StringVar(&f.from, "from", "", "`ADDRESS` that the signer should have, in the place of the From field's")
	flags.StringSliceVar(&f.to, "to", nil, "`ADDRESS` whose keys of the configuration are used, in the place of those in the header")
	flags.StringVar(&f.at, "at", "", "`TIME` as of which certificates are judged, \"2026-03-02\" or \"2026-03-02T12:00:00Z\"; now without")
	flags.BoolVar(&f.json, "json", false, "write JSON, for programs")
	return cmd
}

func inspectMessage(ctx context.Context, f inspectFlags, in io.Reader, out, errs io.Writer) error {
	if ctx == nil {
		ctx = context.Background()
	}
	if err := forbidCoreDumps(); err != nil {
		return err
	}
	filter, closer, err := inspectFilter(f, errs)
	if err != nil {
		return err
	}
	defer closer.Close()
	dir, err := os.MkdirTemp("", "waxseal")
	if err != nil {
		return fmt.Errorf("make a spool: %w", err)
	}
	defer os.RemoveAll(dir)
	spools, err := milter.NewSpools(dir, spoolMemory, 16*maxInspected)
	if err != nil {
		return err
	}
	tx := milter.NewTransaction(spools)
	defer tx.Close()
	header, body, err := signer.ReadHeader(in, maxHeader)
	if err != nil {
		return fmt.Errorf("read the message: %w", err)
	}
	if len(header) == 0 {
		return errors.New("read the message: it has no header; is it a message file?")
	}
	tx.Header = header
	switch n, err := io.Copy(tx.Body, io.LimitReader(&crlfReader{r: bufio.NewReader(body)}, maxInspected+1)); {
	case err != nil:
		return fmt.Errorf("read the message: %w", err)
	case n > maxInspected:
		return fmt.Errorf("read the message: it is larger than %d bytes", maxInspected)
	}
	// The store gives its keys to whoever asks.
	tx.Recipients = []string{"inspect@localhost"}
	if store, ok := filter.Keys.(*inspectStore); ok && len(store.addresses) == 0 {
		store.addresses = headerAddresses(header)
	}
	found, err := filter.Inspect(ctx, tx, f.from)
	if filter.Trust.Revocation != nil && err == nil {
		// What was not known has been asked for meanwhile.
		if err = filter.Trust.Revocation.Settle(ctx); err == nil {
			found, err = filter.Inspect(ctx, tx, f.from)
		}
	}
	if f.json {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(found); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	} else if werr := describeInspection(out, found, filter); werr != nil {
		return fmt.Errorf("write: %w", werr)
	}
	if err != nil {
		return fmt.Errorf("not all could be looked at: %w", err)
	}
	return nil
}

// headerAddresses are the addresses that a message says it is for.
func headerAddresses(h signer.Header) []string {
	var all []string
	for _, name := range []string{"To", "Cc", "Delivered-To", "X-Original-To"} {
		for _, field := range h.Fields(name) {
			all = append(all, signer.Addresses(field.Value())...)
		}
	}
	return all[:min(len(all), 50)]
}

// inspectFilter puts a filter together from the flags.
func inspectFilter(f inspectFlags, errs io.Writer) (*milter.Filter, io.Closer, error) {
	store := &inspectStore{addresses: f.to}
	for _, file := range f.keys {
		if err := store.addKey(file); err != nil {
			return nil, nil, err
		}
	}
	for _, file := range f.certs {
		if err := store.addCertificate(file); err != nil {
			return nil, nil, err
		}
	}
	filter := &milter.Filter{Policies: &policies.Set{}, Keyring: &pgpmime.Keyring{}, AuthservID: "inspect", Anchors: trust.Store{}}
	var closer io.Closer = io.NopCloser(nil)
	if f.config != "" {
		s, err := readConfig(f.config)
		if err != nil {
			describe(errs, err)
			return nil, nil, exitRefused
		}
		opened, away, err := openStore(s)
		if err != nil {
			return nil, nil, err
		}
		configured, background, err := openFilter(s, opened, slog.New(slog.DiscardHandler))
		if err != nil {
			describe(errs, err)
			return nil, nil, exitRefused
		}
		filter, store.next = configured, opened
		closer = closeFunc(func() { background.Close(); away.Close() })
	}
	if len(f.trust) > 0 {
		pool, err := trust.ReadPool(f.trust...)
		if err != nil {
			return nil, closer, fmt.Errorf("-anchors: %w", err)
		}
		filter.Anchors["-anchors"] = pool
	}
	filter.Keys = store
	filter.MaxPlain, filter.MaxResult = 4*maxInspected, 0
	if f.at != "" {
		at, err := parseTime(f.at)
		if err != nil {
			return nil, closer, err
		}
		filter.Now = func() time.Time { return at }
	}
	return filter, closer, nil
}

func parseTime(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateTime, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("-at: %q is no time; write it as 2026-03-02 or 2026-03-02T12:00:00Z", text)
}

// inspectStore gives the keys of files, and those of a store for some addresses,
// to whoever asks.
type inspectStore struct {
	keys      []*keys.Key
	certs     []*keys.Certificate
	next      keys.Store // may be nil
	addresses []string
}
