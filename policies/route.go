package policies

import "strings"

// maxRoutes is how many addresses inside each other are looked at.
const maxRoutes = 8

// routes returns the addresses that an MTA may find inside the local part of an
// address to one of its own domains: "bob%bank.example@relay.example",
// "bank.example!bob@relay.example" and "bob@bank.example"@relay.example all go to
// bob@bank.example on an MTA that relays for the client and still knows these
// old ways (Postfix: allow_percent_hack, swap_bangpath).
func (a Address) routes() []Address {
	var found []Address
	for local := a.Local; len(found) < maxRoutes; {
		rest, domain, ok := cutLast(local, '@')
		if !ok {
			if domain, rest, ok = strings.Cut(local, "!"); !ok {
				if rest, domain, ok = cutLast(local, '%'); !ok {
					break
				}
			}
		}
		found = append(found, Address{Local: rest, Domain: normalDomain(domain)})
		local = rest
	}
	return found
}

func cutLast(s string, sep byte) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}
