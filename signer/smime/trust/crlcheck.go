package trust

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"
)

// maxCRLDepth is how many CRLs may need each other's issuers to be valid.
const maxCRLDepth = 4

// clockSkew is by how much the clocks of responders and authorities may be ahead.
const clockSkew = 5 * time.Minute

// state is what is known about the revocation of a certificate.
type state int

const (
	unknown state = iota
	good
	revoked
)

// status is the revocation of one certificate.
type status struct {
	state  state
	reason string
}

// byCRL says whether the first certificate of a path has been revoked, by the
// CRLs that are at hand (RFC 5280, Section 6.3.3): those from files first, and
// where they say too little those fetched. What is missing is asked for.
func (s *search) byCRL(path []*certificate) status {
	c := path[0]
	points := slices.Clone(c.crlPoints)
	// A CRL that is about the whole of what the issuer has issued is good for
	// all that the points do not cover.
	points = append(points, distributionPoint{
		hasName: true, full: []generalName{{kind: directoryName, dn: c.issuer}}, reasons: allReasons,
	})
	var covered reasons
	why := ""
	for _, fetched := range []bool{false, true} {
		for i := range points {
			point := &points[i]
			if point.reasons&^covered == 0 {
				continue
			}
			for _, list := range s.lists(c, point, fetched) {
				fits := point.reasons & list.idp.point.reasons
				if fits&^covered == 0 {
					continue
				}
				entry, err := s.lookup(path, point, list)
				if err != nil {
					why = err.Error()
					continue
				}
				if entry != nil {
					return status{revoked, fmt.Sprintf("revoked on %s%s", entry.at.UTC().Format(time.DateOnly), reasonText(entry.reason))}
				}
				if covered |= fits; covered == allReasons {
					return status{state: good}
				}
			}
		}
	}
	switch {
	case why == "" && covered != 0:
		why = "the CRLs that are at hand leave out some reasons"
	case why == "":
		why = "no CRL is at hand"
	}
	return status{unknown, why}
}

// lists are the CRLs that may be the point's: those from files by the issuer
// that they must have, or those fetched from the point's URLs.
func (s *search) lists(c *certificate, point *distributionPoint, fetched bool) []*crl {
	if fetched {
		return s.fetched(point.urls(), false)
	}
	issuers := point.crlIssuer
	if len(issuers) == 0 {
		issuers = []name{c.issuer}
	}
	var lists []*crl
	for _, issuer := range issuers[:min(len(issuers), maxURLs)] {
		lists = append(lists, s.v.Revocation.files.Load().named(issuer, false)...)
	}
	return lists
}

// fetched are the CRLs that were fetched from URLs: complete ones, or deltas.
func (s *search) fetched(urls []string, deltas bool) []*crl {
	var lists []*crl
	for _, url := range urls {
		list, asked := s.v.Revocation.fetcher.crl(url)
		s.asked = s.asked || asked
		if list != nil && (list.base != nil) == deltas {
			lists = append(lists, list)
		}
	}
	return lists
}

// lookup looks a path's first certificate up in a CRL and the best delta to it.
// It returns nil if it is not in there, and an error if the CRL is not one to go
// by.
func (s *search) lookup(path []*certificate, point *distributionPoint, list *crl) (*crlEntry, error) {
	c := path[0]
	if err := s.applies(c, point, list); err != nil {
		return nil, err
	}
	if err := s.trusted(path, list); err != nil {
		return nil, err
	}
	if delta := s.delta(path, point, list); delta != nil {
		if entry := delta.entry(c); entry != nil {
			if entry.reason == removeFromCRL {
				return nil, nil
			}
			return entry, nil
		}
	}
	if entry := list.entry(c); entry != nil && entry.reason != removeFromCRL {
		return entry, nil
	}
	return nil, nil
}

// applies says why a CRL is not about a certificate at that point and time (RFC
// 5280, Section 6.3.3, a and b); nil if it is.
func (s *search) applies(c *certificate, point *distributionPoint, list *crl) error {
	if list.unknown != "" {
		return fmt.Errorf("the CRL has the unknown critical extension %s", list.unknown)
	}
	if err := s.fresh(list); err != nil {
		return err
	}
	issuers := []name{c.issuer}
	if len(point.crlIssuer) > 0 {
		if issuers = point.crlIssuer; list.idp.direct {
			return errors.New("the CRL is not an indirect one, as the certificate says")
		}
	}
	if !slices.ContainsFunc(issuers, list.issuer.equal) {
		return errors.New("the CRL has another issuer")
	}
	idp := &list.idp
	switch {
	case idp.point.hasName && !point.matches(&idp.point, list.issuer):
		return errors.New("the CRL is for another distribution point")
	case idp.onlyUser && c.ca, idp.onlyCA && !c.ca, idp.onlyAttribute:
		return errors.New("the CRL is not for certificates of that kind")
	}
	return nil
}

// fresh says why a CRL is not one for the time of the search; nil if it is.
func (s *search) fresh(list *crl) error {
	if list.thisUpdate.After(s.at.Add(clockSkew)) {
		return errors.New("the CRL is newer than the message")
	}
	if next := list.expires(); next.Before(s.at) {
		return fmt.Errorf("the CRL is out of date since %s", next.UTC().Format(time.DateOnly))
	}
	return nil
}

// expires is when a CRL is out of date. One that does not say so, as RFC 5280
// demands, is taken for a week.
func (c *crl) expires() time.Time {
	if c.nextUpdate.IsZero() {
		return c.thisUpdate.Add(7 * 24 * time.Hour)
	}
	return c.nextUpdate
}

// delta is the newest delta CRL that fits a complete one (RFC 5280, Sections
// 5.2.4 and 6.3.3, c); nil if there is none.
func (s *search) delta(path []*certificate, point *distributionPoint, list *crl) *crl {
	if list.number == nil {
		return nil
	}
	var urls []string
	for _, points := range [][]distributionPoint{path[0].freshest, list.freshest} {
		for i := range points[:min(len(points), maxURLs)] {
			urls = append(urls, points[i].urls()...)
		}
	}
	deltas := slices.Concat(s.v.Revocation.files.Load().named(list.issuer, true), s.fetched(urls, true))
	var best *crl
	for _, d := range deltas {
		if d.number == nil || d.base.Cmp(list.number) > 0 || d.number.Cmp(list.number) < 0 ||
			!d.issuer.equal(list.issuer) || !bytes.Equal(d.idpRaw, list.idpRaw) ||
			!bytes.Equal(d.authorityKeyID, list.authorityKeyID) ||
			s.applies(path[0], point, d) != nil || s.trusted(path, d) != nil {
			continue
		}
		if best == nil || d.number.Cmp(best.number) > 0 {
			best = d
		}
	}
	return best
}

// reasonText says in words why a certificate was revoked.
func reasonText(code int) string {
	words := map[int]string{
		1: "key compromise", 2: "authority compromise", 3: "affiliation changed", 4: "superseded",
		5: "cessation of operation", 6: "on hold", 9: "privilege withdrawn", 10: "attribute authority compromise",
	}
	if text, ok := words[code]; ok {
		return " (" + text + ")"
	}
	return ""
}
