// Package storetest is what every keys.Writer must pass.
package storetest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"waxseal/keys"
)

// Address is whose entries the tests write.
const Address = "alice@example.com"

// Run runs the tests. open returns an empty store with the clock that is given.
func Run(t *testing.T, open func(t *testing.T, now func() time.Time) keys.Writer) {
	for name, test := range map[string]func(*testing.T, keys.Writer){
		"Own": testOwn, "Recipients": testRecipients, "History": testHistory, "Refused": testRefused, "Race": testRace,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t, time.Now)) })
	}
	t.Run("Lock", func(t *testing.T) {
		var late atomic.Int64
		testLock(t, open(t, func() time.Time { return time.Now().Add(time.Duration(late.Load())) }), &late)
	})
}

// Material makes an RSA key and a certificate of it, which ends after life.
func Material(t testing.TB, address string, life time.Duration, usage x509.KeyUsage) keys.Material {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return material(t, address, life, usage, key)
}

func material(t testing.TB, address string, life time.Duration, usage x509.KeyUsage, key crypto.Signer) keys.Material {
	t.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: address}, EmailAddresses: []string{address},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(life), KeyUsage: usage,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return keys.Material{
		Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		PrivateKey:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		Source:      "made for a test",
	}
}

const both = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment

var own = keys.Entry{Scheme: keys.SMIME, Name: Address, Own: true}

// put stores a version and checks its number.
func put(t *testing.T, s keys.Writer, e keys.Entry, m keys.Material, replaces, want int) {
	t.Helper()
	if got, err := s.Put(t.Context(), e, m, replaces); err != nil || got != want {
		t.Fatalf("put %s in the place of %d: version %d, %v, want %d", e, replaces, got, err, want)
	}
}

func conflict(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, keys.ErrConflict) || errors.Is(err, keys.ErrNotFound) {
		t.Errorf("%s: error %v, want ErrConflict", what, err)
	}
}

func gone(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, keys.ErrNotFound) {
		t.Errorf("%s: error %v, want ErrNotFound", what, err)
	}
}

func testOwn(t *testing.T, s keys.Writer) {
	ctx := t.Context()
	_, err := s.Read(ctx, own)
	gone(t, "read of nothing", err)
	_, err = s.History(ctx, own)
	gone(t, "history of nothing", err)
	_, err = s.Versions(ctx, keys.SMIME, Address)
	gone(t, "versions of nothing", err)
	gone(t, "retire nothing", s.Retire(ctx, own, keys.AnyVersion))

	one, two := Material(t, Address, time.Hour, both), Material(t, Address, time.Hour, both)
	_, err = s.Put(ctx, own, one, 1)
	conflict(t, "put in the place of nothing", err)
	put(t, s, own, one, 0, 1)
	_, err = s.Put(ctx, own, two, 0)
	conflict(t, "put where there is one", err)
	r, err := s.Read(ctx, own)
	if err != nil || r.Version != 1 || string(r.Certificate) != string(one.Certificate) || string(r.PrivateKey) != string(one.PrivateKey) ||
		r.Source != one.Source || time.Since(r.Created).Abs() > time.Hour || !r.Retired.IsZero() {
		t.Errorf("read %+v, %v", r, err)
	}
	if text := fmt.Sprintf("%v %+v %s", r, *r, r.Material); strings.Contains(text, "PRIVATE") {
		t.Errorf("printed: %s", text)
	}
	put(t, s, own, two, 1, 2)
	_, err = s.Put(ctx, own, one, 1)
	conflict(t, "put in the place of an old one", err)
	conflict(t, "retire an old one", s.Retire(ctx, own, 1))
	k, err := s.Key(ctx, keys.SMIME, Address)
	if err != nil || len(k.Warnings(time.Now())) != 1 { // it ends soon
		t.Fatalf("%v, warnings %q", err, k.Warnings(time.Now()))
	}
	decrypts(t, s, two, one)

	if err := s.Retire(ctx, own, 2); err != nil {
		t.Fatal(err)
	}
	_, err = s.Key(ctx, keys.SMIME, Address)
	gone(t, "a retired key", err)
	_, err = s.Read(ctx, own)
	gone(t, "a retired entry", err)
	gone(t, "retire it again", s.Retire(ctx, own, keys.AnyVersion))
	if list, err := s.List(ctx); err != nil || len(list) != 0 {
		t.Errorf("list with a retired entry: %v, %v", list, err)
	}
	decrypts(t, s, two, one)
	h, err := s.History(ctx, own)
	if err != nil || len(h) != 2 || h[0].Version != 2 || h[1].Version != 1 || time.Since(h[0].Retired).Abs() > time.Hour || !h[1].Retired.IsZero() {
		t.Errorf("history of a retired entry: %+v, %v", h, err)
	}

	// It can come back.
	three := Material(t, Address, time.Hour, both)
	if _, err := s.Put(ctx, own, three, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Key(ctx, keys.SMIME, Address); err != nil {
		t.Error(err)
	}
	decrypts(t, s, three, two, one)
	if list, err := s.List(ctx); err != nil || len(list) != 1 || list[0] != own {
		t.Errorf("list %v, %v", list, err)
	}
}

// decrypts checks that Versions returns these keys, and that each decrypts what
// was encrypted to its certificate.
func decrypts(t *testing.T, s keys.Writer, want ...keys.Material) {
	t.Helper()
	all, err := s.Versions(t.Context(), keys.SMIME, Address)
	if err != nil || len(all) != len(want) {
		t.Fatalf("%d versions, %v, want %d", len(all), err, len(want))
	}
	for i, m := range want {
		b, _ := pem.Decode(m.Certificate)
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if all[i].Signer != nil {
			t.Errorf("version %d can sign", i)
		}
		if _, ec := c.PublicKey.(*ecdsa.PublicKey); ec {
			if all[i].ECDH == nil {
				t.Errorf("version %d has no key for key agreement", i)
			}
			continue
		}
		sealed, err := rsa.EncryptPKCS1v15(rand.Reader, c.PublicKey.(*rsa.PublicKey), []byte("secret"))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := all[i].Decrypter.Decrypt(nil, sealed, nil); err != nil || string(got) != "secret" || !all[i].Chain[0].Equal(c) {
			t.Errorf("version %d: %q, %v", i, got, err)
		}
	}
}

func testRecipients(t *testing.T, s keys.Writer) {
	ctx := t.Context()
	const name = "bob@partner.example"
	smime, pgp := keys.Entry{Scheme: keys.SMIME, Name: name}, keys.Entry{Scheme: keys.PGP, Name: name}
	m := Material(t, name, time.Hour, both)
	m.PrivateKey = nil
	armor := keys.Material{Certificate: []byte("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nxgEE\n-----END PGP PUBLIC KEY BLOCK-----\n"), Source: "a\nkey\x00server"}
	if _, err := s.Put(ctx, smime, m, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(ctx, pgp, armor, 0); err != nil {
		t.Fatal(err)
	}
	check := func(e keys.Entry, want keys.Material, source string) {
		t.Helper()
		if r, err := s.Read(ctx, e); err != nil || !strings.Contains(string(r.Certificate), string(want.Certificate)) || r.Source != source {
			t.Errorf("%s: %+v, %v", e, r, err)
		}
		if h, err := s.History(ctx, e); err != nil || len(h) != 1 {
			t.Errorf("%s: history %v, %v", e, h, err)
		}
	}
	check(smime, m, "made for a test")
	check(pgp, armor, "a key server")
	if _, err := s.Certificate(ctx, keys.SMIME, name); err != nil {
		t.Error(err)
	}
	newer := Material(t, name, 2*time.Hour, both)
	newer.PrivateKey = nil
	r, err := s.Read(ctx, smime)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(ctx, smime, newer, r.Version); err != nil {
		t.Fatal(err)
	}
	check(smime, newer, "made for a test")
	check(pgp, armor, "a key server")
	if err := s.Retire(ctx, smime, keys.AnyVersion); err != nil {
		t.Fatal(err)
	}
	_, err = s.Certificate(ctx, keys.SMIME, name)
	gone(t, "a retired certificate", err)
	check(pgp, armor, "a key server")
	if list, err := s.List(ctx); err != nil || len(list) != 1 || list[0] != pgp {
		t.Errorf("list %v, %v", list, err)
	}
	gone(t, "retire again", s.Retire(ctx, smime, keys.AnyVersion))
	if err := s.Retire(ctx, pgp, keys.AnyVersion); err != nil {
		t.Fatal(err)
	}
	if list, err := s.List(ctx); err != nil || len(list) != 0 {
		t.Errorf("list %v, %v", list, err)
	}
}

// Old keys decrypt whatever has become of their certificates.
func testHistory(t *testing.T, s keys.Writer) {
	expired := Material(t, Address, -24*time.Hour, both)
	encrypts := Material(t, Address, time.Hour, x509.KeyUsageKeyEncipherment)
	ec, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	agrees := material(t, Address, time.Hour, x509.KeyUsageKeyAgreement, ec)
	signs := Material(t, Address, time.Hour, both)
	for i, m := range []keys.Material{expired, encrypts, agrees, signs} {
		put(t, s, own, m, i, i+1)
		_, err := s.Key(t.Context(), keys.SMIME, Address)
		if (err == nil) != (i == 3) || errors.Is(err, keys.ErrNotFound) {
			t.Errorf("version %d signs: %v", i+1, err)
		}
	}
	decrypts(t, s, signs, agrees, encrypts, expired)
	all := []keys.Material{signs, agrees, encrypts, expired}
	for n := 5; n <= keys.MaxVersions+2; n++ {
		put(t, s, own, signs, n-1, n)
		all = append([]keys.Material{signs}, all...)
	}
	decrypts(t, s, all[:keys.MaxVersions]...)
}

func testRefused(t *testing.T, s keys.Writer) {
	ctx := t.Context()
	good := Material(t, Address, time.Hour, both)
	other := Material(t, Address, time.Hour, both)
	for what, c := range map[string]struct {
		entry    keys.Entry
		material keys.Material
	}{
		"no private key":         {own, keys.Material{Certificate: good.Certificate}},
		"another private key":    {own, keys.Material{Certificate: good.Certificate, PrivateKey: other.PrivateKey}},
		"nothing":                {own, keys.Material{}},
		"not PEM":                {own, keys.Material{Certificate: []byte("x"), PrivateKey: []byte("y")}},
		"too large":              {own, keys.Material{Certificate: make([]byte, keys.MaxSize+1), PrivateKey: good.PrivateKey}},
		"odd name":               {keys.Entry{Scheme: keys.SMIME, Name: "../x", Own: true}, good},
		"name in capitals":       {keys.Entry{Scheme: keys.SMIME, Name: "Alice@example.com", Own: true}, good},
		"no scheme":              {keys.Entry{Scheme: "x509", Name: Address, Own: true}, good},
		"a key of somebody else": {keys.Entry{Scheme: keys.SMIME, Name: "bob@partner.example"}, good},
		"not OpenPGP":            {keys.Entry{Scheme: keys.PGP, Name: Address, Own: true}, good},
		"no such Transit key":    {own, keys.Material{Certificate: good.Certificate, TransitKey: "nobody"}},
	} {
		_, err := s.Put(ctx, c.entry, c.material, keys.AnyVersion)
		if err == nil {
			t.Errorf("%s: stored", what)
		} else if strings.Contains(err.Error(), "BEGIN") {
			t.Errorf("%s: the error has key material: %v", what, err)
		}
	}
	if list, err := s.List(ctx); err != nil || len(list) != 0 {
		t.Errorf("stored all the same: %v, %v", list, err)
	}
}

// Of several who replace the same version one succeeds; of several who replace
// whatever there is all do.
func testRace(t *testing.T, s keys.Writer) {
	m := Material(t, Address, time.Hour, both)
	put(t, s, own, m, 0, 1)
	var won, lost atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			switch _, err := s.Put(t.Context(), own, m, 1); {
			case err == nil:
				won.Add(1)
			case errors.Is(err, keys.ErrConflict):
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || lost.Load() != 7 {
		t.Errorf("%d have won and %d lost, want 1 and 7", won.Load(), lost.Load())
	}
	for range 3 {
		wg.Go(func() {
			if _, err := s.Put(t.Context(), own, m, keys.AnyVersion); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if r, err := s.Read(t.Context(), own); err != nil || r.Version != 5 {
		t.Errorf("version %+v, %v, want 5", r, err)
	}
}

func testLock(t *testing.T, s keys.Writer, late *atomic.Int64) {
	ctx := t.Context()
	var won atomic.Int64
	releases := make(chan func(context.Context) error, 8)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			release, err := s.Lock(ctx, Address, time.Minute)
			if err == nil {
				won.Add(1)
				releases <- release
			} else if !errors.Is(err, keys.ErrLocked) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d have the lock, want one", won.Load())
	}
	first := <-releases
	if _, err := s.Lock(ctx, "bob@example.com", time.Minute); err != nil {
		t.Errorf("another lock: %v", err)
	}
	if err := first(ctx); err != nil {
		t.Error(err)
	}
	second, err := s.Lock(ctx, Address, time.Minute)
	if err != nil {
		t.Fatalf("released: %v", err)
	}
	late.Store(int64(2 * time.Minute))
	third, err := s.Lock(ctx, Address, time.Minute)
	if err != nil {
		t.Fatalf("ended: %v", err)
	}
	// Whoever comes too late must not release another's.
	if err := second(ctx); err != nil {
		t.Error(err)
	}
	if _, err := s.Lock(ctx, Address, time.Minute); !errors.Is(err, keys.ErrLocked) {
		t.Errorf("error %v, want ErrLocked", err)
	}
	if err := third(ctx); err != nil {
		t.Error(err)
	}
	if _, err := s.Lock(ctx, "../x", time.Minute); err == nil {
		t.Error("a lock with an odd name")
	}
	if list, err := s.List(ctx); err != nil || len(list) != 0 {
		t.Errorf("locks are listed: %v, %v", list, err)
	}
}
