package cms

import (
	"bytes"
	"crypto"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"testing"
)

// TestKeyWrap has the vectors of RFC 3394, Section 4.
func TestKeyWrap(t *testing.T) {
	for _, tc := range []struct{ kek, key, want string }{
		{"000102030405060708090A0B0C0D0E0F", "00112233445566778899AABBCCDDEEFF",
			"1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5"},
		{"000102030405060708090A0B0C0D0E0F1011121314151617", "00112233445566778899AABBCCDDEEFF",
			"96778B25AE6CA435F92B5B97C050AED2468AB8A17AD84E5D"},
		{"000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F", "00112233445566778899AABBCCDDEEFF",
			"64E8C3F9CE0F5BA263E9777905818A2A93C8191E7D6E8AE7"},
		{"000102030405060708090A0B0C0D0E0F1011121314151617", "00112233445566778899AABBCCDDEEFF0001020304050607",
			"031D33264E15D33268F24EC260743EDCE1C6C7DDEE725A936BA814915C6762D2"},
		{"000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F", "00112233445566778899AABBCCDDEEFF0001020304050607",
			"A8F9BC1612C68B3FF6E6F4FBE30E71E4769C8B80A32CB8958CD5D17D6B254DA1"},
		{"000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F", "00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F",
			"28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21"},
	} {
		kek, key, want := unhex(t, tc.kek), unhex(t, tc.key), unhex(t, tc.want)
		got, err := wrapKey(kek, key)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("wrap: got %x, %v, want %x", got, err, want)
		}
		if got := unwrapKey(kek, want); !bytes.Equal(got, key) {
			t.Errorf("unwrap: got %x, want %x", got, key)
		}
		for i := range want {
			damaged := bytes.Clone(want)
			damaged[i] ^= 1
			if got := unwrapKey(kek, damaged); got != nil {
				t.Errorf("octet %d changed: got %x, want nothing", i, got)
			}
		}
		for n := range len(want) {
			if n < 24 || n%8 != 0 {
				if got := unwrapKey(kek, want[:n]); got != nil {
					t.Errorf("%d octets: got %x, want nothing", n, got)
				}
			}
		}
	}
}

// TestX963KDF has the first two vectors for SHA-256 of the CAVS file of NIST for
// ANSI X9.63, and lengths around those of the hash.
func TestX963KDF(t *testing.T) {
	for _, tc := range []struct{ secret, info, want string }{
		{"96c05619d56c328ab95fe84b18264b08725b85e33fd34f08", "", "443024c3dae66b95e6f5670601558f71"},
		{"96f600b73ad6ac5629577eced51743dd2c24c21b1ac83ee4", "", "b6295162a7804f5667ba9070f82fa522"},
		{"22518b10e70f2a3f243810ae3254139efbee04aa57c7af7d", "75eef81aa3041e33b80971203d2c0c52",
			"c498af77161cc59f2962b9a713e2b215152d139766ce34a776df11866a69bf2e52a13d9c7c6fc878c50c5ea0bc7b00e0da2447cfd874f6cf92f30d0097111485500c90c3af8b487872d04685d14c8d1dc8d7fa08beb0ce0ababc11f0bd496269142d43525a78e5bc79a17f59676a5706dc54d54d4d1f0bd7e386128ec26afc21"},
	} {
		want := unhex(t, tc.want)
		if got := x963KDF(crypto.SHA256, unhex(t, tc.secret), unhex(t, tc.info), len(want)); !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, want %s", tc.secret, got, tc.want)
		}
	}
}

// TestSharedInfo compares with an encoding made by hand (RFC 5753, Section 7.2).
func TestSharedInfo(t *testing.T) {
	wrap := unhex(t, "300b060960864801650304012d")
	for _, tc := range []struct {
		ukm  []byte
		want string
	}{
		{nil, "3015" + "300b060960864801650304012d" + "a206040400000100"},
		{[]byte("ukm"), "301c" + "300b060960864801650304012d" + "a0050403756b6d" + "a206040400000100"},
		{[]byte{}, "3019" + "300b060960864801650304012d" + "a0020400" + "a206040400000100"},
	} {
		got, err := sharedInfo(wrap, tc.ukm, 32)
		if err != nil || !bytes.Equal(got, unhex(t, tc.want)) {
			t.Errorf("%q: got %x, %v, want %s", tc.ukm, got, err, tc.want)
		}
	}
}

// TestDerive checks that HKDF gets the keying material as salt too, and which
// hash each scheme has.
func TestDerive(t *testing.T) {
	secret, wrap, ukm := []byte("secret"), unhex(t, "300b060960864801650304012d"), []byte("material")
	info, err := sharedInfo(wrap, ukm, 32)
	if err != nil {
		t.Fatal(err)
	}
	want256, _ := hkdf.Key(sha256.New, secret, ukm, string(info), 32)
	want512, _ := hkdf.Key(sha512.New, secret, ukm, string(info), 32)
	for _, tc := range []struct {
		s    scheme
		want []byte
	}{
		{schemeOf(crypto.SHA256, true), want256},
		{schemeOf(crypto.SHA512, true), want512},
		{schemeOf(crypto.SHA384, false), x963KDF(crypto.SHA384, secret, info, 32)},
	} {
		if got, err := tc.s.derive(secret, wrap, ukm, 32); err != nil || !bytes.Equal(got, tc.want) {
			t.Errorf("%s: got %x, %v, want %x", tc.s.name, got, err, tc.want)
		}
	}
}
