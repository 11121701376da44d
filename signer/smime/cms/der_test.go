package cms

import (
	"bytes"
	"encoding/asn1"
	"encoding/hex"
	"testing"

	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestOpen compares length octets with those of encoding/asn1, and checks by
// hand those that no test can hold in memory.
func TestOpen(t *testing.T) {
	for _, n := range []int{0, 1, 5, 126, 127, 128, 129, 255, 256, 257, 65535, 65536, 1 << 20} {
		want, err := asn1.Marshal(make([]byte, n))
		if err != nil {
			t.Fatal(err)
		}
		prefix := make([]byte, n/2)
		got := append(open(casn1.OCTET_STRING, prefix, int64(n-n/2)), make([]byte, n-n/2)...)
		if !bytes.Equal(got, want) {
			t.Errorf("%d octets: the element differs from that of encoding/asn1", n)
		}
	}
	for _, tc := range []struct {
		rest int64
		want string
	}{
		{1<<24 - 1, "0483ffffff"},
		{1 << 24, "048401000000"},
		{1<<32 - 1, "0484ffffffff"},
		{1 << 32, "04850100000000"},
		{maxContent, "04850fffffffe0"},
	} {
		if got := hex.EncodeToString(open(casn1.OCTET_STRING, nil, tc.rest)); got != tc.want {
			t.Errorf("%d octets: got %s, want %s", tc.rest, got, tc.want)
		}
	}
}
