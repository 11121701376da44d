package trust

import (
	"crypto/x509"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"waxseal/signer"
)

// TestLargeCRL reads a CRL of a size that large authorities have.
func TestLargeCRL(t *testing.T) {
	const count = 200_000
	root := issue(t, "root", nil, ca)
	data := revoke(t, root, func(l *x509.RevocationList) {
		for i := range count {
			l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{
				SerialNumber: new(big.Int).Add(big.NewInt(int64(i)), new(big.Int).Lsh(big.NewInt(1), 100)), RevocationTime: now, ReasonCode: 4,
			})
		}
	})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := time.Now()
	list, err := parseCRL(data)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	runtime.GC()
	runtime.ReadMemStats(&after)
	t.Logf("%d entries, %d bytes: read in %v, %d bytes an entry beside", count, len(data), took, (int64(after.HeapAlloc)-int64(before.HeapAlloc))/count)
	runtime.KeepAlive(data)
	c := &certificate{issuer: list.issuer, serial: list.entries[count/2].serial}
	start = time.Now()
	if e := list.entry(c); e == nil || e.reason != 4 {
		t.Errorf("entry is %v", e)
	}
	t.Logf("looked up in %v", time.Since(start))
	c.issuer = name{"another"}
	if list.entry(c) != nil {
		t.Error("found for another issuer")
	}
}

// TestReload reads files of CRLs again, and keeps what it had if it can't.
func TestReload(t *testing.T) {
	root := issue(t, "root", nil, ca)
	leaf := issue(t, "leaf", root, mailer("a@example.com"))
	dir := t.TempDir()
	file := filepath.Join(dir, "root.crl")
	write := func(data []byte) {
		t.Helper()
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(revoke(t, root, nil))
	r, err := NewRevocation(RevocationConfig{CRLs: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	v := &Validator{Anchors: mustPool(t, root.cert), Revocation: r, RequireRevocation: true}
	expect := func(want signer.Verdict) {
		t.Helper()
		if got := validate(v, "a@example.com", leaf); got.Revocation.Verdict != want {
			t.Errorf("got %v, not %s", got.Revocation, want)
		}
	}
	expect(signer.Pass)
	write(revoke(t, root, nil, leaf))
	expect(signer.Pass)
	if err := r.Reload(); err != nil {
		t.Fatal(err)
	}
	expect(signer.Fail)
	write([]byte("rubbish"))
	if err := r.Reload(); err == nil {
		t.Error("read rubbish")
	}
	expect(signer.Fail)
}

func BenchmarkValidate(b *testing.B) {
	root := issue(b, "root", nil, ca)
	sub := issue(b, "sub", root, ca)
	leaf := issue(b, "leaf", sub, mailer("a@example.com"))
	pool, err := NewPool(root.cert)
	if err != nil {
		b.Fatal(err)
	}
	v := &Validator{Anchors: pool, RequireRevocation: true, Revocation: revocationOf(b, revoke(b, root, nil), revoke(b, sub, nil))}
	for b.Loop() {
		if r := validate(v, "a@example.com", leaf, sub); !passes(r) {
			b.Fatal(r)
		}
	}
}
