package keys

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// ErrConflict is what a Writer wraps when the entry is not, or no longer, of the
// version that was to be replaced: somebody else has written it.
var ErrConflict = errors.New("somebody else has written it meanwhile")

// ErrLocked is what Lock wraps while somebody else holds the lock.
var ErrLocked = errors.New("locked")

// AnyVersion, in the place of a version to replace, is whatever there is.
const AnyVersion = -1

// Writer is a Store that can be written to. Its methods may be called from
// several goroutines and by several programs at once.
type Writer interface {
	Store
	// Read returns the newest version of an entry as it is stored. A retired
	// entry is not found.
	Read(ctx context.Context, e Entry) (*Record, error)
	// History returns the versions of one of our own entries that are still
	// there, the newest first, at most MaxVersions. Somebody's certificates
	// have none: the newest alone is returned.
	History(ctx context.Context, e Entry) ([]*Record, error)
	// Put stores a new version of an entry in the place of the version that is
	// given: 0 if there must be none, AnyVersion for whatever there is. It
	// returns the new version. It checks that the entry can be loaded, for
	// signing or for decryption.
	Put(ctx context.Context, e Entry, m Material, replaces int) (version int, err error)
	// Retire ends the use of an entry: it is no longer found, but Versions
	// still returns our own keys, for decryption. replaces is as for Put.
	Retire(ctx context.Context, e Entry, replaces int) error
	// Lock takes a lock that all users of the store see. It ends with release
	// or after ttl, by the clocks of those who look, which should agree to
	// within a few seconds.
	Lock(ctx context.Context, name string, ttl time.Duration) (release func(context.Context) error, err error)
}

// Material is what an entry is made of. What is not there is empty.
type Material struct {
	// Certificate is the certificate with its chain, or somebody's
	// certificates, as PEM; or an OpenPGP certificate, armored or binary, which
	// may be missing where PrivateKey is an OpenPGP key.
	Certificate []byte
	// PrivateKey is PEM without a passphrase, or a transferable secret key.
	// Beside TransitKey it is a key for decryption.
	PrivateKey []byte
	// TransitKey is the name of a key in Vault's Transit engine. TransitVersion
	// is the version of it that the certificate is for; 0 is whichever fits.
	TransitKey     string
	TransitVersion int
	// Source says for people where it came from, on one line.
	Source string
}

// Record is one version of an entry as it is stored.
type Record struct {
	Entry
	Material
	Version int
	Created time.Time // zero if the store doesn't know
	// Retired is when the entry was taken out of use; zero if it wasn't.
	Retired time.Time
}

// Format keeps private keys out of logs, as that of Key does.
func (m Material) Format(f fmt.State, _ rune) { io.WriteString(f, "key material") }

// MarshalText does for encoding/json and log/slog what Format does for fmt.
func (m Material) MarshalText() ([]byte, error) { return []byte("key material"), nil }

// Format writes the entry's name.
func (r Record) Format(f fmt.State, _ rune) { io.WriteString(f, r.Entry.String()) }

// MarshalText does for encoding/json and log/slog what Format does for fmt.
func (r Record) MarshalText() ([]byte, error) { return []byte(r.Entry.String()), nil }
