package pgpmime

import (
	"bytes"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"waxseal/signer"
)

// fuzzLimit is how much text is taken while fuzzing.
const fuzzLimit = 1 << 20

// fuzzed returns the vectors' keys and files for fuzzing.
func fuzzed(f *testing.F) (files [][]byte, keys []*Key, certificates []*Certificate) {
	all := vectors(f)
	keys, certificates = vectorKeys(f, all)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if len(all[name]) < 32<<10 {
			files = append(files, all[name])
		}
	}
	return files, keys, certificates
}

// Whatever comes as a message: no panic, no more text than allowed, and what is
// inside of the encryption is read just as it is outside.
func FuzzDecrypt(f *testing.F) {
	files, keys, certificates := fuzzed(f)
	for _, data := range files {
		f.Add(data)
	}
	f.Add(slices.Concat(appendPacket(nil, tagMarker, []byte("PGP")), literal("Hello")))
	f.Add(compressed(f, 1, compressed(f, 2, literal("Hello"))))
	f.Add([]byte("\xa3\x03BZh9\x17\x72\x45\x38\x50\x90\x00\x00\x00\x00"))
	own, err := ParseKey("a@example.com", first(made(f, "a@example.com", configV6)), nil)
	if err != nil {
		f.Fatal(err)
	}
	o := DecryptOptions{Certificates: certificates, Verify: VerifyOptions{MaxSize: fuzzLimit, Time: vectorTime}}
	f.Fuzz(func(t *testing.T, data []byte) {
		var text counted
		d, err := Decrypt(&text, bytes.NewReader(data), keys, o)
		if int64(text) > fuzzLimit || (d == nil) == (err == nil) {
			t.Errorf("%d bytes, %v, %v", text, d, err)
		}
		if len(data) == 0 || data[0]&0x80 == 0 || bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) {
			return // armor is not read inside
		}
		var outside, inside bytes.Buffer
		opened, errOutside := VerifyMessage(&outside, bytes.NewReader(data), certificates, o.Verify)
		sealed, errInside := Decrypt(&inside, bytes.NewReader(sealed(t, data, own.Certificate())), []*Key{own}, o)
		if (errOutside == nil) != (errInside == nil) {
			t.Fatalf("outside: %v, inside: %v", errOutside, errInside)
		}
		if errOutside != nil {
			return
		}
		if !bytes.Equal(outside.Bytes(), inside.Bytes()) || len(opened.Signatures) != len(sealed.Signatures) || opened.Format != sealed.Format {
			t.Errorf("outside: %+v, inside: %+v", opened, sealed)
		}
	})
}

// Whatever comes as a signature: no panic, and something is said of it.
func FuzzVerify(f *testing.F) {
	files, keys, certificates := fuzzed(f)
	for _, data := range files {
		f.Add(data, "Hello world!")
	}
	k := keys[0].cert.entity.PrivateKey
	f.Add(signedBy(f, "Hello", k, nil), "Hello")
	f.Fuzz(func(t *testing.T, signature []byte, text string) {
		found, err := Verify(strings.NewReader(text), signature, certificates, VerifyOptions{Time: vectorTime, Address: "a@example.com"})
		if err != nil || len(found) == 0 || len(found) > maxSignaturesOfOne+1 {
			t.Fatalf("%d verifications, %v", len(found), err)
		}
		for _, v := range found {
			if v.Integrity.Verdict == "" || v.Certificate.Verdict == "" || v.Chain.Verdict == "" || v.Address.Verdict == "" || v.Revocation.Verdict == "" {
				t.Errorf("nothing is said: %+v", v)
			}
			if v.Integrity.Verdict != signer.Pass {
				continue
			}
			// Another text must not do.
			other, err := Verify(strings.NewReader(text+"."), signature, certificates, VerifyOptions{Time: vectorTime})
			if err != nil || slices.ContainsFunc(other, func(v signer.Verification) bool { return v.Integrity.Verdict == signer.Pass }) {
				t.Errorf("good for two texts: %+v", v)
			}
		}
	})
}

// Whatever comes as a clear-signed text: what is covered is in the block, and
// what is found of it does not depend on the text around.
func FuzzVerifyClearsigned(f *testing.F) {
	_, _, certificates := fuzzed(f)
	f.Add("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nHello\n- -- \n-----BEGIN PGP SIGNATURE-----\n\niHUE\n-----END PGP SIGNATURE-----\n")
	o := VerifyOptions{Time: vectorTime, MaxSize: fuzzLimit}
	f.Fuzz(func(t *testing.T, text string) {
		var got bytes.Buffer
		found, err := VerifyClearsigned(&got, strings.NewReader(text), certificates, o)
		inline, errInline := FindInline(strings.NewReader(text))
		if errInline != nil {
			t.Fatal(errInline)
		}
		if err != nil {
			return
		}
		if len(found.Signatures) == 0 || found.Block.Start < 0 || found.Block.End > int64(len(text)) || found.Block.Len() <= 0 {
			t.Fatalf("%+v", found)
		}
		if inline == nil {
			t.Fatal("not found")
		}
		var again bytes.Buffer
		block, err := VerifyClearsigned(&again, strings.NewReader(text[found.Block.Start:found.Block.End]), certificates, o)
		if err != nil || !block.Alone || again.String() != got.String() {
			t.Errorf("%v, %+v: %q, %q", err, block, again.String(), got.String())
		}
	})
}

// Whatever comes as a certificate: what is left can be read, and is minimal.
func FuzzMinimise(f *testing.F) {
	files, _, _ := fuzzed(f)
	for _, data := range files {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		small, err := Minimise(data, vectorTime)
		if err != nil {
			return
		}
		if _, err := ParseCertificate("a@example.com", small); err != nil {
			t.Fatalf("what is left is not read: %v", err)
		}
		again, err := Minimise(small, vectorTime)
		if err != nil || !bytes.Equal(again, small) {
			t.Errorf("not minimal: %v", err)
		}
	})
}

// The armor reader of streams and the one of keys agree.
func FuzzUnarmor(f *testing.F) {
	files, _, _ := fuzzed(f)
	for _, data := range files {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		packets, kind, err := unarmor(bytes.NewReader(data))
		if err != nil {
			return
		}
		decoded, err := io.ReadAll(packets)
		if err != nil || kind == "" {
			return
		}
		armored, err := armorBlockOf("PGP "+kind, decoded)
		if err != nil {
			t.Fatal(err)
		}
		packets, again, err := unarmor(bytes.NewReader(armored))
		if err != nil || again != kind {
			t.Fatalf("%v, %q", err, again)
		}
		if twice, err := io.ReadAll(packets); err != nil || !bytes.Equal(twice, decoded) {
			t.Errorf("%v", err)
		}
	})
}
