package main

import (
	"log/slog"
	"sync"
	"time"

	"waxseal/keys"
)

// outage logs that the key store does not give entries, which then serve on as
// they were read before: one line when it begins and one when it ends, however
// many entries and messages there are, and one a minute while more of them are
// concerned.
type outage struct {
	log *slog.Logger
	now func() time.Time

	mu      sync.Mutex
	failing map[keys.Entry]bool
	said    time.Time // when the last line of a failure was written
}

// changed is the cache's Changed.
func (o *outage) changed(e keys.Entry, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err == nil {
		delete(o.failing, e)
		o.said = time.Time{} // it answers: what comes now is news
		if len(o.failing) == 0 {
			o.log.Info("key store gives the entry again", "entry", e.String())
		}
		return
	}
	o.failing[e] = true
	if now := o.now(); now.Sub(o.said) >= time.Minute {
		o.said = now
		o.log.Warn("key store does not give an entry", "entry", e.String(), "entries", len(o.failing), "error", err)
	}
}
