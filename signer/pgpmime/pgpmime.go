// Package pgpmime protects MIME entities with OpenPGP (RFC 9580) in the way of
// RFC 3156, and reads what others have protected.
//
// Sign makes a multipart/signed, Encrypt a multipart/encrypted whose one OpenPGP
// message may be signed too. Decrypt and Verify read both; FindEncrypted finds
// what is left of a multipart/encrypted that a server has rebuilt. Messages in
// the text itself are read, never written: FindInline, VerifyClearsigned,
// VerifyMessage. Build makes certificates for keys that are elsewhere, Minimise
// makes those of others small.
//
// What is found about a signature is a signer.Verification, good or bad: errors
// are for what could not be read.
//
// Keys and certificates are parsed once and are safe for concurrent use. Mail
// and keys are taken to be hostile: every size is bounded, and a panic of the
// OpenPGP library becomes an error.
package pgpmime

import (
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// What can be wrong with a key or certificate. The errors of this package wrap
// them together with the name of the key and what to do.
var (
	ErrExpired         = errors.New("expired")
	ErrNotYetValid     = errors.New("not yet valid")
	ErrRevoked         = errors.New("revoked")
	ErrNoUsableKey     = errors.New("no key for this use")
	ErrWeakAlgorithm   = errors.New("algorithm too weak")
	ErrProtected       = errors.New("protected by a passphrase")
	ErrRemoteAlgorithm = errors.New("algorithm not supported with a remote key")
)

// minRSABits is the smallest RSA modulus that is used. RFC 9580, Section 12.4.
const minRSABits = 2048

// environment is what an operation takes from outside; its zero value is the
// real world.
type environment struct {
	time time.Time
	rand io.Reader
}

// now returns the time in whole seconds, as OpenPGP knows it.
func (e environment) now() time.Time {
	if e.time.IsZero() {
		return time.Now().Truncate(time.Second)
	}
	return e.time.Truncate(time.Second)
}

func (e environment) random() io.Reader {
	if e.rand == nil {
		return rand.Reader
	}
	return e.rand
}

// config returns the library's settings. Each one that has a weak default or
// one that could change is set here.
func (e environment) config() *packet.Config {
	now := e.now()
	// The library would add random notations to every signature. They protect
	// nothing here: what is signed is mail, with SHA-256 and up.
	randomNotation := false
	return &packet.Config{
		Rand:                                  e.random(),
		Time:                                  func() time.Time { return now },
		DefaultHash:                           crypto.SHA256,
		DefaultCipher:                         packet.CipherAES256,
		DefaultCompressionAlgo:                packet.CompressionNone,
		MinRSABits:                            minRSABits,
		NonDeterministicSignaturesViaNotation: &randomNotation,
	}
}

// guard turns a panic of the OpenPGP library into an error.
func guard(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("openpgp library gave up: %v", p)
	}
}

// boundary returns a MIME boundary (RFC 2046, Section 5.1.1) that no content
// can know.
func (e environment) boundary() (string, error) {
	var random [18]byte
	if _, err := io.ReadFull(e.random(), random[:]); err != nil {
		return "", fmt.Errorf("choose a boundary: %w", err)
	}
	return fmt.Sprintf("=-%x", random), nil
}
