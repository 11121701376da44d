package vault

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"waxseal/keys"
	"waxseal/test/vaulttest"
)

func TestTransit(t *testing.T) {
	server := transit(t, vaulttest.Options{})
	ca := newAuthority(t)
	for name, test := range map[string]func(*testing.T, *vaulttest.Server, *authority){
		"Sign": testTransitSign, "Versions": testTransitVersions, "Refused": testTransitRefused, "Decrypt": testTransitDecrypt,
		"DecryptElsewhere": testTransitDecryptElsewhere, "OpenPGP": testTransitOpenPGP, "Context": testTransitContext,
	} {
		t.Run(name, func(t *testing.T) { test(t, server, ca) })
	}
}

func testTransitSign(t *testing.T, server *vaulttest.Server, ca *authority) {
	message := []byte("Content-Type: text/plain\r\n\r\nhello\r\n")
	d256, d384, d512 := sha256.Sum256(message), sha512.Sum384(message), sha512.Sum512(message)
	type signing struct {
		in   []byte
		opts crypto.SignerOpts
	}
	digests := []signing{{d256[:], crypto.SHA256}, {d384[:], crypto.SHA384}, {d512[:], crypto.SHA512}}
	pss := []signing{
		{d256[:], &rsa.PSSOptions{Hash: crypto.SHA256, SaltLength: rsa.PSSSaltLengthEqualsHash}},
		{d384[:], &rsa.PSSOptions{Hash: crypto.SHA384, SaltLength: 48}},
		{d512[:], &rsa.PSSOptions{Hash: crypto.SHA512, SaltLength: rsa.PSSSaltLengthAuto}},
	}
	for kind, all := range map[string][]signing{
		"rsa-2048": append(pss, digests...), "rsa-3072": digests, "ecdsa-p256": digests, "ecdsa-p384": digests, "ecdsa-p521": digests,
		"ed25519": {{message, crypto.Hash(0)}},
	} {
		address := kind + "@example.com"
		public := newKey(t, server, kind, kind)
		server.Put("waxseal/smime/"+address, map[string]string{"certificate": ca.mail(address, public, nil), "transit_key": kind})
		store := open(t, server, Config{})
		k, err := store.Key(t.Context(), keys.SMIME, address)
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		if len(k.Warnings(time.Now())) != 0 || len(k.Chain) != 2 || k.Version != 1 {
			t.Errorf("%s: chain of %d, version %d, warnings %q", kind, len(k.Chain), k.Version, k.Warnings(time.Now()))
		}
		if _, isRSA := public.(*rsa.PublicKey); isRSA != (k.Decrypter != nil) {
			t.Errorf("%s: decrypter %T", kind, k.Decrypter)
		}
		for _, s := range all {
			signature, err := k.Signer.Sign(nil, s.in, s.opts)
			if err == nil {
				err = verify(public, s.in, signature, s.opts)
			}
			if err != nil {
				t.Errorf("%s, %v: %v", kind, s.opts.HashFunc(), err)
			}
		}
		for what, s := range map[string]signing{
			"a digest of another length": {d256[:], crypto.SHA512}, "SHA-1": {make([]byte, 20), crypto.SHA1},
			"a whole mail": {make([]byte, maxInput+1), crypto.Hash(0)}, "a digest for Ed25519 and none for others": {message, map[bool]crypto.Hash{true: crypto.SHA512}[kind == "ed25519"]},
		} {
			if _, err := k.Signer.Sign(nil, s.in, s.opts); err == nil {
				t.Errorf("%s: signed %s", kind, what)
			}
		}
	}
}

// The certificate pins the version. What is signed with a newer one would be
// worth nothing.
func testTransitVersions(t *testing.T, server *vaulttest.Server, ca *authority) {
	const address, name = "rotated@example.com", "rotated"
	first := newKey(t, server, name, "ecdsa-p256")
	put := func(fields map[string]any) {
		server.Write("secret/data/waxseal/smime/"+address, map[string]any{"data": fields})
	}
	one := ca.mail(address, first, nil)
	put(map[string]any{"certificate": one, "transit_key": name, "transit_key_version": 1})
	server.Write("transit/keys/"+name+"/rotate", nil)
	server.Write("transit/keys/"+name+"/rotate", nil)
	store := open(t, server, Config{})
	load := func() (*keys.Key, error) { return store.Key(t.Context(), keys.SMIME, address) }
	digest := sha256.Sum256([]byte("x"))
	signs := func(what string, public crypto.PublicKey) {
		t.Helper()
		k, err := load()
		if err != nil {
			t.Errorf("%s: %v", what, err)
			return
		}
		signature, err := k.Signer.Sign(nil, digest[:], crypto.SHA256)
		if err == nil {
			err = verify(public, digest[:], signature, crypto.SHA256)
		}
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	signs("rotated", first)
	k, err := load()
	if err != nil {
		t.Fatal(err)
	}
	const warning = "smime/rotated@example.com: the key transit/keys/rotated has version 3, and the certificate is for version 1"
	if w := k.Warnings(time.Now()); len(w) != 1 || !strings.HasPrefix(w[0], warning) {
		t.Errorf("warnings %q", w)
	}
	put(map[string]any{"certificate": one, "transit_key": name})
	signs("the version not said", first)
	put(map[string]any{"certificate": ca.mail(address, publicKey(t, server, name, 2), nil), "transit_key": name, "transit_key_version": "2"})
	signs("the version as a text", publicKey(t, server, name, 2))

	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for want, fields := range map[string]map[string]any{
		"not for version 2 of transit/keys/rotated": {"certificate": one, "transit_key": name, "transit_key_version": 2},
		"not for version 9 of":                      {"certificate": one, "transit_key": name, "transit_key_version": 9},
		"for no version of":                         {"certificate": ca.mail(address, ca.key.Public(), nil), "transit_key": name},
		"no key transit/keys/nobody":                {"certificate": one, "transit_key": "nobody"},
		"not a number":                              {"certificate": one, "transit_key": name, "transit_key_version": "one"},
		"not the name of a key":                     {"certificate": one, "transit_key": "../x"},
		"certificate is missing":                    {"transit_key": name},
		"not for mail":                              {"transit_key": name, "certificate": ca.mail(address, first, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })},
		"certificate expired":                       {"transit_key": name, "certificate": ca.mail(address, first, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })},
		"belongs to none":                           {"transit_key": name, "certificate": one, "private_key": privatePEM(t, stranger)},
	} {
		put(fields)
		_, err := load()
		wantError(t, want, err, "smime/rotated@example.com: ", want)
	}

	put(map[string]any{"certificate": one, "transit_key": name})
	server.Write("transit/keys/"+name+"/config", map[string]any{"min_encryption_version": 2})
	_, err = load()
	wantError(t, "minimum", err, "min_encryption_version 2", "its version 1")
	server.Write("transit/keys/symmetric", map[string]any{"type": "aes256-gcm96"})
	put(map[string]any{"certificate": one, "transit_key": "symmetric"})
	_, err = load()
	wantError(t, "symmetric key", err)
}

func testTransitRefused(t *testing.T, server *vaulttest.Server, ca *authority) {
	const address = "refused@example.com"
	public := newKey(t, server, "refused", "rsa-2048")
	server.Put("waxseal/smime/"+address, map[string]string{"certificate": ca.mail(address, public, nil), "transit_key": "refused"})
	for right, want := range map[string]string{
		"":                              "read on transit/keys/refused",
		`"read"`:                        "update on transit/sign/refused",
		`"read", "create"`:              "update on transit/sign/refused",
		`"read", "update", "delete"`:    "",
		`"read", "update", "subscribe"`: "",
	} {
		server.Policy("partial", policy+fmt.Sprintf("path \"transit/*\" { capabilities = [%s] }", right))
		store := open(t, server, Config{Token: server.Token("1h", "partial")})
		k, err := store.Key(t.Context(), keys.SMIME, address)
		if err == nil {
			_, err = k.Signer.Sign(nil, make([]byte, 32), crypto.SHA256)
		}
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", right, err)
			}
			continue
		}
		wantError(t, right, err, "the policy needs "+want)
	}
	mount := open(t, server, Config{Transit: "elsewhere", Token: server.RootToken})
	_, err := mount.Key(t.Context(), keys.SMIME, address)
	wantError(t, "another mount", err, "elsewhere/keys/refused")
}

func testTransitDecrypt(t *testing.T, server *vaulttest.Server, ca *authority) {
	const address = "decrypts@example.com"
	public := newKey(t, server, "decrypts", "rsa-2048").(*rsa.PublicKey)
	server.Put("waxseal/smime/"+address, map[string]string{"certificate": ca.mail(address, public, nil), "transit_key": "decrypts"})
	server.Write("transit/keys/decrypts/rotate", nil)
	store := open(t, server, Config{})
	all, err := store.Versions(t.Context(), keys.SMIME, address)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 || all[0].Decrypter == nil || all[0].Signer != nil || all[0].ECDH != nil || len(all[0].Chain) != 2 {
		t.Fatalf("versions: %v", all)
	}
	d := all[0].WithContext(t.Context()).Decrypter
	session := bytes.Repeat([]byte{7}, 32)
	pkcs, err := rsa.EncryptPKCS1v15(rand.Reader, public, session)
	if err != nil {
		t.Fatal(err)
	}
	oaep, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public, session, nil)
	if err != nil {
		t.Fatal(err)
	}
	old, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, public, session, nil)
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(pkcs)
	damaged[100] ^= 1
	v15, v256 := &rsa.PKCS1v15DecryptOptions{}, &rsa.OAEPOptions{Hash: crypto.SHA256}
	for _, c := range []struct {
		name string
		in   []byte
		opts crypto.DecrypterOpts
		want string // of the error
	}{
		{"PKCS#1 v1.5", pkcs, v15, ""},
		{"PKCS#1 v1.5 by default", pkcs, nil, ""},
		{"a session key", pkcs, &rsa.PKCS1v15DecryptOptions{SessionKeyLen: 32}, ""},
		{"OAEP", oaep, v256, ""},
		{"damaged", damaged, v15, "decryption error"},
		{"damaged OAEP", damaged, v256, "decryption error"},
		{"the other padding", pkcs, v256, "decryption error"},
		{"short", pkcs[1:], v15, "decryption error"},
		{"empty", nil, v256, "decryption error"},
		{"OAEP with SHA-1", old, &rsa.OAEPOptions{Hash: crypto.SHA1}, "SHA-256 and no label only"},
		{"OAEP with a label", oaep, &rsa.OAEPOptions{Hash: crypto.SHA256, Label: []byte("x")}, "no label only"},
		{"OAEP with another mask", oaep, &rsa.OAEPOptions{Hash: crypto.SHA256, MGFHash: crypto.SHA1}, "no label only"},
	} {
		got, err := d.Decrypt(nil, c.in, c.opts)
		switch {
		case c.want == "" && (err != nil || !bytes.Equal(got, session)):
			t.Errorf("%s: %x, %v", c.name, got, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %x, error %v, want one with %q", c.name, got, err, c.want)
		case c.want == "decryption error" && (err != rsa.ErrDecryption || got != nil):
			t.Errorf("%s: error %v tells more than that it can't be decrypted", c.name, err)
		}
	}
	// A session key that can't be had is a random one, whatever is wrong.
	for name, in := range map[string][]byte{"damaged": damaged, "short": pkcs[1:], "of another length": pkcs} {
		size := 32
		if name == "of another length" {
			size = 16
		}
		opts := &rsa.PKCS1v15DecryptOptions{SessionKeyLen: size}
		a, errA := d.Decrypt(nil, in, opts)
		b, errB := d.Decrypt(nil, in, opts)
		if errA != nil || errB != nil || len(a) != size || bytes.Equal(a, b) || bytes.Equal(a, session) {
			t.Errorf("%s: %x, %v and %x, %v, want two random keys", name, a, errA, b, errB)
		}
	}
	// That Vault is away has nothing to do with the ciphertext.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = all[0].WithContext(ctx).Decrypter.Decrypt(nil, pkcs, v15)
	var away interface{ Temporary() bool }
	if !errors.As(err, &away) || !away.Temporary() || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	server.Policy("signer", policy+`path "secret/metadata/waxseal/*" { capabilities = ["read"] }
		path "transit/keys/*" { capabilities = ["read"] }`)
	lacking, err := open(t, server, Config{Token: server.Token("1h", "signer")}).Versions(t.Context(), keys.SMIME, address)
	if err != nil {
		t.Fatal(err)
	}
	_, err = lacking[0].Decrypter.Decrypt(nil, pkcs, v15)
	wantError(t, "no right", err, "update on transit/decrypt/decrypts")
	if !errors.As(err, &away) {
		t.Errorf("no right: %v is not temporary", err)
	}
}

// Transit can't agree on keys, so that an EC key for decryption is beside the
// one that signs.
func testTransitDecryptElsewhere(t *testing.T, server *vaulttest.Server, ca *authority) {
	const address = "both@example.com"
	signs := newKey(t, server, "both", "ecdsa-p256")
	agrees, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	usage := func(u x509.KeyUsage) func(*x509.Certificate) { return func(c *x509.Certificate) { c.KeyUsage = u } }
	one := ca.mail(address, signs, usage(x509.KeyUsageDigitalSignature))
	two := ca.mail(address, agrees.Public(), usage(x509.KeyUsageKeyAgreement))
	server.Put("waxseal/smime/"+address, map[string]string{"certificate": two + one, "transit_key": "both", "private_key": privatePEM(t, agrees)})
	store := open(t, server, Config{})
	k, err := store.Key(t.Context(), keys.SMIME, address)
	if err != nil {
		t.Fatal(err)
	}
	if !signs.(*ecdsa.PublicKey).Equal(k.Chain[0].PublicKey) || k.Decrypter != nil || k.ECDH != nil || len(k.Warnings(time.Now())) != 0 {
		t.Errorf("the key that signs: %v, %q", k.Chain[0].PublicKey, k.Warnings(time.Now()))
	}
	c, err := k.Certificate()
	if err != nil || len(c.X509) != 1 || !agrees.PublicKey.Equal(c.X509[0].PublicKey) {
		t.Errorf("the certificate to encrypt to: %v, %v", c, err)
	}
	all, err := store.Versions(t.Context(), keys.SMIME, address)
	if err != nil || len(all) != 1 {
		t.Fatalf("versions %v, %v", all, err)
	}
	if all[0].ECDH == nil || !agrees.PublicKey.Equal(all[0].Chain[0].PublicKey) || all[0].Remote != nil || all[0].Signer != nil {
		t.Errorf("the key that decrypts: %+v", all[0].Chain[0].PublicKey)
	}
	expired := ca.mail(address, agrees.Public(), func(c *x509.Certificate) {
		c.KeyUsage, c.NotAfter = x509.KeyUsageKeyAgreement, time.Now().Add(-time.Minute)
	})
	server.Put("waxseal/smime/"+address, map[string]string{"certificate": expired + one, "transit_key": "both", "private_key": privatePEM(t, agrees)})
	if k, err = store.Key(t.Context(), keys.SMIME, address); err != nil {
		t.Fatal(err)
	}
	if w := k.Warnings(time.Now()); k.Encryption != nil || len(w) == 0 || !strings.Contains(w[0], "for encryption can't be used: certificate expired") {
		t.Errorf("expired: %q", w)
	}
	if all, err := store.Versions(t.Context(), keys.SMIME, address); err != nil || len(all) != 2 {
		t.Errorf("expired: %v, %v", all, err)
	}
}

func testTransitOpenPGP(t *testing.T, server *vaulttest.Server, _ *authority) {
	r := newKey(t, server, "pgp-rsa", "rsa-2048").(*rsa.PublicKey)
	ec := newKey(t, server, "pgp-ec", "ecdsa-p256").(*ecdsa.PublicKey)
	ed := newKey(t, server, "pgp-ed", "ed25519").(ed25519.PublicKey)
	point, err := ec.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	rsaPacket := packet(1, mpi(r.N.Bytes()), []byte{0, 17, 1, 0, 1})
	store := open(t, server, Config{})
	for _, c := range []struct {
		name, key string
		public    crypto.PublicKey
		data      []byte
	}{
		{"RSA", "pgp-rsa", r, rsaPacket},
		{"ECDSA", "pgp-ec", ec, packet(19, []byte{8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7}, mpi(point))},
		{"Ed25519", "pgp-ed", ed, packet(27, ed)},
		{"EdDSA", "pgp-ed", ed, packet(22, []byte{9, 0x2b, 6, 1, 4, 1, 0xda, 0x47, 0xf, 1}, mpi(append([]byte{0x40}, ed...)))},
	} {
		address := strings.ToLower(c.name) + "@example.com"
		server.Put("waxseal/pgp/"+address, map[string]string{"certificate": armored(c.data), "transit_key": c.key})
		k, err := store.Key(t.Context(), keys.PGP, address)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !k.Signer.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(c.public) || !bytes.Contains(k.OpenPGP, []byte("PUBLIC")) {
			t.Errorf("%s: %v", c.name, k.Signer.Public())
		}
		if cert, err := k.Certificate(); err != nil || len(cert.OpenPGP) == 0 {
			t.Errorf("%s: certificate: %v", c.name, err)
		}
		all, err := store.Versions(t.Context(), keys.PGP, address)
		if c.name == "RSA" && (err != nil || len(all) != 1 || all[0].Decrypter == nil) {
			t.Errorf("%s: versions: %v, %v", c.name, all, err)
		} else if c.name != "RSA" && err == nil {
			t.Errorf("%s: %v decrypts", c.name, all)
		}
	}
	for want, fields := range map[string]map[string]string{
		"for no version of":      {"certificate": armored(rsaPacket), "transit_key": "pgp-ec"},
		"certificate is missing": {"transit_key": "pgp-rsa"},
	} {
		server.Put("waxseal/pgp/bad@example.com", fields)
		_, err := store.Key(t.Context(), keys.PGP, "bad@example.com")
		wantError(t, want, err, "pgp/bad@example.com: ", want)
	}
}

// A signature that nobody waits for any more is not asked for, and one that
// takes too long is given up.
func testTransitContext(t *testing.T, server *vaulttest.Server, ca *authority) {
	const address = "waits@example.com"
	public := newKey(t, server, "waits", "ecdsa-p256")
	server.Put("waxseal/smime/"+address, map[string]string{"certificate": ca.mail(address, public, nil), "transit_key": "waits"})
	proxy := newFront(t, server.Address)
	store := open(t, server, Config{Address: proxy.URL, Timeout: 300 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	k, err := keys.FindKey(ctx, store, keys.SMIME, address, "")
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%v %+v", k, k.Signer); !strings.Contains(text, "Transit key waits") || strings.Contains(text, store.conf.Token) {
		t.Errorf("printed: %s", text)
	}
	if text, err := json.Marshal(k); err != nil || string(text) != `"smime/waits@example.com"` {
		t.Errorf("as JSON: %s, %v", text, err)
	}
	before := proxy.requests.Load()
	if _, err := k.Signer.Sign(nil, make([]byte, 32), crypto.SHA256); err != nil || proxy.requests.Load() != before+1 {
		t.Errorf("%d requests, %v, want one", proxy.requests.Load()-before, err)
	}
	never := make(chan struct{})
	proxy.held.Store(&never)
	if _, err := k.Signer.Sign(nil, make([]byte, 32), crypto.SHA256); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("held up: %v", err)
	}
	cancel()
	if _, err := k.Signer.Sign(nil, make([]byte, 32), crypto.SHA256); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	proxy.held.Store(nil)
	again, err := store.Key(t.Context(), keys.SMIME, address)
	if err != nil {
		t.Fatal(err)
	}
	store.Close()
	if _, err := again.Signer.Sign(nil, make([]byte, 32), crypto.SHA256); !errors.Is(err, context.Canceled) {
		t.Errorf("after Close: %v", err)
	}
}
