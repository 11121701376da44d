package keytool

import (
	"context"
	"errors"
	"fmt"

	"waxseal/keys"
)

// Copy copies an entry with all its versions, the oldest first. Where there is
// one in the other store already, nothing is written: it is "unchanged" if it is
// the same, and an error if not. Versions that can't be used in any way are left
// out, and counted.
func Copy(ctx context.Context, from, to keys.Writer, e keys.Entry) (s Stored, left int, err error) {
	s = Stored{Entry: e, Done: "copied"}
	history, err := from.History(ctx, e)
	if err != nil {
		return s, 0, err
	}
	old, err := to.Read(ctx, e)
	switch {
	case err == nil && same(old.Material, history[0].Material):
		s.Version, s.Done = old.Version, "unchanged"
		return s, 0, nil
	case err == nil:
		return s, 0, fmt.Errorf("%s: there is another one already, of version %d: retire that, or import this", e, old.Version)
	case !errors.Is(err, keys.ErrNotFound):
		return s, 0, err
	}
	var bad error
	for i := len(history) - 1; i >= 0; i-- {
		version, err := to.Put(ctx, e, history[i].Material, s.Version)
		switch {
		case err == nil:
			s.Version = version
		case i == 0 || ctx.Err() != nil || errors.Is(err, keys.ErrConflict):
			return s, left, err
		default:
			left++
			bad = err
		}
	}
	if bad != nil {
		s.Done = "copied without what can't be used"
	}
	return s, left, nil
}
