package milter

import (
	"waxseal/keys"
	"waxseal/signer"
)

// visibleRecipients are the names of the recipients that the message's header
// shows. The others get a blind copy (RFC 5322, Section 3.6.3). Who is the only
// recipient is hidden from nobody, and his program has an easier time if the
// message names his key: a list, an alias or a resent message.
func visibleRecipients(h signer.Header, recipients []string) map[string]bool {
	visible := map[string]bool{}
	if len(recipients) == 1 {
		if n, err := keys.Name(recipients[0]); err == nil {
			visible[n] = true
		}
	}
	for _, name := range []string{"To", "Cc", "Resent-To", "Resent-Cc"} {
		for _, field := range h.Fields(name) {
			for _, address := range signer.Addresses(field.Value()) {
				if n, err := keys.Name(address); err == nil {
					visible[n] = true
				}
			}
		}
	}
	return visible
}

// isBlind reports whether a recipient gets a blind copy.
func isBlind(visible map[string]bool, recipient string) bool {
	n, err := keys.Name(recipient)
	return err != nil || !visible[n]
}
