package milter

import (
	"crypto"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"waxseal/keys"
	"waxseal/policies"
	"waxseal/signer/smime"
)

// treatment is what is done with a message, keys included. One message has one
// treatment: a milter can't give its recipients different contents.
type treatment struct {
	shape
	// policies are the names of the policies that it follows.
	policies []string
	// signKey is set if sign is a scheme, certificates if encrypt is one.
	signKey      *keys.Key
	certificates []*keys.Certificate
	// blind are the certificates of recipients who get a blind copy, with OpenPGP.
	blind []*keys.Certificate
	// leftOut are the addresses of also_to that policy lets it do without.
	leftOut []string
	// hold is what happens to the message beside that: quarantine or discard.
	hold *refusal
}

// shape is the part of a treatment that two groups of recipients must agree on.
type shape struct {
	// sign and encrypt are "smime", "pgp", "" for what policy does not ask
	// for, "already" for what the message brings along, or "none" for what
	// policy would like and for which there is no key.
	sign, encrypt string
	signName      string // the key's entry
	mode          string
	digest        crypto.Hash
	pss           bool
	cipher        string
	transport     string // of the content key, for RSA keys
	hidden        bool   // OpenPGP recipients are not named
	alsoTo        string // addresses, joined
	strip         string // triggers, in the form of triggerKey
	// held is the action of a message that waits for a key in quarantine, or
	// is thrown away for the want of it.
	held policies.Action
}

// The words beside the schemes.
const (
	opAlready = "already"
	opNone    = "none"
)

func isScheme(op string) bool { return op == string(keys.SMIME) || op == string(keys.PGP) }

// touches reports whether the message changes.
func (t *treatment) touches() bool { return isScheme(t.sign) || isScheme(t.encrypt) || t.strip != "" }

// reported reports whether the message gets a report: policy asked for
// something.
func (t *treatment) reported() bool { return t.sign != "" || t.encrypt != "" }

// usesPGP reports whether the protected part must keep RFC 3156, Section 5.
func (t *treatment) usesPGP() bool {
	return t.sign == string(keys.PGP) || t.encrypt == string(keys.PGP)
}

// signDigest is the digest that policy names, else the one that suits the key, so
// that policies which come to the same go together.
func signDigest(name string, key *keys.Key) crypto.Hash {
	switch {
	case name == "sha256":
		return crypto.SHA256
	case name == "sha384":
		return crypto.SHA384
	case name == "sha512":
		return crypto.SHA512
	case len(key.Chain) > 0:
		return smime.DefaultDigest(key.Chain[0])
	}
	return crypto.SHA256 // of OpenPGP, which takes a longer one for a stronger key
}

// log is what the message's log line says of the treatment.
func (t *treatment) log() []slog.Attr {
	var attrs []slog.Attr
	if t.sign != "" {
		attrs = append(attrs, slog.String("sign", t.sign))
	}
	if t.signKey != nil {
		attrs = append(attrs, slog.String("key", t.signKey.Name))
	}
	if t.encrypt != "" {
		attrs = append(attrs, slog.String("encrypt", t.encrypt))
	}
	if n := len(t.certificates) + len(t.blind); n > 0 {
		attrs = append(attrs, slog.Int("certificates", n))
	}
	if len(t.leftOut) > 0 {
		attrs = append(attrs, slog.String("left_out", strings.Join(t.leftOut, ",")))
	}
	return attrs
}

// merge makes one treatment of those of the groups, or refuses the message and
// names the groups of recipients to send to separately.
func merge(groups []resolved) (*treatment, error) {
	if len(groups) == 0 {
		return &treatment{}, nil
	}
	var parts []resolved
	place := map[shape]int{}
	for _, g := range groups {
		i, known := place[g.effect()]
		if !known {
			i = len(parts)
			place[g.effect()] = i
			parts = append(parts, resolved{treatment: treatment{shape: g.shape}})
		}
		parts[i].recipients = append(parts[i].recipients, g.recipients...)
	}
	if len(parts) > 1 {
		return nil, reject(CauseDiffer, differText(parts))
	}
	t := groups[0].treatment
	for _, g := range groups {
		if !t.reported() {
			t = g.treatment
		}
	}
	seen := map[string]bool{}
	add := func(to *[]*keys.Certificate, more []*keys.Certificate) {
		for _, c := range more {
			if id := certificateID(c); !seen[id] {
				seen[id] = true
				*to = append(*to, c)
			}
		}
	}
	t.certificates, t.blind, t.policies = nil, nil, nil
	for _, g := range groups {
		t.policies = append(t.policies, g.policies...)
		add(&t.certificates, g.certificates)
	}
	for _, g := range groups { // a certificate that somebody else has too is no secret
		add(&t.blind, g.blind)
	}
	return &t, nil
}

// certificateID tells certificates apart: recipients who share one, such as their
// domain's, are encrypted to once.
func certificateID(c *keys.Certificate) string {
	if len(c.X509) > 0 {
		return string(c.X509[0].Raw)
	}
	return string(c.OpenPGP)
}

// differText names at most maxNamed recipients a group, so that the reply stays
// readable.
func differText(parts []resolved) string {
	const maxNamed = 5
	var lines []string
	for _, part := range parts {
		names := part.recipients
		more := ""
		if len(names) > maxNamed {
			more = " and " + strconv.Itoa(len(names)-maxNamed) + " more"
			names = names[:maxNamed]
		}
		lines = append(lines, fmt.Sprintf("%s%s (%s)", strings.Join(names, ", "), more, part.words()))
	}
	return "the recipients need different protection; send separately to: " + strings.Join(lines, "; to: ")
}

// effect is the shape with all that leaves no trace in the message taken out:
// recipients whose shapes have the same effect can get the same message.
func (s shape) effect() shape {
	if !isScheme(s.sign) {
		s.sign = ""
	}
	if !isScheme(s.encrypt) {
		s.encrypt = ""
	}
	return s
}

// words says in a few words what a shape does.
func (s shape) words() string {
	if s.held != "" {
		return string(s.held)
	}
	var words []string
	switch {
	case isScheme(s.sign):
		words = append(words, "signed "+s.sign)
	case s.sign == opNone:
		words = append(words, "not signed")
	}
	switch {
	case isScheme(s.encrypt):
		words = append(words, "encrypted "+s.encrypt)
	case s.encrypt == opNone:
		words = append(words, "not encrypted")
	case s.encrypt == opAlready:
		words = append(words, "encrypted already")
	}
	if len(words) == 0 {
		return "as it is"
	}
	return strings.Join(words, ", ")
}
