package pgpmime

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"waxseal/signer"
)

// Why a message is not decrypted or not read. Of what goes wrong after the
// session key, nothing more is ever said than ErrDecrypt: whoever could tell one
// reason from another might have messages decrypted by asking often enough.
var (
	// ErrNoKey says that the message is not for any of the keys.
	ErrNoKey = errors.New("none of the keys decrypts this OpenPGP message")
	// ErrDecrypt says that it is for one of the keys and damaged, or forged.
	ErrDecrypt = errors.New("the OpenPGP message can't be decrypted, or is damaged")
	// ErrUnprotected says that it would be decrypted to whatever an attacker has
	// made of it. RFC 9580, Section 5.7.
	ErrUnprotected = errors.New("the OpenPGP message has no integrity protection and is not decrypted")
	// ErrTooLarge says that there is more text than is taken.
	ErrTooLarge = errors.New("the OpenPGP message is too large")
	// ErrMalformed says that it is none, or broken.
	ErrMalformed = errors.New("malformed OpenPGP message")
)

// DecryptOptions says how Decrypt decrypts and verifies.
type DecryptOptions struct {
	// Certificates are those that are held, to verify signatures with.
	Certificates []*Certificate
	// Verify says how. Its MaxSize is how much text is taken at most, whatever
	// it is compressed to.
	Verify VerifyOptions
}

// Decrypted says what Decrypt has done. It is there only if the whole message
// was as it had been made.
type Decrypted struct {
	// Cipher is "aes256-ocb" with version 2 of the encrypted data packet, else
	// as "aes256".
	Cipher string
	// Authenticated says that the text can't have been changed by somebody who
	// does not know the session key. Others are refused, so it is always true.
	Authenticated bool
	// Name is that of the key which decrypted.
	Name string
	// Fingerprint is that of its primary key in hexadecimal, Subkey that of the
	// key that decrypted.
	Fingerprint, Subkey string
	// Hidden says that the message did not name the key.
	Hidden bool
	// Format is that of the text (RFC 9580, Section 5.9): 'b' for binary data,
	// 't' or 'u' for text.
	Format byte
	// Size is the length of the text in bytes.
	Size int64
	// Signatures is what was found about each signature over the text; nothing
	// if there are none.
	Signatures []signer.Verification
	// Signed is these signatures as packets: a detached signature over the text,
	// which Verify and every other program can check again (RFC 3156, Section
	// 6.2). It is nil if there are none.
	Signed []byte
}

// Decrypt decrypts an OpenPGP message, armored or not, with one of the keys and
// writes the text to w. A key that is at its end or revoked still decrypts; one
// that is not for encryption does not.
//
// What has been written to w is worthless, and has to be kept from everybody,
// until Decrypt returns no error: only at the end is it known that nobody has
// changed it. The signatures are over exactly what is written.
//
// The error is ErrNoKey, ErrUnprotected, ErrDecrypt, ErrTooLarge or ErrMalformed,
// else one of r, w or a remote key. A remote key tells that a ciphertext is bad
// by rsa.ErrDecryption; whatever else it says is taken as a reason to try the
// message again later.
func Decrypt(w io.Writer, r io.Reader, keys []*Key, o DecryptOptions) (*Decrypted, error) {
	src := &source{r: r}
	d := &decryption{keys: keys, options: o}
	found, err := d.run(w, src)
	if src.err != nil {
		return nil, fmt.Errorf("read OpenPGP message: %w", src.err)
	}
	if err != nil {
		return nil, err
	}
	return found, nil
}

// maxSessionKeys is how many recipients a message may have.
const maxSessionKeys = 2048

// decryption is one run of Decrypt.
type decryption struct {
	keys    []*Key
	options DecryptOptions
	session sessionKeys
}

// run reads the message up to its encrypted data. RFC 9580, Section 10.3.
func (d *decryption) run(w io.Writer, src *source) (*Decrypted, error) {
	packets, err := openMessage(src)
	if err != nil {
		return nil, structureFault(err)
	}
	s := &packetStream{r: packets}
	for {
		tag, err := s.peek()
		if err == nil && (tag == tagProtected || tag == tagAEAD) {
			return d.decrypt(w, s)
		}
		var body *packetBody
		if err == nil {
			tag, body, err = s.next()
		}
		if err == nil {
			err = d.before(tag, body)
		}
		switch {
		case err == io.EOF:
			return nil, malformed("no encrypted data")
		case errors.Is(err, ErrUnprotected), errors.Is(err, ErrNoKey):
			return nil, err
		case err != nil:
			return nil, structureFault(err)
		}
	}
}

// before reads a packet before the encrypted data.
func (d *decryption) before(tag int, body *packetBody) error {
	switch {
	case tag == tagPublicKeySession:
		if len(d.session.packets) == maxSessionKeys {
			return malformed("too many recipients")
		}
		p, err := body.bytes(maxSessionPacket)
		if err == nil {
			d.session.add(p)
		}
		return err
	case tag == tagPasswordSession, meansNothing(tag):
		return nil
	case tag == tagUnprotected && d.session.isForOneOf(d.keys):
		return ErrUnprotected
	case tag == tagUnprotected:
		return ErrNoKey
	}
	return malformed(fmt.Sprintf("a packet of type %d, not encrypted data", tag))
}

// protectedData is encrypted data of one of its forms.
type protectedData interface {
	packet.Packet
	Decrypt(packet.CipherFunction, []byte) (io.ReadCloser, error)
}

// decrypt decrypts the data that comes next.
func (d *decryption) decrypt(w io.Writer, s *packetStream) (*Decrypted, error) {
	data, form, err := readProtected(s.r)
	if err != nil {
		return nil, err
	}
	key, err := d.session.find(d.keys, form)
	if err != nil {
		return nil, err
	}
	// From here on, every way out says the same.
	failure := ErrDecrypt
	if key.hidden {
		failure = ErrNoKey // it may well be for somebody else
	}
	doc := newDocument(w, orDefaultSize(d.options.Verify.MaxSize))
	intact, err := readPlain(doc, data, key)
	if doc.out.err != nil {
		return nil, doc.out.err
	}
	if !intact || key.decoy {
		return nil, failure
	}
	if err != nil {
		return nil, doc.fault(err)
	}
	if err := expectEnd(s); err != nil {
		return nil, structureFault(err)
	}
	v := d.options.Verify.verifier(d.options.Certificates)
	v.recipient = key.owner.cert.entity.PrimaryKey
	return &Decrypted{
		Cipher:        form.name(key.cipher),
		Authenticated: true,
		Name:          key.owner.cert.name,
		Fingerprint:   key.owner.cert.Fingerprint(),
		Subkey:        fmt.Sprintf("%X", key.public.Fingerprint),
		Hidden:        key.hidden,
		Format:        doc.format,
		Size:          doc.out.n,
		Signatures:    doc.verifications(v),
		Signed:        doc.raw,
	}, nil
}

// readProtected reads the beginning of the encrypted data, which is public.
func readProtected(r *bufio.Reader) (data protectedData, form dataForm, err error) {
	defer guard(&err)
	p, err := packet.Read(r)
	if err != nil {
		return nil, dataForm{}, malformed("encrypted data that can't be read")
	}
	switch p := p.(type) {
	case *packet.SymmetricallyEncrypted:
		if p.Version == 2 {
			return p, dataForm{version: 2, cipher: p.Cipher, mode: p.Mode}, nil
		}
		return p, dataForm{version: 1}, nil
	case *packet.AEADEncrypted:
		return p, dataForm{version: 0}, nil
	}
	return nil, dataForm{}, malformed("encrypted data that can't be read")
}

// readPlain decrypts to the end and reports whether the data is intact. Only
// then does it matter what else is wrong with it.
func readPlain(doc *document, data protectedData, key *sessionKey) (intact bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			intact = false
		}
	}()
	plain, err := data.Decrypt(key.cipher, key.secret)
	if err != nil {
		return false, err
	}
	err = doc.read(bufio.NewReaderSize(plain, 32<<10), 0)
	if doc.out.err != nil {
		return false, doc.out.err
	}
	if _, broken := io.CopyBuffer(io.Discard, onlyReader{plain}, make([]byte, 32<<10)); broken != nil {
		return false, err
	}
	return plain.Close() == nil, err
}

// expectEnd makes sure that nothing follows the encrypted data.
func expectEnd(s *packetStream) error {
	for {
		tag, _, err := s.next()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case !meansNothing(tag):
			return malformed("something after the encrypted data")
		}
	}
}
