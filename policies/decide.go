package policies

import "slices"

// Decide returns what holds for each recipient, in the order of f.Recipients:
// the first policy of which every clause matches. It is a pure function of the
// set and the facts. Decisions share their reasons, so these must not be changed.
//
// A recipient with another address inside the local part, such as
// bob%bank.example@example.com, gets the stricter of the policies for the two.
//
// The time it takes grows with the number of policies plus the number of
// recipients, not with their product.
func (s *Set) Decide(f Facts) []Decision {
	decisions := make([]Decision, 0, len(f.Recipients))
	if len(s.policies) == 0 {
		for _, recipient := range f.Recipients {
			decisions = append(decisions, Decision{Recipient: recipient})
		}
		return decisions
	}
	// What fails apart from the recipient is the same for all recipients; what
	// is left fails for the recipient's sake wherever it fails. So one list of
	// reasons, cut off where a policy matches, does for everybody.
	failed := s.message(f)
	reasons := make([]Reason, len(s.policies))
	for i, p := range s.policies {
		reasons[i] = Reason{Policy: p.Name, Failed: failed[i]}
		if failed[i] == "" {
			reasons[i].Failed = s.words[i].recipient
		}
	}
	tried := map[int][]Reason{}
	for _, recipient := range f.Recipients {
		d := Decision{Recipient: recipient, Why: reasons}
		plain, chosen := s.choose(Normalise(recipient), failed)
		if chosen < len(s.policies) {
			d.Policy = s.policies[chosen]
			if tried[chosen] == nil {
				tried[chosen] = append(reasons[:chosen:chosen], Reason{Policy: d.Policy.Name})
			}
			d.Why = tried[chosen]
			if plain < chosen {
				d.Why = slices.Clone(d.Why)
				d.Why[plain].Failed = "recipient has another address inside, which a later policy protects better"
			}
		}
		decisions = append(decisions, d)
	}
	return decisions
}

// choose returns the number of the first policy for the address as it is, and of
// the policy that holds: that is another one only if the address has others
// inside (see routes), and one of these is protected better. Nobody can know here
// where the MTA will deliver it, and the stricter policy is at worst one that
// refuses the message.
func (s *Set) choose(recipient Address, failed []string) (plain, chosen int) {
	plain = s.first(recipient, failed)
	chosen = plain
	for _, inner := range recipient.routes() {
		if i := s.first(inner, failed); s.protection(i) > s.protection(chosen) {
			chosen = i
		}
	}
	return plain, chosen
}

// protection ranks policy i by what it does with a message.
func (s *Set) protection(i int) int {
	switch {
	case i == len(s.policies):
		return 0
	case s.policies[i].Encrypt != nil:
		return 2
	case s.policies[i].Sign != nil || s.policies[i].Verify != nil:
		return 1
	}
	return 0
}

// first returns the number of the first policy that the recipient belongs to and
// that has not failed, else the number of policies.
func (s *Set) first(recipient Address, failed []string) int {
	least := len(s.policies)
	s.recipients.visit(recipient, func(list []int) {
		for _, i := range list {
			if i >= least {
				return
			}
			if failed[i] == "" {
				least = i
				return
			}
		}
	})
	return least
}

// message returns for each policy the first clause that does not match apart
// from the recipient, in words, or "".
func (s *Set) message(f Facts) []string {
	from := make([]bool, len(s.policies))
	mark := func(list []int) {
		for _, i := range list {
			from[i] = true
		}
	}
	mark(s.originators.everyone)
	for _, originator := range f.Originators {
		s.originators.visit(Normalise(originator), mark)
	}
	header := fields{get: f.Field}
	failed := make([]string, len(s.policies))
	for i, p := range s.policies {
		w := &s.words[i]
		switch {
		case p.Direction != f.Direction:
			failed[i] = w.direction
		case p.Authenticated != nil && *p.Authenticated != f.Authenticated:
			failed[i] = w.authenticated
		case f.TLS < p.TLS:
			failed[i] = w.tls
		case !from[i]:
			failed[i] = w.originator
		default:
			for j, t := range p.Header {
				if !t.matches(header.folded(t.Name)) {
					failed[i] = w.headers[j]
					break
				}
			}
		}
	}
	return failed
}

// LoginMatches reports whether the message is by whom the connection says: every
// address of the originator equals the envelope sender or the login, compared as
// the policy compares addresses. A login without a domain says nothing about an
// address and equals none, and a message without an originator doesn't match.
func (p *Policy) LoginMatches(f Facts) bool {
	key := func(address string) Address {
		a := Normalise(address)
		if p.FoldLocalPart {
			a = a.folded()
		}
		return a
	}
	sender, login := key(f.Sender), key(f.Login)
	for _, originator := range f.Originators {
		a := key(originator)
		if a.Local == "" || a.Domain == "" || a != sender && a != login {
			return false
		}
	}
	return len(f.Originators) > 0
}
