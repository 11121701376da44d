// Package policies loads policy files and decides what happens to a message.
// It knows nothing of keys, MIME or milters.
package policies

// Direction says where a message comes from.
type Direction string

// The directions. A message is outgoing if its client is authenticated or
// internal, else incoming.
const (
	Outgoing Direction = "outgoing"
	Incoming Direction = "incoming"
)

// Action is what happens to a message whose policy can't be carried out.
type Action string

// The actions.
const (
	Accept     Action = "accept"
	Reject     Action = "reject"
	Tempfail   Action = "tempfail"
	Discard    Action = "discard"
	Quarantine Action = "quarantine"
)

// Policy is one policy block of a policy file.
type Policy struct {
	Name   string
	File   string // as it was opened
	Line   int    // of the word "policy", from 1
	column int

	Direction  Direction
	Originator []Pattern // header From; empty matches every originator
	Recipient  []Pattern // RCPT TO; empty matches every recipient
	Header     []Trigger // all of them must match
	// Authenticated, if set, asks for a client that has (or has not) logged in.
	Authenticated *bool
	// TLS is the lowest version of the client's connection that matches, as in
	// crypto/tls; 0 matches a connection without TLS too.
	TLS uint16
	// FoldLocalPart compares local parts without regard to case.
	FoldLocalPart bool

	// RequireLoginMatch refuses a message whose From is neither the envelope
	// sender nor the login.
	RequireLoginMatch bool

	Sign    *Sign    // nil: not signed
	Encrypt *Encrypt // nil: not encrypted

	// OnKeyNotFound applies when a key or certificate does not exist. It is
	// Reject where the file doesn't say, which only a policy that doesn't
	// encrypt may leave open.
	OnKeyNotFound Action
	// OnAlreadyProtected applies to a message that arrives encrypted: Accept
	// passes it, Reject refuses it.
	OnAlreadyProtected Action
}

// Trigger is a header block: a field of that name whose value contains or
// equals a text, compared without regard to case.
type Trigger struct {
	Name     string
	Contains string // the text that the value contains, or "" ...
	Equals   string // ... the text that it equals, or "": the field exists
	Strip    bool   // take the text (Contains) or the field (otherwise) out
}

// Scheme names what a sign or encrypt block asks for.
type Scheme string

// The schemes. Any is the one that the keys allow, S/MIME first.
const (
	SMIME Scheme = "smime"
	PGP   Scheme = "pgp"
	Any   Scheme = "any"
)

// Sign is a sign block.
type Sign struct {
	Scheme Scheme
	// Key is "address" (the originator's own), "domain", "any" (either, the
	// address first), or the name of an entry.
	Key string
	// Mode is "detached" (multipart/signed) or "opaque"; S/MIME only.
	Mode string
	// Digest is "sha256", "sha384" or "sha512".
	Digest string
}

// Encrypt is an encrypt block.
type Encrypt struct {
	Scheme Scheme
	// AlsoTo are further addresses that can decrypt the message.
	AlsoTo []string
	// Cipher is "aes256-cbc" or "aes256-gcm"; S/MIME only.
	Cipher string
}

// Facts is what a decision rests on.
type Facts struct {
	Direction Direction
	// Originators are the addresses of the header From, or the envelope sender
	// where there is none.
	Originators   []string
	Sender        string // MAIL FROM, "" for a bounce
	Login         string // SASL user name, "" without
	Authenticated bool
	TLS           uint16 // version as in crypto/tls, 0 without
	Recipients    []string
	// Field returns the unfolded, decoded values of a header field.
	Field func(name string) []string
}

// Decision is what holds for one recipient.
type Decision struct {
	Recipient string
	Policy    *Policy // nil: no policy matched
	// Why lists the policies that were tried, in order. All but the last did
	// not match; the last did if Policy is not nil.
	Why []Reason
}

// Reason is one policy that was tried.
type Reason struct {
	Policy string
	// Failed is the first clause that did not match, in words, or "" for a match.
	Failed string
}
