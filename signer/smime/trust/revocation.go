package trust

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"

	"waxseal/signer"
)

// RevocationConfig says how revocation is looked up.
type RevocationConfig struct {
	// CRLs are files of one CRL each (DER or PEM), or directories of such
	// files. What they say is not asked for elsewhere.
	CRLs []string
	// PreferCRL looks at CRLs before OCSP responses.
	PreferCRL bool
	// Fetch says what is fetched from authorities, in the background; nil for
	// nothing.
	Fetch *FetchConfig
}

// Revocation is where revocation is looked up. It may be used by several
// goroutines at once, and by several validators.
type Revocation struct {
	preferCRL bool
	paths     []string
	files     atomic.Pointer[crlFiles]
	fetcher   *fetcher // nil for none
}

// NewRevocation reads the CRLs of the configuration. It collects what is wrong
// with any. Close ends what it does in the background.
func NewRevocation(c RevocationConfig) (*Revocation, error) {
	r := &Revocation{preferCRL: c.PreferCRL, paths: c.CRLs}
	if err := r.Reload(); err != nil {
		return nil, err
	}
	if c.Fetch != nil {
		r.fetcher = newFetcher(*c.Fetch)
	}
	return r, nil
}

// Reload reads the files of CRLs again. If one of them can't be read, what was
// known before is kept.
func (r *Revocation) Reload() error {
	files, err := readCRLs(r.paths)
	if err == nil {
		r.files.Store(&files)
	}
	return err
}

// Close ends all requests and waits for them.
func (r *Revocation) Close() { r.fetcher.close() }

// crlFiles are CRLs by their issuer.
type crlFiles map[string][]*crl

// readCRLs reads files and directories of CRLs.
func readCRLs(paths []string) (crlFiles, error) {
	const largest = 64 << 20
	files := crlFiles{}
	var problems []error
	read := func(path string) {
		data, err := readFile(path, largest)
		var list *crl
		if err == nil {
			list, err = parseCRL(data)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("read CRL %s: %w", path, err))
			return
		}
		files[list.issuer.key()] = append(files[list.issuer.key()], list)
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		var entries []fs.DirEntry
		if err == nil && info.IsDir() {
			entries, err = os.ReadDir(path)
		} else if err == nil {
			read(path)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("read CRLs: %w", err))
		}
		for _, e := range entries {
			if !e.IsDir() {
				read(filepath.Join(path, e.Name()))
			}
		}
	}
	return files, errors.Join(problems...)
}

// named are the CRLs of an issuer: complete ones, or deltas.
func (f crlFiles) named(issuer name, deltas bool) []*crl {
	var lists []*crl
	for _, list := range f[issuer.key()] {
		if (list.base != nil) == deltas {
			lists = append(lists, list)
		}
	}
	return lists
}

// revocation says whether a certificate of a valid path has been revoked.
func (s *search) revocation(path []*certificate) (f signer.Finding, leaf bool) {
	r := s.v.Revocation
	switch {
	case len(path) == 1:
		return signer.Finding{Verdict: signer.None, Reason: "the certificate is trusted itself"}, false
	case r == nil && s.v.RequireRevocation:
		return signer.Finding{Verdict: signer.Policy, Reason: "nothing is set up to learn from what is revoked"}, false
	case r == nil:
		return signer.Finding{Verdict: signer.None, Reason: "revocation is not checked"}, false
	}
	switch st := s.pathStatus(path); {
	case st.state == good:
		return signer.Finding{Verdict: signer.Pass}, false
	case st.state == revoked:
		return signer.Finding{Verdict: signer.Fail, Reason: st.reason}, s.status(path).state == revoked
	case s.ctx.Err() != nil:
		return signer.Finding{Verdict: signer.TempError, Reason: st.reason}, false
	case s.exhausted:
		// Else a message could bring so many certificates that nobody gets to
		// see that its own is revoked.
		return signer.Finding{Verdict: signer.Policy, Reason: st.reason}, false
	case !s.v.RequireRevocation:
		return signer.Finding{Verdict: signer.None, Reason: st.reason}, false
	case s.asked && r.fetcher != nil:
		return signer.Finding{Verdict: signer.TempError, Reason: st.reason}, false
	default:
		return signer.Finding{Verdict: signer.Policy, Reason: st.reason}, false
	}
}

// pathStatus is the worst status of the certificates of a path below its trust
// anchor, from the anchor down.
func (s *search) pathStatus(path []*certificate) status {
	worst := status{state: good}
	for i := len(path) - 2; i >= 0; i-- {
		st := s.status(path[i:])
		if st.state != good {
			st.reason = fmt.Sprintf("%s: %s", path[i], st.reason)
		}
		if st.state == revoked {
			return st
		}
		if st.state == unknown && worst.state == good {
			worst = st
		}
	}
	return worst
}

// status is the revocation of the first certificate of a path that has an
// issuer.
func (s *search) status(path []*certificate) status {
	key := statusKey{path[0], path[1], path[len(path)-1]}
	if st, ok := s.statuses[key]; ok {
		return st
	}
	first, second := s.byOCSP, s.byCRL
	if s.v.Revocation.preferCRL {
		first, second = second, first
	}
	st := first(path)
	if st.state == unknown {
		other := second(path)
		if other.state != unknown || st.reason == "" {
			st = other
		} else if other.reason != "" {
			st.reason += "; " + other.reason
		}
	}
	if st.state != unknown || len(s.pending) == 0 { // otherwise it may be for the depth
		s.statuses[key] = st
	}
	return st
}
