package signer

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"strings"
	"testing"
)

// standardLeaves are the decoded leaves of a message by the parsers of the
// standard library, or false where those give up.
func standardLeaves(contentType, encoding string, body io.Reader) ([]string, bool) {
	if contentType == "" {
		contentType = "text/plain"
	}
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, false
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return nil, false
	}
	encoding = strings.ToLower(strings.TrimSpace(encoding))
	switch {
	case strings.HasPrefix(media, "multipart/"):
		var all []string
		for r := multipart.NewReader(bytes.NewReader(data), params["boundary"]); ; {
			p, err := r.NextRawPart()
			if err == io.EOF {
				return all, true
			}
			if err != nil {
				return nil, false
			}
			kind := p.Header.Get("Content-Type")
			if kind == "" && media == "multipart/digest" {
				kind = "message/rfc822"
			}
			inner, ok := standardLeaves(kind, p.Header.Get("Content-Transfer-Encoding"), p)
			if !ok {
				return nil, false
			}
			all = append(all, inner...)
		}
	case media == "message/rfc822" && identity(encoding):
		m, err := mail.ReadMessage(bytes.NewReader(data))
		if err != nil {
			return nil, false
		}
		return standardLeaves(m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body)
	}
	// Of what programs show of a part, the name of a file is the rest.
	return []string{media + " " + params["name"] + "\n" + decoded(encoding, data)}, true
}

// The standard library finds the same leaves in what comes out as in what went
// in, if it can read the latter.
func TestProtectableJudged(t *testing.T) {
	// Boundary lines that come without a part between them, or at the end of the
	// message without a line end, are lines of text to mime/multipart.
	differ := map[string]bool{"mail/stalwart-mail-parser/malformed/000.eml": true, "mail/stalwart-mail-parser/malformed/014.eml": true}
	total, judged := 0, 0
	corpus(t, func(name, text string) {
		m := rawMessage(t, text)
		e, err := Protectable(m, TransitOptions{PGP: true})
		if err != nil || differ[name] {
			return
		}
		total++
		in, ok := standardLeaves(m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), strings.NewReader(bodyOf(t, m)))
		if !ok {
			return
		}
		judged++
		got := written(t, e)
		out, ok := standardLeaves(e.Header.Get("Content-Type"), e.Header.Get("Content-Transfer-Encoding"), strings.NewReader(got[len(got)-int(e.Body.Size()):]))
		if !ok {
			t.Errorf("%s: can't be read any more", name)
			return
		}
		if err := sameLeaves(in, out); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}, "mail", "smime")
	t.Logf("%d of %d messages judged", judged, total)
	if judged < total/2 {
		t.Errorf("%d of %d messages judged", judged, total)
	}
}
