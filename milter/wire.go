package milter

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	gomilter "github.com/emersion/go-milter"
)

const (
	// maxPacket is the largest packet that the protocol library takes, with the
	// command and without the length.
	maxPacket = 1 << 20
	// keptPacket is the size up to which the room for a packet stays with an
	// idle connection.
	keptPacket = 8 << 10
	lengthSize = 4
	// respProgress is SMFIR_PROGRESS, which the library does not know.
	respProgress = 'p'
)

var (
	errDraining = errors.New("this server is being stopped")
	errProtocol = errors.New("the MTA does not keep to the milter protocol")
)

// wire is the connection to an MTA, between the socket and the protocol
// library. It reads whole packets and shows each of them to receive before the
// library gets it; it gathers what is written and sends it when the connection
// would otherwise wait for the MTA; it keeps deadlines; it sends progress while
// a message is worked on. One goroutine reads and writes; drain, close and the
// progress timer are the exceptions.
//
// The library writes errors to the standard logger. So it is told of the end of
// the connection only, always between two packets, and err says why.
type wire struct {
	net.Conn
	readTimeout, writeTimeout time.Duration

	// receive gets every packet. It returns what the library is to see of data,
	// which is a prefix of it, or false if the packet is not for the library.
	receive func(code byte, data []byte) (rest []byte, pass bool, err error)
	// closed is called once, by the goroutine that reads, at the end.
	closed func(err error)

	in     *bufio.Reader
	packet []byte // the packet that was read last, with its length
	unread []byte // what the library has not read of it
	err    error  // why there is no more to be read

	turn     sync.Mutex // the right to write
	out      *bufio.Writer
	progress *time.Timer // nil unless a message is worked on

	state    sync.Mutex
	busy     bool // there is a message in work
	draining bool // no further message is taken
}

func newWire(conn net.Conn, readTimeout, writeTimeout time.Duration) *wire {
	w := &wire{Conn: conn, readTimeout: readTimeout, writeTimeout: writeTimeout}
	w.in = bufio.NewReaderSize(waitingReader{w}, 8<<10)
	// Room for a small message with its signature: one system call.
	w.out = bufio.NewWriterSize(timedWriter{w}, 16<<10)
	return w
}

// waitingReader reads from the MTA when nothing is left in the buffer: then the
// MTA must have all answers, since it may be waiting for them.
type waitingReader struct{ w *wire }

func (r waitingReader) Read(p []byte) (int, error) {
	w := r.w
	if err := w.flush(); err != nil {
		return 0, err
	}
	w.state.Lock()
	if w.draining && !w.busy {
		w.state.Unlock()
		return 0, errDraining
	}
	err := w.Conn.SetReadDeadline(time.Now().Add(w.readTimeout))
	w.state.Unlock()
	if err != nil {
		return 0, err
	}
	return w.Conn.Read(p)
}

type timedWriter struct{ w *wire }

func (t timedWriter) Write(p []byte) (int, error) {
	if err := t.w.Conn.SetWriteDeadline(time.Now().Add(t.w.writeTimeout)); err != nil {
		return 0, err
	}
	return t.w.Conn.Write(p)
}

// Read gives the library the packets that are for it, and nothing but io.EOF
// when there are no more.
func (w *wire) Read(p []byte) (int, error) {
	for len(w.unread) == 0 {
		if w.err == nil {
			w.err = w.next()
		}
		if w.err != nil {
			return 0, io.EOF
		}
	}
	n := copy(p, w.unread)
	w.unread = w.unread[n:]
	return n, nil
}

// next reads one packet and lets receive see it.
func (w *wire) next() (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicked(v)
		}
	}()
	code, data, err := w.readPacket()
	if err != nil {
		return err
	}
	rest, pass, err := w.receive(code, data)
	if err != nil || !pass {
		return err
	}
	binary.BigEndian.PutUint32(w.packet, uint32(1+len(rest)))
	w.unread = w.packet[:lengthSize+1+len(rest)]
	return nil
}

// readPacket reads one packet. The data are good until the next call.
func (w *wire) readPacket() (code byte, data []byte, err error) {
	var length [lengthSize]byte
	if _, err := io.ReadFull(w.in, length[:]); err != nil {
		return 0, nil, err // io.EOF: the MTA is done
	}
	size := binary.BigEndian.Uint32(length[:])
	if size == 0 || size > maxPacket {
		return 0, nil, fmt.Errorf("%w: a packet of %d bytes", errProtocol, size)
	}
	// No room is made for more than what comes, however much is announced.
	w.packet = append(w.packet[:0], length[:]...)
	for have, want := 0, int(size); have < want; {
		part := min(want-have, 64<<10)
		w.packet = append(w.packet, make([]byte, part)...)
		if _, err := io.ReadFull(w.in, w.packet[lengthSize+have:]); err != nil {
			return 0, nil, fmt.Errorf("read a packet of the MTA: %w", noEOF(err))
		}
		have += part
	}
	return w.packet[lengthSize], w.packet[lengthSize+1:], nil
}

// offer reads the packet with which an MTA begins and leaves it to the library.
func (w *wire) offer() (version uint32, actions gomilter.OptAction, protocol gomilter.OptProtocol, err error) {
	code, data, err := w.readPacket()
	if err != nil {
		return 0, 0, 0, err
	}
	if gomilter.Code(code) != gomilter.CodeOptNeg || len(data) < 3*4 {
		return 0, 0, 0, fmt.Errorf("%w: it does not begin with its options", errProtocol)
	}
	w.unread = w.packet
	return binary.BigEndian.Uint32(data),
		gomilter.OptAction(binary.BigEndian.Uint32(data[4:])),
		gomilter.OptProtocol(binary.BigEndian.Uint32(data[8:])), nil
}

// Write takes the packets of the library. An error shows at the next Read.
func (w *wire) Write(p []byte) (int, error) {
	w.turn.Lock()
	defer w.turn.Unlock()
	_, _ = w.out.Write(p) // bufio keeps the error, and flush returns it
	return len(p), nil
}

// send writes packets that the library can't write. It returns the error of
// this or an earlier write.
func (w *wire) send(packets []byte) error {
	w.turn.Lock()
	defer w.turn.Unlock()
	_, err := w.out.Write(packets)
	return err
}

func (w *wire) flush() error {
	w.turn.Lock()
	defer w.turn.Unlock()
	return w.out.Flush()
}

// startProgress tells the MTA every interval that work goes on, until ctx ends
// or stopProgress is called. If the MTA has gone away, it calls lost.
func (w *wire) startProgress(ctx context.Context, interval time.Duration, lost func()) {
	w.turn.Lock()
	defer w.turn.Unlock()
	w.progress = time.AfterFunc(interval, func() {
		w.turn.Lock()
		defer w.turn.Unlock()
		if w.progress == nil || ctx.Err() != nil {
			return
		}
		_, _ = w.out.Write(appendPacket(nil, respProgress))
		if w.out.Flush() != nil {
			lost()
			return
		}
		w.progress.Reset(interval)
	})
}

// stopProgress returns when no progress is being sent, and none will be.
func (w *wire) stopProgress() {
	w.turn.Lock()
	defer w.turn.Unlock()
	w.progress.Stop()
	w.progress = nil
}

// begin says that there is a message in work, unless the wire is draining.
func (w *wire) begin() error {
	w.state.Lock()
	defer w.state.Unlock()
	if w.draining {
		return errDraining
	}
	w.busy = true
	return nil
}

// end says that there is no message in work any more.
func (w *wire) end() {
	if cap(w.packet) > keptPacket {
		w.packet = nil
	}
	w.state.Lock()
	defer w.state.Unlock()
	w.busy = false
}

// drain makes the connection end as soon as there is no message in work.
func (w *wire) drain() {
	w.state.Lock()
	defer w.state.Unlock()
	w.draining = true
	if !w.busy {
		// Wakes a Read; the next one sees draining. Answers still go out.
		_ = w.Conn.SetReadDeadline(time.Now())
	}
}

// fail makes the next Read the last one. The MTA gets no answer to what it is
// waiting for, and its default action applies.
func (w *wire) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// Close is called by the library when a Read has ended, or the MTA has said that
// it is done.
func (w *wire) Close() error {
	if w.err == nil {
		_ = w.flush()
	}
	err := w.Conn.Close()
	if w.closed != nil {
		w.closed(w.err)
		w.closed = nil
	}
	return err
}

// appendPacket appends a packet to dst.
func appendPacket(dst []byte, code byte, data ...[]byte) []byte {
	size := 1
	for _, d := range data {
		size += len(d)
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(size))
	dst = append(dst, code)
	for _, d := range data {
		dst = append(dst, d...)
	}
	return dst
}
