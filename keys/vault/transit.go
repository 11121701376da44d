package vault

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"waxseal/keys"
)

// errTransit is what is wrapped when a key in Transit is not there or can't be
// used, unlike when Transit could not be asked.
var errTransit = errors.New("set transit_key and transit_key_version to a key that is there")

// maxInput bounds what is sent to be signed, in octets. All but Ed25519 send a
// digest; for Ed25519 it is the signed attributes of S/MIME.
const maxInput = 64 << 10

// transitKey is a version of a private key in Transit: a crypto.Signer, and a
// crypto.Decrypter if it is an RSA key. Digests and wrapped session keys are all
// that is sent.
type transitKey struct {
	store   *Store
	ctx     context.Context // ends with the store, or with a message
	name    string
	version int
	public  crypto.PublicKey
}

// Public implements crypto.Signer.
func (t *transitKey) Public() crypto.PublicKey { return t.public }

func (t *transitKey) decrypts() bool {
	_, ok := t.public.(*rsa.PublicKey)
	return ok
}

// bind is a keys.Key's Remote.
func (t *transitKey) bind(ctx context.Context) (crypto.Signer, crypto.Decrypter) {
	bound := *t
	bound.ctx = ctx
	return &bound, &bound
}

func (t *transitKey) String() string { return "Transit key " + t.name }

// transitKey reads the public part of a record's key in Transit and finds the
// version that the record's certificate is for. The note says if there are
// newer ones.
func (s *Store) transitKey(ctx context.Context, r *keys.Record) (t *transitKey, note string, err error) {
	name := r.TransitKey
	if !plainPath(name) || strings.Contains(name, "/") {
		return nil, "", fmt.Errorf("%s: %.100q is not the name of a key in Transit: %w", r.Entry, name, errTransit)
	}
	path := s.conf.Transit + "/keys/" + name
	ctx, cancel := context.WithTimeout(ctx, s.conf.Timeout)
	defer cancel()
	var answer struct {
		Data struct {
			Keys map[string]struct {
				Public string `json:"public_key"`
			}
			Latest   int `json:"latest_version"`
			LeastUse int `json:"min_encryption_version"`
			Derived  bool
		}
	}
	err = s.session.do(ctx, "GET", path, nil, &answer)
	switch {
	case missing(err):
		return nil, "", fmt.Errorf("%s: no key %s in Vault: %w", r.Entry, path, errTransit)
	case err != nil:
		return nil, "", fmt.Errorf("%s: %w", r.Entry, s.explainTransit("read "+path, "read", path, err))
	}
	d := answer.Data
	for v := d.Latest; v > 0; v-- {
		k, ok := d.Keys[strconv.Itoa(v)]
		if !ok || r.TransitVersion != 0 && r.TransitVersion != v {
			continue
		}
		public, err := parsePublic(k.Public)
		if err != nil {
			return nil, "", fmt.Errorf("%s: %s: %w: %w", r.Entry, path, err, errTransit)
		}
		if !keys.Fits(r.Scheme, r.Certificate, public) {
			continue
		}
		if v < d.LeastUse {
			return nil, "", fmt.Errorf("%s: %s has min_encryption_version %d, so its version %d, which the certificate is for, can't sign: %w",
				r.Entry, path, d.LeastUse, v, errTransit)
		}
		if v < d.Latest {
			note = fmt.Sprintf("the key %s has version %d, and the certificate is for version %d: get a certificate for the new one", path, d.Latest, v)
		}
		return &transitKey{store: s, ctx: s.session.ctx, name: name, version: v, public: public}, note, nil
	}
	if r.TransitVersion != 0 {
		return nil, "", fmt.Errorf("%s: the certificate is not for version %d of %s: %w", r.Entry, r.TransitVersion, path, errTransit)
	}
	return nil, "", fmt.Errorf("%s: the certificate is for no version of %s: %w", r.Entry, path, errTransit)
}

// parsePublic reads a public key as Transit writes it: PEM, or for Ed25519
// base64.
func parsePublic(text string) (crypto.PublicKey, error) {
	if b, _ := pem.Decode([]byte(text)); b != nil {
		public, err := x509.ParsePKIXPublicKey(b.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read public key: %w", err)
		}
		return public, nil
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return nil, errors.New("it has no public key that can be read: is it of an rsa, ecdsa or ed25519 type?")
	}
	return ed25519.PublicKey(raw), nil
}

// Sign implements crypto.Signer. RSA signs with PKCS#1 v1.5, or PSS if opts say
// so, and ECDSA in ASN.1, all of them a digest; Ed25519 signs the message.
func (t *transitKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	body, err := t.signBody(digest, opts)
	if err != nil {
		return nil, fmt.Errorf("sign with %s: %w", t, err)
	}
	var answer struct{ Data struct{ Signature string } }
	if err := t.do("sign", body, &answer); err != nil {
		return nil, fmt.Errorf("sign with %s: %w", t, err)
	}
	text, ok := strings.CutPrefix(answer.Data.Signature, "vault:v"+strconv.Itoa(t.version)+":")
	signature, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(signature) == 0 {
		return nil, fmt.Errorf("sign with %s: the answer has no signature of version %d", t, t.version)
	}
	return signature, nil
}

func (t *transitKey) signBody(digest []byte, opts crypto.SignerOpts) (map[string]any, error) {
	if len(digest) > maxInput {
		return nil, fmt.Errorf("more than %d octets to sign", maxInput)
	}
	body := map[string]any{"input": base64.StdEncoding.EncodeToString(digest), "key_version": t.version}
	hash := opts.HashFunc()
	if _, ok := t.public.(ed25519.PublicKey); ok {
		if hash != 0 {
			return nil, fmt.Errorf("Ed25519 signs the message, not its %v digest", hash)
		}
		return body, nil
	}
	name, ok := map[crypto.Hash]string{
		crypto.SHA224: "sha2-224", crypto.SHA256: "sha2-256", crypto.SHA384: "sha2-384", crypto.SHA512: "sha2-512",
		crypto.SHA3_224: "sha3-224", crypto.SHA3_256: "sha3-256", crypto.SHA3_384: "sha3-384", crypto.SHA3_512: "sha3-512",
	}[hash]
	if !ok || len(digest) != hash.Size() {
		return nil, fmt.Errorf("a digest of %d octets by hash %d can't be signed", len(digest), hash)
	}
	body["prehashed"], body["hash_algorithm"] = true, name
	switch t.public.(type) {
	case *ecdsa.PublicKey:
		body["marshaling_algorithm"] = "asn1"
	case *rsa.PublicKey:
		body["signature_algorithm"] = "pkcs1v15"
		if pss, ok := opts.(*rsa.PSSOptions); ok {
			body["signature_algorithm"] = "pss"
			switch pss.SaltLength {
			case rsa.PSSSaltLengthAuto:
				body["salt_length"] = "auto"
			case rsa.PSSSaltLengthEqualsHash:
				body["salt_length"] = "hash"
			default:
				body["salt_length"] = strconv.Itoa(pss.SaltLength)
			}
		}
	default:
		return nil, fmt.Errorf("a key of type %T can't sign", t.public)
	}
	return body, nil
}

// Decrypt implements crypto.Decrypter. OAEP is that of Transit alone: SHA-256
// without a label. What is wrong with a ciphertext is not told: the error is
// rsa.ErrDecryption, or, where opts ask for a session key of a given length, a
// random one is returned, as crypto/rsa does (RFC 3218, Section 2.3.2). An error
// that has nothing to do with the ciphertext is Temporary.
func (t *transitKey) Decrypt(_ io.Reader, ciphertext []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	public, ok := t.public.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("decrypt with %s: a key of type %T can't: store private_key beside it", t, t.public)
	}
	padding, sessionKey := "pkcs1v15", 0
	switch o := opts.(type) {
	case nil:
	case *rsa.PKCS1v15DecryptOptions:
		sessionKey = o.SessionKeyLen
	case *rsa.OAEPOptions:
		if o.Hash != crypto.SHA256 || o.MGFHash != 0 && o.MGFHash != crypto.SHA256 || len(o.Label) > 0 {
			return nil, fmt.Errorf("decrypt with %s: Transit has OAEP with SHA-256 and no label only, not this one with %v", t, o.Hash)
		}
		padding = "oaep"
	default:
		return nil, fmt.Errorf("decrypt with %s: options of type %T", t, opts)
	}
	random := make([]byte, max(sessionKey, 0))
	rand.Read(random)
	if len(ciphertext) != public.Size() {
		if sessionKey > 0 {
			return random, nil
		}
		return nil, rsa.ErrDecryption
	}
	body := map[string]any{
		"ciphertext":     "vault:v" + strconv.Itoa(t.version) + ":" + base64.StdEncoding.EncodeToString(ciphertext),
		"padding_scheme": padding,
	}
	var answer struct{ Data struct{ Plaintext string } }
	err := t.do("decrypt", body, &answer)
	var r *refusal
	damaged := errors.As(err, &r) && (r.status == http.StatusBadRequest || r.status == http.StatusInternalServerError) &&
		(strings.Contains(r.words, "crypto/rsa") || strings.Contains(r.words, "RSA decrypt"))
	if err != nil && !damaged {
		return nil, fmt.Errorf("decrypt with %s: %w", t, awayError{err})
	}
	plain, bad := base64.StdEncoding.DecodeString(answer.Data.Plaintext)
	switch damaged = damaged || bad != nil; {
	case sessionKey > 0 && (damaged || len(plain) != sessionKey):
		return random, nil
	case damaged:
		return nil, rsa.ErrDecryption
	}
	return plain, nil
}

// awayError says that a key can't be used now.
type awayError struct{ error }

// Temporary tells it from an error about the ciphertext.
func (awayError) Temporary() bool { return true }

// Unwrap returns why.
func (e awayError) Unwrap() error { return e.error }

// do sends a request about the key.
func (t *transitKey) do(verb string, body, answer any) error {
	path := t.store.conf.Transit + "/" + verb + "/" + t.name
	ctx, cancel := context.WithTimeout(t.ctx, t.store.conf.Timeout)
	defer cancel()
	if err := t.store.session.do(ctx, "POST", path, body, answer); err != nil {
		return t.store.explainTransit("ask "+path, "update", path, err)
	}
	return nil
}

// explainTransit is as explain, for a path in Transit.
func (s *Store) explainTransit(what, right, path string, err error) error {
	var r *refusal
	if errors.As(err, &r) && r.status == http.StatusForbidden && !r.badToken() {
		return fmt.Errorf("%s: %w: the policy needs %s on %s", what, err, right, path)
	}
	return fmt.Errorf("%s: %w", what, err)
}
