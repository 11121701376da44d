package signer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"mime/quotedprintable"
	"path"
	"strings"
)

// What may stand beside the encrypted data of a message that counts as
// encrypted, in bytes. Programs write a line for readers that can't decrypt;
// more than that could be the text that was to be kept secret.
const (
	maxNote        = 1 << 10 // a multipart's preamble or epilogue, an armor's headers
	maxOuterHeader = 4 << 10 // header of a part
	maxEnvelope    = 4 << 20 // recipients, certificates, attributes
)

// Protection is what a message already is before anything is done to it.
type Protection struct {
	// Scheme is "smime" or "pgp" if the message is signed or encrypted.
	Scheme string
	// Signed says that the whole message is signed. It says nothing about who
	// signed it and whether the signature is good.
	Signed bool
	// Encrypted says that the whole text is encrypted, to someone.
	Encrypted bool
	// Kind names the structure for a log: "smime enveloped-data", "pgp inline".
	Kind string
	// Why says what is wrong with a message that announces a protection that it
	// does not have.
	Why string
}

// Inspect finds out whether a message is already signed or encrypted, as a whole.
// It follows the structure down to the CMS types (RFC 5652, RFC 5083) and the
// OpenPGP packets (RFC 9580) and believes no Content-Type or word in the text. A
// message that counts as encrypted may pass where encryption is demanded, so
// every doubt makes it one that is not: text around the encrypted data, no
// recipient, a length or a checksum that is wrong, a broken multipart. A message
// that holds a protected part among others is not protected.
//
// What is inside the encryption is not seen. The body is read at most a few
// times, in small blocks, and only if the Content-Type leaves it possible that
// it is protected. An error is one of the Source's.
func Inspect(m *Message) (*Protection, error) {
	i := &inspector{src: m.Body}
	root := &Part{Header: m.Header, MediaType: "text/plain", BodyEnd: m.Body.Size()}
	root.describe()
	switch root.MediaType {
	case "multipart/signed", "multipart/encrypted":
		sliced, err := Slice(m.Header, m.Body)
		var limit *LimitError
		switch {
		case errors.As(err, &limit):
			return &Protection{Why: err.Error()}, nil
		case err != nil:
			return nil, fmt.Errorf("look for protection: %w", err)
		}
		root = sliced
	}
	p := i.part(root)
	if i.err != nil {
		return nil, fmt.Errorf("look for protection: %w", i.err)
	}
	return &p, nil
}

// inspector looks at the parts of one message.
type inspector struct {
	src Source
	err error // the first that the source had
}

// part says what a part is. Its depth is bounded by that of Slice.
func (i *inspector) part(p *Part) Protection {
	if p.ambiguous != "" {
		return Protection{Why: "message " + p.ambiguous}
	}
	switch kind, _, _ := strings.Cut(p.MediaType, "/"); {
	case p.MediaType == "multipart/signed":
		return i.multipartSigned(p)
	case p.MediaType == "multipart/encrypted":
		return i.multipartEncrypted(p)
	case p.MediaType == "text/plain":
		return i.inline(p)
	case kind == "multipart" || kind == "message" || kind == "text":
		return Protection{}
	case p.MediaType == "application/pkcs7-mime" || p.MediaType == "application/x-pkcs7-mime" || hasCMSName(p):
		return i.cms(p)
	}
	return Protection{}
}

// hasCMSName reports whether a part has a file name by which programs take it for
// CMS, whatever its type is (RFC 8551, Section 3.9).
func hasCMSName(p *Part) bool {
	names := []string{p.Params["name"]}
	for _, f := range p.Header.Fields("Content-Disposition") {
		disposition := parseParameters(f.Value())
		names = append(names, disposition.values()["filename"])
	}
	for _, name := range names {
		switch strings.ToLower(path.Ext(strings.TrimSpace(name))) {
		case ".p7m", ".p7s", ".p7c", ".p7z":
			return true
		}
	}
	return false
}

// cms looks at a part that is a CMS structure (RFC 8551, Section 3.2).
func (i *inspector) cms(p *Part) Protection {
	outline, err := readCMS(i.open(p))
	switch {
	case err != nil:
		return Protection{Why: "not an S/MIME message: " + err.Error()}
	case outline.kind == cmsEnveloped || outline.kind == cmsAuthEnveloped:
		return Protection{Scheme: "smime", Encrypted: true, Kind: "smime " + string(outline.kind)}
	case outline.kind == cmsSigned && outline.signers > 0 && outline.content > 0:
		return Protection{Scheme: "smime", Signed: true, Kind: "smime signed-data"}
	case outline.kind == cmsSigned && outline.signers > 0:
		return Protection{Why: "S/MIME signature without what it signs"}
	case outline.kind == cmsSigned:
		return Protection{Why: "S/MIME certificates, not a message"}
	}
	return Protection{Why: "S/MIME " + string(outline.kind) + " protects nothing"}
}

// multipartSigned looks at a multipart/signed (RFC 1847, Section 2.1).
func (i *inspector) multipartSigned(p *Part) Protection {
	if why := brokenPair(p); why != "" {
		return Protection{Why: why}
	}
	found := Protection{Signed: true}
	signature := p.Parts[1]
	switch protocol := strings.ToLower(p.Params["protocol"]); {
	case isCMSSignature(protocol) && isCMSSignature(signature.MediaType):
		outline, err := readCMS(i.open(signature))
		switch {
		case err != nil:
			return Protection{Why: "S/MIME signature: " + err.Error()}
		case outline.kind != cmsSigned || outline.signers == 0 || outline.content >= 0:
			return Protection{Why: "S/MIME signature is not a detached SignedData with a signer"}
		}
		found.Scheme, found.Kind = "smime", "smime multipart/signed"
	case protocol == "application/pgp-signature" && signature.MediaType == protocol:
		if err := readSignatureArmor(bufio.NewReader(i.open(signature))); err != nil {
			return Protection{Why: "PGP/MIME signature: " + err.Error()}
		}
		found.Scheme, found.Kind = "pgp", "pgp multipart/signed"
	default:
		return Protection{Why: "multipart/signed of an unknown protocol"}
	}
	// A signature around an encrypted message.
	if inner := i.part(p.Parts[0]); inner.Encrypted && outerText(p) == "" {
		found.Encrypted = true
		found.Kind += ", " + inner.Kind
	}
	return found
}

func isCMSSignature(mediaType string) bool {
	return mediaType == "application/pkcs7-signature" || mediaType == "application/x-pkcs7-signature"
}

// multipartEncrypted looks at a multipart/encrypted (RFC 3156, Section 4).
func (i *inspector) multipartEncrypted(p *Part) Protection {
	if why := brokenPair(p); why != "" {
		return Protection{Why: why}
	}
	if why := outerText(p); why != "" {
		return Protection{Why: why}
	}
	const protocol = "application/pgp-encrypted"
	control, data := p.Parts[0], p.Parts[1]
	switch {
	case strings.ToLower(p.Params["protocol"]) != protocol:
		return Protection{Why: "multipart/encrypted of an unknown protocol"}
	case control.MediaType != protocol || data.MediaType != "application/octet-stream":
		return Protection{Why: "multipart/encrypted has parts of other types"}
	}
	text, err := io.ReadAll(io.LimitReader(i.open(control), maxNote+1))
	if err != nil || len(text) > maxNote || !strings.EqualFold(strings.TrimSpace(string(text)), "Version: 1") {
		return Protection{Why: `control part of multipart/encrypted is not "Version: 1"`}
	}
	if err := readMessageArmor(bufio.NewReader(i.open(data))); err != nil {
		return Protection{Why: "PGP/MIME message: " + err.Error()}
	}
	return Protection{Scheme: "pgp", Encrypted: true, Kind: "pgp multipart/encrypted"}
}

// brokenPair says what is wrong with a multipart that must have two parts.
func brokenPair(p *Part) string {
	switch {
	case len(p.Parts) != 2:
		return fmt.Sprintf("%s has %d parts, not 2", p.MediaType, len(p.Parts))
	case !p.Closed:
		return p.MediaType + " has no closing boundary"
	case p.Parts[0].ambiguous != "":
		return "part " + p.Parts[0].ambiguous
	case p.Parts[1].ambiguous != "":
		return "part " + p.Parts[1].ambiguous
	}
	return ""
}

// outerText says where a multipart has room for text outside its parts' bodies.
func outerText(p *Part) string {
	if p.Preamble.Len() > maxNote || p.Epilogue.Len() > maxNote {
		return fmt.Sprintf("%s has text before or after its parts", p.MediaType)
	}
	for _, q := range p.Parts {
		if q.BodyStart-q.Offset > maxOuterHeader {
			return fmt.Sprintf("%s has a part with a large header", p.MediaType)
		}
	}
	return ""
}

// inline looks at a text that may be an OpenPGP message or a clear-signed text
// from its first line to its last.
func (i *inspector) inline(p *Part) Protection {
	if !i.mayStartArmor(p) {
		return Protection{}
	}
	r := bufio.NewReaderSize(i.open(p), 4<<10)
	if !startsArmor(r) {
		return Protection{}
	}
	if startsClearSigned(r) {
		if err := readClearSigned(r); err != nil {
			return Protection{Why: "clear-signed text: " + err.Error()}
		}
		return Protection{Scheme: "pgp", Signed: true, Kind: "pgp clear-signed"}
	}
	if err := readMessageArmor(r); err != nil {
		return Protection{Why: "inline PGP message: " + err.Error()}
	}
	return Protection{Scheme: "pgp", Encrypted: true, Kind: "pgp inline"}
}

// mayStartArmor looks at the first bytes of a part, because nearly all mail is
// plain and should cost nothing.
func (i *inspector) mayStartArmor(p *Part) bool {
	start := make([]byte, min(p.BodyEnd-p.BodyStart, 64))
	if err := readFull(i.src, start, p.BodyStart); err != nil {
		i.err = err
		return false
	}
	if p.Encoding == "base64" {
		return true
	}
	for _, c := range start {
		if !isSpace(c) {
			return c == '-' || c == '=' // or =2D of quoted-printable
		}
	}
	return true
}

// open returns the data of a part's body, its transfer encoding undone.
func (i *inspector) open(p *Part) io.Reader {
	raw := &partReader{i, io.NewSectionReader(i.src, p.BodyStart, p.BodyEnd-p.BodyStart)}
	switch {
	case p.Encoding == "base64":
		return newBase64Reader(raw)
	case p.Encoding == "quoted-printable":
		return quotedprintable.NewReader(raw)
	case identity(p.Encoding):
		return raw
	}
	return brokenEncoding{}
}

// partReader keeps the errors of the source apart from those of its content.
type partReader struct {
	i *inspector
	r io.Reader
}

func (r *partReader) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	if err != nil && err != io.EOF && r.i.err == nil {
		r.i.err = err
	}
	return n, err
}

// brokenEncoding is the data of a part whose transfer encoding has no meaning.
type brokenEncoding struct{}

func (brokenEncoding) Read([]byte) (int, error) {
	return 0, errors.New("unknown Content-Transfer-Encoding")
}
