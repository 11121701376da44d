package smime

import (
	"bytes"
	"crypto/x509"
	"errors"
	"io"
	"strings"
	"testing"

	"waxseal/signer/smime/cms"
)

// TestReadOutline names the recipients that a message has, and the cipher.
func TestReadOutline(t *testing.T) {
	e := entityOf(entities["multipart"])
	var to []*x509.Certificate
	for _, number := range []string{"4.3", "5.3", "7.3"} {
		to = append(to, sample(t, number, number[:2]+"4").Certificate)
	}
	var out bytes.Buffer
	if _, err := Encrypt(&out, e, to, EncryptOptions{Cipher: CipherAES256GCM}); err != nil {
		t.Fatal(err)
	}
	ber := unbase64(t, out.Bytes())
	o, err := ReadOutline(bytes.NewReader(ber))
	if err != nil || o.ContentType != "auth-enveloped-data" || o.Cipher != "aes256-gcm" || len(o.Recipients) != len(to) || o.MoreRecipients != 0 {
		t.Fatalf("%+v %v", o, err)
	}
	for i, r := range o.Recipients {
		if r.KeyID == "" && (r.Issuer != to[i].Issuer.String() || !strings.EqualFold(strings.TrimLeft(r.Serial, "0"), to[i].SerialNumber.Text(16))) {
			t.Errorf("recipient %d is %+v, not %s", i, r, to[i].Subject)
		}
	}
	if o.Recipients[0].Kind != "key transport" || o.Recipients[2].Kind != "key agreement" {
		t.Errorf("%+v", o.Recipients)
	}
	for n := range len(ber) / 2 { // cut anywhere: an error or what there is, no panic
		_, _ = ReadOutline(bytes.NewReader(ber[:n]))
	}
	var unsupported *cms.UnsupportedError
	if _, err := ReadOutline(bytes.NewReader(corpusFile(t, "bc-rfc4134", "4.2.bin"))); !errors.As(err, &unsupported) {
		t.Errorf("signed-data: %v", err)
	}
	if _, err := ReadOutline(iotestError{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("%v", err)
	}
}

type iotestError struct{}

func (iotestError) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestCertificates(t *testing.T) {
	certs, err := Certificates(bytes.NewReader(corpusFile(t, "bc-rfc4134", "4.2.bin")))
	if err != nil || len(certs) == 0 || !strings.Contains(certs[0].Subject.String(), "Alice") {
		t.Errorf("%v %v", certs, err)
	}
	if _, err := Certificates(strings.NewReader("no certificates")); err == nil {
		t.Error("there are none")
	}
}
