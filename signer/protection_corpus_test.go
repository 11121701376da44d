package signer

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What the mails of the corpus are; all others are plain. A value that is no
// kind is the reason why they are.
var corpusKinds = map[string]string{
	"smime/bc-java/3nnn_smime.eml":                                    "smime multipart/signed",
	"smime/bc-java/brokenEnv.message":                                 "S/MIME signature without what it signs",
	"smime/bc-java/circular.eml":                                      "smime multipart/signed",
	"smime/bc-java/dotnet_encrypted_mail.eml":                         "smime enveloped-data",
	"smime/bc-java/embeddedmulti.message":                             "smime multipart/signed",
	"smime/bc-java/extra-nl.eml":                                      "smime multipart/signed",
	"smime/bc-java/multi-alternative.eml":                             "smime multipart/signed",
	"smime/bc-java/openssl-signed-sha256-non-default-salt-length.eml": "smime multipart/signed",
	"smime/bc-java/outlook_2010_beta_sime_msg.eml":                    "smime enveloped-data",
	"smime/bc-java/qp-soft-break.eml":                                 "smime multipart/signed",
	"smime/bc-java/quotable.message":                                  "smime multipart/signed",
	"smime/bc-java/test128.message":                                   "smime enveloped-data",
	"smime/bc-java/test192.message":                                   "smime enveloped-data",
	"smime/bc-java/test256.message":                                   "smime enveloped-data",
	"smime/bc-java/validator.expired.eml":                             "smime multipart/signed",
	"smime/bc-java/validator.extKeyUsage.eml":                         "smime multipart/signed",
	"smime/bc-java/validator.keyUsage.eml":                            "smime multipart/signed",
	"smime/bc-java/validator.longValidity.eml":                        "smime multipart/signed",
	"smime/bc-java/validator.noEmail.eml":                             "smime multipart/signed",
	"smime/bc-java/validator.notYetValid.eml":                         "smime multipart/signed",
	"smime/bc-java/validator.revoked.eml":                             "smime multipart/signed",
	"smime/bc-java/validator.shortKey.eml":                            "smime multipart/signed",
	"smime/bc-java/validator.validMail.eml":                           "smime multipart/signed",
	"smime/bc-rfc4134/4.8.eml":                                        "smime multipart/signed",
	"smime/bc-rfc4134/4.9.eml":                                        "smime signed-data",
	"smime/bc-rfc4134/5.3.eml":                                        "smime enveloped-data",
	"smime/mimekit/thunderbird-signed.txt":                            "smime multipart/signed",
	"smime/mimekit/octet-stream-with-mixed-line-endings.dat":          "S/MIME signature: signed-data: malformed BER", // binary, damaged by CRLF
	"mixed/gopenpgp/mime/testdata/mime_testMessage":                   "pgp multipart/signed",
	"mixed/protected-headers/pgpmime-enc+legacy-disp.eml":             "pgp multipart/encrypted",
	"mixed/protected-headers/pgpmime-layered+legacy-disp.eml":         "pgp multipart/encrypted",
	"mixed/protected-headers/pgpmime-layered.eml":                     "pgp multipart/encrypted",
	"mixed/protected-headers/pgpmime-sign+enc+legacy-disp.eml":        "pgp multipart/encrypted",
	"mixed/protected-headers/pgpmime-sign+enc.eml":                    "pgp multipart/encrypted",
	"mixed/protected-headers/pgpmime-signed.eml":                      "pgp multipart/signed",
	"mixed/protected-headers/smime-enc+legacy-disp.eml":               "smime enveloped-data",
	"mixed/protected-headers/smime-multipart-signed.eml":              "smime multipart/signed",
	"mixed/protected-headers/smime-onepart-signed.eml":                "smime signed-data",
	"mixed/protected-headers/smime-sign+enc+legacy-disp.eml":          "smime enveloped-data",
	"mixed/protected-headers/smime-sign+enc.eml":                      "smime enveloped-data",
	"mixed/protected-headers/unfortunately-complex.eml":               "pgp multipart/encrypted",
	"mail/stalwart-mail-parser/malformed/015.eml":                     "PGP/MIME signature: no armor at its beginning",
	"pgp/mimekit/[Announce] GnuPG 2.1.20 released.eml":                "", // a list put the signed part into a multipart/mixed
	"mail/stalwart-mail-parser/thirdparty/006.eml":                    "",
	"mail/enmime/mail/mime-signed.raw":                                "",
	"mail/mimekit/messages/simple-multipart.eml":                      "",
}

func TestInspectCorpus(t *testing.T) {
	counts := map[string]int{}
	seen := map[string]bool{}
	for name, m := range corpusMail(t, "mail", "smime", "mixed", "pgp", "pkits/smime/smime") {
		p, err := Inspect(m)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := p.Kind + p.Why
		counts[got]++
		seen[name] = true
		want := corpusKinds[name]
		if strings.HasPrefix(name, "pkits/") {
			want = "smime multipart/signed"
		}
		if got != want {
			t.Errorf("%s: %+v, want %q", name, *p, want)
		}
		checkProtection(t, p)
	}
	for name := range corpusKinds {
		if !seen[name] {
			t.Errorf("%s is not in the corpus", name)
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%4d %s", counts[kind], kind)
	}
}

// checkProtection checks what must hold for every Protection.
func checkProtection(t *testing.T, p *Protection) {
	t.Helper()
	protected := p.Signed || p.Encrypted
	switch {
	case protected && (p.Why != "" || p.Scheme != "smime" && p.Scheme != "pgp" || !strings.HasPrefix(p.Kind, p.Scheme+" ")),
		!protected && (p.Scheme != "" || p.Kind != ""):
		t.Errorf("contradiction: %+v", *p)
	}
}

// A file with lone LF and binary parts, as it is.
func TestInspectBinarySignature(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(corpusDir(t, "smime/mimekit"), "octet-stream-with-mixed-line-endings.dat"))
	if err != nil {
		t.Fatal(err)
	}
	header, body, ok := bytes.Cut(data, []byte("\r\n\r\n"))
	if !ok {
		t.Fatal("no header")
	}
	name, value, _ := strings.Cut(string(header), ":")
	m := &Message{Header: Header{ParseField(name, value)}, Body: bytes.NewReader(body)}
	p, err := Inspect(m)
	if err != nil || p.Kind != "smime multipart/signed" {
		t.Errorf("%+v, %v", p, err)
	}
}

// OpenPGP messages and keys that others made, as the text of a mail.
func TestInspectInlineCorpus(t *testing.T) {
	for name, want := range map[string]string{
		"mixed/gopenpgp/crypto/testdata/issue11_message":             "pgp inline",
		"mixed/gopenpgp/crypto/testdata/message_badmdc":              "pgp inline",
		"mixed/gopenpgp/crypto/testdata/message_expired":             "inline PGP message: packet of type 8, not encrypted data",
		"mixed/gopenpgp/crypto/testdata/message_mixedPasswordPublic": "pgp inline",
		"mixed/gopenpgp/crypto/testdata/message_multipleKeyID":       "pgp inline",
		"mixed/gopenpgp/crypto/testdata/message_signed":              "pgp inline",
		"mixed/gopenpgp/crypto/testdata/sed_message":                 "pgp inline",
		"mixed/gopenpgp/crypto/testdata/message_plainSignature":      "inline PGP message: packet of type 2, not encrypted data",
		"mixed/gopenpgp/crypto/testdata/keyring_publicKey":           "inline PGP message: armor of another kind",
		"mixed/gopenpgp/mime/testdata/mime/scenario_00.asc":          "pgp inline",
		"mixed/gopenpgp/mime/testdata/mime/scenario_10.asc":          "pgp inline",
		"pgp/bc-pqc/openpgp-pqc/v4-eddsa-sample-message-v1.asc":      "pgp inline",
		"pgp/bc-pqc/openpgp-pqc/v4-eddsa-sample-message-v2.asc":      "pgp inline",
		"pgp/bc-pqc/openpgp-pqc/v6-mldsa-87-sample-message.asc":      "pgp inline",
		"pgp/bc-pqc/openpgp-pqc/v6-slhdsa-128s-sample-message.asc":   "pgp inline",
		"pgp/bc-pqc/openpgp-pqc/v6-eddsa-sample-message.asc":         "pgp inline",
		"pgp/bc-pqc/openpgp-pqc/v6-mldsa-65-sample-message.asc":      "pgp inline",
		"mixed/gopenpgp/crypto/testdata/message_plaintext":           "",
	} {
		data, err := os.ReadFile(filepath.Join(corpusDir(t, "."), filepath.FromSlash(name)))
		if err != nil {
			t.Error(err)
			continue
		}
		p, err := Inspect(parseMessage(t, "Subject: x\n\n"+string(data)))
		if err != nil || p.Kind+p.Why != want {
			t.Errorf("%s: %+v, %v, want %q", name, p, err, want)
			continue
		}
		checkProtection(t, p)
	}
}
