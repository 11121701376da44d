package policies

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// The bounds of one file. The parser calls itself for each bracket and each
// operator, so both are counted before it sees the file.
const (
	maxFileSize = 1 << 20 // bytes
	maxDepth    = 64      // of brackets and braces
	maxForeign  = 64      // pieces of syntax that are not used here
	maxName     = 128     // bytes of a setting's name
)

// scan looks at the tokens of a file. It reports what is no part of the
// language as it is used here (a setting is a text, a number, true or false, or
// a list or map of those), and whether the parser can be trusted with the file.
func scan(file string, src []byte) (found Problems, safe bool) {
	if len(src) > maxFileSize {
		return Problems{{File: file, Text: fmt.Sprintf("the file is longer than %d bytes", maxFileSize),
			Hint: "divide it into several files"}}, false
	}
	// What is no token at all is left to the parser, which says it better.
	tokens, _ := hclsyntax.LexConfig(src, file, hcl.InitialPos)
	depth, foreign := 0, 0
	before := hclsyntax.TokenNewline
	for _, t := range tokens {
		if t.Type == hclsyntax.TokenOBrack && endsValue(before) {
			found = append(found, problemAt(t.Range, "an index is not supported", "write the value itself"))
			foreign++
		}
		before = t.Type
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack:
			depth++
			if depth > maxDepth {
				return append(found, problemAt(t.Range, fmt.Sprintf("more than %d brackets or braces inside each other", maxDepth),
					"close the ones above")), false
			}
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack:
			depth--
		case hclsyntax.TokenIdent:
			if len(t.Bytes) > maxName {
				return append(found, problemAt(t.Range, fmt.Sprintf("a name longer than %d bytes", maxName),
					"no setting has such a name; a text stands in quotes")), false
			}
		default:
			if text, hint := notUsed(t); text != "" {
				found = append(found, problemAt(t.Range, text, hint))
				foreign++
			}
		}
		if foreign > maxForeign {
			return found, false
		}
	}
	return found, true
}

// endsValue reports whether a bracket behind such a token is an index.
func endsValue(t hclsyntax.TokenType) bool {
	switch t {
	case hclsyntax.TokenIdent, hclsyntax.TokenNumberLit, hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc,
		hclsyntax.TokenCBrack, hclsyntax.TokenCBrace, hclsyntax.TokenCParen:
		return true
	}
	return false
}

// notUsed says what to write instead of a token, or "" if the token is fine or
// is the parser's to complain about.
func notUsed(t hclsyntax.Token) (text, hint string) {
	switch t.Type {
	case hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
		start := string(t.Bytes[:min(2, len(t.Bytes))])
		return start + " begins a template, and there are none here",
			fmt.Sprintf("write %s%s for the characters themselves", start[:1], start)
	case hclsyntax.TokenOParen:
		return "functions and parentheses are not supported", "write the value itself"
	case hclsyntax.TokenStar, hclsyntax.TokenSlash, hclsyntax.TokenPlus, hclsyntax.TokenMinus,
		hclsyntax.TokenPercent, hclsyntax.TokenEqualOp, hclsyntax.TokenNotEqual, hclsyntax.TokenLessThan,
		hclsyntax.TokenLessThanEq, hclsyntax.TokenGreaterThan, hclsyntax.TokenGreaterThanEq, hclsyntax.TokenAnd,
		hclsyntax.TokenOr, hclsyntax.TokenBang, hclsyntax.TokenDot, hclsyntax.TokenDoubleColon,
		hclsyntax.TokenEllipsis, hclsyntax.TokenQuestion:
		return fmt.Sprintf("%s is not supported outside quotes", quote(strings.TrimSpace(string(t.Bytes)))),
			"write texts in quotes and numbers as they are"
	}
	return "", ""
}
