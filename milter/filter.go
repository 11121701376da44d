package milter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"waxseal/keys"
	"waxseal/policies"
	"waxseal/signer"
	"waxseal/signer/pgpmime"
	"waxseal/signer/smime/trust"
)

// Filter decides what happens to a message and does it. It has no socket: the
// session, the offline filter command and the tests all call Apply. Its fields
// are set before the first call and not changed afterwards; Apply may be
// called from several goroutines at once.
type Filter struct {
	Policies *policies.Set
	Keys     keys.Store
	// Keyring remembers parsed OpenPGP keys.
	Keyring *pgpmime.Keyring
	// AuthservID names this system in reports (RFC 8601, Section 2.5).
	AuthservID string
	// Internal are the networks whose clients need not log in to be internal.
	Internal []netip.Prefix
	// Anchors are the trust anchors by their names in the configuration, Trust
	// all else that certificates of incoming mail are judged by.
	Anchors trust.Store
	Trust   trust.Validator
	// MaxPlain is the largest text in bytes that a message is decrypted to, 0
	// for 256 MiB.
	MaxPlain int64
	// MaxResult is the largest message in bytes that the MTA takes back, 0 for
	// no limit.
	MaxResult int64
	// Issue, if not nil, gives an originator of ours an S/MIME key, or returns nil
	// if there is one meanwhile. Its error wraps keys.ErrNotFound if there will be
	// none. It is called for policies with IssueOnDemand.
	Issue func(ctx context.Context, address string) error
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// refusal is the error of a message that does not pass as it should.
type refusal struct {
	action policies.Action
	cause  Cause
	// detail is for the client, err for the log.
	detail string
	err    error
}

func (r *refusal) Error() string {
	switch {
	case r.err != nil:
		return r.err.Error()
	case r.detail != "":
		return r.detail
	}
	return r.cause.Text
}

func (r *refusal) Unwrap() error { return r.err }

func reject(cause Cause, detail string) *refusal {
	return &refusal{action: policies.Reject, cause: cause, detail: detail}
}

func tempfail(cause Cause, err error) *refusal {
	return &refusal{action: policies.Tempfail, cause: cause, err: err}
}

// Apply computes the outcome of one message: the policy of each recipient, the
// keys that these policies name, the protected message, the report. It changes
// nothing but the transaction's own spools. The error is nil unless the filter
// itself is at fault, and then the message must be deferred.
func (f *Filter) Apply(ctx context.Context, tx *Transaction) (*Outcome, error) {
	facts := f.facts(tx)
	decisions := f.Policies.Decide(facts)
	out, err := f.apply(ctx, tx, facts, decisions)
	if err != nil {
		var r *refusal
		if !errors.As(err, &r) {
			r = tempfail(CauseInternal, err)
		}
		out = refused(tx, r)
	}
	out.Decisions = decisions
	out.Log = append([]slog.Attr{slog.String("policy", policyNames(decisions))}, out.Log...)
	return out, nil
}

func (f *Filter) apply(ctx context.Context, tx *Transaction, facts policies.Facts, decisions []policies.Decision) (*Outcome, error) {
	groups := groupByPolicy(decisions)
	header := newRewrite(tx.Header)
	header.delete(func(field signer.Field) bool { return isReport(field) || claimsAuthserv(field, f.AuthservID) })
	if g := f.newGateway(groups); g != nil {
		return f.incoming(ctx, tx, g, header)
	}
	for _, g := range groups {
		if g.policy != nil && g.policy.RequireLoginMatch && !g.policy.LoginMatches(facts) {
			return nil, reject(CauseLogin, "")
		}
	}
	protection, err := inspect(tx, groups)
	if err != nil {
		return nil, err
	}
	t, err := f.resolve(ctx, facts, groups, protection, visibleRecipients(tx.Header, tx.Recipients))
	if err != nil {
		return nil, err
	}
	out := &Outcome{Action: policies.Accept}
	if t.hold != nil {
		out.Action = t.hold.action
		out.Reply = t.hold.cause.Reply(tx.ID, t.hold.detail)
		out.Log = append(out.Log, slog.String("cause", t.hold.cause.Name))
	}
	if out.Action == policies.Discard {
		return out, nil
	}
	if t.touches() {
		if out.Body, err = f.protect(tx, header, t); err != nil {
			return nil, err
		}
	}
	if t.reported() {
		field, err := f.report(tx, t)
		if err != nil {
			return nil, err
		}
		header.insert(field)
	}
	if err := f.checkSize(header.header(), out.Body); err != nil {
		return nil, err
	}
	out.Edits = header.edits()
	out.Log = append(out.Log, t.log()...)
	return out, nil
}

// refused is the outcome of a message that is not delivered, or held.
func refused(tx *Transaction, r *refusal) *Outcome {
	out := &Outcome{
		Action: r.action,
		Reply:  r.cause.Reply(tx.ID, r.detail),
		Log:    []slog.Attr{slog.String("cause", r.cause.Name)},
	}
	if r.err != nil {
		out.Log = append(out.Log, slog.String("error", r.err.Error()))
	}
	return out
}

// checkSize refuses a result that the MTA would refuse, with a better reason
// and before anything has been sent.
func (f *Filter) checkSize(header signer.Header, body signer.Content) error {
	if f.MaxResult <= 0 || body == nil {
		return nil
	}
	// The MTA counts its own fields too, of which it hides the newest Received.
	const hidden = 512
	size := body.Size() + int64(len("\r\n")) + hidden
	for _, field := range header {
		size += int64(len(field.Raw))
	}
	if size <= f.MaxResult {
		return nil
	}
	return reject(CauseResultTooLarge, fmt.Sprintf(
		"the message would be %d bytes once protected, and %d are allowed", size, f.MaxResult))
}

func (f *Filter) now() time.Time {
	if f.Now != nil {
		return f.Now()
	}
	return time.Now()
}

// inspect looks for protection that the message brings along, if any policy
// wants to know.
func inspect(tx *Transaction, groups []group) (*signer.Protection, error) {
	for _, g := range groups {
		if g.policy == nil || g.policy.Sign == nil && g.policy.Encrypt == nil {
			continue
		}
		p, err := signer.Inspect(&signer.Message{Header: tx.Header, Body: tx.Body})
		if err != nil {
			return nil, fmt.Errorf("look for protection in the message: %w", err)
		}
		return p, nil
	}
	return &signer.Protection{}, nil
}
