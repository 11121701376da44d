package policies

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
)

func mustParse(t testing.TB, text string) *Set {
	t.Helper()
	set, err := Parse("test.hcl", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestWhy(t *testing.T) {
	set := mustParse(t, `
policy "in" {
  direction = "incoming"
}
policy "login" {
  direction     = "outgoing"
  authenticated = true
}
policy "no-login" {
  direction     = "outgoing"
  authenticated = false
  recipient     = ["nobody@x.example"]
}
policy "tls" {
  direction = "outgoing"
  tls       = "1.3"
}
policy "originator" {
  direction  = "outgoing"
  originator = ["a@example.com", "b@example.com", "c@example.com", "d@example.com", "e@example.com", "f@example.com", "g@example.com", "h@example.com"]
}
policy "contains" {
  direction = "outgoing"
  header "Subject" {
    contains = "[tag]"
  }
}
policy "equals" {
  direction = "outgoing"
  header "X-Class" {
    equals = "secret"
  }
}
policy "exists" {
  direction = "outgoing"
  header "X-Any" {}
}
policy "recipient" {
  direction = "outgoing"
  recipient = ["*@bank.example", "*@*.bank.example"]
}
policy "last" {
  direction = "outgoing"
  recipient = ["*@x.example"]
}
policy "not-reached" {
  direction = "outgoing"
}
`)
	decisions := set.Decide(Facts{Direction: Outgoing, Originators: []string{"z@example.com"}, TLS: tls.VersionTLS12,
		Recipients: []string{"bob@x.example"}, Field: fieldsOf("Subject: very private, X-Class: other")})
	var b strings.Builder
	for _, r := range decisions[0].Why {
		fmt.Fprintf(&b, "%s: %s\n", r.Policy, r.Failed)
	}
	want := `in: the message is not incoming
login: client has not logged in
no-login: recipient is not in [nobody@x.example]
tls: connection is without TLS 1.3 or later
originator: originator is not in [a@example.com, b@example.com, c@example.com, d@example.com, e@example.com, f@example.com and 2 more]
contains: header Subject does not contain "[tag]"
equals: header X-Class is not "secret"
exists: there is no header X-Any
recipient: recipient is not in [*@bank.example, *@*.bank.example]
last: 
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	if p := decisions[0].Policy; p == nil || p.Name != "last" {
		t.Errorf("policy %+v", p)
	}
	decisions = set.Decide(Facts{Direction: Outgoing, Authenticated: true, Recipients: []string{"nobody@x.example"}})
	if p := decisions[0].Policy; p == nil || p.Name != "login" {
		t.Errorf("policy %+v", p)
	}
}

func TestDecideRecipients(t *testing.T) {
	set := mustParse(t, `
policy "one" {
  direction = "outgoing"
  recipient = ["one.example"]
}
policy "two" {
  direction  = "outgoing"
  originator = ["*@example.com"]
  recipient  = ["two.example"]
}
`)
	recipients := []string{"a@two.example", "A@ONE.example.", "", "x@three.example", "a@two.example", "b@one.example"}
	f := Facts{Direction: Outgoing, Originators: []string{"x@evil.example", "y@example.com"}, Recipients: recipients}
	decisions := set.Decide(f)
	var got []string
	for i, d := range decisions {
		if d.Recipient != recipients[i] {
			t.Errorf("decision %d is for %q", i, d.Recipient)
		}
		checkWhy(t, set, d)
		name := "-"
		if d.Policy != nil {
			name = d.Policy.Name
		}
		got = append(got, name)
	}
	if s := strings.Join(got, " "); s != "two one - - two one" {
		t.Errorf("got %s", s)
	}
	// No originator is in no list, but a policy without a list takes anybody.
	f.Originators = nil
	if d := set.Decide(f); d[0].Policy != nil || d[1].Policy == nil {
		t.Errorf("without an originator: %+v", d)
	}
	f.Direction = ""
	for _, d := range set.Decide(f) {
		if d.Policy != nil {
			t.Errorf("without a direction %s matches", d.Policy.Name)
		}
	}
	f.Recipients = nil
	if d := set.Decide(f); len(d) != 0 {
		t.Errorf("without recipients: %v", d)
	}
}

func TestZeroSet(t *testing.T) {
	var set Set
	d := set.Decide(Facts{Recipients: []string{"a@b.example"}})
	if len(d) != 1 || d[0].Policy != nil || d[0].Recipient != "a@b.example" || len(set.Policies()) != 0 {
		t.Errorf("got %+v", d)
	}
}

// A field is asked for once, whatever the number of policies.
func TestFieldsAreAskedOnce(t *testing.T) {
	var text strings.Builder
	for i := range 20 {
		fmt.Fprintf(&text, "policy \"p%d\" {\ndirection = \"outgoing\"\nheader \"%s\" {\nequals = \"%d\"\n}\n}\n",
			i, []string{"Subject", "SUBJECT"}[i%2], i)
	}
	asked := 0
	mustParse(t, text.String()).Decide(Facts{Direction: Outgoing, Recipients: []string{"a", "b"},
		Field: func(string) []string { asked++; return nil }})
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

func TestLoginMatches(t *testing.T) {
	for _, test := range []struct {
		originators   string
		sender, login string
		fold, want    bool
	}{
		{"alice@example.com", "alice@example.com", "", false, true},
		{"alice@example.com", "bounce@example.com", "alice@example.com", false, true},
		{"\"alice\"@EXAMPLE.com.", "", "alice@example.com", false, true},
		{"alice@münchen.example", "alice@xn--mnchen-3ya.example", "", false, true},
		{"alice@example.com", "alice@example.org", "bob@example.com", false, false},
		{"alice@example.com", "", "alice", false, false},
		{"alice@example.com", "alice", "alice", false, false},
		{"alice", "alice", "alice", false, false},
		{"Alice@example.com", "alice@example.com", "", false, false},
		{"Alice@example.com", "alice@example.com", "", true, true},
		{"alice@example.com boss@example.com", "alice@example.com", "", false, false},
		{"alice@example.com bob@example.com", "alice@example.com", "bob@example.com", false, true},
		{"", "", "", false, false},
		{"", "alice@example.com", "alice@example.com", false, false},
		{"<>", "", "", false, false},
	} {
		p := Policy{FoldLocalPart: test.fold}
		f := Facts{Originators: strings.Fields(test.originators), Sender: test.sender, Login: test.login}
		if got := p.LoginMatches(f); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

func TestDecideInParallel(t *testing.T) {
	set, err := Load("examples")
	if err != nil {
		t.Fatal(err)
	}
	rows := readDecisions(t, "testdata/examples.decisions")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for _, r := range rows {
				if d := set.Decide(r.facts); d[0].Policy != nil && d[0].Policy.Name != r.policy {
					t.Errorf("%s: %s", r.line, d[0].Policy.Name)
				}
			}
		})
	}
	all.Wait()
}

// The slow and plain way to decide, as an oracle for random policies: clauses
// one by one, in order.
func TestDecideAgainstPlainReading(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	decided := map[bool]int{}
	for range 2000 {
		policies := randomPolicies(random, 6)
		set := newSet(policies)
		for range 10 {
			f := randomFacts(random)
			d := set.Decide(f)[0]
			checkWhy(t, set, d)
			if want := plainly(policies, f); d.Policy != want {
				t.Fatalf("facts %+v: got %+v, want %+v", f, d.Policy, want)
			}
			decided[d.Policy != nil]++
		}
	}
	if decided[true] < 1000 || decided[false] < 1000 {
		t.Errorf("the facts are one-sided: %v", decided)
	}
}

// No policy that is said never to match is ever the first to match.
func TestShadowedNeverMatch(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	said := 0
	for range 2000 {
		policies := randomPolicies(random, 6)
		never := map[string]bool{}
		for _, p := range shadowed(policies) {
			never[strings.Split(p.Text, `"`)[1]] = true
		}
		said += len(never)
		set := newSet(policies)
		for range 100 {
			f := randomFacts(random)
			if p := set.Decide(f)[0].Policy; p != nil && never[p.Name] {
				t.Fatalf("%s is called shadowed and decides for %+v", p.Name, f)
			}
		}
	}
	if said < 100 {
		t.Errorf("only %d policies are shadowed: the test says nothing", said)
	}
}

func randomPolicies(random *rand.Rand, n int) []*Policy {
	patterns := func() []Pattern {
		all := []string{"*", "*@*.example", "*@*.b.example", "b.example", "*@c.b.example", "x@b.example", "X@b.example", "x@c.b.example"}
		var some []Pattern
		for range random.IntN(3) {
			p, problem, _ := parsePattern(all[random.IntN(len(all))])
			if problem != "" {
				panic(problem)
			}
			some = append(some, p)
		}
		return some
	}
	var policies []*Policy
	for i := range n {
		p := &Policy{Name: fmt.Sprint("p", i), Direction: Outgoing, Originator: patterns(), Recipient: patterns(),
			FoldLocalPart: random.IntN(3) == 0}
		if random.IntN(3) == 0 {
			yes := random.IntN(2) == 0
			p.Authenticated = &yes
		}
		if random.IntN(3) == 0 {
			p.TLS = uint16(tls.VersionTLS12 + random.IntN(2))
		}
		if random.IntN(3) == 0 {
			p.Header = []Trigger{{Name: "Subject", Contains: []string{"a", "AB", "b"}[random.IntN(3)]}}
		}
		if random.IntN(4) == 0 {
			p.Header = append(p.Header, Trigger{Name: "subject", Equals: []string{"ab", ""}[random.IntN(2)]})
		}
		policies = append(policies, p)
	}
	return policies
}

func randomFacts(random *rand.Rand) Facts {
	address := func() string {
		return []string{"x", "X", "y"}[random.IntN(3)] + "@" +
			[]string{"b.example", "c.b.example", "d.c.b.example", "example", "e.example"}[random.IntN(5)]
	}
	subject := []string{"", "Subject: a", "Subject: xaBx", "Subject: AB", "Subject: b"}[random.IntN(5)]
	return Facts{Direction: Outgoing, Originators: []string{address()}, Recipients: []string{address()},
		Authenticated: random.IntN(2) == 0, TLS: []uint16{0, tls.VersionTLS12, tls.VersionTLS13}[random.IntN(3)],
		Field: fieldsOf(subject)}
}

func plainly(policies []*Policy, f Facts) *Policy {
	in := func(p *Policy, patterns []Pattern, address string) bool {
		for _, pattern := range patterns {
			if matches(pattern, address, p.FoldLocalPart) {
				return true
			}
		}
		return len(patterns) == 0
	}
	for _, p := range policies {
		ok := in(p, p.Originator, f.Originators[0]) && in(p, p.Recipient, f.Recipients[0]) && f.TLS >= p.TLS &&
			(p.Authenticated == nil || *p.Authenticated == f.Authenticated)
		for _, trigger := range p.Header {
			found := false
			for _, v := range f.Field(trigger.Name) {
				v = strings.ToLower(strings.TrimSpace(v))
				found = found || strings.Contains(v, strings.ToLower(trigger.Contains)) &&
					(trigger.Equals == "" || v == strings.ToLower(trigger.Equals))
			}
			ok = ok && found
		}
		if ok {
			return p
		}
	}
	return nil
}
