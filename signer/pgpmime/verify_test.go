package pgpmime

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"waxseal/signer"
)

// verified verifies one detached signature.
func verified(t testing.TB, text string, signature []byte, held []*Certificate, o VerifyOptions) signer.Verification {
	t.Helper()
	if o.Time.IsZero() {
		o.Time = day()
	}
	found, err := Verify(strings.NewReader(text), signature, held, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 {
		t.Fatalf("%d verifications", len(found))
	}
	return found[0]
}

func (g gnupg) sign(t testing.TB, text string, args ...string) []byte {
	t.Helper()
	return g.encryptWithGPG(t, text, append(args, "--detach-sign")...)
}

// verdicts is a verification in five words.
func verdicts(v signer.Verification) string {
	return fmt.Sprint(v.Integrity.Verdict, " ", v.Certificate.Verdict, " ", v.Chain.Verdict, " ", v.Address.Verdict, " ", v.Revocation.Verdict)
}

func TestVerifyWhatGPGSigns(t *testing.T) {
	g := gpg(t)
	const text = "Hello  \r\nWorld\t\r\n"
	for _, user := range append(gpgUsers, "solo@example.com") {
		held := []*Certificate{g.recipient(t, "gone@example.com"), g.recipient(t, user)}
		for _, args := range [][]string{{"--armor"}, {}, {"--textmode"}, {"--digest-algo", "SHA512"}, {"--digest-algo", "SHA384"}} {
			if user == "otto@example.com" && slices.Contains(args, "SHA384") {
				continue // too short for the curve, says gpg
			}
			signature := g.sign(t, text, append(args, "-u", user)...)
			v := verified(t, text, signature, held, VerifyOptions{Address: strings.ToUpper(user)})
			if v.Result().Verdict != signer.Pass {
				t.Errorf("%s, %s: %+v", user, args, v)
			}
			if v.Scheme != "pgp" || v.Fingerprint != g.fingerprint(user) || !slices.Equal(v.Addresses, []string{user}) ||
				!strings.Contains(v.Identifier, "<"+user+">") || time.Since(v.SignedAt).Abs() > time.Hour || !strings.Contains(v.Algorithm, "-sha") {
				t.Errorf("%+v", v)
			}
			if v := verified(t, text+" ", signature, held, VerifyOptions{Address: user}); verdicts(v) != "fail pass pass pass pass" {
				t.Errorf("%s, changed: %s", user, verdicts(v))
			}
		}
	}
}

// Each finding is made apart from the others.
func TestVerifyFindings(t *testing.T) {
	g := gpg(t)
	const text = "Hello\r\n"
	parse := func(name, user string) []*Certificate {
		c, err := ParseCertificate(name, g.certificate(t, user))
		if err != nil {
			t.Fatal(err)
		}
		return []*Certificate{c}
	}
	edda := g.sign(t, text, "-u", "edda@example.com")
	later := day().Add(48 * time.Hour)
	// Made before its key was revoked or its key ended.
	past := g.encryptWithGPG(t, text, "--faked-system-time", "20200102T000000!", "-u", "past@example.com", "--detach-sign")
	expiring := g.sign(t, text, "-u", "edda@example.com", "--default-sig-expire", "1d")
	for what, test := range map[string]struct {
		signature []byte
		held      []*Certificate
		o         VerifyOptions
		want      string
		words     string
	}{
		"good":                {edda, parse("edda@example.com", "edda@example.com"), VerifyOptions{Address: "edda@example.com"}, "pass pass pass pass pass", ""},
		"no address":          {edda, parse("edda@example.com", "edda@example.com"), VerifyOptions{}, "pass pass pass none pass", "not everything"},
		"another author":      {edda, parse("edda@example.com", "edda@example.com"), VerifyOptions{Address: "rosa@example.com"}, "pass pass fail fail pass", "held for edda@example.com, not for rosa@example.com"},
		"held for another":    {edda, parse("rosa@example.com", "edda@example.com"), VerifyOptions{Address: "edda@example.com"}, "pass pass fail pass pass", "held for rosa"},
		"others in user id":   {edda, parse("rosa@example.com", "edda@example.com"), VerifyOptions{Address: "rosa@example.com"}, "pass pass pass fail pass", "no valid user id"},
		"of the domain":       {edda, parse("example.com", "edda@example.com"), VerifyOptions{Address: "rosa@example.com"}, "pass pass pass pass pass", ""},
		"of another domain":   {edda, parse("example.org", "edda@example.com"), VerifyOptions{Address: "rosa@example.org"}, "pass pass pass fail pass", "no valid user id"},
		"domain without any":  {g.sign(t, text, "-u", "Bare"), parse("example.org", "Bare"), VerifyOptions{Address: "rosa@example.org"}, "pass pass pass pass pass", ""},
		"unknown key":         {edda, parse("rosa@example.com", "rosa@example.com"), VerifyOptions{Address: "edda@example.com"}, "neutral neutral none none none", "not known here"},
		"nothing held":        {edda, nil, VerifyOptions{}, "neutral neutral none none none", "not known here"},
		"weak digest":         {g.sign(t, text, "-u", "rosa@example.com", "--digest-algo", "SHA1"), parse("rosa@example.com", "rosa@example.com"), VerifyOptions{Address: "rosa@example.com"}, "policy pass pass pass pass", "sha1 is too weak"},
		"weaker digest":       {g.sign(t, text, "-u", "rosa@example.com", "--digest-algo", "RIPEMD160"), parse("rosa@example.com", "rosa@example.com"), VerifyOptions{Address: "rosa@example.com"}, "policy none none none none", "ripemd160 is too weak"},
		"short key":           {g.sign(t, text, "-u", "weak@example.com"), parse("weak@example.com", "weak@example.com"), VerifyOptions{Address: "weak@example.com"}, "policy policy pass pass pass", "1024 bits"},
		"ended":               {past, parse("past@example.com", "past@example.com"), VerifyOptions{Address: "past@example.com"}, "pass fail pass pass pass", "expired"},
		"not ended then":      {past, parse("past@example.com", "past@example.com"), VerifyOptions{Address: "past@example.com", Time: time.Date(2020, 1, 3, 0, 0, 0, 0, time.UTC)}, "pass pass pass pass pass", ""},
		"revoked":             {g.revokedSignature(t, text), parse("dead@example.com", "dead@example.com"), VerifyOptions{Address: "dead@example.com"}, "pass fail pass pass fail", "revoked"},
		"signature ends":      {expiring, parse("edda@example.com", "edda@example.com"), VerifyOptions{Address: "edda@example.com"}, "pass pass pass pass pass", ""},
		"signature has ended": {expiring, parse("edda@example.com", "edda@example.com"), VerifyOptions{Address: "edda@example.com", Time: later}, "fail pass pass pass pass", "expired on"},
		"tomorrow's":          {g.encryptWithGPG(t, text, "--faked-system-time", later.UTC().Format("20060102T150405")+"!", "-u", "edda@example.com", "--detach-sign"), parse("edda@example.com", "edda@example.com"), VerifyOptions{Address: "edda@example.com"}, "fail pass pass pass pass", "future"},
	} {
		v := verified(t, text, test.signature, test.held, test.o)
		if got := verdicts(v); got != test.want || !strings.Contains(v.Result().Reason, test.words) {
			t.Errorf("%s: %s, not %s\n%+v", what, got, test.want, v)
		}
	}
}

// revokedSignature is one by a key that has been revoked since.
func (g gnupg) revokedSignature(t testing.TB, text string) []byte {
	t.Helper()
	k := g.key(t, "dead@example.com")
	return signedBy(t, text, k.cert.entity.PrivateKey, nil)
}

// signedBy signs with a key as it is, after change has been at the signature.
func signedBy(t testing.TB, text string, k *packet.PrivateKey, change func(*packet.Signature)) []byte {
	t.Helper()
	config := environment{}.config()
	sig := &packet.Signature{
		Version: k.Version, SigType: packet.SigTypeBinary, PubKeyAlgo: k.PubKeyAlgo, Hash: digestFor(&k.PublicKey, 0),
		CreationTime: config.Now(), IssuerKeyId: &k.KeyId, IssuerKeyVersion: uint8(k.Version), IssuerFingerprint: k.Fingerprint,
	}
	if change != nil {
		change(sig)
	}
	h, err := sig.PrepareSign(config)
	if err != nil {
		t.Fatal(err)
	}
	h.Write([]byte(text))
	if err := sig.Sign(h, k, config); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := sig.Serialize(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Signatures that gpg does not make.
func TestVerifyOddSignatures(t *testing.T) {
	g := gpg(t)
	const text = "Hello\r\n"
	edda := g.key(t, "edda@example.com")
	primary := edda.cert.entity.PrivateKey
	good := signedBy(t, text, primary, nil)
	held := []*Certificate{edda.Certificate()}
	for what, test := range map[string]struct {
		signature []byte
		want      string
		words     string
	}{
		"good": {good, "pass pass pass pass pass", ""},
		"of a key": {signedBy(t, text, primary, func(s *packet.Signature) { s.SigType = packet.SigTypePositiveCert }),
			"fail none none none none", "0x13"},
		"a timestamp": {signedBy(t, text, primary, func(s *packet.Signature) { s.SigType = 0x40 }),
			"fail none none none none", "0x40"},
		"standalone": {signedBy(t, text, primary, func(s *packet.Signature) { s.SigType = 0x02 }),
			"fail none none none none", "0x02"},
		"older than its key": {signedBy(t, text, primary, func(s *packet.Signature) { s.CreationTime = primary.CreationTime.Add(-time.Hour) }),
			"pass fail pass pass pass", "older than the key"},
		"critical notation": {signedBy(t, text, primary, func(s *packet.Signature) {
			s.Notations = []*packet.Notation{{Name: "only@example.com", Value: []byte("banking"), IsCritical: true}}
		}), "fail pass pass pass pass", "notation"},
		"notation": {signedBy(t, text, primary, func(s *packet.Signature) {
			s.Notations = []*packet.Notation{{Name: "only@example.com", Value: []byte("banking")}}
		}), "pass pass pass pass pass", ""},
		"for others, not encrypted": {signedBy(t, text, primary, func(s *packet.Signature) {
			s.IntendedRecipients = []*packet.Recipient{{KeyVersion: 4, Fingerprint: make([]byte, 20)}}
		}), "pass pass pass pass pass", ""},
		"version 3": {appendPacket(nil, tagSignature, append([]byte{3, 5, 0}, make([]byte, 30)...)),
			"neutral none none none none", "version 3"},
		"md5": {appendPacket(nil, tagSignature, append([]byte{4, 0, 1, 1}, make([]byte, 30)...)),
			"policy none none none none", "md5"},
		"digest 99":      {appendPacket(nil, tagSignature, append([]byte{4, 0, 1, 99}, make([]byte, 30)...)), "neutral none none none none", "digest99"},
		"algorithm 99":   {appendPacket(nil, tagSignature, append([]byte{4, 0, 99, 8}, make([]byte, 30)...)), "neutral none none none none", "not supported"},
		"short":          {appendPacket(nil, tagSignature, []byte{4, 0}), "permerror none none none none", "cut short"},
		"no date":        {appendPacket(nil, tagSignature, append([]byte{4, 0, 22, 8, 0, 0}, make([]byte, 90)...)), "permerror none none none none", "malformed"},
		"empty":          {nil, "permerror none none none none", "malformed"},
		"rubbish":        {[]byte("rubbish"), "permerror none none none none", "malformed"},
		"cut":            {good[:len(good)-3], "permerror none none none none", "malformed"},
		"a text":         {literal("Hello"), "permerror none none none none", "type 11"},
		"padding alone":  {appendPacket(nil, tagPadding, nil), "permerror none none none none", "empty"},
		"armor of a key": {g.certificate(t, "edda@example.com"), "permerror none none none none", "malformed"},
		"huge":           {bytes.Repeat(good, 20000), "permerror none none none none", "larger"},
		"padded":         {append(appendPacket(nil, tagPadding, make([]byte, 9)), good...), "pass pass pass pass pass", ""},
	} {
		v := verified(t, text, test.signature, held, VerifyOptions{Address: "edda@example.com"})
		if got := verdicts(v); got != test.want || !strings.Contains(v.Result().Reason, test.words) {
			t.Errorf("%s: %s, not %s\n%+v", what, got, test.want, v)
		}
	}
}

// An encryption subkey signs nothing, whoever has its private part.
func TestVerifyWrongSubkey(t *testing.T) {
	g := gpg(t)
	const text = "Hello\r\n"
	rosa := g.key(t, "rosa@example.com")
	v := verified(t, text, signedBy(t, text, rosa.cert.entity.Subkeys[0].PrivateKey, nil), []*Certificate{rosa.Certificate()}, VerifyOptions{Address: "rosa@example.com"})
	if verdicts(v) != "pass fail pass pass pass" || !strings.Contains(v.Certificate.Reason, "may not sign") {
		t.Errorf("%+v", v)
	}
	// Nor does another's key that somebody has put under his own as a subkey:
	// the key itself has not signed that.
	mallory, err := ParseKey("mallory@example.com", first(made(t, "mallory@example.com", configEd25519)), nil)
	if err != nil {
		t.Fatal(err)
	}
	victim := g.key(t, "edda@example.com").cert.entity.PrivateKey
	thief := mallory.cert.entity
	binding := &packet.Signature{
		Version: 4, SigType: packet.SigTypeSubkeyBinding, PubKeyAlgo: thief.PrimaryKey.PubKeyAlgo, Hash: digestFor(thief.PrimaryKey, 0),
		CreationTime: time.Now(), IssuerKeyId: &thief.PrimaryKey.KeyId, FlagsValid: true, FlagSign: true,
	}
	if err := binding.SignKey(&victim.PublicKey, thief.PrivateKey, environment{}.config()); err != nil {
		t.Fatal(err)
	}
	thief.Subkeys = append(thief.Subkeys, thief.Subkeys[0])
	stolen := &thief.Subkeys[len(thief.Subkeys)-1]
	stolen.PublicKey, stolen.PrivateKey, stolen.Revocations = &victim.PublicKey, nil, nil
	stolen.Bindings = []*packet.VerifiableSignature{packet.NewVerifiableSig(binding)}
	v = verified(t, text, signedBy(t, text, victim, nil), []*Certificate{mallory.Certificate()}, VerifyOptions{Address: "mallory@example.com"})
	if verdicts(v) != "pass fail pass pass pass" || !strings.Contains(v.Certificate.Reason, "not bound") {
		t.Errorf("%+v", v)
	}
}

func TestVerifySeveralSignatures(t *testing.T) {
	g := gpg(t)
	const text = "Hello\r\n"
	held := []*Certificate{g.recipient(t, "edda@example.com"), g.recipient(t, "rosa@example.com")}
	both := g.sign(t, text, "-u", "edda@example.com", "-u", "rosa@example.com", "-u", "nils@example.com")
	found, err := Verify(strings.NewReader(text), both, held, VerifyOptions{Address: "edda@example.com", Time: day()})
	if err != nil || len(found) != 3 {
		t.Fatalf("%d, %v", len(found), err)
	}
	var results []signer.Verdict
	for _, v := range found {
		results = append(results, v.Result().Verdict)
	}
	slices.Sort(results)
	if !slices.Equal(results, []signer.Verdict{signer.Fail, signer.Neutral, signer.Pass}) {
		t.Errorf("%v", results)
	}
	// A thousand of them cost no more than the limit.
	one := g.sign(t, text, "-u", "edda@example.com")
	found, err = Verify(strings.NewReader(text), bytes.Repeat(one, 1000), held, VerifyOptions{Time: day()})
	if err != nil || len(found) != maxSignaturesOfOne+1 || found[maxSignaturesOfOne].Integrity.Verdict != signer.PermError {
		t.Errorf("%d, %v", len(found), err)
	}
	// The same key twice: the certificate that is held for the address counts.
	other, err := ParseCertificate("rosa@example.com", g.certificate(t, "edda@example.com"))
	if err != nil {
		t.Fatal(err)
	}
	for _, held := range [][]*Certificate{{other, held[0]}, {held[0], other}} {
		if v := verified(t, text, one, held, VerifyOptions{Address: "edda@example.com"}); v.Result().Verdict != signer.Pass {
			t.Errorf("%+v", v)
		}
	}
}

func TestVerifySourceFails(t *testing.T) {
	broken := errors.New("disk is gone")
	good := gpg(t).sign(t, "Hello", "-u", "edda@example.com")
	if _, err := Verify(iotest.ErrReader(broken), good, nil, VerifyOptions{}); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

// What Sign makes, Verify takes, for all keys.
func TestVerifyOwn(t *testing.T) {
	g := gpg(t)
	var keys []*Key
	for _, user := range append(gpgUsers, "solo@example.com") {
		keys = append(keys, g.key(t, user))
	}
	for address, config := range map[string]*packet.Config{"six@example.com": configV6, "new@example.com": configEd25519} {
		k, err := ParseKey(address, first(made(t, address, config)), nil)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	for _, k := range keys {
		signed, signature := detached(t, entity("Hello\n"), k)
		v := verified(t, string(signed), signature, []*Certificate{k.Certificate()}, VerifyOptions{Address: k.cert.name})
		if v.Result().Verdict != signer.Pass || v.Algorithm != k.Algorithm(0) {
			t.Errorf("%s: %+v", k.cert.name, v)
		}
	}
}

// Signed messages in one piece, as gpg --sign makes them.
func TestVerifyMessage(t *testing.T) {
	g := gpg(t)
	held := []*Certificate{g.recipient(t, "edda@example.com"), g.recipient(t, "rosa@example.com")}
	const text = "Hello\r\nWorld\r\n"
	for _, args := range [][]string{{}, {"--armor"}, {"--compress-algo", "none"}, {"--compress-algo", "bzip2"}, {"--textmode"}, {"-u", "rosa@example.com"}} {
		message := g.encryptWithGPG(t, text, append(args, "-u", "edda@example.com", "--sign")...)
		var got bytes.Buffer
		o, err := VerifyMessage(&got, bytes.NewReader(message), held, VerifyOptions{Time: day()})
		if err != nil {
			t.Fatal(err)
		}
		if got.String() != text {
			t.Errorf("%s: %q", args, got.String())
		}
		want := 1
		if slices.Contains(args, "rosa@example.com") {
			want = 2
		}
		if len(o.Signatures) != want {
			t.Errorf("%s: %d signatures", args, len(o.Signatures))
		}
		for _, v := range o.Signatures {
			if verdicts(v) != "pass pass pass none pass" {
				t.Errorf("%s: %+v", args, v)
			}
		}
		// One bit of it.
		for i := range message {
			bad := bytes.Clone(message)
			bad[i] ^= 4
			got.Reset()
			o, err := VerifyMessage(&got, bytes.NewReader(bad), held, VerifyOptions{Time: day()})
			if err == nil && got.String() != text && slices.ContainsFunc(o.Signatures, func(v signer.Verification) bool { return v.Integrity.Verdict == signer.Pass }) {
				t.Fatalf("byte %d: a signature is good over %q", i, got.String())
			}
		}
	}
}

// Signatures and what announces them don't fit together.
func TestVerifyMessageOrder(t *testing.T) {
	g := gpg(t)
	edda := g.key(t, "edda@example.com")
	k := edda.cert.entity.PrivateKey
	held := []*Certificate{edda.Certificate()}
	announce := func(last byte) []byte {
		body := []byte{3, 0, 8, 22}
		for i := 56; i >= 0; i -= 8 {
			body = append(body, byte(k.KeyId>>i))
		}
		return appendPacket(nil, tagOnePass, append(body, last))
	}
	sig := signedBy(t, "Hello", k, nil)
	for what, test := range map[string]struct {
		packets [][]byte
		want    []signer.Verdict
	}{
		"one pass":         {[][]byte{announce(1), literal("Hello"), sig}, []signer.Verdict{signer.Pass}},
		"old style":        {[][]byte{sig, literal("Hello")}, []signer.Verdict{signer.Pass}},
		"two old style":    {[][]byte{sig, sig, literal("Hello")}, []signer.Verdict{signer.Pass, signer.Pass}},
		"both styles":      {[][]byte{sig, announce(1), literal("Hello"), sig}, []signer.Verdict{signer.Pass, signer.Pass}},
		"two":              {[][]byte{announce(0), announce(1), literal("Hello"), sig, sig}, []signer.Verdict{signer.Pass, signer.Pass}},
		"one too few":      {[][]byte{announce(0), announce(1), literal("Hello"), sig}, []signer.Verdict{signer.Pass, signer.PermError}},
		"one too many":     {[][]byte{announce(1), literal("Hello"), sig, sig}, []signer.Verdict{signer.Pass, signer.PermError}},
		"not announced":    {[][]byte{literal("Hello"), sig}, []signer.Verdict{signer.PermError}},
		"other text":       {[][]byte{announce(1), literal("hello"), sig}, []signer.Verdict{signer.Fail}},
		"around the other": {[][]byte{announce(1), compressed(t, packet.CompressionZIP, slices.Concat(announce(1), literal("Hello"), sig)), sig}, []signer.Verdict{signer.Pass, signer.Pass}},
		"none":             {[][]byte{literal("Hello")}, nil},
	} {
		var got bytes.Buffer
		o, err := VerifyMessage(&got, bytes.NewReader(bytes.Join(test.packets, nil)), held, VerifyOptions{Time: day()})
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		var results []signer.Verdict
		for _, v := range o.Signatures {
			results = append(results, v.Integrity.Verdict)
		}
		if !slices.Equal(results, test.want) {
			t.Errorf("%s: %v", what, results)
		}
	}
}
