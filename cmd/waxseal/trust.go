package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"waxseal/milter"
	"waxseal/policies"
	"waxseal/signer/smime/trust"
)

// anchorsBlock names certificates that are trusted to vouch for others.
type anchorsBlock struct {
	Name  string   `hcl:"name,label"`
	Files []string `hcl:"files"`
}

// revocationBlock says where revoked certificates are looked up.
type revocationBlock struct {
	CRLs      []string `hcl:"crls,optional"`
	Fetch     bool     `hcl:"fetch,optional"`
	Hosts     []string `hcl:"hosts,optional"`
	OnlyHosts bool     `hcl:"only_hosts,optional"`
	PreferCRL bool     `hcl:"prefer_crl,optional"`
}

// openTrust gives a filter what certificates of incoming mail are judged by.
// The closer ends what fetches revocation lists in the background. All that is
// wrong is in the error.
func openTrust(s *settings, f *milter.Filter, log *slog.Logger) (io.Closer, error) {
	var errs []error
	f.Anchors = trust.Store{}
	var names []string
	for _, block := range s.TrustAnchors {
		if slices.Contains(names, block.Name) {
			errs = append(errs, fmt.Errorf("%s: trust_anchors %q stands there twice; keep one", s.file, block.Name))
			continue
		}
		names = append(names, block.Name)
		pool, err := trust.ReadPool(s.paths(block.Files)...)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: trust_anchors %q: %w", s.file, block.Name, err))
			continue
		}
		f.Anchors[block.Name] = pool
	}
	if err := f.Policies.CheckTrustAnchors(names); err != nil {
		errs = append(errs, err)
	}
	var err error
	if f.Trust.Intermediates, err = trust.ReadPool(s.paths(s.Intermediates)...); err != nil {
		errs = append(errs, fmt.Errorf("%s: intermediates: %w", s.file, err))
	}
	r := s.Revocation
	if r == nil {
		return io.NopCloser(nil), errors.Join(errs...)
	}
	config := trust.RevocationConfig{CRLs: s.paths(r.CRLs), PreferCRL: r.PreferCRL}
	if r.Fetch {
		config.Fetch = &trust.FetchConfig{Hosts: r.Hosts, OnlyHosts: r.OnlyHosts, Log: func(url string, err error) {
			log.Warn("can't learn what is revoked", "url", url, "error", err)
		}}
	}
	revocation, err := trust.NewRevocation(config)
	if err != nil {
		return io.NopCloser(nil), errors.Join(append(errs, fmt.Errorf("%s: revocation: %w", s.file, err))...)
	}
	f.Trust.Revocation = revocation
	stop := make(chan struct{})
	go reloadCRLs(revocation, stop, log)
	return closeFunc(func() {
		close(stop)
		revocation.Close()
	}), errors.Join(errs...)
}

// crlInterval is how often the files of CRLs are read again.
const crlInterval = 10 * time.Minute

// reloadCRLs reads the files of CRLs again and again until stop is closed: their
// authorities publish new ones every day.
func reloadCRLs(revocation *trust.Revocation, stop <-chan struct{}, log *slog.Logger) {
	ticker := time.NewTicker(crlInterval)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			if err := revocation.Reload(); err != nil {
				log.Warn("can't read the revocation lists again; the old ones hold", "error", err)
			}
		}
	}
}

// closeFunc is a function as io.Closer.
type closeFunc func()

// Close calls the function.
func (c closeFunc) Close() error {
	c()
	return nil
}

// paths makes paths relative to the configuration file absolute.
func (s *settings) paths(files []string) []string {
	var all []string
	for _, f := range files {
		all = append(all, s.path(f, ""))
	}
	return all
}

// verifiesWithoutAnchors warns of policies that judge signatures against trust
// anchors that nobody has configured.
func verifiesWithoutAnchors(s *settings, set *policies.Set) []string {
	if len(s.TrustAnchors) > 0 {
		return nil
	}
	var names []string
	for _, p := range set.Policies() {
		if p.Verify != nil {
			names = append(names, p.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s: policy %s verifies S/MIME signatures, and there are no trust_anchors: none will pass; add a trust_anchors block",
		s.file, strings.Join(names, ", "))}
}
