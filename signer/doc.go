// Package signer holds what signing and encrypting have in common: a mail
// message as header fields and body, its MIME parts, and the content that is
// signed or encrypted.
//
// It works on the bytes as they came. Libraries that read a message into a tree
// and write the tree again lose bytes that a signature is over: folds, the case
// of names, preambles, whatever is malformed. So Slice finds parts as offsets,
// and Protectable makes a plan: which runs of the original bytes go out as they
// are, which ones are encoded, and what little stands between them.
//
// Nothing here holds a body in memory. A Source is read in blocks, as often as
// needed; a Content computes its bytes while it writes them.
//
// The schemes stand in the packages below: signer/smime and signer/pgpmime.
package signer
