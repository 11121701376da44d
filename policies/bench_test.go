package policies

import (
	"fmt"
	"strings"
	"testing"
)

func manyPolicies(b *testing.B, n int) *Set {
	b.Helper()
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, `policy "p%d" {
  direction = "outgoing"
  recipient = ["*@d%d.example", "*@*.d%d.example"]
  encrypt "smime" {}
  on_key_not_found = "reject"
}
`, i, i, i)
	}
	return mustParse(b, text.String())
}

func BenchmarkDecide(b *testing.B) {
	for _, size := range []struct{ policies, recipients int }{{10, 1}, {1000, 1}, {1000, 100}} {
		set := manyPolicies(b, size.policies)
		f := Facts{Direction: Outgoing, Originators: []string{"alice@example.com"}, Sender: "alice@example.com"}
		for i := range size.recipients {
			f.Recipients = append(f.Recipients, fmt.Sprintf("bob@mail.d%d.example", i*size.policies/size.recipients))
		}
		b.Run(fmt.Sprintf("policies=%d/recipients=%d", size.policies, size.recipients), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				set.Decide(f)
			}
		})
	}
}

func BenchmarkNormalise(b *testing.B) {
	for _, address := range []string{"alice@example.com", "alice@bücher.example"} {
		b.Run(address, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Normalise(address)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for _, n := range []int{100, 1000} {
		var text strings.Builder
		for i := range n {
			fmt.Fprintf(&text, onePolicy, fmt.Sprint("p", i), fmt.Sprintf("d%d.example", i))
		}
		b.Run(fmt.Sprintf("policies=%d", n), func(b *testing.B) {
			b.SetBytes(int64(text.Len()))
			for b.Loop() {
				if _, err := Parse("b.hcl", []byte(text.String())); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
