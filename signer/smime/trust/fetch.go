package trust

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// FetchConfig says what is fetched from the authorities that certificates name.
// The zero value is good.
type FetchConfig struct {
	// Hosts are names or addresses that may be asked although they are not
	// public, on any port.
	Hosts []string
	// OnlyHosts asks no others.
	OnlyHosts bool
	// MaxSize is the largest CRL, in bytes; 0 for 20 MiB.
	MaxSize int64
	// MaxCache is how much is kept, in bytes of memory; 0 for 256 MiB.
	MaxCache int64
	// Timeout is for one answer, whole; 0 for 30 seconds.
	Timeout time.Duration
	// Refresh is how old an answer may get before it is asked for again; 0 for
	// 6 hours. It is asked for when it runs out in any case.
	Refresh time.Duration
	// Log is called, if set, with the URL of what could not be fetched, and why.
	Log func(url string, err error)
}

// Limits of what is asked for.
const (
	maxEntries = 2000        // URLs that something is known about
	maxWaiting = 64          // requests that have not been answered
	maxAtOnce  = 4           // requests at a time
	maxOCSP    = 128 << 10   // bytes of a response
	retryAfter = time.Minute // after a failure; then twice as long each time
	retryAtMax = time.Hour
	minRefresh = 5 * time.Minute
)

// fetcher gets CRLs and OCSP responses in the background. Who asks gets what is
// known now.
type fetcher struct {
	config FetchConfig
	guard  guard
	client *http.Client
	ctx    context.Context
	cancel context.CancelFunc
	slots  chan struct{}

	mu      sync.Mutex
	entries map[fetchKey]*fetched
	waiting int
	size    int64
	group   sync.WaitGroup
	closed  bool
}

// fetchKey is one question: a URL, and for OCSP the request.
type fetchKey struct{ url, request string }

// fetched is what is known about a question.
type fetched struct {
	list     *crl   // of a CRL
	response []byte // of OCSP
	size     int64
	used     time.Time
	next     time.Time     // not asked before
	failures int           // in a row
	done     chan struct{} // closed when the request that is on its way has been answered; nil for none
}

func newFetcher(c FetchConfig) *fetcher {
	c.MaxSize = cmp.Or(c.MaxSize, 20<<20)
	c.MaxCache = cmp.Or(c.MaxCache, 256<<20)
	c.Timeout = cmp.Or(c.Timeout, 30*time.Second)
	c.Refresh = cmp.Or(c.Refresh, 6*time.Hour)
	f := &fetcher{
		config: c, guard: guard{c.Hosts, c.OnlyHosts},
		slots: make(chan struct{}, maxAtOnce), entries: map[fetchKey]*fetched{},
	}
	f.client = f.guard.client(c.Timeout)
	f.ctx, f.cancel = context.WithCancel(context.Background())
	return f
}

// close ends all requests.
func (f *fetcher) close() {
	if f == nil {
		return
	}
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.cancel()
	f.group.Wait()
}

// crl returns the CRL of a URL if it is known, which may be out of date. asked
// says whether the URL is one that is asked.
func (f *fetcher) crl(url string) (list *crl, asked bool) {
	e, asked := f.get(fetchKey{url: url})
	return e.list, asked
}

// ocsp returns the response of a responder to that request if it is known.
func (f *fetcher) ocsp(url string, request []byte) (response []byte, asked bool) {
	e, asked := f.get(fetchKey{url, string(request)})
	return e.response, asked
}

// get returns what is known, and asks for it if that is due.
func (f *fetcher) get(key fetchKey) (known fetched, asked bool) {
	if f == nil || len(key.url) > maxURL {
		return known, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	e := f.entries[key]
	if e == nil {
		u, err := url.Parse(key.url)
		if err != nil || f.guard.checkURL(u) != nil {
			return known, false
		}
		e = &fetched{}
	}
	e.used = now
	if e.done == nil && !now.Before(e.next) && f.waiting < maxWaiting && !f.closed {
		f.entries[key] = e
		f.evict(key)
		f.waiting++
		e.done = make(chan struct{})
		f.group.Go(func() { f.ask(key, e) })
	}
	return *e, true
}

// evict forgets what was not asked for the longest, until there is room. What
// is on its way, and keep, stay.
func (f *fetcher) evict(keep fetchKey) {
	for len(f.entries) > maxEntries || f.size > f.config.MaxCache {
		var oldest fetchKey
		var found *fetched
		for key, e := range f.entries {
			if key != keep && e.done == nil && (found == nil || e.used.Before(found.used)) {
				oldest, found = key, e
			}
		}
		if found == nil {
			return
		}
		f.size -= found.size
		delete(f.entries, oldest)
	}
}

// ask asks one question, and keeps the answer. An old answer stays until there
// is a new one.
func (f *fetcher) ask(key fetchKey, e *fetched) {
	f.slots <- struct{}{}
	data, err := f.request(key)
	var list *crl
	var runsOut time.Time
	if err == nil && key.request == "" {
		if list, err = parseCRL(data); err == nil {
			runsOut = list.expires()
		}
	} else if err == nil {
		runsOut, err = ocspRunsOut(data)
	}
	<-f.slots
	if err != nil && f.config.Log != nil && f.ctx.Err() == nil {
		f.config.Log(key.url, err)
	}

	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if err != nil {
		wait := min(retryAfter<<min(e.failures, 10), retryAtMax)
		e.failures++
		e.next = now.Add(wait)
	} else {
		size := int64(len(data))
		if e.list = list; list != nil {
			size += int64(len(list.entries)) * int64(entrySize)
		} else {
			e.response = data
		}
		f.size += size - e.size
		e.size, e.failures = size, 0
		e.next = now.Add(f.config.Refresh)
		if runsOut.Before(e.next) {
			e.next = runsOut
		}
		if soonest := now.Add(minRefresh); e.next.Before(soonest) {
			e.next = soonest
		}
	}
	f.waiting--
	close(e.done)
	e.done = nil
	f.evict(key)
}

// request sends one request, and reads the answer.
func (f *fetcher) request(key fetchKey) ([]byte, error) {
	r, err := http.NewRequestWithContext(f.ctx, http.MethodGet, key.url, nil)
	limit := f.config.MaxSize
	if key.request != "" {
		limit = maxOCSP
		r, err = http.NewRequestWithContext(f.ctx, http.MethodPost, key.url, bytes.NewReader([]byte(key.request)))
	}
	if err != nil {
		return nil, err
	}
	if key.request != "" {
		r.Header.Set("Content-Type", "application/ocsp-request")
	}
	r.Header.Set("User-Agent", "waxseal")
	answer, err := f.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", answer.StatusCode)
	}
	if answer.ContentLength > limit {
		return nil, fmt.Errorf("%d bytes, more than %d", answer.ContentLength, limit)
	}
	return readLimited(answer.Body, limit)
}

// Settle waits until all that was asked for has been answered, so that a second
// Validate knows more than the first. That is for programs that judge one
// message; a milter tells the client to come back.
func (r *Revocation) Settle(ctx context.Context) error {
	for r.fetcher != nil {
		var wait chan struct{}
		r.fetcher.mu.Lock()
		for _, e := range r.fetcher.entries {
			if e.done != nil {
				wait = e.done
				break
			}
		}
		r.fetcher.mu.Unlock()
		if wait == nil {
			return nil
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return fmt.Errorf("wait for revocation lists: %w", ctx.Err())
		}
	}
	return nil
}
