package directory

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waxseal/keys"
	"waxseal/keys/storetest"
)

func TestWriter(t *testing.T) {
	storetest.Run(t, func(t *testing.T, now func() time.Time) keys.Writer { return &Store{Path: t.TempDir(), Now: now} })
}

// Whoever copies the directory or looks at it while it is written must see
// nothing but whole files that only the owner can read.
func TestFiles(t *testing.T) {
	s := &Store{Path: t.TempDir()}
	e := keys.Entry{Scheme: keys.SMIME, Name: storetest.Address, Own: true}
	for range 3 {
		if _, err := s.Put(t.Context(), e, storetest.Material(t, e.Name, time.Hour, 0), keys.AnyVersion); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]bool{".lock": true, "smime/alice@example.com.pem": true,
		"history/smime/alice@example.com/1.pem": true, "history/smime/alice@example.com/2.pem": true}
	err := filepath.WalkDir(s.Path, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(s.Path, path)
		switch {
		case d.IsDir():
			if name != "." && info.Mode().Perm() != 0o700 {
				t.Errorf("%s has mode %v", name, info.Mode())
			}
		case !want[name]:
			t.Errorf("%s was left behind", name)
		case info.Mode().Perm() != 0o600:
			t.Errorf("%s has mode %v", name, info.Mode())
		}
		delete(want, name)
		return nil
	})
	if err != nil || len(want) != 0 {
		t.Errorf("%v; missing: %v", err, want)
	}
	text, err := os.ReadFile(filepath.Join(s.Path, "smime", e.Name+".pem"))
	if err != nil || !strings.HasPrefix(string(text), "Source: made for a test\n-----BEGIN CERTIFICATE-----\n") {
		t.Errorf("%.60q, %v", text, err)
	}
	// A source must not become a part of the PEM.
	m := storetest.Material(t, e.Name, time.Hour, 0)
	m.Source = "x\n-----BEGIN CERTIFICATE-----\n"
	if _, err := s.Put(t.Context(), e, m, keys.AnyVersion); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Key(t.Context(), keys.SMIME, e.Name); err != nil {
		t.Error(err)
	}
}

// A binary key becomes text, which has a place for the source.
func TestBinary(t *testing.T) {
	s := &Store{Path: t.TempDir()}
	e := keys.Entry{Scheme: keys.PGP, Name: "bob@partner.example"}
	binary := []byte{0xc6, 1, 4}
	if _, err := s.Put(t.Context(), e, keys.Material{Certificate: binary, Source: "gpg"}, 0); err != nil {
		t.Fatal(err)
	}
	c, err := s.Certificate(t.Context(), keys.PGP, e.Name)
	if err != nil || !strings.HasPrefix(string(c.OpenPGP), "Source: gpg\n-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nxgEE\n") {
		t.Errorf("%+v, %v", c, err)
	}
	_, err = s.Put(t.Context(), keys.Entry{Scheme: keys.SMIME, Name: e.Name, Own: true}, keys.Material{TransitKey: "x"}, 0)
	if err == nil || !strings.Contains(err.Error(), "can't have a key in Transit") {
		t.Errorf("a key in Transit: %v", err)
	}
	if err := (&Store{Path: s.Path + "/none"}).Ready(t.Context()); err == nil {
		t.Error("a directory that is not there is ready")
	}
	if err := s.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}
