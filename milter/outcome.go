package milter

import (
	"log/slog"

	"waxseal/policies"
	"waxseal/signer"
)

// Outcome is what is to be done with a message: header edits, then the body,
// then the action, sent in one burst. All of it is computed before anything is
// sent.
type Outcome struct {
	// Action is Accept, Reject, Tempfail, Discard or Quarantine (accepted and
	// held).
	Action policies.Action
	// Reply is what the client is told when Action is Reject or Tempfail, and
	// the reason that the MTA notes when it is Quarantine.
	Reply Reply
	// Edits are applied in this order.
	Edits []Edit
	// Body replaces the body; nil leaves it.
	Body signer.Content
	// NoReturn says that the body must not come back to the sender in a bounce
	// (RFC 3461, Section 4.3, RET=HDRS): it was decrypted.
	NoReturn bool
	// Decisions are the policies of each recipient, with the reasons.
	Decisions []policies.Decision
	// Log is added to the message's log line.
	Log []slog.Attr
}

// EditKind says what an Edit does.
type EditKind int

// The edits that come out the same on Postfix and Sendmail.
const (
	// Insert puts a field at the top, above all others.
	Insert EditKind = iota
	// Change replaces the body of the Index-th field of that name.
	Change
	// Delete takes the Index-th field of that name out. Where several of one
	// name go, the highest index comes first: Postfix counts anew after a
	// deletion, Sendmail does not.
	Delete
)

// Edit is one change to the header.
type Edit struct {
	Kind EditKind
	Name string
	// Index counts the fields of that name from 1, for Change and Delete.
	Index int
	// Value is the field's body, folded with CRLF and a space, without leading
	// white space and without the final CRLF.
	Value string
}

// Reply is an SMTP reply.
type Reply struct {
	Code     int    // 451, 550, ...
	Enhanced string // RFC 3463, "5.7.1"
	// Text is plain ASCII; a line break begins a further line of the reply.
	Text string
}
