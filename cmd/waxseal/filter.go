package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"waxseal/milter"
	"waxseal/policies"
	"waxseal/signer"
)

// Exit statuses of the filter command; 75 is EX_TEMPFAIL of sysexits.h.
const (
	exitRefused  = exitStatus(1)
	exitDeferred = exitStatus(75)
)

// maxHeader bounds the header of a message file in bytes, as the daemon does.
const maxHeader = 1 << 20

// envelope is what the MTA would tell about a message.
type envelope struct {
	from, login, client string
	to                  []string
}

func filterCommand() *cobra.Command {
	var file string
	var e envelope
	cmd := &cobra.Command{
		Use:   "filter -from ADDRESS -to ADDRESS[,ADDRESS...] <message >result",
		Short: "Run one message through the whole filter, without an MTA",
		Long: `Run one message from standard input through the whole filter, without an MTA.

The result goes to standard output, the decision with its reasons and the report
to standard error. The exit status is 0 for a message that is accepted, 1 for
one that is refused, 75 for one that is deferred.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return filterMessage(cmd.Context(), file, e, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&file, "config", configDefault, "configuration `FILE`")
	cmd.Flags().StringVar(&e.from, "from", "", "envelope sender `ADDRESS`, empty for a bounce")
	cmd.Flags().StringSliceVar(&e.to, "to", nil, "envelope recipient `ADDRESS`; several with commas, or the flag repeated")
	cmd.Flags().StringVar(&e.login, "auth", "", "`LOGIN` of the client; empty for a client that has not logged in")
	cmd.Flags().StringVar(&e.client, "client", "127.0.0.1", "`ADDRESS` of the client")
	return cmd
}

func filterMessage(ctx context.Context, file string, e envelope, in io.Reader, out, errs io.Writer) error {
	if ctx == nil {
		ctx = context.Background()
	}
	if len(e.to) == 0 {
		return fmt.Errorf("no recipient; give -to ADDRESS")
	}
	if err := forbidCoreDumps(); err != nil {
		return err
	}
	s, err := readConfig(file)
	if err != nil {
		describe(errs, err)
		return exitRefused
	}
	store, closer, err := openStore(s)
	if err != nil {
		fmt.Fprintln(errs, "waxseal:", err)
		return exitDeferred
	}
	defer closer.Close()
	filter, background, err := openFilter(s, store, slog.New(slog.DiscardHandler))
	if err != nil {
		describe(errs, err)
		return exitRefused
	}
	defer background.Close()
	dir, err := os.MkdirTemp("", "waxseal")
	if err != nil {
		return fmt.Errorf("make a spool: %w", err)
	}
	defer os.RemoveAll(dir)
	spools, err := milter.NewSpools(dir, spoolMemory, s.spoolLimit)
	if err != nil {
		return err
	}
	tx, tooLarge, err := readTransaction(s, spools, e, in)
	if errors.Is(err, milter.ErrSpoolFull) {
		fmt.Fprintln(errs, "waxseal:", err)
		return exitDeferred
	}
	if err != nil {
		return err
	}
	defer tx.Close()
	if tooLarge != nil {
		describeOutcome(errs, &milter.Outcome{Action: policies.Reject, Reply: tooLarge.Reply(tx.ID, "")})
		return exitRefused
	}
	outcome, err := filter.Apply(ctx, tx)
	if err != nil {
		return err
	}
	describeOutcome(errs, outcome)
	switch outcome.Action {
	case policies.Reject:
		return exitRefused
	case policies.Tempfail:
		return exitDeferred
	case policies.Discard:
		return nil
	}
	return writeResult(out, tx, outcome)
}

// readTransaction reads a message file as an MTA would hand it over. What is too
// large is refused as the daemon refuses it, and for the same cause.
func readTransaction(s *settings, spools *milter.Spools, e envelope, in io.Reader) (tx *milter.Transaction, tooLarge *milter.Cause, err error) {
	tx = milter.NewTransaction(spools)
	tx.Sender, tx.Login = strings.Trim(e.from, "<>"), e.login
	for _, to := range e.to {
		tx.Recipients = append(tx.Recipients, strings.Trim(strings.TrimSpace(to), "<>"))
	}
	if e.client != "" {
		client, err := netip.ParseAddr(e.client)
		if err != nil {
			return nil, nil, fmt.Errorf("-client: %w", err)
		}
		tx.Client = client
	}
	header, body, err := signer.ReadHeader(in, maxHeader)
	if errors.Is(err, signer.ErrHeaderTooLarge) {
		return tx, &milter.CauseHeaderTooLarge, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the message: %w", err)
	}
	tx.Header = header
	n, err := io.Copy(tx.Body, io.LimitReader(&crlfReader{r: bufio.NewReader(body)}, s.maxMessage+1))
	if err != nil {
		return nil, nil, fmt.Errorf("read the message: %w", err)
	}
	if n > s.maxMessage {
		return tx, &milter.CauseTooLarge, nil
	}
	return tx, nil, nil
}

// describeOutcome writes the decision with its reasons, then the report.
func describeOutcome(w io.Writer, o *milter.Outcome) {
	for _, d := range o.Decisions {
		name := "none"
		if d.Policy != nil {
			name = fmt.Sprintf("%s (%s:%d)", d.Policy.Name, d.Policy.File, d.Policy.Line)
		}
		fmt.Fprintf(w, "recipient %s: policy %s\n", d.Recipient, name)
		for _, why := range d.Why {
			if why.Failed == "" {
				fmt.Fprintf(w, "  %s: matches\n", why.Policy)
			} else {
				fmt.Fprintf(w, "  %s: %s\n", why.Policy, why.Failed)
			}
		}
	}
	fmt.Fprintf(w, "action: %s\n", o.Action)
	if o.Reply.Code != 0 {
		fmt.Fprintf(w, "reply: %s\n", o.Reply)
	}
	for _, a := range o.Log {
		fmt.Fprintf(w, "%s: %s\n", a.Key, a.Value)
	}
	for _, e := range o.Edits {
		if e.Kind == milter.Insert && (e.Name == milter.ReportName || e.Name == milter.AuthresName) {
			fmt.Fprintf(w, "%s: %s\n", e.Name, strings.ReplaceAll(e.Value, "\r\n", ""))
		}
	}
}

// writeResult writes the message as the MTA would send it on.
func writeResult(w io.Writer, tx *milter.Transaction, o *milter.Outcome) error {
	for _, f := range milter.EditedHeader(tx.Header, o.Edits) {
		if _, err := w.Write(f.Raw); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(w, "\r\n"); err != nil {
		return err
	}
	var body signer.Content = tx.Body
	if o.Body != nil {
		body = o.Body
	}
	_, err := body.WriteTo(w)
	return err
}
