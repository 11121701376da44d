package milter

import (
	"strings"
	"testing"
	"time"

	"waxseal/signer"
)

func TestClaimsAuthserv(t *testing.T) {
	const id = "mx1.example.com"
	for _, test := range []struct {
		value string
		want  bool
	}{
		// As it should be written.
		{" mx1.example.com; smime=pass", true},
		{" mx1.example.com 1; smime=pass", true},
		{" mx1.example.com; none", true},
		{"\r\n mx1.example.com;\r\n smime=pass", true},
		{"mx1.example.com;smime=pass", true},
		{" MX1.Example.COM; smime=pass", true},
		{" mx1.example.com.; smime=pass", true},
		{" mx1.example.com", true},
		{" mx1.example.com smime=pass", true},
		{` "mx1.example.com"; smime=pass`, true},
		{` "mx1\.example\.com"; smime=pass`, true},
		// Comments.
		{" (a) mx1.example.com (b) 1 (c); smime=pass", true},
		{" (a (b) \\) c) mx1.example.com; smime=pass", true},
		{" (;) mx1.example.com; smime=pass", true},
		{" (a;b) mx1.example.com; smime=pass", true},
		{" mx1.(x)example.com; smime=pass", true},
		{" mx1 . example . com; smime=pass", true},
		{" (mx1.example.com) other.example; smime=pass", true},
		{" (mx1.example.com; smime=pass", true},
		{" other.example (; mx1.example.com; smime=pass", true},
		{` other.example "; mx1.example.com; smime=pass`, true},
		{` "mx1.example.com; smime=pass`, true},
		{` "mx1.example.com; x"; smime=pass`, true},
		// What a tolerant program might read.
		{" ; mx1.example.com; smime=pass", true},
		{" ;;; mx1.example.com 1; smime=pass", true},
		{" other.example mx1.example.com; smime=pass", true},
		{" mx1.example.com other.example; smime=pass", true},
		{" 1 mx1.example.com; smime=pass", true},
		{" mx1.example.com/1; smime=pass", true},
		{" mx1.example.com:25; smime=pass", true},
		{" mx1.example.com, other.example; smime=pass", true},
		{" <mx1.example.com>; smime=pass", true},
		{" [mx1.example.com]; smime=pass", true},
		{" 'mx1.example.com'; smime=pass", true},
		{` mx1\.example.com; smime=pass`, true},
		{` x mx1\.example.com; smime=pass`, true},
		{" spf=pass smtp.mailfrom=a.example; mx1.example.com; smime=pass", true},
		// In disguise.
		{" mx1\x00.example.com; smime=pass", true},
		{" mx1.example.com\x00.other.example; smime=pass", true},
		{" mx1.example.com\x0b; smime=pass", true},
		{" mx1.exam\u200bple.com; smime=pass", true},
		{" \ufeffmx1.example.com; smime=pass", true},
		{" mx1.exam\u00adple.com; smime=pass", true},
		{" \u202emx1.example.com; smime=pass", true},
		{" ｍｘ１.example.com; smime=pass", true},
		{" mx1。example。com; smime=pass", true},
		{" mx1․example․com; smime=pass", true},
		{" mх1.ехаmрlе.соm; smime=pass", true},
		{" xn--m1-0mc.example.com; smime=pass", true},
		{" =?utf-8?q?mx1.example.com?=; smime=pass", true},
		{" =?utf-8?b?bXgxLmV4YW1wbGUuY29t?=; smime=pass", true},
		{" =?utf-8?q?mx1?=.example.com; smime=pass", true},
		{" =?utf-8?q?mx1=2Eexample.com=3B?= smime=pass", true},
		{" =?utf-16be?b?AG0AeAAxAC4AZQB4AGEAbQBwAGwAZQAuAGMAbwBt?=; smime=pass", true},
		{" mx1%2Eexample%2ecom; smime=pass", true},
		{" mx1%252Eexample.com; smime=pass", true},
		{" utf-8''mx1.example.com; smime=pass", true},
		{" mx1.example.com%; smime=pass", true},
		{" mx1.example.com\xff; smime=pass", true},
		// Others.
		{"", false},
		{" ;", false},
		{" other.example; smime=pass", false},
		{" example.com; smime=pass", false},
		{" mx1.example.com.other.example; smime=pass", false},
		{" xmx1.example.com; smime=pass", false},
		{" x.mx1.example.com; smime=pass", false},
		{" x-mx1.example.com; smime=pass", false},
		{" mx1.example.net; smime=pass", false},
		{" mx12.example.com; smime=pass", false},
		{" mx1.example.com1; smime=pass", false},
		{" mxl.example.com; smime=pass", false},
		{" other.example (received by mx1.example.com); smime=pass", false},
		{" other.example; spf=pass (mx1.example.com: domain of a@b.example) smtp.helo=mx1.example.com", false},
		{` other.example; dkim=fail reason="mx1.example.com; mx1.example.com" header.d=mx1.example.com`, false},
		{` other.example; dkim=pass header.d=mx1.example.com; dmarc=pass header.from=mx1.example.com`, false},
		{" spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=mx1.example.com; dkim=none header.d=none;dmarc=pass", false},
		{" spf=pass smtp.mailfrom=a@mx1.example.com; dkim=none", false},
		{" other.example; auth=pass smtp.auth=\"mx1.example.com\"", false},
		{" other.example; =?utf-8?q?mx1?=", false},
	} {
		f := signer.ParseField("Authentication-Results", test.value)
		if got := claimsAuthserv(f, id); got != test.want {
			t.Errorf("%q: %v", test.value, got)
		}
	}
}

func TestClaimsAuthservNames(t *testing.T) {
	for name, want := range map[string]bool{
		"Authentication-Results": true, "authentication-results": true, "AUTHENTICATION-RESULTS ": true,
		"Authentication-Results\t": true, "Authentication-Re\x00sults": true, "Authentication\u200b-Results": true,
		"ARC-Authentication-Results": false, "X-Authentication-Results": false, "Authentication-Result": false, "": false,
	} {
		f := signer.Field{Name: name, Raw: []byte(name + ": mx1.example.com; smime=pass\r\n")}
		if got := claimsAuthserv(f, "mx1.example.com"); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

func TestClaimsAuthservIDs(t *testing.T) {
	for _, test := range []struct {
		id, value string
		want      bool
	}{
		{"mx.münchen.example", "mx.xn--mnchen-3ya.example; x=pass", true},
		{"mx.xn--mnchen-3ya.example", "mx.münchen.example; x=pass", true},
		{"mx.xn--mnchen-3ya.example", "MX.XN--MNCHEN-3YA.EXAMPLE.; x=pass", true},
		{"mx.xn--mnchen-3ya.example", "mx.mu\u0308nchen.example; x=pass", true},
		{"mx.xn--mnchen-3ya.example", "mx.munchen.example; x=pass", false},
		{"MX1", "mx1; x=pass", true},
		{"MX1", "mx1.example; x=pass", false},
		{"mx1.example.", "mx1.example; x=pass", true},
		{"пример.example", "xn--e1afmkfd.example; x=pass", true},
		{"", "mx1.example; x=pass", true},
	} {
		f := signer.ParseField("Authentication-Results", " "+test.value)
		if got := claimsAuthserv(f, test.id); got != test.want {
			t.Errorf("%s, %s: %v", test.id, test.value, got)
		}
	}
}

// A long field costs in proportion; the times are printed.
func TestClaimsAuthservIsLinear(t *testing.T) {
	for _, piece := range []string{"(", ")", "\"", ";", "a ", "mx1.", "xn--a.", "\u200b", "=?", "=?utf-8?q?a?= ", "%25", "\\", "а", "mx1.example.co;", "\x00"} {
		var times []time.Duration
		for _, n := range []int{20_000, 200_000} {
			f := signer.ParseField("Authentication-Results", strings.Repeat(piece, n/len(piece)))
			start := time.Now()
			if claimsAuthserv(f, "mx1.example.com") {
				t.Errorf("%q: it claims to be ours", piece)
			}
			times = append(times, time.Since(start).Round(time.Microsecond))
		}
		t.Logf("%q: 20 kB %v, 200 kB %v", piece, times[0], times[1])
	}
}

// A plain reader by the grammar, and one that knows nothing but the first word,
// never find our name where claimsAuthserv doesn't.
func FuzzClaimsAuthserv(f *testing.F) {
	for _, s := range []string{" mx1.example.com; smime=pass", ` (a) "mx1.example.com" 1; none`, "; x", "mx1.(a)example.com", "=?utf-8?q?m?=%41\\\"(", "\x00\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		const id = "mx1.example.com"
		field := signer.ParseField("Authentication-Results", value)
		claims := claimsAuthserv(field, id)
		if a, err := parseAuthres(string(field.Body())); err == nil && strings.EqualFold(a.id, id) && !claims {
			t.Errorf("%q is ours by the grammar", value)
		}
		first, _, _ := strings.Cut(field.Value(), ";")
		if words := strings.Fields(first); len(words) > 0 && strings.EqualFold(strings.Trim(words[0], `"`), id) && !claims {
			t.Errorf("%q has our name as its first word", value)
		}
		// In front of anything our name is the first word.
		if !claimsAuthserv(signer.ParseField("Authentication-Results", " "+id+"; "+value), id) {
			t.Errorf("our name before %q is not ours", value)
		}
	})
}
