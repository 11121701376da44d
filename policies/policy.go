// Package policies loads policy files and decides what happens to a message.
// It knows nothing of keys, MIME or milters.
package policies

import "github.com/hashicorp/hcl/v2"

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

	// IssueOnDemand has a certificate issued for an originator of ours who has no
	// key to sign with.
	IssueOnDemand bool

	Sign    *Sign    // nil: not signed
	Encrypt *Encrypt // nil: not encrypted
	Decrypt *Decrypt // nil: not decrypted
	Verify  *Verify  // nil: signatures are not checked

	// OnKeyNotFound applies when a key or certificate does not exist. It is
	// Reject where the file doesn't say, which only a policy that doesn't
	// encrypt may leave open.
	OnKeyNotFound Action
	// OnAlreadyProtected applies to a message that arrives encrypted: Accept
	// passes it, Reject refuses it.
	OnAlreadyProtected Action

	// OnBadSignature applies to a message with a signature that is not one over
	// its text.
	OnBadSignature Action
	// OnUntrusted applies to a message with an intact signature that is not
	// known to be the visible author's.
	OnUntrusted Action
	// OnNoSignature applies to a message without a signature.
	OnNoSignature Action
	// OnDecryptError applies to a message that is encrypted for a key that we
	// hold and can't be decrypted.
	OnDecryptError Action
	// OnKeysUnavailable applies while the key store does not answer: Tempfail,
	// or Accept, which delivers the message as it came.
	OnKeysUnavailable Action
	// MaxLayers is how many layers of encryption, signatures and compression
	// are taken off an incoming message, at least 1.
	MaxLayers int
	// SubjectTag is nil if the subject stays as it is.
	SubjectTag *SubjectTag
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
	// Digest is "sha256", "sha384" or "sha512", or "" for the one that suits the
	// key.
	Digest string
	// PSS makes RSA keys sign with RSASSA-PSS (RFC 4056); S/MIME only.
	PSS bool
}

// Encrypt is an encrypt block.
type Encrypt struct {
	Scheme Scheme
	// AlsoTo are further addresses that can decrypt the message.
	AlsoTo []string
	// Cipher is "aes128-cbc", "aes256-cbc", "aes128-gcm" or "aes256-gcm"; S/MIME
	// only.
	Cipher string
	// KeyTransport is how the content key is encrypted for RSA keys: "rsa15"
	// (RFC 3370, Section 4.2.1), "oaep-sha1" or "oaep-sha256" (RFC 3560);
	// S/MIME only.
	KeyTransport string
	// Hidden leaves out who can decrypt the message (RFC 9580, Section 5.1.8);
	// PGP only.
	Hidden bool
}

// Decrypt is a decrypt block.
type Decrypt struct {
	// Deliver is "plain" (the mailbox gets what was inside) or "keep" (it gets
	// the message as it came, with a report).
	Deliver string
	// LegacyCiphers reads AES-192 and Triple DES too.
	LegacyCiphers bool
}

// Verify is a verify block.
type Verify struct {
	// TrustAnchors are the names of blocks in the configuration; empty means all
	// of them.
	TrustAnchors []string
	// Revocation is "check" (a certificate that is known to be revoked fails),
	// "require" (so does one of which nothing can be learned) or "off".
	Revocation string
	// Signers says how many signatures have to be good where there are several:
	// "all" or "any".
	Signers string
	// StripSignature takes the signature off after the check.
	StripSignature bool

	anchorsAt []hcl.Range // of TrustAnchors
}

// SubjectTag is a subject_tag block: what is put before the subject of an
// incoming message, "" for nothing. The texts are ASCII, and none of them is
// part of another one.
type SubjectTag struct {
	Decrypted string // it came encrypted and was decrypted
	Signed    string // its signatures are good
	Untrusted string // a signature is intact, and not known to be the author's
	Bad       string // a signature is not one over its text
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
