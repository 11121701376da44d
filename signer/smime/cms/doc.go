// Package cms reads and writes the structures of the Cryptographic Message Syntax
// (RFC 5652) that S/MIME 4.0 needs and go.mozilla.org/pkcs7 cannot do.
//
// That package assembles SignedData well, and package smime lets it do so. It
// holds the whole content in memory however, keeps its choice of content cipher
// in a global variable, and puts AES-GCM into EnvelopedData, where no other
// program looks for it. So encryption is done here: EnvelopedData (RFC 5652,
// Section 6) and AuthEnvelopedData (RFC 5083) as a stream whose lengths are
// computed beforehand, the splice that puts streamed content into a detached
// SignedData, and the values of the signed attributes of S/MIME.
//
// SignedData is read here too. That package reads the whole of it into memory,
// takes no notice of errors within it, knows no signers by key identifier, gives
// up if one of the certificates is odd, and drops all but the first piece of a
// content in pieces. A strict verdict on a stream can't be built on that.
//
// Everything written is DER with definite lengths. What is read is BER of any
// kind, and hostile: Reader bounds its depth, size and count, and Normalise makes
// of it what other packages can be given.
package cms
