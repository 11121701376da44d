package milter

import (
	"strings"

	"waxseal/policies"
	"waxseal/signer"
)

// facts says what a decision about the message rests on.
func (f *Filter) facts(tx *Transaction) policies.Facts {
	return policies.Facts{
		Direction:     f.direction(tx),
		Originators:   originators(tx),
		Sender:        tx.Sender,
		Login:         tx.Login,
		Authenticated: tx.Login != "",
		TLS:           tx.TLS,
		Recipients:    tx.Recipients,
		Field: func(name string) []string {
			var values []string
			for _, field := range tx.Header.Fields(name) {
				values = append(values, signer.DecodeWords(field.Value()))
			}
			return values
		},
	}
}

// direction is outgoing for clients that have logged in, for local submission
// and for internal networks.
func (f *Filter) direction(tx *Transaction) policies.Direction {
	if tx.Login != "" || !tx.Client.IsValid() {
		return policies.Outgoing
	}
	client := tx.Client.Unmap().WithZone("")
	for _, network := range f.Internal {
		if network.Contains(client) {
			return policies.Outgoing
		}
	}
	return policies.Incoming
}

// originators are the addresses of every From field: a message with several is
// malformed (RFC 5322, Section 3.6), and programs differ in which one they
// show. Without any, it is the envelope sender, which the MTA would fill in.
func originators(tx *Transaction) []string {
	var found []string
	seen := map[string]bool{}
	for _, field := range tx.Header.Fields("From") {
		for _, address := range signer.Addresses(field.Value()) {
			if key := strings.ToLower(address); !seen[key] {
				seen[key] = true
				found = append(found, address)
			}
		}
	}
	if len(found) == 0 && tx.Sender != "" {
		found = []string{tx.Sender}
	}
	return found
}

// group is the recipients that one policy holds for, in the order of the
// envelope; a nil policy is that of the recipients without any.
type group struct {
	policy     *policies.Policy
	recipients []string
}

func groupByPolicy(decisions []policies.Decision) []group {
	var groups []group
	place := map[*policies.Policy]int{}
	for _, d := range decisions {
		i, known := place[d.Policy]
		if !known {
			i = len(groups)
			place[d.Policy] = i
			groups = append(groups, group{policy: d.Policy})
		}
		groups[i].recipients = append(groups[i].recipients, d.Recipient)
	}
	return groups
}

// policyNames is what the log says about the decisions: the policies' names,
// "none" for recipients without one.
func policyNames(decisions []policies.Decision) string {
	var names []string
	for _, g := range groupByPolicy(decisions) {
		if g.policy == nil {
			names = append(names, "none")
		} else {
			names = append(names, g.policy.Name)
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ",")
}
