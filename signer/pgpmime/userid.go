package pgpmime

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/idna"
)

// UserIDError says that a key or certificate is sound, but that none of its
// valid user ids holds the address (or an address of the domain) that it is
// stored for. Mail programs compare the two.
type UserIDError struct {
	// Name is the address or domain.
	Name string
	// Addresses are those in the user ids, in order; at most four.
	Addresses []string
}

// Error names the address and what the user ids hold instead.
func (e *UserIDError) Error() string {
	if len(e.Addresses) == 0 {
		return fmt.Sprintf("no valid user id holds the address %s, nor any other: add one (gpg --edit-key, adduid)", e.Name)
	}
	return fmt.Sprintf("no valid user id holds the address %s, only %q: add one (gpg --edit-key, adduid) or store the key elsewhere", e.Name, e.Addresses)
}

// CheckUserID compares the name that the certificate is stored under with its
// valid user ids: an address has to be in one of them. A domain is satisfied by
// any address in it, and by a certificate without addresses. What is wrong is a
// *UserIDError; for a domain it is worth a warning, no more.
func (c *Certificate) CheckUserID(now time.Time) (err error) {
	defer guard(&err)
	addresses := c.addresses(now)
	if c.isForAddress() {
		for _, a := range addresses {
			if foldAddress(a) == foldAddress(c.name) {
				return nil
			}
		}
		return &UserIDError{Name: c.name, Addresses: addresses[:min(len(addresses), 4)]}
	}
	for _, a := range addresses {
		if _, domain, ok := cutAddress(a); ok && foldDomain(domain) == foldDomain(c.name) {
			return nil
		}
	}
	if len(addresses) == 0 {
		return nil
	}
	return &UserIDError{Name: c.name, Addresses: addresses[:min(len(addresses), 4)]}
}

// checkAddress is CheckUserID for a certificate that is stored for an address.
func (c *Certificate) checkAddress(now time.Time) error {
	if !c.isForAddress() {
		return nil
	}
	return c.CheckUserID(now)
}

// isForAddress reports whether the name is an address and not a domain.
func (c *Certificate) isForAddress() bool { return strings.Contains(c.name, "@") }

// addresses returns the e-mail addresses of the valid user ids, sorted.
func (c *Certificate) addresses(now time.Time) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	config := environment{time: now}.config()
	var found []string
	for _, id := range c.entity.Identities {
		if id.UserId.Email == "" || len(id.UserId.Email) > 320 {
			continue
		}
		if _, err := id.Verify(now, config); err == nil {
			found = append(found, id.UserId.Email)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func cutAddress(s string) (local, domain string, ok bool) {
	i := strings.LastIndexByte(s, '@')
	if i < 0 {
		return "", "", false
	}
	return s[:i], s[i+1:], true
}

// foldAddress makes addresses comparable. OpenPGP programs take the local part
// as case-insensitive.
func foldAddress(s string) string {
	local, domain, _ := cutAddress(s)
	return strings.ToLower(local) + "@" + foldDomain(domain)
}

// foldDomain returns a domain in lower case and ASCII (RFC 5890).
func foldDomain(s string) string {
	if ascii, err := idna.Lookup.ToASCII(s); err == nil {
		return ascii
	}
	return strings.ToLower(s)
}
