package cms

import (
	"errors"
	"fmt"
)

// ErrDecrypt is all that Decrypt says where something secret is involved: a key
// that does not open the recipient's part, padding that is wrong, content that
// was changed. To tell these apart would give the key away bit by bit (RFC 3218).
var ErrDecrypt = errors.New("the content can't be decrypted: it was changed, or encrypted with another key")

// ErrNoKey says that no key at hand belongs to a recipient.
var ErrNoKey = errors.New("no key at hand is that of a recipient")

// UnsupportedError says that a message needs what is not supported, or is not
// allowed.
type UnsupportedError struct {
	// What is the kind of thing, "content encryption" for example.
	What string
	// Name is its name or object identifier.
	Name string
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s not supported: %s", e.What, e.Name)
}

// shapeError is a SyntaxError about a part that has been read whole.
func shapeError(what string) error {
	return &SyntaxError{Reason: what + " is not as it should be"}
}
