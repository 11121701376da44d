package smime

import (
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestContentType(t *testing.T) {
	cases := []struct{ name, der, want string }{
		{"enveloped", "300d06092a864886f70d010703a000", "enveloped-data"},
		{"enveloped, indefinite", "308006092a864886f70d010703a0800000", "enveloped-data"},
		{"authenticated", "300f060b2a864886f70d0109100117a000", "auth-enveloped-data"},
		{"signed", "300d06092a864886f70d010702a000", "signed-data"},
		{"compressed", "300f060b2a864886f70d0109100109a000", "compressed-data"},
		{"data", "300d06092a864886f70d010701a000", ""},
		{"a certificate", "3082010030", ""},
		{"nothing", "", ""},
		{"a long length", "3089ffffffffffffffffff", ""},
		{"a long identifier", "30840fffffff06840ffffff0", ""},
	}
	for _, c := range cases {
		der, err := hex.DecodeString(c.der)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ContentType(strings.NewReader(string(der))); err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
	}
	disk := errors.New("disk")
	if _, err := ContentType(io.MultiReader(strings.NewReader("\x30"), iotest.ErrReader(disk))); !errors.Is(err, disk) {
		t.Errorf("an error of the reader: %v", err)
	}
}
