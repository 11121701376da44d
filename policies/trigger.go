package policies

import (
	"fmt"
	"strings"
)

// matches compares the trigger with the values of its field, folded.
func (t Trigger) matches(values []string) bool {
	contains, equals := fold(t.Contains), fold(t.Equals)
	for _, v := range values {
		switch {
		case contains != "":
			if strings.Contains(v, contains) {
				return true
			}
		case equals != "":
			if strings.TrimSpace(v) == equals {
				return true
			}
		default:
			return true
		}
	}
	return false
}

// implies reports whether any field that t matches is one that other matches.
func (t Trigger) implies(other Trigger) bool {
	if !strings.EqualFold(t.Name, other.Name) {
		return false
	}
	switch {
	case other.Contains != "":
		return strings.Contains(fold(t.Contains), fold(other.Contains)) ||
			strings.Contains(fold(t.Equals), fold(other.Contains))
	case other.Equals != "":
		return fold(t.Equals) == fold(other.Equals)
	}
	return true
}

// failed says in words that the trigger did not match. The field's value is the
// message's business and stays out of it.
func (t Trigger) failed() string {
	switch {
	case t.Contains != "":
		return fmt.Sprintf("header %s does not contain %s", t.Name, quote(t.Contains))
	case t.Equals != "":
		return fmt.Sprintf("header %s is not %s", t.Name, quote(t.Equals))
	}
	return fmt.Sprintf("there is no header %s", t.Name)
}

// fields caches the folded values of header fields for one message.
type fields struct {
	get    func(name string) []string
	values map[string][]string
}

func (f *fields) folded(name string) []string {
	key := strings.ToLower(name)
	values, known := f.values[key]
	if known || f.get == nil {
		return values
	}
	for _, v := range f.get(name) {
		values = append(values, fold(v))
	}
	if f.values == nil {
		f.values = map[string][]string{}
	}
	f.values[key] = values
	return values
}
