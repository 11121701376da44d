package trust

import (
	"bytes"
	"context"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// seed adds files of the corpus.
func seed(f *testing.F, pattern string) {
	paths, err := filepath.Glob(filepath.Join(corpusDir(f, "pkits/smime"), pattern))
	if err != nil || len(paths) == 0 {
		f.Fatalf("no seeds %s: %v", pattern, err)
	}
	for _, path := range paths {
		f.Add(mustRead(f, path))
	}
}

// FuzzCertificate validates a certificate, as leaf and as authority, and
// compares what was read with crypto/x509.
func FuzzCertificate(f *testing.F) {
	seed(f, "certs/*.crt")
	root := issue(f, "root", nil, ca)
	f.Fuzz(func(t *testing.T, der []byte) {
		x, err := ParseCertificate(der)
		theirs, theirErr := x509.ParseCertificate(der)
		if theirErr == nil && err != nil && len(der) <= maxCertificate {
			t.Errorf("crypto/x509 reads it: %v", err)
		}
		if err != nil {
			return
		}
		c, err := readCertificate(x)
		if err != nil {
			if theirErr != nil {
				t.Errorf("read, and not: %v", err)
			}
			return
		}
		if theirErr == nil && (!bytes.Equal(theirs.RawSubject, c.rawSubject) || !bytes.Equal(theirs.RawIssuer, c.rawIssuer) ||
			!bytes.Equal(theirs.RawTBSCertificate, c.tbs) || theirs.SerialNumber.Cmp(signedInt(c.serial)) != 0 ||
			!theirs.NotBefore.Equal(c.notBefore) || !theirs.NotAfter.Equal(c.notAfter) || theirs.Version != c.version) {
			t.Errorf("crypto/x509 reads other fields")
		}
		if theirErr == nil && c.malformed == nil && (theirs.IsCA != c.ca || uint(theirs.KeyUsage) != c.usages&0x1ff ||
			!bytes.Equal(theirs.SubjectKeyId, c.subjectKeyID)) {
			t.Errorf("crypto/x509 reads other extensions")
		}
		v := &Validator{Anchors: mustPool(t, root.cert), Rules: Rules{AllowDSA: true, AllowSHA1: true}}
		v.Validate(context.Background(), x, []*x509.Certificate{x, root.cert}, pkitsTime, "a@example.com")
		if pool, err := NewPool(x); err == nil {
			v.Anchors = pool
			v.Validate(context.Background(), x, nil, pkitsTime, "a@example.com")
		}
	})
}

// FuzzCRL reads CRLs, and looks certificates up in them. What is read of one
// that crypto/x509 reads too must be the same.
func FuzzCRL(f *testing.F) {
	seed(f, "crls/*.crl")
	dir := filepath.Join(corpusDir(f, "pkits/smime"), "certs")
	var some []*certificate
	for _, name := range []string{"InvalidRevokedEETest3EE.crt", "ValidcRLIssuerTest28EE.crt", "InvaliddistributionPointTest6EE.crt"} {
		c, err := parseCertificate(mustRead(f, filepath.Join(dir, name)))
		if err != nil {
			f.Fatal(err)
		}
		some = append(some, c)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parseCRL(data)
		if err != nil {
			return
		}
		if theirs, err := x509.ParseRevocationList(data); err == nil {
			if len(theirs.RevokedCertificateEntries) != len(list.entries) || !theirs.ThisUpdate.Equal(list.thisUpdate) ||
				!theirs.NextUpdate.Equal(list.nextUpdate) || !bytes.Equal(theirs.RawTBSRevocationList, list.tbs) {
				t.Errorf("crypto/x509 reads something else")
			}
		}
		s := newSearch(context.Background(), &Validator{}, pkitsTime)
		for _, c := range some {
			list.entry(c)
			for i := range c.crlPoints {
				s.applies(c, &c.crlPoints[i], list)
			}
		}
	})
}

// FuzzOCSP reads OCSP responses.
func FuzzOCSP(f *testing.F) {
	root := issue(f, "root", nil, ca)
	leaf := issue(f, "leaf", root, mailer("a@example.com"))
	der, err := ocsp.CreateResponse(root.cert, root.cert, ocsp.Response{
		Status: ocsp.Good, SerialNumber: leaf.cert.SerialNumber, ThisUpdate: now, NextUpdate: now.Add(time.Hour), Certificate: root.cert,
	}, root.key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	var path []*certificate
	for _, id := range []*identity{leaf, root} {
		c, err := readCertificate(id.cert)
		if err != nil {
			f.Fatal(err)
		}
		path = append(path, c)
	}
	r, err := NewRevocation(RevocationConfig{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := newSearch(context.Background(), &Validator{Revocation: r}, now)
		if response, err := s.response(path, data); err == nil && !bytes.Equal(data, der) && response.Status != ocsp.Good {
			t.Errorf("a changed response is taken: %+v", response)
		}
	})
}

// FuzzAddress compares addresses: the same both ways, and itself.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{"a@example.com", "ä@xn--mnchen-3ya.example", "a@münchen.example", `"a@b"@c`} {
		f.Add(s, "a@example.com")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if SameAddress(a, b) != SameAddress(b, a) {
			t.Error("differs by the order")
		}
		mailWithin(a, b)
	})
}

// TestReadPool says what is wrong in which file.
func TestReadPool(t *testing.T) {
	root := issue(t, "root", nil, ca)
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := writePEM(t, "good.pem", "CERTIFICATE", root.cert.Raw, root.cert.Raw)
	pool, err := ReadPool(good)
	if err != nil || len(pool.Certificates()) != 1 {
		t.Fatalf("%v, %v", pool, err)
	}
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"der.crt":   {root.cert.Raw, "openssl x509 -inform der"},
		"empty.pem": {nil, "no PEM certificate"},
		"key.pem":   {[]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "no PEM certificate"},
		"bad.pem":   {[]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "certificate 1"},
		"large.pem": {make([]byte, maxPEM+1), "more than"},
	} {
		pool, err := ReadPool(write(name, test.data), good)
		if err == nil || !bytes.Contains([]byte(err.Error()), []byte(test.want)) || !bytes.Contains([]byte(err.Error()), []byte(name)) {
			t.Errorf("%s: %v", name, err)
		}
		if len(pool.Certificates()) != 1 {
			t.Errorf("%s: the good file was left out", name)
		}
	}
	store := Store{"partners": pool, "empty": &Pool{}}
	if all, err := store.Select("partners", "empty", "partners"); err != nil || len(all.Certificates()) != 1 {
		t.Errorf("select: %v, %v", all, err)
	}
	if _, err := store.Select("partners", "freinds"); err == nil {
		t.Error("selected what is not there")
	}
	if _, err := NewRevocation(RevocationConfig{CRLs: []string{good, filepath.Join(dir, "none")}}); err == nil {
		t.Error("read CRLs that are none")
	}
}
