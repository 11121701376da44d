package milter

import (
	"net/netip"
	"time"

	"waxseal/signer"
)

// Connection is what the MTA told about its client, saved from the stages that
// tell it.
type Connection struct {
	// Client is the client's address; the zero Addr for mail submitted with the
	// sendmail command or over a local socket.
	Client     netip.Addr
	ClientName string // as the MTA resolved it, "" if unknown
	Helo       string
	TLS        uint16 // version as in crypto/tls, 0 without
	Cipher     string
	// Login is the SASL user name, "" for a client that has not logged in.
	Login string
}

// Transaction is one message: its envelope, its header fields in order with
// their raw bytes, and its body. One goroutine uses it at a time.
type Transaction struct {
	Connection
	// ID is ours, made when the message begins: the report and the replies
	// carry it, so that a sender can ask the postmaster about it.
	ID string
	// QueueID is the MTA's, "" until it has one.
	QueueID  string
	Received time.Time
	// Sender is MAIL FROM without angle brackets, "" for a bounce.
	Sender string
	// Recipients are those of RCPT TO without angle brackets, in order, as sent.
	Recipients []string
	Header     signer.Header
	Body       *Spool

	spools *Spools
	made   []*Spool
}

// NewSpool returns an empty spool that lives as long as the transaction and
// counts against the same budget as the body.
func (t *Transaction) NewSpool() *Spool {
	s := t.spools.New()
	t.made = append(t.made, s)
	return s
}

// Close gives back the memory and the files of the message. It may be called
// more than once.
func (t *Transaction) Close() {
	if t.Body != nil {
		t.Body.Close()
	}
	for _, s := range t.made {
		s.Close()
	}
	t.made = nil
}
