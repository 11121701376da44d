package keytool

import (
	"crypto/sha1"
	"encoding/base32"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"waxseal/keys"
)

// zbase32 is the encoding of names in a Web Key Directory.
func zbase32(data []byte) string {
	return base32.NewEncoding("ybndrfg8ejkmcpqxot1uwisza345h769").WithPadding(base32.NoPadding).EncodeToString(data)
}

// WKDHash returns the name of an address's file: that of its local part, in lower
// case.
func WKDHash(address string) (hash, domain string, err error) {
	name, err := keys.Name(address)
	if err != nil {
		return "", "", err
	}
	i := strings.LastIndexByte(name, '@')
	if i < 0 {
		return "", "", fmt.Errorf("%s is not an address", name)
	}
	sum := sha1.Sum([]byte(strings.ToLower(name[:i])))
	return zbase32(sum[:]), name[i+1:], nil
}

// WriteWKD writes an OpenPGP certificate into a Web Key Directory
// (draft-koch-openpgp-webkey-service) below the root of a web server, in the
// layout of the advanced method, where the server is openpgpkey.DOMAIN, or of the
// direct one, where it is DOMAIN itself. It returns the file.
func WriteWKD(root string, r *keys.Record, direct bool) (string, error) {
	if r.Scheme != keys.PGP {
		return "", fmt.Errorf("%s: only OpenPGP keys are in a Web Key Directory", r.Entry)
	}
	hash, domain, err := WKDHash(r.Name)
	if err != nil {
		return "", fmt.Errorf("%s: %w", r.Entry, err)
	}
	data, err := Export(r, "binary")
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, ".well-known", "openpgpkey")
	if !direct {
		dir = filepath.Join(dir, domain)
	}
	if err := os.MkdirAll(filepath.Join(dir, "hu"), 0o755); err != nil {
		return "", fmt.Errorf("write a Web Key Directory: %w", err)
	}
	// Its presence says that there is a directory; it may be empty.
	policy, err := os.OpenFile(filepath.Join(dir, "policy"), os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		err = policy.Close()
	}
	file := filepath.Join(dir, "hu", hash)
	if err == nil {
		err = os.WriteFile(file+".new", data, 0o644)
	}
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	if err != nil {
		return "", fmt.Errorf("write a Web Key Directory: %w", err)
	}
	return file, nil
}
