// Package milter talks to MTAs in the milter protocol and does with each
// message what policy says.
package milter

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	gomilter "github.com/emersion/go-milter"
)

// Server takes messages from MTAs and has Apply decide on them. Its fields are
// set before the first call of Serve and not changed afterwards; where a limit
// is 0, its default holds. Its methods may be called from several goroutines at
// once.
type Server struct {
	// Apply decides on one message. It is called from many goroutines at once.
	// An error, a nil Outcome and a panic defer the message.
	Apply func(ctx context.Context, tx *Transaction) (*Outcome, error)
	// Spools makes the spools of all messages.
	Spools *Spools
	// Log gets one line a message. Nil drops it.
	Log *slog.Logger

	// MaxConnections is the number of connections at a time, 1000 by default.
	// Further ones are closed, and the MTA's default action applies.
	MaxConnections int
	// ReadTimeout ends a connection from which nothing comes, 10 minutes by
	// default: an MTA keeps a connection as long as its client keeps its own.
	ReadTimeout time.Duration
	// WriteTimeout ends a connection that takes nothing, 1 minute by default.
	WriteTimeout time.Duration
	// ApplyTimeout is how long Apply may take, 4 minutes by default: Postfix
	// and Sendmail wait for 5.
	ApplyTimeout time.Duration
	// ProgressInterval is how often the MTA is told that Apply is at work, 3
	// seconds by default: Sendmail waits for 10.
	ProgressInterval time.Duration

	// MaxMessageSize is the size in bytes of header and body together, 50 MiB
	// by default.
	MaxMessageSize int64
	// MaxHeaderSize is the size of the header in bytes, 1 MiB by default, and
	// MaxHeaderFields the number of its fields, 10,000 by default.
	MaxHeaderSize   int
	MaxHeaderFields int
	// MaxRecipients is the number of recipients, 10,000 by default.
	MaxRecipients int

	once   sync.Once
	limits limits
	log    *slog.Logger
	base   context.Context
	cancel context.CancelFunc

	mu        sync.Mutex
	stopped   bool
	listeners map[net.Listener]struct{}
	sessions  map[*session]struct{}
	running   sync.WaitGroup
}

// limits are the limits of a Server with the defaults in place.
type limits struct {
	connections, headerSize, headerFields, recipients int

	messageSize int64

	readTimeout, writeTimeout, applyTimeout, progressInterval time.Duration
}

func (s *Server) setUp() {
	s.limits = limits{
		connections:      cmp.Or(s.MaxConnections, 1000),
		headerSize:       cmp.Or(s.MaxHeaderSize, 1<<20),
		headerFields:     cmp.Or(s.MaxHeaderFields, 10_000),
		recipients:       cmp.Or(s.MaxRecipients, 10_000),
		messageSize:      cmp.Or(s.MaxMessageSize, 50<<20),
		readTimeout:      cmp.Or(s.ReadTimeout, 10*time.Minute),
		writeTimeout:     cmp.Or(s.WriteTimeout, time.Minute),
		applyTimeout:     cmp.Or(s.ApplyTimeout, 4*time.Minute),
		progressInterval: cmp.Or(s.ProgressInterval, 3*time.Second),
	}
	s.log = s.Log
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.base, s.cancel = context.WithCancel(context.Background())
	s.listeners = map[net.Listener]struct{}{}
	s.sessions = map[*session]struct{}{}
}

// Serve takes connections from ln until Shutdown, and then returns nil. It
// survives errors of accepting, such as having no file descriptors left. It may
// be called for several listeners at the same time. It closes ln.
func (s *Server) Serve(ln net.Listener) error {
	s.once.Do(s.setUp)
	defer ln.Close()
	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		return nil
	}
	s.listeners[ln] = struct{}{}
	s.mu.Unlock()
	for pause := time.Duration(0); ; {
		conn, err := ln.Accept()
		switch {
		case err == nil:
			pause = 0
			s.accept(conn)
		case s.isStopped():
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		default:
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.log.Error("accept connection", slog.Any("error", err), slog.Duration("again_in", pause))
			select {
			case <-time.After(pause):
			case <-s.base.Done():
			}
		}
	}
}

func (s *Server) isStopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}

// accept begins a session, unless there are too many.
func (s *Server) accept(conn net.Conn) {
	w := newWire(conn, s.limits.readTimeout, s.limits.writeTimeout)
	session := &session{server: s, wire: w}
	w.receive, w.closed = session.receive, session.ended
	s.mu.Lock()
	full := len(s.sessions) >= s.limits.connections
	if full || s.stopped {
		s.mu.Unlock()
		if full {
			s.log.Warn("connection refused: there are too many", slog.Int("limit", s.limits.connections))
		}
		conn.Close()
		return
	}
	s.sessions[session] = struct{}{}
	s.running.Add(1)
	s.mu.Unlock()
	go session.start()
}

func (s *Server) remove(session *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, session)
	s.running.Done()
}

// start agrees with the MTA on options and leaves the rest to the library, which
// calls back. The library has one set of options for all connections of a
// server, so each connection has a server of its own.
func (s *session) start() {
	_, actions, protocol, err := s.wire.offer()
	if err != nil {
		s.wire.fail(err)
		s.wire.Close()
		return
	}
	s.agree(actions, protocol)
	library := gomilter.Server{
		NewMilter: func() gomilter.Milter { return s },
		Actions:   s.actions,
		Protocol:  s.protocol,
		SymList:   wantedMacros(),
	}
	// It returns at once, when it has seen that there is no second connection.
	_ = library.Serve(&oneConnection{conn: s.wire})
}

// oneConnection is a listener that has one connection to give.
type oneConnection struct{ conn net.Conn }

func (l *oneConnection) Accept() (net.Conn, error) {
	conn := l.conn
	if conn == nil {
		return nil, io.EOF
	}
	l.conn = nil
	return conn, nil
}

func (l *oneConnection) Close() error { return nil }

func (l *oneConnection) Addr() net.Addr { return nil }

// Shutdown stops the server: the listeners are closed, and with them their
// socket files removed; connections without a message in work are closed at
// once, the others after the message. When ctx ends they are closed in any
// case, and the MTA defers their messages; then the error is that of ctx.
func (s *Server) Shutdown(ctx context.Context) error {
	s.once.Do(s.setUp)
	s.mu.Lock()
	s.stopped = true
	for ln := range s.listeners {
		ln.Close()
	}
	for session := range s.sessions {
		session.wire.drain()
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		s.cancel()
		return nil
	case <-ctx.Done():
	}
	// Closed first: what an interrupted Apply returns is not to reach the MTA.
	s.mu.Lock()
	for session := range s.sessions {
		session.wire.Conn.Close()
	}
	s.mu.Unlock()
	s.cancel()
	return ctx.Err()
}
