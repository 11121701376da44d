package directory

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"waxseal/keys"
	"waxseal/test/identities"
)

func TestStore(t *testing.T) {
	ids := identities.Make(t)
	s := &Store{Path: ids.Store}
	ctx := t.Context()

	for _, name := range []string{identities.Alice, identities.Carol, identities.Ida} {
		k, err := s.Key(ctx, keys.SMIME, name)
		if err != nil || len(k.Chain) < 2 || k.Signer == nil || !k.Own {
			t.Errorf("S/MIME key of %s: %v, %v", name, k, err)
		}
	}
	for _, name := range []string{identities.Alice, identities.Pia} {
		if k, err := s.Key(ctx, keys.PGP, name); err != nil || len(k.OpenPGP) == 0 {
			t.Errorf("PGP key of %s: %v", name, err)
		}
	}
	for _, name := range []string{identities.Bob, identities.Erin, identities.Uwe, identities.Gateway} {
		if c, err := s.Certificate(ctx, keys.SMIME, name); err != nil || len(c.X509) != 1 || c.Own {
			t.Errorf("S/MIME certificate of %s: %v", name, err)
		}
	}
	if c, err := s.Certificate(ctx, keys.PGP, identities.Dan); err != nil || len(c.OpenPGP) == 0 {
		t.Errorf("PGP certificate of %s: %v", identities.Dan, err)
	}
	if c, err := keys.FindCertificate(ctx, s, keys.SMIME, "Anybody@Gateway.example"); err != nil || c.Name != identities.Gateway {
		t.Errorf("somebody behind the gateway: %v, %v", c, err)
	}
	if c, err := keys.FindCertificate(ctx, s, keys.PGP, identities.Pia); err != nil || !c.Own || bytes.Contains(c.OpenPGP, []byte("PRIVATE")) {
		t.Errorf("one of ours: %v", err)
	}
	if k, err := keys.FindKey(ctx, s, keys.SMIME, "Ida@Bücher.example", "address"); err != nil || k.Name != identities.Ida {
		t.Errorf("IDN in U-labels: %v, %v", k, err)
	}

	for _, name := range []string{identities.Nobody, "../smime/alice@example.com", "a\x00b@example.com", strings.Repeat("l", 250) + "@x.y"} {
		if _, err := s.Key(ctx, keys.SMIME, name); !errors.Is(err, keys.ErrNotFound) {
			t.Errorf("%q: error %v, want ErrNotFound", name, err)
		}
	}

	entries, err := s.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []keys.Entry{
		{Scheme: keys.SMIME, Name: identities.Alice, Own: true}, {Scheme: keys.PGP, Name: identities.Pia, Own: true},
		{Scheme: keys.SMIME, Name: identities.Gateway}, {Scheme: keys.PGP, Name: identities.Dan},
	} {
		if !slices.Contains(entries, e) {
			t.Errorf("%v is not listed", e)
		}
	}
	if !slices.IsSortedFunc(entries, keys.Entry.Compare) {
		t.Errorf("not sorted: %v", entries)
	}
	late := &Store{Path: ids.Store, Now: func() time.Time { return time.Now().Add(50 * 365 * 24 * time.Hour) }}
	if _, err := late.Key(ctx, keys.SMIME, identities.Alice); err == nil || !strings.HasPrefix(err.Error(), "smime/alice@example.com: certificate expired") {
		t.Errorf("in fifty years: %v", err)
	}

	testMode(t, ids)

	// An expired certificate of the address must not be passed over for the
	// domain's.
	ids.Expired(t, identities.Erin)
	if _, err := keys.FindCertificate(ctx, s, keys.SMIME, identities.Erin); err == nil || errors.Is(err, keys.ErrNotFound) || !strings.Contains(err.Error(), "recipients/erin@partner.example (smime): certificate expired") {
		t.Errorf("expired: %v", err)
	}
}

func testMode(t *testing.T, ids *identities.Set) {
	t.Helper()
	s := &Store{Path: ids.Store}
	path := filepath.Join(ids.Store, "smime", identities.Alice+".pem")
	for mode, want := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o640: true, 0o644: true} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		k, err := s.Key(t.Context(), keys.SMIME, identities.Alice)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(k.Warnings(time.Now()), "; ")
		if strings.Contains(got, "chmod 600") != want {
			t.Errorf("mode %o: warnings %q", mode, got)
		}
	}
}

// Each entry is there and can't be used, so none of them may be said not to
// exist.
func TestBroken(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside.pem")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, d := range []string{"smime", "pgp", "recipients"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		make func(path string) error
		want string
	}{
		"empty":         {func(p string) error { return os.WriteFile(p, nil, 0o600) }, "no certificate"},
		"directory":     {func(p string) error { return os.Mkdir(p, 0o700) }, "not a regular file"},
		"fifo":          {func(p string) error { return syscall.Mkfifo(p, 0o600) }, "not a regular file"},
		"too large":     {func(p string) error { return os.WriteFile(p, make([]byte, keys.MaxSize+1), 0o600) }, "larger than"},
		"link outside":  {func(p string) error { return os.Symlink(outside, p) }, "escapes"},
		"relative link": {func(p string) error { return os.Symlink("../../../../../../etc/passwd", p) }, "escapes"},
		"dangling link": {func(p string) error { return os.Symlink("nowhere.pem", p) }, "no such file"},
		"loop":          {func(p string) error { return os.Symlink(filepath.Base(p), p) }, "too many"},
	} {
		base := strings.ReplaceAll(name, " ", "-") + "@example.com"
		if err := c.make(filepath.Join(dir, "smime", base+".pem")); err != nil {
			t.Fatal(err)
		}
		_, err := (&Store{Path: dir}).Key(t.Context(), keys.SMIME, base)
		if err == nil || errors.Is(err, keys.ErrNotFound) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "smime/"+base) {
			t.Errorf("%s: error %v, want one that names the entry and has %q", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error has what the file holds: %v", name, err)
		}
	}
}

func TestDirectory(t *testing.T) {
	ctx := t.Context()
	gone := &Store{Path: filepath.Join(t.TempDir(), "gone")}
	if _, err := gone.Key(ctx, keys.SMIME, "a@b"); err == nil || errors.Is(err, keys.ErrNotFound) {
		t.Errorf("no directory: error %v, want one that is not ErrNotFound", err)
	}
	if _, err := gone.List(ctx); err == nil {
		t.Error("no directory: it is listed")
	}

	dir := t.TempDir()
	s := &Store{Path: dir}
	if _, err := s.Key(ctx, keys.SMIME, "a@b"); !errors.Is(err, keys.ErrNotFound) {
		t.Errorf("empty directory: %v", err)
	}
	if got, err := s.List(ctx); err != nil || len(got) != 0 {
		t.Errorf("empty directory: %v, %v", got, err)
	}
	if _, err := s.Key(ctx, "x509", "a@b"); err == nil || errors.Is(err, keys.ErrNotFound) {
		t.Errorf("unknown scheme: %v", err)
	}
	if _, err := s.Key(ctx, keys.SMIME, "A@b"); err == nil || errors.Is(err, keys.ErrNotFound) {
		t.Errorf("name not in normal form: %v", err)
	}
	ended, end := context.WithCancel(ctx)
	end()
	if _, err := s.Key(ended, keys.SMIME, "a@b"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}

	if err := os.Mkdir(filepath.Join(dir, "recipients"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"a@b.pem", "Bob@Example.org.pem", "..pem", "README", "c@d.asc"} {
		if err := os.WriteFile(filepath.Join(dir, "recipients", f), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.List(ctx)
	want := []keys.Entry{{Scheme: keys.PGP, Name: "c@d"}, {Scheme: keys.SMIME, Name: "a@b"}}
	if !slices.Equal(got, want) {
		t.Errorf("list: %v, want %v", got, want)
	}
	if err == nil || !strings.Contains(err.Error(), "rename it to bob@example.org.pem") || !strings.Contains(err.Error(), "recipients/..pem") || strings.Contains(err.Error(), "README") {
		t.Errorf("list: error %v, want one about each misnamed file", err)
	}

	// An smime folder that is not mounted is no empty one.
	if err := os.Symlink("elsewhere", filepath.Join(dir, "smime")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Key(ctx, keys.SMIME, "a@b"); err == nil || errors.Is(err, keys.ErrNotFound) {
		t.Errorf("folder is a dangling link: error %v, want one that is not ErrNotFound", err)
	}
}
