package milter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/textproto"

	gomilter "github.com/emersion/go-milter"

	"waxseal/policies"
	"waxseal/signer"
)

const (
	// neededActions is what the filter can't work without.
	neededActions = gomilter.OptAddHeader | gomilter.OptChangeHeader | gomilter.OptChangeBody
	// wantedActions is what it asks for where the MTA offers it.
	wantedActions = neededActions | gomilter.OptQuarantine | gomilter.OptChangeFrom | gomilter.OptSetSymList
	// wantedProtocol saves the MTA from sending what says nothing, and from
	// waiting for answers that are always the same. The library answers DATA
	// whatever was agreed.
	wantedProtocol = gomilter.OptNoUnknown | gomilter.OptNoData | gomilter.OptHeaderLeadingSpace |
		gomilter.OptNoConnReply | gomilter.OptNoHeloReply | gomilter.OptNoMailReply | gomilter.OptNoRcptReply |
		gomilter.OptNoHeaderReply | gomilter.OptNoEOHReply | gomilter.OptNoBodyReply
)

// session is what one connection to an MTA, and one message after the other on
// it, has told so far. It answers the library's callbacks, and sees every
// packet before the library does.
//
// Macros and header fields do not go through the library: it keeps the macros
// of the last packet only, keeps copies of all fields until an ABORT, which
// Sendmail does not send between messages, and skips a field with a NUL.
type session struct {
	gomilter.NoOpMilter
	server *Server
	wire   *wire
	// protocol and actions are what was agreed.
	protocol gomilter.OptProtocol
	actions  gomilter.OptAction

	connection Connection
	helo       macros // of the latest HELO or EHLO, so TLS is up to date
	mail       macros // of the MAIL that follows
	message    macros // of the message in work

	tx         *Transaction // the message in work, or nil
	headerSize int
	size       int64       // of header and body, what was not kept included
	tooBad     *cannotTake // why it can't be taken, if so
}

// cannotTake is why a message is refused before anything has looked at it.
type cannotTake struct {
	action policies.Action
	cause  Cause
	detail string // for the client
	err    error  // for the log
}

// answer is a packet for the MTA. The library replaces its callbacks after an
// answer that does not "continue", which would lose the rest of the message or
// the connection.
type answer struct{ message gomilter.Message }

func (a answer) Response() *gomilter.Message { return &a.message }

func (a answer) Continue() bool { return true }

func reply(code gomilter.ActionCode, data []byte) gomilter.Response {
	return answer{gomilter.Message{Code: byte(code), Data: data}}
}

// proceed answers a command, unless no answer was agreed on.
func (s *session) proceed(unless gomilter.OptProtocol) (gomilter.Response, error) {
	if s.protocol&unless != 0 {
		return nil, nil
	}
	return reply(gomilter.ActContinue, nil), nil
}

// agree takes from an MTA's offer what the filter wants.
func (s *session) agree(actions gomilter.OptAction, protocol gomilter.OptProtocol) {
	s.actions = actions & wantedActions
	s.protocol = protocol & wantedProtocol
}

// receive sees every packet before the library.
func (s *session) receive(code byte, data []byte) (rest []byte, pass bool, err error) {
	switch c := gomilter.Code(code); c {
	case gomilter.CodeMacro:
		return nil, false, s.receiveMacros(data)
	case gomilter.CodeConn:
		if s.connection, err = parseConnect(data); err != nil {
			return nil, false, err
		}
		s.helo, s.mail = macros{}, macros{}
		return data, true, nil
	case gomilter.CodeMail:
		return data, true, s.wire.begin()
	case gomilter.CodeRcpt, gomilter.CodeHeader, gomilter.CodeEOH, gomilter.CodeBody, gomilter.CodeEOB:
		if s.tx == nil {
			return nil, false, fmt.Errorf("%w: command %q outside of a message", errProtocol, code)
		}
		switch c {
		case gomilter.CodeHeader:
			s.receiveField(data)
			return nil, false, s.proceedPastLibrary(gomilter.OptNoHeaderReply)
		case gomilter.CodeEOB:
			// The last piece of the body, which the library would not look at.
			s.receiveBody(data)
			return nil, true, nil
		}
		return data, true, nil
	case gomilter.CodeHelo, gomilter.CodeAbort, gomilter.CodeData, gomilter.CodeQuit:
		return data, true, nil
	case gomilter.CodeQuitNewConn:
		// The same socket goes on with another client.
		s.reset()
		s.connection, s.helo = Connection{}, macros{}
		return nil, false, nil
	case 'U': // SMFIC_UNKNOWN, an SMTP command that the MTA does not know
		return nil, false, s.proceedPastLibrary(0)
	}
	return nil, false, fmt.Errorf("%w: unknown command %q", errProtocol, code)
}

func (s *session) proceedPastLibrary(unless gomilter.OptProtocol) error {
	if s.protocol&unless != 0 {
		return nil
	}
	return s.wire.send(appendPacket(nil, byte(gomilter.ActContinue)))
}

// receiveMacros keeps the macros of a packet with what they belong to. They
// come before the command.
func (s *session) receiveMacros(data []byte) error {
	if len(data) == 0 {
		return fmt.Errorf("%w: macros without a stage", errProtocol)
	}
	switch gomilter.Code(data[0]) {
	case gomilter.CodeConn:
	case gomilter.CodeHelo:
		s.helo = macros{}
		s.helo.set(data[1:])
	case gomilter.CodeMail:
		s.mail = macros{}
		s.mail.set(data[1:])
	default:
		s.message.set(data[1:])
	}
	return nil
}

// Helo is called for each HELO and EHLO.
func (s *session) Helo(name string, _ *gomilter.Modifier) (gomilter.Response, error) {
	s.connection.Helo = name
	return s.proceed(gomilter.OptNoHeloReply)
}

// Connect is called when a client has connected to the MTA.
func (s *session) Connect(string, string, uint16, net.IP, *gomilter.Modifier) (gomilter.Response, error) {
	return s.proceed(gomilter.OptNoConnReply)
}

// MailFrom begins a message. The one before it may have ended without an ABORT.
func (s *session) MailFrom(from string, _ *gomilter.Modifier) (gomilter.Response, error) {
	s.forget()
	s.message, s.mail = s.mail, macros{}
	s.tx = NewTransaction(s.server.Spools)
	s.tx.Connection = s.connection
	s.tx.Sender = from
	return s.proceed(gomilter.OptNoMailReply)
}

// RcptTo is called for each recipient. None is refused here: the answer would
// be the same for the next one, and mail from the sendmail command would be
// stuck.
func (s *session) RcptTo(to string, _ *gomilter.Modifier) (gomilter.Response, error) {
	if limit := s.server.limits.recipients; len(s.tx.Recipients) >= limit {
		s.refuse(policies.Reject, CauseTooLarge, fmt.Sprintf("the message has more than %d recipients", limit), nil)
	} else {
		s.tx.Recipients = append(s.tx.Recipients, to)
	}
	return s.proceed(gomilter.OptNoRcptReply)
}

// receiveField takes one header field: name, NUL, value, NUL.
func (s *session) receiveField(data []byte) {
	s.size += int64(len(data))
	if s.tooBad != nil {
		return
	}
	name, value, found := bytes.Cut(data, []byte{0})
	if n := len(value) - 1; !found || n < 0 || bytes.IndexByte(value, 0) != n || !isEditName(string(name)) {
		s.refuse(policies.Reject, CauseMalformed, "", nil)
		return
	}
	s.headerSize += len(data)
	limits := s.server.limits
	if s.headerSize > limits.headerSize || len(s.tx.Header) >= limits.headerFields {
		s.refuse(policies.Reject, CauseHeaderTooLarge, "", nil)
		return
	}
	text := string(value[:len(value)-1])
	// Without HDR_LEADSPC the MTA has taken the space after the colon.
	if s.protocol&gomilter.OptHeaderLeadingSpace == 0 && text != "" && text[0] != '\t' && text[0] != '\n' {
		text = " " + text
	}
	s.tx.Header = append(s.tx.Header, signer.ParseField(string(name), text))
}

// Headers is called at the end of the header.
func (s *session) Headers(textproto.MIMEHeader, *gomilter.Modifier) (gomilter.Response, error) {
	return s.proceed(gomilter.OptNoEOHReply)
}

// BodyChunk takes a piece of the body.
func (s *session) BodyChunk(chunk []byte, _ *gomilter.Modifier) (gomilter.Response, error) {
	s.receiveBody(chunk)
	return s.proceed(gomilter.OptNoBodyReply)
}

func (s *session) receiveBody(chunk []byte) {
	s.size += int64(len(chunk))
	if limit := s.server.limits.messageSize; s.size > limit {
		s.refuse(policies.Reject, CauseTooLarge, fmt.Sprintf("the message is larger than %d bytes", limit), nil)
	}
	if s.tooBad != nil {
		return
	}
	if _, err := s.tx.Body.Write(chunk); err != nil {
		s.refuse(policies.Tempfail, CauseSpool, "", err)
	}
}

// refuse notes why the message can't be taken; it is answered at its end. The
// room that it takes is given back at once. The first reason counts, but one
// that holds for good before one that may pass: there is no use in trying again.
func (s *session) refuse(action policies.Action, cause Cause, detail string, err error) {
	if s.tooBad != nil && (s.tooBad.action == policies.Reject || action != policies.Reject) {
		return
	}
	s.tooBad = &cannotTake{action, cause, detail, err}
	s.tx.Close()
	s.tx.Header = nil
}

// Abort ends a message, not the connection.
func (s *session) Abort(*gomilter.Modifier) error {
	s.reset()
	return nil
}

// reset makes the session ready for the next message.
func (s *session) reset() {
	s.forget()
	s.mail = macros{}
	s.wire.end()
}

// forget drops the message in work.
func (s *session) forget() {
	if s.tx != nil {
		s.tx.Close()
	}
	s.tx, s.message, s.headerSize, s.size, s.tooBad = nil, macros{}, 0, 0, nil
}

// ended is called when the connection is over.
func (s *session) ended(err error) {
	level, text := slog.LevelDebug, "connection ended"
	attrs := errorAttrs(err)
	var p *panicError
	if errors.Is(err, errProtocol) || errors.As(err, &p) {
		level = slog.LevelError
	}
	if s.tx != nil {
		level, text = max(level, slog.LevelWarn), "connection ended in mid-message"
		attrs = append(attrs, slog.String("id", s.tx.ID), slog.String("queue", s.message.queueID))
	}
	s.server.log.LogAttrs(context.Background(), level, text, attrs...)
	s.reset()
	s.server.remove(s)
}
