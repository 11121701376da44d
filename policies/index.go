package policies

import "strings"

// index finds the policies whose list of patterns an address is in, without
// going through the policies. Each list has the policies' numbers in order.
type index struct {
	everyone []int
	exact    map[Address][]int
	folded   map[Address][]int // with local parts folded
	domains  map[string][]int
	parents  map[string][]int // of subdomains
}

func newIndex() *index {
	return &index{exact: map[Address][]int{}, folded: map[Address][]int{},
		domains: map[string][]int{}, parents: map[string][]int{}}
}

// add enters policy i, which must be above all before. No patterns means
// everyone.
func (x *index) add(i int, patterns []Pattern, foldLocal bool) {
	if len(patterns) == 0 {
		x.everyone = append(x.everyone, i)
	}
	for _, p := range patterns {
		switch {
		case p.kind == anyone:
			x.everyone = once(x.everyone, i)
		case p.kind == wholeDomain:
			x.domains[p.address.Domain] = once(x.domains[p.address.Domain], i)
		case p.kind == subdomains:
			x.parents[p.address.Domain] = once(x.parents[p.address.Domain], i)
		case foldLocal:
			key := p.address.folded()
			x.folded[key] = once(x.folded[key], i)
		default:
			x.exact[p.address] = once(x.exact[p.address], i)
		}
	}
}

// once appends i unless it is there already, as the last.
func once(list []int, i int) []int {
	if n := len(list); n > 0 && list[n-1] == i {
		return list
	}
	return append(list, i)
}

// visit calls f with each list that has the policies an address belongs to. A
// policy may be in several.
func (x *index) visit(a Address, f func(list []int)) {
	f(x.everyone)
	f(x.exact[a])
	if len(x.folded) > 0 {
		f(x.folded[a.folded()])
	}
	x.visitDomain(a.Domain, f)
}

func (x *index) visitDomain(domain string, f func(list []int)) {
	if domain == "" {
		return
	}
	f(x.domains[domain])
	x.visitParents(domain, f)
}

// visitParents calls f for each domain above the given one.
func (x *index) visitParents(domain string, f func(list []int)) {
	// No pattern's domain is longer, and what is hashed stays short.
	const longest = 253
	for rest := domain; len(x.parents) > 0; {
		_, above, found := strings.Cut(rest, ".")
		if !found {
			return
		}
		if rest = above; len(rest) <= longest {
			f(x.parents[rest])
		}
	}
}
