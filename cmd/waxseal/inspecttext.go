package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"waxseal/milter"
	"waxseal/signer"
)

// describeInspection writes what was found in words.
func describeInspection(w io.Writer, i *milter.Inspection, f *milter.Filter) error {
	b := &report{}
	author := i.Author
	if author == "" {
		author = "nobody"
	}
	b.line(0, "author: %s", author)
	if i.AuthorReason != "" {
		b.line(1, "a reader may think of somebody else: %s", i.AuthorReason)
	}
	for n, l := range i.Layers {
		b.layer(n+1, l)
	}
	if len(i.Layers) == 0 {
		b.line(0, "no layers: the message is neither signed nor encrypted as a whole")
	}
	if i.Content != "" {
		b.line(0, "inside: %s", i.Content)
	}
	if i.Structure != "" {
		b.line(0, "structure: %s", i.Structure)
	}
	switch {
	case i.Verdict != signer.None:
		b.line(0, "verdict: %s%s", i.Verdict, because(i.Reason))
	case b.closed:
		b.line(0, "verdict: none, since what is encrypted could not be read")
	default:
		b.line(0, "verdict: none, the message as a whole is not signed")
	}
	if len(f.Anchors) == 0 && b.smime {
		b.line(0, "note: there are no trust anchors, so no S/MIME signature passes; name some with -anchors FILE or -config FILE")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// report is text in lines, each free of what could mean something to a terminal.
type report struct {
	strings.Builder
	smime  bool // there is an S/MIME signature
	closed bool // there is something that was not decrypted
}

func (b *report) line(indent int, format string, args ...any) {
	b.WriteString(strings.Repeat("  ", indent) + plain(fmt.Sprintf(format, args...)) + "\n")
}

// plain makes one line of a text that others may have written, without control
// characters and what turns text around.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// schemes are the names that people know.
var schemes = map[string]string{"smime": "S/MIME", "pgp": "OpenPGP"}

func (b *report) layer(n int, l milter.InspectedLayer) {
	what := l.Kind
	switch {
	case len(l.Signatures) > 0:
		what = "signed, " + l.Kind
	case l.Kind == "compressed-data":
		what = "compressed"
	}
	title := fmt.Sprintf("layer %d: %s", n, what)
	if name := schemes[l.Scheme]; name != "" {
		title += " (" + name + ")"
	}
	if l.Part != "" {
		title += ", part " + l.Part
	}
	if l.Partial {
		title += ", which is not all of the message"
	}
	b.line(0, "%s", title)
	if d := l.Decryption; d != nil {
		b.decryption(d)
	}
	for i, s := range l.Signatures {
		b.smime = b.smime || l.Scheme == "smime"
		if len(l.Signatures) > 1 {
			b.line(1, "signature %d of %d", i+1, len(l.Signatures))
		}
		b.signature(s)
	}
}

func (b *report) decryption(d *milter.InspectedDecryption) {
	if d.Cipher != "" {
		integrity := "not authenticated: it can't be seen whether it was changed"
		if d.Authenticated {
			integrity = "authenticated"
		}
		if d.Verdict != signer.Pass {
			integrity = ""
		}
		b.line(1, "cipher: %s", strings.TrimSuffix(d.Cipher+", "+integrity, ", "))
	}
	const shown = 10
	for i, r := range d.Recipients {
		if i == shown {
			b.line(1, "for: %d more", len(d.Recipients)-shown)
			break
		}
		b.line(1, "for: %s", r)
	}
	if d.Verdict == signer.Pass {
		b.line(1, "decrypted with: %s", d.Key)
	} else {
		b.closed = true
		b.line(1, "not decrypted (%s): %s", d.Verdict, d.Reason)
	}
}

func (b *report) signature(s milter.InspectedSignature) {
	if s.Signer != "" {
		b.line(1, "signer: %s", s.Signer)
	}
	if len(s.Addresses) > 0 {
		b.line(1, "addresses: %s", strings.Join(s.Addresses, ", "))
	}
	if s.Algorithm != "" {
		b.line(1, "algorithm: %s", s.Algorithm)
	}
	if s.Fingerprint != "" {
		b.line(1, "key: %s", s.Fingerprint)
	}
	if s.SignedAt != nil {
		b.line(1, "signed, by his own account: %s", s.SignedAt.UTC().Format(time.DateTime+" UTC"))
	}
	for _, c := range s.Chain {
		b.line(1, "certificate: %s", c.Subject)
		b.line(2, "by %s, serial %s, from %s to %s", c.Issuer, c.Serial, c.NotBefore.Format(time.DateOnly), c.NotAfter.Format(time.DateOnly))
	}
	for _, f := range s.Findings {
		b.line(1, "%s: %s%s", f.Name, f.Verdict, because(f.Reason))
	}
	b.line(1, "this signature: %s", s.Verdict)
}
