package smime

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
)

// TestSignPSS has OpenSSL verify RSASSA-PSS with each digest, and read what its
// parameters say.
func TestSignPSS(t *testing.T) {
	id := as("rsa2048")
	for digest, salt := range map[crypto.Hash]string{crypto.SHA256: "0x20", crypto.SHA384: "0x30", crypto.SHA512: "0x40"} {
		for _, mode := range []string{Detached, Opaque} {
			recorder := &recordingKey{Signer: id.key}
			e := entityOf(entities["text"])
			signed, err := Sign(e, id.chain, recorder, SignOptions{Mode: mode, Digest: digest, PSS: true})
			if err != nil {
				t.Fatal(err)
			}
			if opts, ok := recorder.opts.(*rsa.PSSOptions); !ok || opts.SaltLength != digest.Size() || opts.Hash != digest {
				t.Errorf("the key was asked for %#v", recorder.opts)
			}
			if got := opensslVerify(t, written(t, signed)); !bytes.Equal(got, written(t, e)) {
				t.Errorf("%v: OpenSSL's content differs: %q", digest, got)
			}
			name := strings.ToLower(strings.ReplaceAll(digest.String(), "-", ""))
			text := printed(t, signedDataOf(t, signed))
			for _, want := range []string{
				"algorithm: rsassaPss (1.2.840.113549.1.1.10)",
				"OBJECT :" + name, "OBJECT :mgf1", "INTEGER :" + strings.TrimPrefix(salt, "0x"),
			} {
				if !strings.Contains(text, want) {
					t.Errorf("%v: OpenSSL's text lacks %q", digest, want)
				}
			}
		}
	}
	if got := SignatureAlgorithm(id.cert(), SignOptions{PSS: true}); got != "rsa2048-pss-sha256" {
		t.Error(got)
	}
	// Keys that are not RSA sign as ever.
	ec := as("p256")
	signed, err := Sign(entityOf(entities["text"]), ec.chain, ec.key, SignOptions{PSS: true})
	if err != nil {
		t.Fatal(err)
	}
	opensslVerify(t, written(t, signed))
}

// TestSignerIDs has OpenSSL find the certificate by its subject key identifier.
func TestSignerIDs(t *testing.T) {
	for _, kind := range []string{"rsa2048", "p384"} {
		id := issue("by key", newKey(kind), pki().intermediate, func(c *x509.Certificate) { c.SubjectKeyId = []byte("a key identifier") })
		for _, mode := range []string{Detached, Opaque} {
			e := entityOf(entities["multipart"])
			signed, err := Sign(e, id.chain, id.key, SignOptions{Mode: mode, SignerID: SubjectKeyID})
			if err != nil {
				t.Fatal(err)
			}
			if got := opensslVerify(t, written(t, signed)); !bytes.Equal(got, written(t, e)) {
				t.Errorf("%s, %s: OpenSSL's content differs", kind, mode)
			}
			text := printed(t, signedDataOf(t, signed))
			for _, want := range []string{"version: 3", "d.subjectKeyIdentifier: 0000 - 61 20 6b 65 79 20"} {
				if !strings.Contains(text, want) {
					t.Errorf("OpenSSL's text lacks %q", want)
				}
			}
			if strings.Contains(text, "d.issuerAndSerialNumber") {
				t.Error("the issuer is there too")
			}
			der := signedDataOf(t, signed)
			one, err := Sign(e, id.chain[:1], id.key, SignOptions{Mode: mode, SignerID: SubjectKeyID})
			if err != nil {
				t.Fatal(err)
			}
			der = signedDataOf(t, one)
			if again := mustOpenSSL(t, der, "cms", "-cmsout", "-inform", "DER", "-outform", "DER"); !bytes.Equal(der, again) {
				t.Errorf("%s: not DER", mode)
			}
		}
	}
	id := as("p256") // its certificate has no such identifier
	for signerID, want := range map[string]string{SubjectKeyID: "has no subject key identifier", "name": `unknown signer identifier "name"`} {
		_, err := Sign(entityOf(entities["text"]), id.chain, id.key, SignOptions{SignerID: signerID})
		expect(t, signerID, err, want)
	}
	if _, err := Sign(entityOf(entities["text"]), id.chain, id.key, SignOptions{SignerID: IssuerAndSerial}); err != nil {
		t.Error(err)
	}
}

// TestSignEncryptionCertificate has a certificate of another key announced.
func TestSignEncryptionCertificate(t *testing.T) {
	id, other := as("p256"), as("other")
	signed, err := Sign(entityOf(entities["text"]), id.chain, id.key, SignOptions{EncryptionCertificate: other.cert()})
	if err != nil {
		t.Fatal(err)
	}
	opensslVerify(t, written(t, signed))
	text := printed(t, signedDataOf(t, signed))
	// OpenSSL prints the value with its offsets: the tag, then issuer and serial.
	for _, want := range []string{
		"id-smime-aa-encrypKeyPref (1.2.840.113549.1.9.16.2.11)", "cont [ 0 ]",
		fmt.Sprintf("INTEGER :%X", other.cert().SerialNumber.Bytes()),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("OpenSSL's text lacks %q", want)
		}
	}
	if n := strings.Count(text, "d.certificate:"); n != 3 {
		t.Errorf("%d certificates, want the signer's, the intermediate one and the one to encrypt to", n)
	}
	// One that is in the chain is not there twice.
	signed, err = Sign(entityOf(entities["text"]), id.chain, id.key, SignOptions{EncryptionCertificate: id.cert()})
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(printed(t, signedDataOf(t, signed)), "d.certificate:"); n != 2 {
		t.Errorf("%d certificates, want 2", n)
	}
}

// TestGPGSMVerifiesPSS is the second judge of RSASSA-PSS. gpgsm can't judge
// subject key identifiers: it reads OpenSSL's SignerInfos with them no more than
// ours.
func TestGPGSMVerifiesPSS(t *testing.T) {
	id := as("rsa2048")
	g := newGPGSM(t, id)
	for _, digest := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		e := entityOf(entities["text"])
		signed, err := Sign(e, id.chain, id.key, SignOptions{PSS: true, Digest: digest})
		if err != nil {
			t.Fatal(err)
		}
		content := writeFile(t, t.TempDir(), "content", written(t, e))
		p7s := writeFile(t, t.TempDir(), "smime.p7s", signedDataOf(t, signed))
		if out := g.mustRun("--verify", p7s, content); !strings.Contains(out, "GOODSIG") || !strings.Contains(out, "TRUST_FULLY") {
			t.Errorf("%v: %s", digest, out)
		}
	}
}

// TestSignCapabilities has OpenSSL read which ciphers are announced.
func TestSignCapabilities(t *testing.T) {
	id := as("p256")
	signed, err := Sign(entityOf(entities["text"]), id.chain, id.key, SignOptions{Capabilities: []Cipher{CipherAES128CBC, CipherAES256CBC}})
	if err != nil {
		t.Fatal(err)
	}
	text := printed(t, signedDataOf(t, signed))
	first, second := strings.Index(text, ":aes-128-cbc"), strings.Index(text, ":aes-256-cbc")
	if first < 0 || second < first || strings.Contains(text, "gcm") {
		t.Errorf("the capabilities are others: %d, %d", first, second)
	}
	_, err = Sign(entityOf(entities["text"]), id.chain, id.key, SignOptions{Capabilities: []Cipher{99}})
	expect(t, "unknown", err, "there is no cipher 99")
}
