package trust

import (
	"bufio"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"waxseal/signer"
)

// responder makes a certificate one of an OCSP responder.
func responder(c *x509.Certificate) {
	c.KeyUsage = x509.KeyUsageDigitalSignature
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
}

// TestOCSP has responses of which most are no good.
func TestOCSP(t *testing.T) {
	root := issue(t, "root", nil, ca)
	delegate := issue(t, "responder", root, both(responder, extend(oidOCSPNoCheck, false, []byte{5, 0})))
	stranger := issue(t, "root", nil, ca)
	strangersDelegate := issue(t, "responder", stranger, responder)
	notDelegate := issue(t, "mailer", root, mailer("x@example.com"))
	oldDelegate := issue(t, "responder", root, both(responder, func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) }))
	revokedDelegate := issue(t, "responder", root, responder)

	var answer func() []byte
	url, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if _, err2 := ocsp.ParseRequest(body); err != nil || err2 != nil || r.Header.Get("Content-Type") != "application/ocsp-request" {
			t.Errorf("request: %v, %v", err, err2)
		}
		w.Write(answer())
	})
	leaf := issue(t, "leaf", root, both(mailer("a@example.com"), func(c *x509.Certificate) { c.OCSPServer = []string{url} }))
	another := issue(t, "another", root, mailer("b@example.com"))

	respond := func(issuer, by *identity, change func(*ocsp.Response)) func() []byte {
		return func() []byte {
			response := ocsp.Response{
				Status: ocsp.Good, SerialNumber: leaf.cert.SerialNumber, IssuerHash: crypto.SHA1,
				ThisUpdate: now.Add(-time.Minute), NextUpdate: now.Add(time.Hour), RevokedAt: now.Add(-time.Hour),
			}
			if by.cert != issuer.cert {
				response.Certificate = by.cert
			}
			if change != nil {
				change(&response)
			}
			der, err := ocsp.CreateResponse(issuer.cert, by.cert, response, by.key)
			if err != nil {
				t.Error(err)
			}
			return der
		}
	}
	for _, test := range []struct {
		name   string
		answer func() []byte
		want   signer.Verdict
		reason string
	}{
		{"good", respond(root, root, nil), signer.Pass, ""},
		{"good, SHA-256", respond(root, root, func(r *ocsp.Response) { r.IssuerHash = crypto.SHA256 }), signer.Pass, ""},
		{"good, no next update", respond(root, root, func(r *ocsp.Response) { r.NextUpdate = time.Time{} }), signer.Pass, ""},
		{"good, the authority's certificate in it", respond(root, root, func(r *ocsp.Response) { r.Certificate = root.cert }), signer.Pass, ""},
		{"good, by a delegate", respond(root, delegate, nil), signer.Pass, ""},
		{"revoked", respond(root, root, func(r *ocsp.Response) { r.Status, r.RevocationReason = ocsp.Revoked, ocsp.Superseded }), signer.Fail, "superseded"},
		{"revoked, by a delegate", respond(root, delegate, func(r *ocsp.Response) { r.Status = ocsp.Revoked }), signer.Fail, "revoked on"},
		{"unknown", respond(root, root, func(r *ocsp.Response) { r.Status = ocsp.Unknown }), signer.TempError, "does not know"},
		{"another certificate", respond(root, root, func(r *ocsp.Response) { r.SerialNumber = another.cert.SerialNumber }), signer.TempError, "about another"},
		{"another authority's certificate", respond(stranger, delegate, nil), signer.TempError, "about another"},
		{"old", respond(root, root, func(r *ocsp.Response) { r.ThisUpdate, r.NextUpdate = now.Add(-2*time.Hour), now.Add(-time.Hour) }), signer.TempError, "out of date"},
		{"from the future", respond(root, root, func(r *ocsp.Response) { r.ThisUpdate, r.NextUpdate = now.Add(time.Hour), now.Add(2*time.Hour) }), signer.TempError, "newer"},
		{"a stranger", respond(root, strangersDelegate, nil), signer.TempError, "not from the authority"},
		{"a stranger with the authority's name", respond(root, stranger, nil), signer.TempError, "not an OCSP responder"},
		{"no responder", respond(root, notDelegate, nil), signer.TempError, "not an OCSP responder"},
		{"an old responder", respond(root, oldDelegate, nil), signer.TempError, "expired"},
		{"a revoked responder", respond(root, revokedDelegate, nil), signer.TempError, "responder's certificate was revoked"},
		{"try later", func() []byte { return []byte{0x30, 3, 10, 1, 3} }, signer.TempError, "no OCSP response"},
		{"rubbish", func() []byte { return []byte("<html>") }, signer.TempError, "no OCSP response"},
		{"too large", func() []byte { return append(respond(root, root, nil)(), make([]byte, maxOCSP)...) }, signer.TempError, "no OCSP response"},
	} {
		t.Run(test.name, func(t *testing.T) {
			answer = test.answer
			r, logged := fetching(t, local())
			key := root.cert.RawSubject
			n, err := parseName(key)
			if err != nil {
				t.Fatal(err)
			}
			// A CRL for responders only, so that it says nothing of the leaf.
			list, err := parseCRL(revoke(t, root, func(l *x509.RevocationList) {
				l.ExtraExtensions = []pkix.Extension{{Id: []int{2, 5, 29, 28}, Critical: true, Value: []byte{0x30, 4, 0x83, 2, 6, 0x40}}}
			}, revokedDelegate))
			if err != nil {
				t.Fatal(err)
			}
			r.files.Store(&crlFiles{n.key(): {list}})
			v := &Validator{Anchors: mustPool(t, root.cert), Revocation: r, RequireRevocation: true}
			if got := validate(v, "a@example.com", leaf); got.Revocation.Verdict != signer.TempError {
				t.Errorf("before: %+v", got)
			}
			settle(t, r)
			got := validate(v, "a@example.com", leaf)
			if got.Revocation.Verdict != test.want || !strings.Contains(got.Revocation.Reason, test.reason) {
				t.Errorf("got %v\n%v", got.Revocation, logged)
			}
		})
	}
}

// TestOpenSSLResponder asks openssl's responder.
func TestOpenSSLResponder(t *testing.T) {
	program, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatal("openssl is missing: install the openssl package")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	root := issue(t, "root", nil, ca)
	delegate := issue(t, "responder", root, responder)
	at := func(c *x509.Certificate) { c.OCSPServer = []string{"http://" + address} }
	fine := issue(t, "fine", root, both(mailer("a@example.com"), at))
	bad := issue(t, "bad", root, both(mailer("a@example.com"), at))
	dir := t.TempDir()
	index := ""
	for _, id := range []*identity{fine, bad} {
		line := "V\t" + id.cert.NotAfter.UTC().Format("060102150405Z") + "\t"
		if id == bad {
			line = "R" + line[1:] + now.Add(-time.Hour).UTC().Format("060102150405Z") + ",keyCompromise"
		}
		serial := fmt.Sprintf("%X", id.cert.SerialNumber)
		if len(serial)%2 == 1 {
			serial = "0" + serial
		}
		index += line + "\t" + serial + "\tunknown\t/CN=" + id.cert.Subject.CommonName + "\n"
	}
	indexFile := filepath.Join(dir, "index.txt")
	if err := os.WriteFile(indexFile, []byte(index), 0o600); err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(delegate.key)
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(address)
	cmd := exec.Command(program, "ocsp", "-port", port, "-index", indexFile, "-CA", writePEM(t, "ca.pem", "CERTIFICATE", root.cert.Raw),
		"-rsigner", writePEM(t, "responder.pem", "CERTIFICATE", delegate.cert.Raw), "-rkey", writePEM(t, "key.pem", "PRIVATE KEY", der), "-ndays", "1", "-text")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	lines := bufio.NewScanner(stderr)
	for lines.Scan() && !strings.Contains(lines.Text(), "waiting for OCSP client") {
	}
	go io.Copy(io.Discard, stderr)

	r, logged := fetching(t, local())
	v := &Validator{Anchors: mustPool(t, root.cert), Revocation: r, RequireRevocation: true}
	for _, id := range []*identity{fine, bad} {
		validate(v, "a@example.com", id)
		settle(t, r)
		got := validate(v, "a@example.com", id)
		want := signer.Pass
		if id == bad {
			want = signer.Fail
		}
		if got.Revocation.Verdict != want {
			t.Errorf("%s: %v\n%v", id.cert.Subject, got.Revocation, logged)
		}
	}
}
