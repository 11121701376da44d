// Package smime signs, encrypts, verifies and decrypts MIME entities with S/MIME
// 4.0 (RFC 8551).
//
// A private key is a crypto.Signer or crypto.Decrypter, wherever it is kept.
// Content is streamed: a message of any size is done in little memory. What is
// wrong with a signature is a value, a signer.Verification; an error means that
// something could not be read, written or asked.
package smime
