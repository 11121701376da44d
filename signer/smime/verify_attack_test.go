package smime

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"io"
	"math/big"
	"runtime"
	"testing"
	"time"

	"waxseal/signer"
	"waxseal/signer/smime/cms"
)

const attacked = "Content-Type: text/plain\r\n\r\nPay 10 to Alice.\r\n"

// TestVerifyForged has signatures that are right but for one thing, and some that
// are odd and right.
func TestVerifyForged(t *testing.T) {
	id, other := as("rsa2048"), as("other")
	content256 := sha256.Sum256([]byte(attacked))
	own, others := sha256.Sum256(id.cert().Raw), sha256.Sum256(other.cert().Raw)
	own1, others1 := sha1.Sum(id.cert().Raw), sha1.Sum(other.cert().Raw)
	add := func(attributes ...[]byte) func(*forger) {
		return func(f *forger) { f.attributes = append(f.attributes, attributes...) }
	}
	protection := func(digest, algorithm []byte) []byte {
		return attribute(idProtection, sequence(digest, tagged(0xa1, algorithm[2:])))
	}
	rsaAlgorithm := sequence(value(idRSA), asn1.NullBytes)
	for _, tc := range []struct {
		name    string
		change  func(*forger)
		verdict signer.Verdict
		reason  string
	}{
		{"good", func(*forger) {}, signer.Pass, ""},
		{"no content type", func(f *forger) { f.attributes = f.attributes[1:] }, signer.PermError, "lack the content type"},
		{"no digest", func(f *forger) { f.attributes = f.attributes[:1] }, signer.PermError, "lack the message digest"},
		{"other content type", func(f *forger) { f.contentType = asn1.ObjectIdentifier{1, 2, 3} }, signer.Fail, "content of another type"},
		{"other signed type", func(f *forger) { f.attributes[0] = attribute(idContentType, value(asn1.ObjectIdentifier{1, 2, 3})) }, signer.Fail, "content of another type, 1.2.3"},
		{"both types other", func(f *forger) {
			f.contentType = asn1.ObjectIdentifier{1, 2, 3}
			f.attributes[0] = attribute(idContentType, value(f.contentType))
		}, signer.Policy, "of type 1.2.3, which is no mail"},
		{"type is no type", func(f *forger) { f.attributes[0] = attribute(idContentType, value(5)) }, signer.PermError, "content type is none"},
		{"digest is no digest", func(f *forger) { f.attributes[1] = attribute(idMessageDigest, value(5)) }, signer.PermError, "digest is none"},
		{"digest is shorter", func(f *forger) { f.attributes[1] = attribute(idMessageDigest, value(content256[:31])) }, signer.Fail, "not the one that was signed"},
		{"digest is empty", func(f *forger) { f.attributes[1] = attribute(idMessageDigest, value([]byte{})) }, signer.Fail, "not the one that was signed"},
		{"two content types", add(attribute(idContentType, value(typeIDData))), signer.PermError, "1.9.3 does not have one value"},
		{"two digests", add(attribute(idMessageDigest, value(make([]byte, 32)))), signer.PermError, "1.9.4 does not have one value"},
		{"same digest twice", add(attribute(idMessageDigest, value(content256[:]))), signer.PermError, "1.9.4 does not have one value"},
		{"digest with two values", func(f *forger) {
			f.attributes[1] = attribute(idMessageDigest, value(content256[:]), value(make([]byte, 32)))
		}, signer.PermError, "1.9.4 does not have one value"},
		{"digest without a value", func(f *forger) { f.attributes[1] = attribute(idMessageDigest) }, signer.PermError, "1.9.4 does not have one value"},
		{"two signing times", add(attribute(idSigningTime, value(time.Now())), attribute(idSigningTime, value(time.Now().Add(time.Hour)))),
			signer.PermError, "1.9.5 does not have one value"},
		{"odd signing time", add(attribute(idSigningTime, value("yesterday"))), signer.Pass, ""},
		{"unknown attributes", add(attribute(asn1.ObjectIdentifier{1, 2, 3}, value(1)), attribute(asn1.ObjectIdentifier{1, 2, 3}, value(2), value(3))), signer.Pass, ""},
		{"counter-signature signed", add(attribute(idCounter, sequence())), signer.Pass, ""},

		{"no attributes", func(f *forger) { f.attributes = nil }, signer.Pass, ""},
		{"no attributes, other type", func(f *forger) { f.attributes, f.contentType = nil, asn1.ObjectIdentifier{1, 2, 3} }, signer.PermError, "must have"},
		{"empty attributes", func(f *forger) { f.attributes, f.sent = nil, []byte{0xa0, 0} }, signer.PermError, "signed attributes that are none"},
		{"attributes are a number", func(f *forger) { f.sent = []byte{0xa0, 3, 2, 1, 1} }, signer.PermError, "signed attributes that are none"},
		{"attributes sent in another order", func(f *forger) {
			f.sent = tagged(0xa0, bytes.Join([][]byte{f.attributes[1], f.attributes[0]}, nil))
		}, signer.Pass, ""},
		{"attributes signed as they are sent", func(f *forger) {
			f.signed = set(f.attributes[1], f.attributes[0])
			f.sent = tagged(0xa0, f.signed[2:])
		}, signer.Pass, ""},
		{"attributes signed with the wrong tag", func(f *forger) { f.signed = tagged(0xa0, bytes.Join(f.attributes, nil)) }, signer.Fail, "is not one of this content"},
		{"attributes of indefinite length", func(f *forger) {
			f.sent = append(append([]byte{0xa0, 0x80}, bytes.Join(f.attributes, nil)...), 0, 0)
		}, signer.Pass, ""},
		{"attributes removed", func(f *forger) { f.sent = tagged(0xa0, f.attributes[1]) }, signer.PermError, "lack the content type"},

		{"digest not announced", func(f *forger) { f.digests = [][]byte{sequence(value(idSHA512))} }, signer.PermError, "SHA-256 is not among"},
		{"no digest announced", func(f *forger) { f.digests = nil }, signer.PermError, "SHA-256 is not among"},
		{"more digests announced", func(f *forger) {
			f.digests = append(f.digests, sequence(value(asn1.ObjectIdentifier{1, 2, 3})), sequence(value(idSHA1), asn1.NullBytes), sequence(value(idSHA256), asn1.NullBytes))
		}, signer.Pass, ""},
		{"digest is SHA-512, signature SHA-256", func(f *forger) {
			hash := sha512.Sum512([]byte(attacked))
			f.digest, f.algorithm = sequence(value(idSHA512)), sequence(value(idSHA256WithRSA))
			f.digests = append(f.digests, f.digest)
			f.attributes[1] = attribute(idMessageDigest, value(hash[:]))
		}, signer.PermError, "do not belong together"},
		{"algorithm with its digest", func(f *forger) { f.algorithm = sequence(value(idSHA256WithRSA), asn1.NullBytes) }, signer.Pass, ""},
		{"algorithm with another digest", func(f *forger) { f.algorithm = sequence(value(idSHA512WithRSA), asn1.NullBytes) }, signer.PermError, "do not belong together"},
		{"algorithm of another key", func(f *forger) { f.algorithm = sequence(value(idECDSAandSHA256)) }, signer.PermError, "not one of the certificate's key"},
		{"unknown algorithm", func(f *forger) { f.algorithm = sequence(value(asn1.ObjectIdentifier{1, 2, 3})) }, signer.Neutral, "algorithm 1.2.3 is not known"},
		{"digest of another length", func(f *forger) {
			f.digest, f.digests = sequence(value(idSHA1)), [][]byte{sequence(value(idSHA1))}
		}, signer.Fail, "not the one that was signed"},

		{"named", add(attribute(idCertificateV2, essCertificate(own[:]))), signer.Pass, ""},
		{"named with a digest", add(attribute(idCertificateV2, essCertificate(own[:], sequence(value(idSHA256))))), signer.Pass, ""},
		{"named as in old times", add(attribute(idCertificateV1, essCertificate(own1[:]))), signer.Pass, ""},
		{"another named", add(attribute(idCertificateV2, essCertificate(others[:]))), signer.Fail, "names another certificate"},
		{"another named as in old times", add(attribute(idCertificateV1, essCertificate(others1[:]))), signer.Fail, "names another certificate"},
		{"named twice", add(attribute(idCertificateV2, essCertificate(own[:])), attribute(idCertificateV2, essCertificate(others[:]))), signer.PermError, "does not have one value"},
		{"named with an unknown digest", add(attribute(idCertificateV2, essCertificate(own[:], sequence(value(asn1.ObjectIdentifier{1, 2, 3}))))), signer.Neutral, "unknown digest, 1.2.3"},
		{"named by nothing", add(attribute(idCertificateV2, sequence())), signer.PermError, "is malformed"},

		{"protected", add(protection(sequence(value(idSHA256), asn1.NullBytes), rsaAlgorithm)), signer.Pass, ""},
		{"protected otherwise", add(protection(sequence(value(idSHA512)), rsaAlgorithm)), signer.Fail, "algorithms are not those"},
		{"protected otherwise too", add(protection(sequence(value(idSHA256)), sequence(value(idSHA256WithRSA), asn1.NullBytes))), signer.Fail, "algorithms are not those"},
		{"protected by nothing", add(attribute(idProtection, sequence())), signer.PermError, "is malformed"},

		{"another's name", func(f *forger) {
			f.sid = sequence(other.cert().RawIssuer, value(other.cert().SerialNumber))
			f.certs = append(f.certs, other.cert().Raw)
		}, signer.Fail, "is not one of this content by the certificate's key"},
		{"an authority's name", func(f *forger) { f.sid = sequence(id.chain[1].RawIssuer, value(id.chain[1].SerialNumber)) }, signer.PermError, "not one of the certificate's key"},
		{"nobody's name", func(f *forger) { f.sid = sequence(id.cert().RawIssuer, value(big.NewInt(1))) }, signer.Neutral, "certificate is not there"},
		{"nobody's key", func(f *forger) { f.sid = tagged(0x80, []byte("nobody")) }, signer.Neutral, "certificate is not there"},
		{"empty key identifier", func(f *forger) { f.sid = []byte{0x80, 0} }, signer.PermError, "nothing names the signer"},
		{"name is a number", func(f *forger) { f.sid = value(1) }, signer.PermError, "nothing names the signer"},
		{"certificates that are none", func(f *forger) { f.certs = append([][]byte{sequence(), sequence(value(1))}, f.certs...) }, signer.Pass, ""},
		{"attribute certificate", func(f *forger) { f.certs = append(f.certs, tagged(0xa2, value(1))) }, signer.Pass, ""},
		{"unsigned attributes", func(f *forger) { f.unsigned = tagged(0xa1, attribute(idCounter, sequence())) }, signer.Pass, ""},
		{"unsigned rubbish", func(f *forger) { f.unsigned = tagged(0xa1, value("rubbish")) }, signer.Pass, ""},
		{"unsigned rubbish of another tag", func(f *forger) { f.unsigned = tagged(0xa2, nil) }, signer.PermError, "after the signature"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newForger(id, attacked)
			tc.change(f)
			info := f.signerInfo(t)
			want(t, "detached", checkDetached(t, []byte(attacked), f.data(false, info), VerifyOptions{})[0].Integrity, tc.verdict, tc.reason)
			got, found := checkOpaque(t, f.data(true, info), VerifyOptions{})
			want(t, "opaque", found[0].Integrity, tc.verdict, tc.reason)
			if !bytes.Equal(got, f.content) {
				t.Error("another content comes out")
			}
		})
	}
}

// TestVerifyStripped takes the signed attributes of a good signature for a content
// of their own, signed without attributes.
func TestVerifyStripped(t *testing.T) {
	for _, kind := range []string{"rsa2048", "p256"} {
		for _, more := range []int{0, 300, 70_000} {
			f := newForger(as(kind), attacked)
			if kind == "p256" {
				f.algorithm = sequence(value(idECDSAandSHA256))
			}
			if more > 0 {
				f.attributes = append(f.attributes, attribute(asn1.ObjectIdentifier{1, 2, 3}, value(make([]byte, more))))
			}
			good := f.data(true, f.signerInfo(t))
			if _, found := checkOpaque(t, good, VerifyOptions{}); found[0].Integrity.Verdict != signer.Pass {
				t.Fatalf("%+v", found[0])
			}
			// The same signature, over what it was made of.
			stripped := *f
			stripped.content, stripped.attributes = set(f.attributes...), nil
			data := stripped.data(true, stripped.signerInfo(t))
			_, found := checkOpaque(t, data, VerifyOptions{})
			want(t, kind, found[0].Integrity, signer.Fail, "signed of another signature")
			detached := checkDetached(t, stripped.content, stripped.data(false, stripped.signerInfo(t)), VerifyOptions{})
			want(t, kind, detached[0].Integrity, signer.Fail, "signed of another signature")
			// OpenSSL 3.0 is taken in, which shows that the forgery is a good one.
			mustOpenSSL(t, data, "cms", "-verify", "-noverify", "-binary", "-inform", "DER")
		}
	}
}

// TestVerifyTwins has two certificates with one issuer and serial number, and two
// with one key identifier.
func TestVerifyTwins(t *testing.T) {
	id := as("rsa2048")
	fake := issue("Intermediate", newKey("p256"), nil, func(c *x509.Certificate) { c.Subject = id.chain[1].Subject })
	twin := issue("rsa2048", newKey("rsa2048"), fake, func(c *x509.Certificate) { c.SerialNumber = id.cert().SerialNumber })
	if !bytes.Equal(twin.cert().RawIssuer, id.cert().RawIssuer) {
		t.Fatal("the twin has another issuer")
	}
	o := trusting("rsa2048@example.com")
	for _, order := range [][]*identity{{id, twin}, {twin, id}} {
		for _, signing := range []*identity{id, twin} {
			f := newForger(signing, attacked)
			f.certs = [][]byte{order[0].cert().Raw, order[1].cert().Raw, id.chain[1].Raw, fake.cert().Raw}
			v := checkDetached(t, []byte(attacked), f.data(false, f.signerInfo(t)), o)[0]
			if v.Integrity.Verdict != signer.Pass || !v.X509.Equal(signing.cert()) || (v.Result().Verdict == signer.Pass) != (signing == id) {
				t.Errorf("%+v", v)
			}
		}
	}

	// A renewed certificate has the key of the expired one.
	key, keyID := newKey("p256"), []byte("one key identifier")
	expired := issue("renewed", key, pki().intermediate, func(c *x509.Certificate) {
		c.SubjectKeyId, c.NotBefore, c.NotAfter = keyID, time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
	})
	renewed := issue("renewed", key, pki().intermediate, func(c *x509.Certificate) { c.SubjectKeyId = keyID })
	for _, order := range [][]*identity{{expired, renewed}, {renewed, expired}} {
		f := newForger(renewed, attacked)
		f.algorithm, f.sid = sequence(value(idECDSAandSHA256)), tagged(0x80, keyID)
		f.certs = [][]byte{order[0].cert().Raw, order[1].cert().Raw, id.chain[1].Raw}
		v := checkDetached(t, []byte(attacked), f.data(false, f.signerInfo(t)), trusting("renewed@example.com"))[0]
		if v.Result().Verdict != signer.Pass || !v.X509.Equal(renewed.cert()) {
			t.Errorf("%+v", v)
		}
		// Also when nobody asks about an address.
		v = checkDetached(t, []byte(attacked), f.data(false, f.signerInfo(t)), trusting(""))[0]
		if !v.X509.Equal(renewed.cert()) {
			t.Errorf("without an address: %+v", v)
		}
		// Unless the signature says that it was the expired one.
		hash := sha256.Sum256(expired.cert().Raw)
		f.attributes = append(f.attributes, attribute(idCertificateV2, essCertificate(hash[:])))
		v = checkDetached(t, []byte(attacked), f.data(false, f.signerInfo(t)), trusting("renewed@example.com"))[0]
		if v.Integrity.Verdict != signer.Pass || v.Result().Verdict == signer.Pass || !v.X509.Equal(expired.cert()) {
			t.Errorf("%+v", v)
		}
	}
}

// TestVerifyEd25519 has the digests that go with it and those that do not.
func TestVerifyEd25519(t *testing.T) {
	content512 := sha512.Sum512([]byte(attacked))
	f := newForger(as("ed25519"), attacked)
	f.algorithm = sequence(value(idEd25519))
	want(t, "SHA-256", checkDetached(t, []byte(attacked), f.data(false, f.signerInfo(t)), VerifyOptions{})[0].Integrity, signer.Policy, "RFC 8419")
	f.digest = sequence(value(idSHA512))
	f.digests = [][]byte{f.digest}
	f.hash = crypto.SHA512
	f.attributes = [][]byte{attribute(idContentType, value(typeIDData)), attribute(idMessageDigest, value(content512[:]))}
	want(t, "SHA-512", checkDetached(t, []byte(attacked), f.data(false, f.signerInfo(t)), VerifyOptions{})[0].Integrity, signer.Pass, "")
	f.attributes = nil
	want(t, "no attributes", checkDetached(t, []byte(attacked), f.data(false, f.signerInfo(t)), VerifyOptions{})[0].Integrity, signer.Neutral, "not supported")
}

// TestVerifyFloods has more of everything than anybody needs. All of it ends soon
// and in little memory.
func TestVerifyFloods(t *testing.T) {
	id := as("rsa2048")
	good := func() *forger { return newForger(id, attacked) }
	repeat := func(what []byte, n int) [][]byte {
		out := make([][]byte, n)
		for i := range out {
			out[i] = what
		}
		return out
	}
	for _, tc := range []struct {
		name    string
		data    func(f *forger, info []byte) []byte
		n       int
		verdict signer.Verdict // of the first
		last    string         // reason of the last
	}{
		{"1,000 signers", func(f *forger, info []byte) []byte { return f.data(false, repeat(info, 1000)...) }, cms.MaxSigners + 1, signer.Pass, "968 more signers"},
		{"certificates of 1,000 others", func(f *forger, info []byte) []byte {
			f.certs = append(f.certs, repeat(as("other").cert().Raw, 1000)...)
			return f.data(false, info)
		}, 1, signer.Pass, ""},
		{"its certificate after 1,000 others", func(f *forger, info []byte) []byte {
			f.certs = append(repeat(as("other").cert().Raw, 1000), f.certs...)
			return f.data(false, info)
		}, 1, signer.Neutral, "certificate is not there"},
		{"10,000 digest algorithms", func(f *forger, info []byte) []byte {
			f.digests = repeat(f.digest, 10_000)
			return f.data(false, info)
		}, 1, signer.PermError, "digest algorithms"},
		{"attribute of 1 MB", func(f *forger, _ []byte) []byte {
			f.attributes = append(f.attributes, attribute(asn1.ObjectIdentifier{1, 2, 3}, value(make([]byte, 1<<20))))
			return f.data(false, f.signerInfo(t))
		}, 1, signer.Pass, ""},
		{"attribute of 8 MB", func(f *forger, _ []byte) []byte {
			f.attributes = append(f.attributes, attribute(asn1.ObjectIdentifier{1, 2, 3}, value(make([]byte, 8<<20))))
			return f.data(false, f.signerInfo(t))
		}, 1, signer.PermError, "octets to hold"},
		{"100,000 attributes", func(f *forger, _ []byte) []byte {
			f.attributes = append(f.attributes, repeat(attribute(asn1.ObjectIdentifier{1, 2, 3}, value(1)), 100_000)...)
			return f.data(false, f.signerInfo(t))
		}, 1, signer.PermError, "values"},
		{"certificates of 8 MB", func(f *forger, info []byte) []byte {
			f.certs = append(f.certs, sequence(value(make([]byte, 8<<20))))
			return f.data(false, info)
		}, 1, signer.PermError, "octets to hold"},
		{"a name of 50,000 parts", func(f *forger, _ []byte) []byte {
			part := set(sequence(value(asn1.ObjectIdentifier{2, 5, 4, 3}), value("x")))
			f.sid = sequence(sequence(repeat(part, 50_000)...), value(1))
			return f.data(false, f.signerInfo(t))
		}, 1, signer.Neutral, "certificate is not there"},
		{"no end", func(f *forger, info []byte) []byte { return bytes.Repeat([]byte{0x30, 0x80}, 3_000_000) }, 1, signer.PermError, "malformed CMS"},
	} {
		f := good()
		data := tc.data(f, f.signerInfo(t))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		found := checkDetached(t, []byte(attacked), data, trusting(""))
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		t.Logf("%s: %d bytes, %v, %d KiB allocated", tc.name, len(data), took, (after.TotalAlloc-before.TotalAlloc)>>10)
		if len(found) != tc.n || found[0].Integrity.Verdict != tc.verdict {
			t.Errorf("%s: %d found, the first %+v", tc.name, len(found), found[0].Integrity)
		}
		last := found[len(found)-1].Integrity
		if (tc.last == "") != (last.Reason == "") || !bytes.Contains([]byte(last.Reason), []byte(tc.last)) {
			t.Errorf("%s: %+v", tc.name, last)
		}
	}
}

// TestVerifyManySigners has more signers than are judged, each with a certificate of
// his own, and more candidates than are tried.
func TestVerifyManySigners(t *testing.T) {
	var infos, certs [][]byte
	key := newKey("rsa2048")
	for range 20 {
		f := newForger(issue("many", key, pki().intermediate, nil), attacked)
		infos, certs = append(infos, f.signerInfo(t)), append(certs, f.certs...)
	}
	f := newForger(as("rsa2048"), attacked)
	f.certs = certs
	found := checkDetached(t, []byte(attacked), f.data(false, infos...), trusting("many@example.com"))
	if len(found) != 20 {
		t.Fatalf("%d found", len(found))
	}
	for i := range found {
		if found[i].Integrity.Verdict != signer.Pass || (found[i].Result().Verdict == signer.Pass) != (i < maxJudged) {
			t.Errorf("signer %d: %+v", i, found[i])
		}
	}

	// 32 signers, each with 50 twins of the certificate: not all are tried.
	infos, certs = nil, nil
	fake := issue("Intermediate", newKey("p256"), nil, nil)
	for range 50 {
		certs = append(certs, issue("twin", newKey("p256"), fake, func(c *x509.Certificate) { c.SubjectKeyId = []byte("twin") }).cert().Raw)
	}
	f.algorithm, f.id = sequence(value(idECDSAandSHA256)), as("p256")
	f.sid, f.certs = tagged(0x80, []byte("twin")), certs
	info := f.signerInfo(t)
	for range cms.MaxSigners {
		infos = append(infos, info)
	}
	found = checkDetached(t, []byte(attacked), f.data(false, infos...), trusting(""))
	want(t, "first twin", found[0].Integrity, signer.Fail, "by the certificate's key")
	want(t, "last twin", found[len(found)-1].Integrity, signer.Neutral, "was not checked")

	// The longer a check takes, the fewer there are: with P-521 nine.
	f.certs = nil
	for range maxCandidates {
		f.certs = append(f.certs, issue("twin", newKey("p521"), fake, func(c *x509.Certificate) { c.SubjectKeyId = []byte("twin") }).cert().Raw)
	}
	checked := 0
	for _, v := range checkDetached(t, []byte(attacked), f.data(false, infos...), trusting("")) {
		if v.Integrity.Verdict == signer.Fail {
			checked++
		}
	}
	if checked != 3 {
		t.Errorf("%d signers with P-521 were checked, want 3, each with up to %d certificates", checked, maxCandidates)
	}
}

// TestVerifyMemory verifies 100 MB. All that is allocated on the way has to stay
// below 4 MiB.
func TestVerifyMemory(t *testing.T) {
	const size, limit = 100 << 20, 4 << 20
	id := as("rsa2048")
	for _, mode := range []string{Detached, Opaque} {
		e := generatedEntity(size)
		signed, err := Sign(e, id.chain, id.key, SignOptions{Mode: Opaque})
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		var found []signer.Verification
		if mode == Detached {
			if signed, err = Sign(e, id.chain, id.key, SignOptions{}); err != nil {
				t.Fatal(err)
			}
			data := tailSignature(t, signed)
			runtime.ReadMemStats(&before)
			found, err = Verify(context.Background(), e, bytes.NewReader(data), trusting("rsa2048@example.com"))
		} else {
			in, out := io.Pipe()
			go func() {
				_, err := signed.Body.(base64Content).content.WriteTo(out)
				out.CloseWithError(err)
			}()
			runtime.ReadMemStats(&before)
			found, err = VerifyOpaque(context.Background(), io.Discard, in, trusting("rsa2048@example.com"))
		}
		runtime.ReadMemStats(&after)
		if err != nil || found[0].Result().Verdict != signer.Pass {
			t.Fatalf("%s: %v, %+v", mode, err, found)
		}
		allocated := after.TotalAlloc - before.TotalAlloc
		t.Logf("%s: %d KiB allocated for a message of %d MiB", mode, allocated>>10, size>>20)
		if allocated > limit {
			t.Errorf("%s: %d bytes allocated, want at most %d", mode, allocated, limit)
		}
	}
}

// tailSignature takes the signature out of a signed entity that nobody wants to
// hold.
func tailSignature(t testing.TB, signed *signer.Entity) []byte {
	t.Helper()
	var last tail
	if _, err := signed.Body.WriteTo(&last); err != nil {
		t.Fatal(err)
	}
	return signaturePart(t, last)
}

// tail keeps the last bytes that are written to it.
type tail []byte

func (k *tail) Write(p []byte) (int, error) {
	*k = append(*k, p...)
	*k = append((*k)[:0], (*k)[max(0, len(*k)-16<<10):]...)
	return len(p), nil
}
