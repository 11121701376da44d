package pgpmime

import (
	"fmt"
	"io"
)

// Recipients says for which keys an OpenPGP message, armored or not, is
// encrypted: their key ids or fingerprints in hexadecimal, "hidden" for a key
// that is not named, "passphrase" for one made of words. It is for reports to
// people. The error is ErrMalformed or one of r.
func Recipients(r io.Reader) ([]string, error) {
	src := &source{r: r}
	found, err := recipients(src)
	if src.err != nil {
		return nil, fmt.Errorf("read OpenPGP message: %w", src.err)
	}
	return found, err
}

func recipients(src *source) ([]string, error) {
	packets, err := openMessage(src)
	if err != nil {
		return nil, malformed("no OpenPGP message")
	}
	s := &packetStream{r: packets}
	var session sessionKeys
	var found []string
	for {
		tag, err := s.peek()
		if err != nil || tag != tagPublicKeySession && tag != tagPasswordSession && !meansNothing(tag) {
			break // what is encrypted follows, or nothing
		}
		tag, body, err := s.next()
		if err != nil || len(found) == maxSessionKeys {
			break
		}
		switch tag {
		case tagPasswordSession:
			found = append(found, "passphrase")
		case tagPublicKeySession:
			p, err := body.bytes(maxSessionPacket)
			if err != nil {
				return found, malformed("a session key that can't be read")
			}
			session.add(p)
			key := session.packets[len(session.packets)-1]
			switch {
			case len(key.KeyFingerprint) > 0:
				found = append(found, fmt.Sprintf("%X", key.KeyFingerprint))
			case key.KeyId != 0:
				found = append(found, fmt.Sprintf("%016X", key.KeyId))
			default:
				found = append(found, "hidden")
			}
		}
	}
	return found, nil
}
