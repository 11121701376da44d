package milter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"waxseal/keys"
	"waxseal/policies"
	"waxseal/signer"
	"waxseal/signer/pgpmime"
)

// resolved is a treatment and the recipients that it is for.
type resolved struct {
	treatment
	recipients []string
	visible    map[string]bool // the recipients that the header shows
}

// resolve finds every key that the groups' policies name and makes one
// treatment of it all. Nothing of the message has been changed at that point.
func (f *Filter) resolve(ctx context.Context, facts policies.Facts, groups []group, protection *signer.Protection, visible map[string]bool) (*treatment, error) {
	var all []resolved
	for _, g := range groups {
		base := resolved{recipients: g.recipients, visible: visible}
		parts, err := f.resolveGroup(ctx, facts, g.policy, base, protection)
		if err != nil {
			return nil, err
		}
		all = append(all, parts...)
	}
	return merge(all)
}

// resolveGroup resolves one policy. It gives several results where the keys of
// the recipients allow no common treatment.
func (f *Filter) resolveGroup(ctx context.Context, facts policies.Facts, p *policies.Policy, base resolved, protection *signer.Protection) ([]resolved, error) {
	if p == nil {
		return []resolved{base}, nil
	}
	base.policies = []string{p.Name}
	base.strip = stripKey(p.Header)
	if p.Sign == nil && p.Encrypt == nil {
		return []resolved{base}, nil
	}
	if protection.Encrypted {
		if p.OnAlreadyProtected == policies.Reject {
			return nil, reject(CauseEncrypted, "")
		}
		base.encrypt = opAlready
		return []resolved{base}, nil
	}
	parts := []resolved{base}
	var err error
	if p.Encrypt != nil {
		if parts, err = f.resolveEncrypt(ctx, p, base); err != nil {
			return nil, err
		}
	}
	for i := range parts {
		if p.Sign == nil || parts[i].held != "" {
			continue
		}
		if protection.Signed {
			parts[i].sign = opAlready
			continue
		}
		if err := f.resolveSign(ctx, facts, p, &parts[i]); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// resolveEncrypt finds the certificates of every recipient, in one scheme for
// all of them if there is one.
func (f *Filter) resolveEncrypt(ctx context.Context, p *policies.Policy, base resolved) ([]resolved, error) {
	schemes := schemesOf(p.Encrypt.Scheme)
	// Where policy takes a missing key lightly, that of an archive is no reason
	// to send in clear what the recipient could decrypt.
	required, optional := slices.Concat(base.recipients, p.Encrypt.AlsoTo), []string(nil)
	if p.OnKeyNotFound == policies.Accept {
		required, optional = base.recipients, p.Encrypt.AlsoTo
	}
	missing, unfit := map[string]bool{}, map[string]bool{}
	found := map[keys.Scheme]map[string]*keys.Certificate{}
	for _, scheme := range schemes {
		found[scheme] = map[string]*keys.Certificate{}
		complete := true
		for i, address := range slices.Concat(required, optional) {
			c, err := f.certificate(ctx, scheme, address)
			switch {
			case err == nil:
				found[scheme][address] = c
			case errors.Is(err, keys.ErrNotFound):
				complete = complete && i >= len(required)
				if errors.Is(err, pgpmime.ErrNoUsableKey) {
					unfit[address] = true
				}
			default:
				return nil, tempfail(CauseKeys, err)
			}
		}
		if complete {
			return []resolved{encryptPart(p, base, scheme, found[scheme], base.recipients)}, nil
		}
	}
	// No scheme fits all: each recipient takes the first that fits.
	byScheme := map[keys.Scheme][]string{}
	var without []string
	for _, recipient := range base.recipients {
		scheme, ok := fit(schemes, found, append([]string{recipient}, required[len(base.recipients):]...), missing)
		if ok {
			byScheme[scheme] = append(byScheme[scheme], recipient)
		} else {
			without = append(without, recipient)
		}
	}
	var parts []resolved
	for _, scheme := range schemes {
		if recipients := byScheme[scheme]; recipients != nil {
			parts = append(parts, encryptPart(p, base, scheme, found[scheme], recipients))
		}
	}
	if without == nil {
		return parts, nil
	}
	part := base
	part.recipients = without
	text := "no " + schemeWords(p.Encrypt.Scheme) + " certificate for " + someOf(missing, unfit, without, p.Encrypt.AlsoTo)
	if err := notFound(p, &part, text, func() { part.encrypt = opNone }); err != nil {
		return nil, err
	}
	return append(parts, part), nil
}

// fit returns the first scheme in which every address has a certificate, and
// notes the addresses that stand in the way of all of them.
func fit(schemes []keys.Scheme, found map[keys.Scheme]map[string]*keys.Certificate, addresses []string, missing map[string]bool) (keys.Scheme, bool) {
	for _, scheme := range schemes {
		ok := true
		for _, address := range addresses {
			if found[scheme][address] == nil {
				ok = false
			}
		}
		if ok {
			return scheme, true
		}
	}
	for _, address := range addresses {
		in := 0
		for _, scheme := range schemes {
			if found[scheme][address] != nil {
				in++
			}
		}
		if in < len(schemes) {
			missing[address] = true
		}
	}
	return "", false
}

func encryptPart(p *policies.Policy, base resolved, scheme keys.Scheme, found map[string]*keys.Certificate, recipients []string) resolved {
	part := base
	part.recipients = recipients
	part.encrypt = string(scheme)
	if scheme == keys.SMIME {
		part.cipher, part.transport = p.Encrypt.Cipher, p.Encrypt.KeyTransport
	} else {
		part.hidden = p.Encrypt.Hidden
	}
	part.certificates, part.blind = nil, nil
	for _, recipient := range recipients {
		if scheme == keys.PGP && isBlind(base.visible, recipient) {
			part.blind = append(part.blind, found[recipient])
		} else {
			part.certificates = append(part.certificates, found[recipient])
		}
	}
	var also, leftOut []string
	for _, address := range p.Encrypt.AlsoTo {
		if c := found[address]; c != nil {
			part.certificates = append(part.certificates, c)
			also = append(also, address)
		} else {
			leftOut = append(leftOut, address)
		}
	}
	part.alsoTo, part.leftOut = strings.Join(also, ","), leftOut
	return part
}

// resolveSign finds the originator's key.
func (f *Filter) resolveSign(ctx context.Context, facts policies.Facts, p *policies.Policy, part *resolved) error {
	which := p.Sign.Key
	byAddress := which == "" || which == "address" || which == "domain" || which == "any"
	var originator string
	if len(facts.Originators) == 1 {
		originator = facts.Originators[0]
	} else if byAddress {
		return reject(CauseOriginator, "")
	}
	schemes := schemesOf(p.Sign.Scheme)
	if p.Sign.Scheme == policies.Any && isScheme(part.encrypt) {
		schemes = []keys.Scheme{keys.Scheme(part.encrypt)}
	}
	scheme, key, err := f.signKey(ctx, schemes, originator, which)
	if errors.Is(err, keys.ErrNotFound) && p.IssueOnDemand && f.Issue != nil && slices.Contains(schemes, keys.SMIME) {
		if err = f.Issue(ctx, originator); err == nil {
			scheme, key, err = f.signKey(ctx, schemes, originator, which)
		}
	}
	if err == nil {
		part.sign, part.signKey, part.signName = string(scheme), key, key.Name
		part.digest = signDigest(p.Sign.Digest, key)
		if scheme == keys.SMIME {
			part.mode, part.pss = p.Sign.Mode, p.Sign.PSS
		}
		return nil
	}
	if !errors.Is(err, keys.ErrNotFound) {
		return tempfail(CauseKeys, err)
	}
	name := originator
	if !byAddress {
		name = which
	}
	words := p.Sign.Scheme
	if len(schemes) == 1 {
		words = policies.Scheme(schemes[0])
	}
	text := "no " + schemeWords(words) + " signing key for " + name
	return notFound(p, part, text, func() { part.sign = opNone })
}

// signKey finds the key to sign with in the first scheme that has one.
func (f *Filter) signKey(ctx context.Context, schemes []keys.Scheme, originator, which string) (scheme keys.Scheme, key *keys.Key, err error) {
	for _, scheme = range schemes {
		if key, err = f.key(ctx, scheme, originator, which); !errors.Is(err, keys.ErrNotFound) {
			break
		}
	}
	return scheme, key, err
}

// notFound does what the policy says about a key that does not exist.
func notFound(p *policies.Policy, part *resolved, text string, accept func()) error {
	switch p.OnKeyNotFound {
	case policies.Accept:
		accept()
		return nil
	case policies.Tempfail:
		return &refusal{action: policies.Tempfail, cause: CauseKeyNotFoundYet, detail: text}
	case policies.Discard, policies.Quarantine:
		part.treatment = treatment{policies: part.policies, shape: shape{held: p.OnKeyNotFound}}
		part.hold = &refusal{action: p.OnKeyNotFound, cause: CauseKeyNotFound, detail: text}
		return nil
	default:
		// "reject", and whatever a later policy language may add.
		return reject(CauseKeyNotFound, text)
	}
}

// certificate finds what messages to address are encrypted to, usable now.
func (f *Filter) certificate(ctx context.Context, scheme keys.Scheme, address string) (*keys.Certificate, error) {
	c, err := keys.FindCertificate(ctx, f.Keys, scheme, address)
	if err != nil {
		return nil, err
	}
	if scheme == keys.PGP {
		parsed, err := f.Keyring.Certificate(c.Name, c.OpenPGP)
		if err == nil {
			err = parsed.CheckEncrypt(f.now())
		}
		if errors.Is(err, pgpmime.ErrNoUsableKey) {
			return nil, fmt.Errorf("certificate of %s: %w: %w", address, keys.ErrNotFound, err)
		}
		if err != nil {
			return nil, fmt.Errorf("certificate of %s: %w", address, err)
		}
		return c, nil
	}
	if err := c.Valid(f.now()); err != nil {
		return nil, err
	}
	return c, nil
}

// key finds our own key for an originator, usable now.
func (f *Filter) key(ctx context.Context, scheme keys.Scheme, originator, which string) (*keys.Key, error) {
	k, err := keys.FindKey(ctx, f.Keys, scheme, originator, which)
	if err != nil {
		return nil, err
	}
	if scheme == keys.PGP {
		parsed, err := f.Keyring.Key(k.Name, k.OpenPGP, k.Signer)
		if err == nil {
			err = parsed.CheckSign(f.now())
		}
		if err != nil {
			return nil, fmt.Errorf("key of %s: %w", k.Name, err)
		}
		return k, nil
	}
	if err := k.Valid(f.now()); err != nil {
		return nil, err
	}
	return k, nil
}

func schemesOf(s policies.Scheme) []keys.Scheme {
	switch s {
	case policies.SMIME:
		return []keys.Scheme{keys.SMIME}
	case policies.PGP:
		return []keys.Scheme{keys.PGP}
	}
	return []keys.Scheme{keys.SMIME, keys.PGP}
}

func schemeWords(s policies.Scheme) string {
	switch s {
	case policies.SMIME:
		return "S/MIME"
	case policies.PGP:
		return "OpenPGP"
	}
	return "S/MIME or OpenPGP"
}

// someOf lists the missing addresses, recipients first, at most ten, and says of
// which there is a certificate that is unfit.
func someOf(missing, unfit map[string]bool, lists ...[]string) string {
	const most = 10
	var names []string
	left := 0
	for _, list := range lists {
		for _, address := range list {
			if !missing[address] {
				continue
			}
			delete(missing, address)
			if unfit[address] {
				address += " (none of the keys of the certificate may encrypt)"
			}
			if len(names) < most {
				names = append(names, address)
			} else {
				left++
			}
		}
	}
	text := strings.Join(names, ", ")
	if left > 0 {
		text += fmt.Sprintf(" and %d more", left)
	}
	return text
}
