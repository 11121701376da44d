package milter

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	gomilter "github.com/emersion/go-milter"

	"waxseal/policies"
)

// NewTransaction returns a transaction with an id and an empty body, which
// counts against the budget of spools.
func NewTransaction(spools *Spools) *Transaction {
	return &Transaction{
		ID:       rand.Text()[:12],
		Received: time.Now(),
		Body:     spools.New(),
		spools:   spools,
	}
}

// Body is called at the end of a message. Nothing is sent before all of the
// outcome is known, except progress.
func (s *session) Body(*gomilter.Modifier) (gomilter.Response, error) {
	defer s.reset()
	s.complete()
	outcome, err := s.outcome()
	verdict, err := s.deliver(outcome, err)
	if err != nil {
		// The MTA has half of the changes. Without a verdict its default action
		// applies, to the message as it was.
		s.wire.fail(err)
		return nil, nil
	}
	return verdict, nil
}

// complete adds to the transaction what the MTA has told in the course of it.
func (s *session) complete() {
	s.tx.QueueID = s.message.queueID
	s.tx.Login = s.message.login
	facts := s.message
	if facts.tls == "" {
		facts = s.helo
	}
	s.tx.TLS, s.tx.Cipher = tlsVersion(facts.tls), facts.cipher
}

// outcome decides on the message in work. The error is for the log; there is an
// outcome in any case.
func (s *session) outcome() (*Outcome, error) {
	if bad := s.tooBad; bad != nil {
		return s.refused(bad.action, bad.cause, bad.detail), bad.err
	}
	if s.actions&neededActions != neededActions {
		return s.refused(policies.Tempfail, CauseMTA, ""),
			errors.New("the MTA does not offer header and body changes: see its milter settings")
	}
	outcome, err := s.apply()
	if err == nil && outcome == nil {
		err = errors.New("there is no outcome")
	}
	if err == nil && outcome.Action == policies.Quarantine && s.actions&gomilter.OptQuarantine == 0 {
		return s.refused(policies.Tempfail, CauseMTA, ""), errors.New("the MTA does not offer quarantine")
	}
	if err != nil {
		return s.refused(policies.Tempfail, CauseInternal, ""), err
	}
	return outcome, nil
}

// refused is the outcome of a message that the filter has not decided on.
func (s *session) refused(action policies.Action, cause Cause, detail string) *Outcome {
	return &Outcome{
		Action: action,
		Reply:  cause.Reply(s.tx.ID, detail),
		Log:    []slog.Attr{slog.String("cause", cause.Name)},
	}
}

// apply calls the filter. It tells the MTA that work goes on, and gives up in
// time, when the MTA goes away, and when the server has no more time.
func (s *session) apply() (outcome *Outcome, err error) {
	ctx, cancel := context.WithTimeout(s.server.base, s.server.limits.applyTimeout)
	defer cancel()
	s.wire.startProgress(ctx, s.server.limits.progressInterval, cancel)
	defer s.wire.stopProgress()
	defer func() {
		if v := recover(); v != nil {
			outcome, err = nil, panicked(v)
		}
	}()
	return s.server.Apply(ctx, s.tx)
}

// deliver sends the outcome and returns the verdict that completes it. cause is
// the error that led to the outcome, if one did.
func (s *session) deliver(outcome *Outcome, cause error) (verdict gomilter.Response, err error) {
	defer func() {
		if v := recover(); v != nil {
			verdict, err = nil, panicked(v)
		}
		s.log(outcome, cause, err)
	}()
	switch outcome.Action {
	case policies.Reject:
		return reply(gomilter.ActReplyCode, encodeReply(outcome.Reply, '5')), nil
	case policies.Tempfail:
		return reply(gomilter.ActReplyCode, encodeReply(outcome.Reply, '4')), nil
	case policies.Discard:
		return reply(gomilter.ActDiscard, nil), nil
	case policies.Accept, policies.Quarantine:
	default:
		cause = fmt.Errorf("there is no action %q", outcome.Action)
	}
	var edits []byte
	if cause == nil {
		edits, cause = encodeEdits(outcome.Edits, s.protocol&gomilter.OptHeaderLeadingSpace != 0)
	}
	if cause != nil {
		outcome = s.refused(policies.Tempfail, CauseInternal, "")
		return reply(gomilter.ActReplyCode, encodeReply(outcome.Reply, '4')), nil
	}
	if err := s.wire.send(edits); err != nil {
		return nil, err
	}
	if outcome.NoReturn && s.tx.Sender != "" && s.actions&gomilter.OptChangeFrom != 0 {
		if err := s.wire.send(encodeNoReturn(s.tx.Sender)); err != nil {
			return nil, err
		}
	}
	if outcome.Body != nil {
		if err := s.wire.sendBody(outcome.Body); err != nil {
			return nil, err
		}
	}
	if outcome.Action == policies.Quarantine {
		if err := s.wire.send(encodeQuarantine(outcome.Reply.Text)); err != nil {
			return nil, err
		}
	}
	return reply(gomilter.ActAccept, nil), nil
}

// log writes the line of a message. cause is what led to the outcome, broken
// why it could not be sent.
func (s *session) log(outcome *Outcome, cause, broken error) {
	level := slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("queue", s.tx.QueueID),
		slog.String("id", s.tx.ID),
		slog.String("client", clientText(s.tx.Connection)),
		slog.String("from", s.tx.Sender),
		slog.String("to", someRecipients(s.tx.Recipients)),
		slog.Int("recipients", len(s.tx.Recipients)),
		slog.Int64("size", s.size),
		slog.String("action", string(outcome.Action)),
	}
	if outcome.Action == policies.Reject || outcome.Action == policies.Tempfail {
		attrs = append(attrs, slog.String("reply", outcome.Reply.String()))
	}
	attrs = append(attrs, slog.Int64("ms", time.Since(s.tx.Received).Milliseconds()))
	attrs = append(attrs, outcome.Log...)
	for _, err := range []error{cause, broken} {
		if err != nil {
			level = slog.LevelError
			attrs = append(attrs, errorAttrs(err)...)
		}
	}
	if broken != nil {
		attrs = append(attrs, slog.Bool("sent", false))
	}
	s.server.log.LogAttrs(context.Background(), level, "message", attrs...)
}

// someRecipients are the recipients, the first ten of them, so that a line stays
// one that a log takes.
func someRecipients(all []string) string {
	const most = 10
	if len(all) > most {
		return strings.Join(all[:most], ",") + ",..."
	}
	return strings.Join(all, ",")
}

// errorAttrs are an error's text and, for a panic, where it was.
func errorAttrs(err error) []slog.Attr {
	if err == nil {
		return nil
	}
	attrs := []slog.Attr{slog.String("error", err.Error())}
	var p *panicError
	if errors.As(err, &p) {
		attrs = append(attrs, slog.String("stack", p.stack))
	}
	return attrs
}

func clientText(c Connection) string {
	if !c.Client.IsValid() {
		return "local"
	}
	return c.Client.String()
}

// panicError is a panic, without what may have been in the message.
type panicError struct{ what, stack string }

func (p *panicError) Error() string { return "panic: " + p.what }

func panicked(v any) error {
	what := fmt.Sprintf("a value of type %T", v)
	if err, ok := v.(runtime.Error); ok {
		what = err.Error()
	}
	return &panicError{what: what, stack: string(debug.Stack())}
}
