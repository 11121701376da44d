package milter

import (
	"strings"

	"waxseal/signer"
)

// rewrite is a header and the changes to it. The changes are of the three
// kinds that come out the same on Postfix and Sendmail, so that nothing has to
// be found out by comparing two headers.
type rewrite struct {
	fields []planned
	top    []signer.Field // inserted above all others, in this order
}

// planned is one field of the original header.
type planned struct {
	signer.Field
	changed, deleted bool
}

func newRewrite(h signer.Header) *rewrite {
	r := &rewrite{fields: make([]planned, len(h))}
	for i, f := range h {
		r.fields[i].Field = f
	}
	return r
}

// delete takes out every field that match accepts.
func (r *rewrite) delete(match func(signer.Field) bool) {
	for i := range r.fields {
		if match(r.fields[i].Field) {
			r.fields[i].deleted = true
		}
	}
}

// insert puts a field at the top.
func (r *rewrite) insert(f signer.Field) { r.top = append([]signer.Field{f}, r.top...) }

// put makes f the only field of its name: in the place of the first one, or at
// the top where there is none.
func (r *rewrite) put(f signer.Field) {
	done := false
	for i := range r.fields {
		p := &r.fields[i]
		switch {
		case !p.Is(f.Name) || p.deleted && !done:
			continue
		case done:
			p.deleted = true
		default:
			p.Field, p.changed, done = signer.Field{Name: p.Name, Raw: f.Raw}, true, true
		}
	}
	if !done {
		r.insert(f)
	}
}

// replaceContent puts the fields of a protected entity in the place of those
// that describe the original body. MIME-Version stays if it is there once.
func (r *rewrite) replaceContent(content signer.Header) {
	r.delete(func(f signer.Field) bool {
		return isContent(f) && len(content.Fields(f.Name)) == 0
	})
	// Inserted fields end up in the order of the entity.
	for i := len(content) - 1; i >= 0; i-- {
		if isContent(content[i]) {
			r.put(content[i])
		}
	}
	versions := 0
	for i := range r.fields {
		if r.fields[i].Is("MIME-Version") && !r.fields[i].deleted {
			versions++
			r.fields[i].deleted = versions > 1
		}
	}
	if versions == 0 {
		r.insert(signer.Field{Name: "MIME-Version", Raw: []byte("MIME-Version: 1.0\r\n")})
	}
}

func isContent(f signer.Field) bool {
	const prefix = "Content-"
	return len(f.Name) >= len(prefix) && strings.EqualFold(f.Name[:len(prefix)], prefix)
}

// header is the header as it will be.
func (r *rewrite) header() signer.Header {
	h := append(signer.Header(nil), r.top...)
	for _, p := range r.fields {
		if !p.deleted {
			h = append(h, p.Field)
		}
	}
	return h
}

// edits are the changes for the MTA: from the bottom up, so that the index of a
// field still counts the fields before it on every MTA; then the insertions,
// the lowest first, since each goes to the very top.
func (r *rewrite) edits() []Edit {
	count := map[string]int{}
	index := make([]int, len(r.fields))
	for i, p := range r.fields {
		name := strings.ToLower(p.Name)
		count[name]++
		index[i] = count[name]
	}
	var edits []Edit
	for i := len(r.fields) - 1; i >= 0; i-- {
		switch p := r.fields[i]; {
		case p.deleted:
			edits = append(edits, Edit{Kind: Delete, Name: p.Name, Index: index[i]})
		case p.changed:
			edits = append(edits, Edit{Kind: Change, Name: p.Name, Index: index[i], Value: editValue(p.Field)})
		}
	}
	for i := len(r.top) - 1; i >= 0; i-- {
		edits = append(edits, Edit{Kind: Insert, Name: r.top[i].Name, Value: editValue(r.top[i])})
	}
	return edits
}

func editValue(f signer.Field) string {
	return strings.TrimLeft(string(f.Body()), " \t")
}

// tagSubject puts texts before the subject, after taking out of it every text
// that only we may put there. A message without a subject gets one of texts.
func (r *rewrite) tagSubject(texts, ours []string) {
	tag := strings.Join(texts, " ")
	tagged := false
	for i := range r.fields {
		p := &r.fields[i]
		if !p.Is("Subject") || p.deleted {
			continue
		}
		for again := true; again; {
			// A text that another one was wrapped around appears when that goes.
			again = false
			for _, text := range ours {
				if changed, ok := signer.StripText(p.Field, text); text != "" && ok {
					p.Field, p.changed, again = changed, true, true
				}
			}
		}
		if tag != "" && !tagged {
			p.Field, p.changed, tagged = signer.Field{Name: p.Name, Raw: tagField(p.Field, tag)}, true, true
		}
	}
	if tag != "" && !tagged {
		r.insert(signer.Field{Name: "Subject", Raw: []byte("Subject: " + tag + "\r\n")})
	}
}

// tagField is the field with a text before its own, on a line of its own if
// the two are too long for one.
func tagField(f signer.Field, tag string) []byte {
	const line = 76
	body := strings.TrimLeft(string(f.Body()), " \t")
	gap := " "
	if first, _, _ := strings.Cut(body, "\r\n"); len(f.Name)+len(": ")+len(tag)+1+len(first) > line {
		gap = "\r\n "
	}
	return []byte(f.Name + ": " + tag + gap + body + "\r\n")
}
