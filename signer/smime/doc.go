// Package smime signs and encrypts MIME entities with S/MIME 4.0 (RFC 8551).
//
// A private key is a crypto.Signer, wherever it is kept. Content is streamed: a
// message of any size is signed and encrypted in little memory.
package smime
