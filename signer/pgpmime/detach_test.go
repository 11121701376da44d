package pgpmime

import (
	"bytes"
	"strings"
	"testing"

	"waxseal/signer"
)

// TestDetach decrypts what was signed and encrypted at once. What Detach makes of
// it has a signature that is still good.
func TestDetach(t *testing.T) {
	g := gpg(t)
	nils, edda := g.key(t, "nils@example.com"), g.key(t, "edda@example.com")
	text := "Content-Type: text/plain\r\n\r\nHello\r\n-----\r\n"
	e := &signer.Entity{Header: signer.Header{{Name: "Content-Type", Raw: []byte("Content-Type: text/plain\r\n")}}, Body: signer.NewContent([]byte("Hello\r\n-----\r\n"))}
	var out bytes.Buffer
	if _, err := Encrypt(&out, e, []*Certificate{edda.Certificate()}, nils, EncryptOptions{}); err != nil {
		t.Fatal(err)
	}
	_, armored, _ := strings.Cut(out.String(), "-----BEGIN PGP MESSAGE-----")
	armored, _, _ = strings.Cut(armored, "-----END PGP MESSAGE-----")
	var plain bytes.Buffer
	done, err := Decrypt(&plain, strings.NewReader("-----BEGIN PGP MESSAGE-----"+armored+"-----END PGP MESSAGE-----\r\n"), []*Key{edda}, DecryptOptions{})
	if err != nil || plain.String() != text {
		t.Fatalf("%q %v", plain.String(), err)
	}
	signed, err := Detach(signer.NewContent(plain.Bytes()), done.Signed)
	if err != nil {
		t.Fatal(err)
	}
	var body bytes.Buffer
	if _, err := signed.Body.WriteTo(&body); err != nil || int64(body.Len()) != signed.Body.Size() {
		t.Fatal(err)
	}
	src := bytes.NewReader(body.Bytes())
	root, err := signer.Slice(signed.Header, src)
	if err != nil || root.MediaType != "multipart/signed" || len(root.Parts) != 2 || !root.Closed || !strings.HasPrefix(root.Params["micalg"], "pgp-sha") {
		t.Fatalf("%+v %v", root, err)
	}
	content := body.Bytes()[root.Parts[0].Offset:root.Parts[0].BodyEnd]
	if string(content) != text {
		t.Fatalf("the signed part is %q", content)
	}
	signature := body.Bytes()[root.Parts[1].BodyStart:root.Parts[1].BodyEnd]
	found, err := Verify(bytes.NewReader(content), signature, []*Certificate{nils.Certificate()}, VerifyOptions{Address: "nils@example.com"})
	if err != nil || len(found) != 1 || found[0].Integrity.Verdict != signer.Pass {
		t.Errorf("%+v %v", found, err)
	}
	content[len(content)-3] ^= 1
	if found, err := Verify(bytes.NewReader(content), signature, []*Certificate{nils.Certificate()}, VerifyOptions{}); err != nil || found[0].Integrity.Verdict != signer.Fail {
		t.Errorf("altered: %+v %v", found, err)
	}
}
