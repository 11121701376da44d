package policies

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// setting is a field of a struct that a body is decoded into.
type setting struct {
	typ      reflect.Type
	block    bool
	required bool
}

// schema is what a body may have, read from the tags of a struct.
type schema struct {
	settings map[string]setting
	names    []string // of settings, in the order of the fields
	labels   []string
	open     bool // takes anything else too
}

func schemaOf(t reflect.Type) schema {
	s := schema{settings: map[string]setting{}}
	for i := range t.NumField() {
		f := t.Field(i)
		name, kind, _ := strings.Cut(f.Tag.Get("hcl"), ",")
		switch kind {
		case "label":
			s.labels = append(s.labels, name)
		case "remain":
			s.open = true
		case "", "attr", "optional":
			if name == "" {
				continue
			}
			s.names = append(s.names, name)
			s.settings[name] = setting{typ: f.Type,
				required: kind != "optional" && f.Type.Kind() != reflect.Pointer}
		case "block":
			s.names = append(s.names, name)
			s.settings[name] = setting{typ: f.Type, block: true, required: f.Type.Kind() == reflect.Struct}
		}
	}
	return s
}

// checkBody finds all that does not fit the struct that target points to.
func checkBody(body *hclsyntax.Body, target any) Problems {
	return schemaOf(reflect.TypeOf(target).Elem()).check(body)
}

func (s schema) check(body *hclsyntax.Body) Problems {
	var found Problems
	for name, attr := range body.Attributes {
		known, ok := s.settings[name]
		switch {
		case ok && known.block:
			found = append(found, problemAt(attr.NameRange, fmt.Sprintf("%s is a block", name),
				fmt.Sprintf("write %s { ... }, without =", example(name, known))))
		case ok:
			found = append(found, checkKind(name, attr.Expr, kindOf(known.typ))...)
		case !s.open:
			found = append(found, problemAt(attr.NameRange, fmt.Sprintf("unknown setting %q", name), s.suggest(name)))
		}
	}
	first := map[string]*hclsyntax.Block{}
	for _, block := range body.Blocks {
		known, ok := s.settings[block.Type]
		switch {
		case ok && known.block:
			single := known.typ.Kind() != reflect.Slice
			if before := first[block.Type]; before != nil && single {
				found = append(found, problemAt(block.TypeRange, fmt.Sprintf("duplicate block %q", block.Type),
					fmt.Sprintf("the first is at line %d: keep one", before.TypeRange.Start.Line)))
				continue
			}
			first[block.Type] = block
			found = append(found, checkBlock(block, known)...)
		case ok:
			found = append(found, problemAt(block.TypeRange, fmt.Sprintf("%s is a setting, not a block", block.Type),
				fmt.Sprintf("write %s = %s", block.Type, kindOf(known.typ).example)))
		case !s.open:
			found = append(found, problemAt(block.TypeRange, fmt.Sprintf("unknown block %q", block.Type), s.suggest(block.Type)))
		}
	}
	for _, name := range s.names {
		if known := s.settings[name]; known.required && body.Attributes[name] == nil && first[name] == nil {
			found = append(found, problemAt(body.MissingItemRange(), fmt.Sprintf("%s is missing", name), missingHint(name, known)))
		}
	}
	return found
}

func checkBlock(block *hclsyntax.Block, known setting) Problems {
	inner := schemaOf(structOf(known.typ))
	switch want := len(inner.labels); {
	case len(block.Labels) < want:
		return Problems{problemAt(block.TypeRange, fmt.Sprintf("%s has no %s", block.Type, inner.labels[len(block.Labels)]),
			fmt.Sprintf("write %s { ... }", example(block.Type, known)))}
	case len(block.Labels) > want:
		return Problems{problemAt(block.LabelRanges[want], fmt.Sprintf("%s is one label too many for %s",
			quote(block.Labels[want]), block.Type), fmt.Sprintf("write %s { ... }", example(block.Type, known)))}
	}
	return inner.check(block.Body)
}

func missingHint(name string, known setting) string {
	if known.block {
		return fmt.Sprintf("write %s { ... }", example(name, known))
	}
	return fmt.Sprintf("write %s = %s", name, kindOf(known.typ).example)
}

// example is the head of a block, with its labels in capitals.
func example(name string, known setting) string {
	for _, label := range schemaOf(structOf(known.typ)).labels {
		name += " " + `"` + strings.ToUpper(label) + `"`
	}
	return name
}

func structOf(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// suggest names the setting that was probably meant, or all there are.
func (s schema) suggest(name string) string {
	best, distance := "", 3
	for _, known := range s.names {
		if d := editDistance(name, known, distance); d < distance {
			best, distance = known, d
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %s?", best)
	}
	names := slices.Sorted(slices.Values(s.names))
	return "here there are " + strings.Join(names, ", ")
}

// editDistance is the number of characters to insert, delete or replace to make
// b from a; limit if it's that or more.
func editDistance(a, b string, limit int) int {
	if diff := len(a) - len(b); diff >= limit || -diff >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return min(row[len(b)], limit)
}

// kind is a type of values, in words.
type kind struct {
	name    string
	example string
}

// The kinds that Decode knows. The others are taken as they come.
var (
	wantText   = kind{"a text in quotes", `"..."`}
	wantFlag   = kind{"true or false", "true"}
	wantNumber = kind{"a number", "1"}
	wantTexts  = kind{"a list of texts in quotes", `["..."]`}
	wantMap    = kind{"a map", "{ name = value }"}
	wantAny    = kind{"a value", "..."}
)

func kindOf(t reflect.Type) kind {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.String:
		return wantText
	case reflect.Bool:
		return wantFlag
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8,
		reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		return wantNumber
	case reflect.Slice:
		if t.Elem().Kind() == reflect.String {
			return wantTexts
		}
	case reflect.Map:
		return wantMap
	}
	return wantAny
}

// checkKind says what is wrong with the type of a value, nil if nothing is. The
// conversions of the library are not wanted: a number is no text.
func checkKind(name string, expr hclsyntax.Expression, want kind) Problems {
	if want == wantAny {
		return nil
	}
	if want == wantTexts {
		list, ok := expr.(*hclsyntax.TupleConsExpr)
		if !ok {
			return Problems{wrongType(name, expr.Range(), want)}
		}
		var found Problems
		for _, item := range list.Exprs {
			if !isKind(item, wantText) {
				found = append(found, wrongType(name, item.Range(), want))
			}
		}
		return found
	}
	if !isKind(expr, want) {
		return Problems{wrongType(name, expr.Range(), want)}
	}
	return nil
}

func isKind(expr hclsyntax.Expression, want kind) bool {
	value, diags := expr.Value(nil)
	if diags.HasErrors() || !value.IsWhollyKnown() || value.IsNull() {
		return false
	}
	typ := value.Type()
	return want == wantText && typ == cty.String || want == wantFlag && typ == cty.Bool ||
		want == wantNumber && typ == cty.Number || want == wantMap && typ.IsObjectType()
}

func wrongType(name string, at hcl.Range, want kind) Problem {
	return problemAt(at, fmt.Sprintf("%s must be %s", name, want.name), fmt.Sprintf("write %s = %s", name, want.example))
}
