package judge

// PGPParts returns the first part of a multipart/signed message and the armored
// signature in the second.
func PGPParts(message []byte) (content, signature []byte, err error) {
	content, part, err := signed(message, "application/pgp-signature")
	return content, part.Body, err
}
