package policies

import (
	"fmt"
	"slices"
	"strings"
)

// Set is the policies of all files, in the order in which they are tried. The
// zero value has none. It does not change once it is loaded, and any number of
// goroutines may use it.
type Set struct {
	policies    []*Policy
	words       []words
	originators *index
	recipients  *index
}

// words are the texts of the clauses that did not match, made once.
type words struct {
	direction, authenticated, tls, originator, recipient string
	headers                                              []string
}

// Policies returns the policies in the order in which they are tried. They must
// not be changed.
func (s *Set) Policies() []*Policy { return slices.Clone(s.policies) }

// newSet makes a set of policies that have been checked.
func newSet(policies []*Policy) *Set {
	s := &Set{policies: policies, originators: newIndex(), recipients: newIndex()}
	for i, p := range policies {
		s.originators.add(i, p.Originator, p.FoldLocalPart)
		s.recipients.add(i, p.Recipient, p.FoldLocalPart)
		s.words = append(s.words, wordsFor(p))
	}
	return s
}

func wordsFor(p *Policy) words {
	w := words{
		direction:  fmt.Sprintf("the message is not %s", p.Direction),
		originator: "originator is not in " + listed(p.Originator),
		recipient:  "recipient is not in " + listed(p.Recipient),
		tls:        "connection is without TLS " + tlsName(p.TLS) + " or later",
	}
	if p.Authenticated != nil {
		w.authenticated = "client has logged in"
		if *p.Authenticated {
			w.authenticated = "client has not logged in"
		}
	}
	for _, t := range p.Header {
		w.headers = append(w.headers, t.failed())
	}
	return w
}

// listed writes patterns in brackets, the first few only.
func listed(patterns []Pattern) string {
	const most, longest = 6, 200
	var b strings.Builder
	b.WriteByte('[')
	for i, p := range patterns {
		if i == most || b.Len()+len(p.text) > longest {
			fmt.Fprintf(&b, " and %d more", len(patterns)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(p.text)
	}
	b.WriteByte(']')
	return b.String()
}
