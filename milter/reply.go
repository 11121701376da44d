package milter

import (
	"strconv"
	"strings"
)

// Cause is a reason for not letting a message pass as it should. Each has one
// reply, so that a postmaster can find a reply in the documentation.
type Cause struct {
	// Name stands in the log line as cause=NAME.
	Name string
	// Code and Enhanced begin the reply (RFC 5321, Section 4.2; RFC 3463).
	Code     int
	Enhanced string
	// Text is what the client is told where there is nothing more exact.
	Text string
	// Advice tells a postmaster what to do; docs/replies.md prints it.
	Advice string
}

// The causes. CauseKeyNotFound and CauseKeyNotFoundYet follow a policy's
// on_key_not_found, "reject" and "tempfail".
var (
	CauseKeyNotFound = Cause{"key-not-found", 550, "5.7.1", "a key or certificate that policy asks for does not exist",
		"Put the certificate or key that the reply names into the key store, or change the policy's on_key_not_found."}
	CauseKeyNotFoundYet = Cause{"key-not-found-yet", 451, "4.7.1", "a key or certificate that policy asks for does not exist yet",
		"As for key-not-found; the message goes through with the next try once the entry exists."}
	CauseKeys = Cause{"keys-unavailable", 451, "4.7.5", "the keys for this message can't be had at the moment",
		"Read the log line of this id: the key store does not answer, or an entry in it is expired or broken. The MTA tries again by itself."}
	CauseDiffer = Cause{"recipients-differ", 550, "5.7.1", "the recipients need different protection",
		"Send the message to each of the groups that the reply names on its own, or write one policy that covers all of them."}
	CauseLogin = Cause{"login-mismatch", 550, "5.7.1", "the From address is neither the login nor the envelope sender",
		"The sender has to write From with the address he logged in with; or take require_login_match out of the policy."}
	CauseOriginator = Cause{"originator-unclear", 550, "5.7.1", "the message has no From address, or more than one, and is to be signed",
		"A signature says who wrote a message: it needs exactly one From address. Or name an entry in the policy's sign block."}
	CauseEncrypted = Cause{"already-encrypted", 550, "5.7.1", "the message is already encrypted, which policy does not allow",
		"The policy has on_already_protected = \"reject\"."}
	CauseUnsafe = Cause{"unsafe-message", 550, "5.6.0", "the message can't be brought into a form that a signature survives",
		"The reply says what is wrong with the message's structure; the sender's program has to write it differently."}
	CauseCrypto = Cause{"transform", 451, "4.7.5", "signing or encrypting did not work",
		"Read the log line of this id. Nothing was changed and nothing was sent."}
	CauseDecrypt = Cause{"decrypt", 550, "5.7.5", "the message can't be decrypted",
		"It is encrypted for a key of ours and damaged, or a forgery; the sender has to encrypt it anew. See the policy's on_decrypt_error."}
	CauseBadSignature = Cause{"bad-signature", 550, "5.7.7", "the message's signature does not fit its text",
		"The message was altered on its way, or forged. See the policy's on_bad_signature."}
	CauseUntrusted = Cause{"untrusted-signature", 550, "5.7.1", "the message's signature is not known to be the author's",
		"The log line of this id has the reason: the certificate, its authority, or another address. See the policy's on_untrusted."}
	CauseNoSignature = Cause{"no-signature", 550, "5.7.1", "the message has no signature, which policy demands",
		"The sender has to sign his mail. See the policy's on_no_signature."}
	CauseTooLarge = Cause{"too-large", 552, "5.3.4", "the message is larger than this system takes",
		"Raise max_message_size, here and message_size_limit in the MTA."}
	CauseResultTooLarge = Cause{"result-too-large", 552, "5.3.4", "the protected message would be larger than the MTA takes",
		"Encryption makes a message larger by 37 % and more. Raise the MTA's message_size_limit and mta_message_size_limit here."}
	CauseHeaderTooLarge = Cause{"header-too-large", 552, "5.3.4", "the message's header is larger than this system takes",
		"No ordinary mail has such a header; look at the program that makes it."}
	CauseMalformed = Cause{"malformed", 550, "5.6.0", "the message's header can't be read without loss",
		"A header field has a NUL or no name; the sender's program has to be mended."}
	CauseSpool = Cause{"spool", 451, "4.3.1", "there is no room for the message at the moment",
		"The spool directory is full or spool_limit is reached; make room or raise it. The MTA tries again by itself."}
	CauseInternal = Cause{"internal", 451, "4.3.0", "a fault in the mail filter",
		"The log has the details under this id. Report it; the MTA tries again by itself."}
	CauseMTA = Cause{"mta", 451, "4.3.5", "the MTA does not let the mail filter change messages",
		"Look at the MTA's milter settings: header and body changes must be allowed (Postfix: milter_protocol 6)."}
)

// Causes returns all causes, in the order of the documentation.
func Causes() []Cause {
	return []Cause{
		CauseKeyNotFound, CauseKeyNotFoundYet, CauseKeys, CauseDiffer, CauseLogin, CauseOriginator,
		CauseEncrypted, CauseUnsafe, CauseCrypto, CauseDecrypt, CauseBadSignature, CauseUntrusted, CauseNoSignature,
		CauseTooLarge, CauseResultTooLarge, CauseHeaderTooLarge,
		CauseMalformed, CauseSpool, CauseInternal, CauseMTA,
	}
}

// Reply returns the cause's reply with the id under which the log has the
// details. The detail, if not empty, stands in place of the cause's text.
func (c Cause) Reply(id, detail string) Reply {
	text := c.Text
	if detail != "" {
		text = detail
	}
	if id != "" {
		text += " (id " + id + ")"
	}
	return Reply{Code: c.Code, Enhanced: c.Enhanced, Text: text}
}

// String writes the reply as one line.
func (r Reply) String() string {
	return strconv.Itoa(r.Code) + " " + r.Enhanced + " " + strings.ReplaceAll(r.Text, "\n", " ")
}
