package policies

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// policyFile is what a file may have; what is inside a policy is looked at by
// itself.
type policyFile struct {
	Policies []struct {
		Name   string   `hcl:"name,label"`
		Inside hcl.Body `hcl:",remain"`
	} `hcl:"policy,block"`
}

// policyBlock is a policy block as it stands in the file. Every setting is kept
// with its place, nil if it is not there.
type policyBlock struct {
	Name              string         `hcl:"name,label"`
	Direction         *hcl.Attribute `hcl:"direction,optional"`
	Originator        *hcl.Attribute `hcl:"originator,optional"`
	Recipient         *hcl.Attribute `hcl:"recipient,optional"`
	Header            []*headerBlock `hcl:"header,block"`
	Authenticated     *hcl.Attribute `hcl:"authenticated,optional"`
	TLS               *hcl.Attribute `hcl:"tls,optional"`
	FoldLocalPart     *hcl.Attribute `hcl:"fold_local_part,optional"`
	RequireLoginMatch *hcl.Attribute `hcl:"require_login_match,optional"`
	Sign              *signBlock     `hcl:"sign,block"`
	IssueOnDemand     *hcl.Attribute `hcl:"issue_on_demand,optional"`
	Encrypt           *encryptBlock  `hcl:"encrypt,block"`
	OnKeyNotFound     *hcl.Attribute `hcl:"on_key_not_found,optional"`
	OnProtected       *hcl.Attribute `hcl:"on_already_protected,optional"`
	Decrypt           *decryptBlock  `hcl:"decrypt,block"`
	Verify            *verifyBlock   `hcl:"verify,block"`
	OnBadSignature    *hcl.Attribute `hcl:"on_bad_signature,optional"`
	OnUntrusted       *hcl.Attribute `hcl:"on_untrusted,optional"`
	OnNoSignature     *hcl.Attribute `hcl:"on_no_signature,optional"`
	OnDecryptError    *hcl.Attribute `hcl:"on_decrypt_error,optional"`
	OnKeysUnavailable *hcl.Attribute `hcl:"on_keys_unavailable,optional"`
	MaxLayers         *hcl.Attribute `hcl:"max_layers,optional"`
	SubjectTag        *tagBlock      `hcl:"subject_tag,block"`
}

type headerBlock struct {
	Name     string         `hcl:"name,label"`
	NameAt   hcl.Range      `hcl:"name,label_range"`
	Contains *hcl.Attribute `hcl:"contains,optional"`
	Equals   *hcl.Attribute `hcl:"equals,optional"`
	Strip    *hcl.Attribute `hcl:"strip,optional"`
}

type signBlock struct {
	Scheme   string         `hcl:"scheme,label"`
	SchemeAt hcl.Range      `hcl:"scheme,label_range"`
	At       hcl.Range      `hcl:",type_range"`
	Key      *hcl.Attribute `hcl:"key,optional"`
	Mode     *hcl.Attribute `hcl:"mode,optional"`
	Digest   *hcl.Attribute `hcl:"digest,optional"`
	PSS      *hcl.Attribute `hcl:"pss,optional"`
}

type encryptBlock struct {
	Scheme       string         `hcl:"scheme,label"`
	SchemeAt     hcl.Range      `hcl:"scheme,label_range"`
	At           hcl.Range      `hcl:",type_range"`
	AlsoTo       *hcl.Attribute `hcl:"also_to,optional"`
	Cipher       *hcl.Attribute `hcl:"cipher,optional"`
	KeyTransport *hcl.Attribute `hcl:"key_transport,optional"`
	Hidden       *hcl.Attribute `hcl:"hidden,optional"`
}

type decryptBlock struct {
	At            hcl.Range      `hcl:",type_range"`
	Deliver       *hcl.Attribute `hcl:"deliver,optional"`
	LegacyCiphers *hcl.Attribute `hcl:"legacy_ciphers,optional"`
}

type verifyBlock struct {
	At             hcl.Range      `hcl:",type_range"`
	TrustAnchors   *hcl.Attribute `hcl:"trust_anchors,optional"`
	Revocation     *hcl.Attribute `hcl:"revocation,optional"`
	Signers        *hcl.Attribute `hcl:"signers,optional"`
	StripSignature *hcl.Attribute `hcl:"strip_signature,optional"`
}

type tagBlock struct {
	At        hcl.Range      `hcl:",type_range"`
	Decrypted *hcl.Attribute `hcl:"decrypted,optional"`
	Signed    *hcl.Attribute `hcl:"signed,optional"`
	Untrusted *hcl.Attribute `hcl:"untrusted,optional"`
	Bad       *hcl.Attribute `hcl:"bad,optional"`
}

// reader reads values and collects the problems with them. Its methods return a
// zero value for what is not there or is wrong.
type reader struct {
	found Problems
}

func (r *reader) complain(at hcl.Range, text, hint string) {
	r.found = append(r.found, problemAt(at, text, hint))
}

// expression returns the value of an attribute, if it is there.
func expression(a *hcl.Attribute) (hclsyntax.Expression, bool) {
	if a == nil {
		return nil, false
	}
	expr, ok := a.Expr.(hclsyntax.Expression)
	return expr, ok
}

func (r *reader) flag(a *hcl.Attribute) *bool {
	expr, ok := expression(a)
	if !ok {
		return nil
	}
	if bad := checkKind(a.Name, expr, wantFlag); bad != nil {
		r.found = append(r.found, bad...)
		return nil
	}
	value, _ := expr.Value(nil)
	yes := value.True()
	return &yes
}

// number reads a whole number from least to most.
func (r *reader) number(a *hcl.Attribute, least, most, otherwise int) int {
	expr, ok := expression(a)
	if !ok {
		return otherwise
	}
	if bad := checkKind(a.Name, expr, wantNumber); bad != nil {
		r.found = append(r.found, bad...)
		return otherwise
	}
	value, _ := expr.Value(nil)
	n, accuracy := value.AsBigFloat().Int64()
	if accuracy != big.Exact || n < int64(least) || n > int64(most) {
		r.complain(expr.Range(), fmt.Sprintf("%s must be a whole number from %d to %d", a.Name, least, most),
			fmt.Sprintf("write %s = %d", a.Name, otherwise))
		return otherwise
	}
	return int(n)
}

// text reads a text of printable characters that is not empty.
func (r *reader) text(a *hcl.Attribute) (string, bool) {
	expr, ok := expression(a)
	if !ok {
		return "", false
	}
	return r.textOf(a.Name, expr, wantText)
}

// textOf reads one text of a setting that wants such a value.
func (r *reader) textOf(name string, expr hclsyntax.Expression, want kind) (string, bool) {
	if !isKind(expr, wantText) {
		r.found = append(r.found, wrongType(name, expr.Range(), want))
		return "", false
	}
	value, _ := expr.Value(nil)
	text := value.AsString()
	switch {
	case strings.TrimSpace(text) == "":
		r.complain(expr.Range(), name+" is empty", "write a text, or take the setting out")
		return "", false
	case strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f }):
		r.complain(expr.Range(), name+" has a control character", "take it out")
		return "", false
	}
	return text, true
}

// item is a text of a list.
type item struct {
	text string
	at   hcl.Range
}

func (r *reader) list(a *hcl.Attribute) []item {
	expr, ok := expression(a)
	if !ok {
		return nil
	}
	tuple, ok := expr.(*hclsyntax.TupleConsExpr)
	if !ok {
		r.found = append(r.found, wrongType(a.Name, expr.Range(), wantTexts))
		return nil
	}
	if len(tuple.Exprs) == 0 {
		r.complain(expr.Range(), a.Name+" is an empty list", "name one, or take the setting out")
	}
	var items []item
	for _, e := range tuple.Exprs {
		if text, ok := r.textOf(a.Name, e, wantTexts); ok {
			items = append(items, item{text, e.Range()})
		}
	}
	return items
}

func (r *reader) patterns(a *hcl.Attribute) []Pattern {
	var patterns []Pattern
	for _, item := range r.list(a) {
		p, problem, hint := parsePattern(item.text)
		if problem != "" {
			r.complain(item.at, a.Name+": "+problem, hint)
			continue
		}
		patterns = append(patterns, p)
	}
	return patterns
}

// word reads one of the allowed words; the first is the default.
func (r *reader) word(a *hcl.Attribute, allowed ...string) string {
	text, ok := r.text(a)
	if !ok {
		return allowed[0]
	}
	return r.oneOf(a.Name, text, a.Expr.Range(), allowed)
}

func (r *reader) oneOf(name, text string, at hcl.Range, allowed []string) string {
	for _, w := range allowed {
		if text == w {
			return w
		}
	}
	r.complain(at, fmt.Sprintf("%s can't be %s", name, quote(text)), "write "+oneOf(quoteAll(allowed)...))
	return allowed[0]
}

func quoteAll(words []string) []string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(w)
	}
	return quoted
}
