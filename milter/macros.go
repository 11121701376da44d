package milter

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net/netip"
	"strings"

	gomilter "github.com/emersion/go-milter"
)

// macros are the MTA's macros that a transaction is made of.
type macros struct {
	queueID string // i
	login   string // {auth_authen}
	tls     string // {tls_version}
	cipher  string // {cipher}
}

// wantedMacros is what the MTA is asked to send, where it can be asked. Postfix
// knows the queue id from the first header field on, Sendmail from MAIL on.
func wantedMacros() map[gomilter.Stage][]string {
	return map[gomilter.Stage][]string{
		gomilter.StageConnect:  {"j"},
		gomilter.StageHelo:     {"{tls_version}", "{cipher}"},
		gomilter.StageMailFrom: {"i", "{auth_authen}", "{tls_version}", "{cipher}"},
		gomilter.StageRcptTo:   {"i"},
		gomilter.StageEOH:      {"i"},
		gomilter.StageEOM:      {"i"},
	}
}

// set takes the names and values of a macro packet. What it does not have stays
// as it is.
func (m *macros) set(data []byte) {
	for len(data) > 0 {
		var name, value []byte
		name, data, _ = bytes.Cut(data, []byte{0})
		value, data, _ = bytes.Cut(data, []byte{0})
		if len(value) == 0 {
			continue
		}
		switch strings.Trim(string(name), "{}") {
		case "i":
			m.queueID = string(value)
		case "auth_authen":
			m.login = string(value)
		case "tls_version":
			m.tls = string(value)
		case "cipher":
			m.cipher = string(value)
		}
	}
}

// tlsVersion returns the number of crypto/tls for a version as MTAs write it,
// 0 for one that they do not.
func tlsVersion(name string) uint16 {
	switch name {
	case "TLSv1", "TLSv1.0":
		return tls.VersionTLS10
	case "TLSv1.1":
		return tls.VersionTLS11
	case "TLSv1.2":
		return tls.VersionTLS12
	case "TLSv1.3":
		return tls.VersionTLS13
	}
	return 0
}

// parseConnect reads the data of a connect packet: host name, NUL, family, and
// for a network client port and address.
func parseConnect(data []byte) (Connection, error) {
	name, rest, found := bytes.Cut(data, []byte{0})
	if !found || len(rest) == 0 {
		return Connection{}, fmt.Errorf("%w: a connect packet without family", errProtocol)
	}
	c := Connection{ClientName: string(name)}
	// An MTA that has found no name gives the address in brackets, or "unknown".
	if strings.HasPrefix(c.ClientName, "[") || c.ClientName == "unknown" {
		c.ClientName = ""
	}
	family := gomilter.ProtoFamily(rest[0])
	if family != gomilter.FamilyInet && family != gomilter.FamilyInet6 {
		return c, nil
	}
	if len(rest) < 1+2 {
		return Connection{}, fmt.Errorf("%w: a connect packet without port", errProtocol)
	}
	text, _, _ := bytes.Cut(rest[1+2:], []byte{0})
	address := string(text)
	if len(address) > len("IPv6:") && strings.EqualFold(address[:len("IPv6:")], "IPv6:") {
		address = address[len("IPv6:"):]
	}
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return Connection{}, fmt.Errorf("%w: client address: %w", errProtocol, err)
	}
	c.Client = addr.Unmap().WithZone("")
	return c, nil
}
