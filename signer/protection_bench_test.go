package signer

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
)

// noise is what encrypted data looks like.
func noise(size int) string {
	b := make([]byte, size)
	source := rand.NewChaCha8([32]byte{1})
	if _, err := source.Read(b); err != nil {
		panic(err)
	}
	return string(b)
}

func BenchmarkInspect(b *testing.B) {
	text := strings.Repeat("A line of an ordinary message, as they all are.\n", 85)
	picture := base64Of(noise(2 << 20))
	// 18.2 MiB of encrypted data are 25 MB of base64.
	data := noise(18_200_000)
	pieces := make([]string, 0, len(data)/4096+1)
	for rest := data; rest != ""; {
		n := min(len(rest), 4096)
		pieces = append(pieces, ber(4, rest[:n]))
		rest = rest[n:]
	}
	for _, test := range []struct {
		name, message, kind string
	}{
		{"plain 4 KB", onePart("text/plain; charset=utf-8", "quoted-printable", text), ""},
		{"plain base64 4 KB", onePart("text/plain; charset=utf-8", "base64", base64Of(text[:3000])), ""},
		{"multipart 3 MB", onePart("multipart/mixed; boundary=b", "7bit", "--b\n\n"+text+"\n--b\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\n"+picture+"\n--b--\n"), ""},
		{"image 3 MB", onePart("image/png", "base64", picture), ""},
		{"smime 4 KB", onePart("application/pkcs7-mime", "base64", base64Of(envelope(recipient, encryptedInfo(ber(0x80, data[:3200]))))), "smime enveloped-data"},
		{"smime 25 MB", onePart("application/pkcs7-mime", "base64", base64Of(envelope(recipient, encryptedInfo(ber(0x80, data))))), "smime enveloped-data"},
		{"smime 25 MB pieces", onePart("application/pkcs7-mime", "base64", base64Of(envelope(recipient, encryptedInfo(berOpen(0xa0, pieces...))))), "smime enveloped-data"},
		{"pgp 25 MB", encrypted(armored("MESSAGE", pgpMessage([]byte(data)))), "pgp multipart/encrypted"},
		{"pgp inline 25 MB", onePart("text/plain", "7bit", armored("MESSAGE", pgpMessage([]byte(data)))), "pgp inline"},
	} {
		b.Run(test.name, func(b *testing.B) {
			m := parseMessage(b, test.message)
			b.SetBytes(m.Body.Size())
			b.ReportAllocs()
			for b.Loop() {
				p, err := Inspect(m)
				if err != nil || p.Kind != test.kind {
					b.Fatal(p, err)
				}
			}
		})
	}
}

// What Inspect holds in memory does not grow with the message.
func TestInspectMemory(t *testing.T) {
	for name, message := range map[string]func(data string) string{
		"smime": func(data string) string {
			return onePart("application/pkcs7-mime", "base64", base64Of(envelope(recipient, encryptedInfo(ber(0x80, data)))))
		},
		"pgp": func(data string) string { return encrypted(armored("MESSAGE", pgpMessage([]byte(data)))) },
	} {
		var allocated [2]int64
		for i, size := range []int{64 << 10, 4 << 20} {
			m := parseMessage(t, message(noise(size)))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			p, err := Inspect(m)
			runtime.ReadMemStats(&after)
			if err != nil || !p.Encrypted {
				t.Fatal(p, err)
			}
			allocated[i] = int64(after.TotalAlloc - before.TotalAlloc)
		}
		t.Logf("%s: %d bytes for 64 KiB, %d for 4 MiB", name, allocated[0], allocated[1])
		if allocated[1] > allocated[0]+256<<10 {
			t.Errorf("%s: memory grows with the message: %d bytes for 64 KiB, %d for 4 MiB", name, allocated[0], allocated[1])
		}
	}
}

func FuzzInspect(f *testing.F) {
	armor := armored("MESSAGE", pgpMessage(nil))
	sig := armored("SIGNATURE", signature)
	for _, message := range []string{
		onePart("text/plain", "7bit", armor),
		onePart("text/plain", "base64", base64Of(armor)),
		onePart("text/plain", "quoted-printable", strings.ReplaceAll(armor, "=", "=3D")),
		onePart("text/plain", "7bit", "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\ntext\n"+sig),
		onePart("application/pkcs7-mime", "base64", base64Of(envelope(recipient, encryptedInfo(ber(0x80, cipher))))),
		onePart("application/octet-stream; name=smime.p7m", "base64", base64Of(envelope(recipient, encryptedInfo(berOpen(0xa0, ber(4, cipher)))))),
		onePart("application/pkcs7-mime", "base64", base64Of(contentInfo(oidSigned, version, ber(0x31), ber(0x30, oidData, ber(0xa0, ber(4, "a"))), ber(0x31, aSigner)))),
		encrypted(armor),
		signed("\ntext", sig),
		signed(strings.TrimPrefix(encrypted(armor), "Subject: x\n"), sig),
	} {
		header, body, _ := strings.Cut(message, "\n\n")
		f.Add([]byte(header), []byte(strings.ReplaceAll(body, "\n", "\r\n")))
	}
	// DER is easier to change without base64 around it.
	for _, der := range []string{
		envelope(recipient, encryptedInfo(ber(0x80, cipher))),
		berOpen(0x30, oidEnveloped, berOpen(0xa0, berOpen(0x30, version, ber(0x31, recipient), berOpen(0x30, oidData, aesCBC, berOpen(0xa0, ber(4, cipher)))))),
		contentInfo(oidAuth, version, ber(0x31, recipient), ber(0x30, oidData, aesGCM, ber(0x80, "x")), ber(4, "m")),
	} {
		f.Add([]byte("Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: binary\n"), []byte(der))
	}
	f.Fuzz(func(t *testing.T, header, body []byte) {
		h, _, err := ReadHeader(bytes.NewReader(header), 1<<20)
		if err != nil {
			return
		}
		p, err := Inspect(&Message{Header: h, Body: bytes.NewReader(body)})
		if err != nil {
			t.Fatal(err)
		}
		checkProtection(t, p)
		if !p.Encrypted || strings.Contains(p.Kind, "multipart") {
			return
		}
		// Text after what is encrypted as a whole makes it plain.
		longer := append(body[:len(body):len(body)], "\r\nThe secret is 42.\r\n"...)
		if p, err := Inspect(&Message{Header: h, Body: bytes.NewReader(longer)}); err != nil || p.Encrypted {
			t.Errorf("with text after it: %+v, %v", p, err)
		}
	})
}
