package pgpmime

import (
	"container/list"
	"crypto"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"
)

// keyringLimit is how many keys and certificates a Keyring remembers.
const keyringLimit = 4096

// Keyring remembers parsed keys and certificates, with what has been verified
// of them, so that a message does not parse its keys anew. It forgets those that
// have not been used for longest. The zero value is ready, and it is safe for
// concurrent use.
type Keyring struct {
	// Options says how keys are read. Not to be changed after the first use.
	Options ParseOptions

	mu      sync.Mutex
	entries map[[sha256.Size]byte]*list.Element
	recent  list.List // of *keyringEntry, the last used first
}

type keyringEntry struct {
	id          [sha256.Size]byte
	certificate *Certificate
}

// Key is ParseKey, remembered by name and data. A remote signer is not
// remembered: the key that is returned uses the one given.
func (r *Keyring) Key(name string, data []byte, remote crypto.Signer) (*Key, error) {
	c, err := r.parsed("key", name, data, r.Options.parse)
	if err == nil {
		var k *Key
		if k, err = newKey(c, remote); err == nil {
			return k, nil
		}
	}
	return nil, fmt.Errorf("read OpenPGP key of %s: %w", name, err)
}

// Certificate is ParseCertificate, remembered by name and data.
func (r *Keyring) Certificate(name string, data []byte) (*Certificate, error) {
	return r.parsed("certificate", name, data, r.Options.Certificate)
}

// parsed returns what read makes of the data. Errors are not remembered.
func (r *Keyring) parsed(kind, name string, data []byte, read func(string, []byte) (*Certificate, error)) (*Certificate, error) {
	id := keyringID(kind, name, data)
	r.mu.Lock()
	if e := r.entries[id]; e != nil {
		r.recent.MoveToFront(e)
		r.mu.Unlock()
		return e.Value.(*keyringEntry).certificate, nil
	}
	r.mu.Unlock()

	c, err := read(name, data)
	if err != nil {
		return nil, err
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.entries[id]; e != nil { // read by somebody else in the meantime
		return e.Value.(*keyringEntry).certificate, nil
	}
	if r.entries == nil {
		r.entries = map[[sha256.Size]byte]*list.Element{}
	}
	r.entries[id] = r.recent.PushFront(&keyringEntry{id, c})
	if r.recent.Len() > keyringLimit {
		oldest := r.recent.Remove(r.recent.Back()).(*keyringEntry)
		delete(r.entries, oldest.id)
	}
	return c, nil
}

// keyringID is a digest of all that an entry was parsed from.
func keyringID(kind, name string, data []byte) (id [sha256.Size]byte) {
	h := sha256.New()
	for _, s := range []string{kind, name} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s))))
		h.Write([]byte(s))
	}
	h.Write(data)
	h.Sum(id[:0])
	return id
}
