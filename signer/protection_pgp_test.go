package signer

import (
	"encoding/base64"
	"io"
	"strings"
	"testing"
)

// packet builds an OpenPGP packet of the new format.
func packet(tag byte, body string) string {
	n := len(body)
	return string([]byte{0xc0 | tag, 0xff, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + body
}

// partial builds the beginning of a body in pieces: 2^power bytes of it.
func partial(power byte, body string) string {
	return string([]byte{0xe0 | power}) + body[:1<<power]
}

// armored builds armor with a checksum.
func armored(kind, data string) string {
	crc := crc24(crc24Table(), crc24Init, []byte(data))
	sum := base64.StdEncoding.EncodeToString([]byte{byte(crc >> 16), byte(crc >> 8), byte(crc)})
	return "-----BEGIN PGP " + kind + "-----\n\n" + base64Of(data) + "=" + sum + "\n-----END PGP " + kind + "-----\n"
}

var (
	pkesk     = packet(1, "\x03"+strings.Repeat("k", 100))
	skesk     = packet(3, "\x04\x09\x03\x08"+strings.Repeat("s", 9))
	seipd     = packet(18, "\x01"+strings.Repeat("c", 100))
	signature = packet(2, "\x04"+strings.Repeat("s", 100))
)

// pgpMessage builds an encrypted message.
func pgpMessage(ciphertext []byte) string {
	if ciphertext == nil {
		return pkesk + seipd
	}
	return pkesk + packet(18, "\x01"+string(ciphertext))
}

func TestInspectPackets(t *testing.T) {
	body := "\x01" + strings.Repeat("c", 5000)
	marker, padding := packet(10, "PGP"), packet(21, "padding")
	for name, test := range map[string]struct {
		data string
		want bool
	}{
		"plain":                   {pkesk + seipd, true},
		"password":                {skesk + seipd, true},
		"several":                 {marker + pkesk + skesk + padding + pkesk + seipd, true},
		"version 6":               {packet(1, "\x06"+strings.Repeat("k", 100)) + packet(18, "\x02"+strings.Repeat("c", 100)), true},
		"old format":              {"\x84\x14\x03" + strings.Repeat("k", 19) + "\xa5\x00\xff" + body[:255], true},
		"old format, up to end":   {pkesk + "\xa7" + body, true},
		"old format, four octets": {pkesk + "\xa6\x00\x00\x00\xff" + body[:255], true},
		"aead":                    {pkesk + packet(20, "\x01"+strings.Repeat("c", 100)), true},
		"one octet length":        {pkesk + "\xd2\x64" + body[:100], true},
		"two octets length":       {pkesk + "\xd2\xc0\x08" + body[:200], true},
		"partial":                 {pkesk + "\xd2" + partial(9, body) + partial(0, body) + partial(10, body) + "\x00", true},
		"partial, to the end":     {pkesk + "\xd2" + partial(12, body) + "\xc0\x08" + body[:200], true},

		"nothing":                {"", false},
		"no key":                 {seipd, false},
		"only marker":            {marker + seipd, false},
		"only keys":              {pkesk + skesk, false},
		"two":                    {pkesk + seipd + seipd, false},
		"more":                   {pkesk + seipd + "\x00", false},
		"marker after":           {pkesk + seipd + marker, false},
		"literal after":          {pkesk + seipd + packet(11, "b\x00\x00\x00\x00\x00text"), false},
		"literal before":         {packet(11, "b\x00\x00\x00\x00\x00text") + pkesk + seipd, false},
		"literal instead":        {pkesk + packet(11, "b\x00\x00\x00\x00\x00text"), false},
		"user id":                {pkesk + packet(13, "text") + seipd, false},
		"private packet":         {pkesk + packet(60, "text") + seipd, false},
		"false marker":           {packet(10, "TXT") + pkesk + seipd, false},
		"large padding":          {packet(21, strings.Repeat("t", maxPGPPacket+1)) + pkesk + seipd, false},
		"much padding":           {strings.Repeat(packet(21, strings.Repeat("t", maxPGPPacket)), 33) + pkesk + seipd, false},
		"empty key":              {packet(1, "") + seipd, false},
		"key of version 9":       {packet(1, "\x09"+strings.Repeat("k", 100)) + seipd, false},
		"empty password":         {packet(3, "") + seipd, false},
		"empty data":             {pkesk + packet(18, ""), false},
		"short data":             {pkesk + packet(18, "\x01"+strings.Repeat("c", 31)), false},
		"data of version 3":      {pkesk + packet(18, "\x03"+strings.Repeat("c", 100)), false},
		"short tag 9":            {pkesk + packet(9, "text"), false},
		"no packet":              {"Hello, this is text", false},
		"key in pieces":          {"\xc1" + partial(9, body) + "\x00" + seipd, false},
		"short first piece":      {pkesk + "\xd2" + partial(8, body) + "\x00", false},
		"pieces without end":     {pkesk + "\xd2" + partial(9, body), false},
		"signature":              {signature, false},
		"signed and encrypted":   {pkesk + signature + seipd, false},
		"old format, key to end": {"\x87" + body, false},
		"tag 0":                  {pkesk + packet(0, "") + seipd, false},
	} {
		got := inspect(t, encrypted(armored("MESSAGE", test.data)))
		if got.Encrypted != test.want || got.Signed {
			t.Errorf("%s: %+v", name, got)
		}
		checkProtection(t, &got)
		if !test.want || strings.HasPrefix(name, "old format, up to end") {
			continue
		}
		for n := range len(test.data) {
			if err := readEncrypted(strings.NewReader(test.data[:n])); err == nil {
				t.Errorf("%s: encrypted without its last %d bytes", name, len(test.data)-n)
			}
		}
	}
	for name, test := range map[string]struct {
		data string
		want bool
	}{
		"one":              {signature, true},
		"two":              {signature + signature, true},
		"marker":           {marker + signature, true},
		"none":             {"", false},
		"short":            {packet(2, "\x04"), false},
		"large":            {packet(2, "\x04"+strings.Repeat("s", maxPGPPacket)), false},
		"of version 9":     {packet(2, "\x09"+strings.Repeat("s", 100)), false},
		"encrypted":        {pkesk + seipd, false},
		"one-pass message": {packet(4, strings.Repeat("s", 13)) + signature, false},
	} {
		if got := inspect(t, signed("\ntext", armored("SIGNATURE", test.data))); got.Signed != test.want || got.Encrypted {
			t.Errorf("signature %s: %+v", name, got)
		}
	}
}

func TestInspectArmor(t *testing.T) {
	good := armored("MESSAGE", pgpMessage(nil))
	lines := strings.SplitAfter(good, "\n")
	edit := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("no %q to replace", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	sum := lines[len(lines)-3]
	for name, test := range map[string]struct {
		armor string
		want  bool
	}{
		"good":                  {good, true},
		"no checksum":           {edit(sum, ""), true},
		"white space":           {strings.ReplaceAll(good, "\n", " \t\n"), true},
		"before and after":      {"\n \n" + good + "\n\t\n", true},
		"headers":               {edit("-\n\n", "-\nVersion: 1\nComment: a: b\n\n"), true},
		"one line":              {edit(strings.Join(lines[2:len(lines)-3], ""), strings.ReplaceAll(strings.Join(lines[2:len(lines)-3], ""), "\n", "")+"\n"), true},
		"empty line within":     {edit(lines[2], lines[2]+"\n"), true},
		"checksum wrong":        {edit(sum, "=AAAA\n"), false},
		"checksum malformed":    {edit(sum, "=A!AA\n"), false},
		"checksum twice":        {edit(sum, sum+sum), false},
		"data after checksum":   {edit(sum, sum+"AAAA\n"), false},
		"no end":                {edit(lines[len(lines)-2], ""), false},
		"end of another kind":   {edit("-----END PGP MESSAGE", "-----END PGP SIGNATURE"), false},
		"no empty line":         {edit("-\n\n", "-\n"), false},
		"header without colon":  {edit("-\n\n", "-\nThe secret\n\n"), false},
		"header of text":        {edit("-\n\n", "-\nThe secret: 42\n\n"), false},
		"large headers":         {edit("-\n\n", "-\n"+strings.Repeat("Comment: "+strings.Repeat("t", 60)+"\n", 20)+"\n"), false},
		"padding within":        {edit(lines[2], "AA==\n"+lines[2]), false},
		"text within":           {edit(lines[2], lines[2]+"The secret is 42.\n"), false},
		"long line":             {edit(lines[2], strings.Repeat("A", 5000)+"\n"+lines[2]), false},
		"text before":           {"Hello\n" + good, false},
		"text after":            {good + "Hello\n", false},
		"text in the last line": {edit("-----END PGP MESSAGE-----", "-----END PGP MESSAGE----- Hello"), false},
		"text in the first":     {edit("-----BEGIN PGP MESSAGE-----", "-----BEGIN PGP MESSAGE----- Hello"), false},
		"indented":              {" " + strings.ReplaceAll(good, "\n", "\n "), false},
		"quoted":                {"> " + strings.ReplaceAll(good, "\n", "\n> "), false},
		"word alone":            {"-----BEGIN PGP MESSAGE-----\n", false},
		"word in a text":        {"-----BEGIN PGP MESSAGE-----\n\nThe secret is 42.\n-----END PGP MESSAGE-----\n", false},
		"nothing":               {"", false},
	} {
		for kind, message := range map[string]string{"mime": encrypted(test.armor), "inline": onePart("text/plain", "7bit", test.armor)} {
			if got := inspect(t, message); got.Encrypted != test.want {
				t.Errorf("%s, %s: %+v", name, kind, got)
			}
		}
	}
}

func TestInspectMultiparts(t *testing.T) {
	good := encrypted(armored("MESSAGE", pgpMessage(nil)))
	text := strings.Repeat("The secret is 42. ", 60) + "\n"
	for name, test := range map[string]struct {
		old, new string
		want     bool
	}{
		"good":                     {"", "", true},
		"no preamble":              {"This is an OpenPGP/MIME encrypted message (RFC 4880 and 3156)\n", "", true},
		"large preamble":           {"This is", text, false},
		"short epilogue":           {"--b--\n", "--b--\n\n", true},
		"large epilogue":           {"--b--\n", "--b--\n" + text, false},
		"parameter as a token":     {"\"application/pgp-encrypted\"", "application/pgp-encrypted", true},
		"case of the protocol":     {"\"application/pgp-encrypted\"", "\"Application/PGP-Encrypted\"", true},
		"part before":              {"--b\n", "--b\n\ntext\n--b\n", false},
		"part after":               {"--b--\n", "--b\n\ntext\n--b--\n", false},
		"part after the end":       {"--b--\n", "--b--\n--b\n\ntext\n--b--\n", false},
		"no closing boundary":      {"--b--\n", "", false},
		"one part":                 {"--b\nContent-Type: application/octet-stream", "Content-Type: application/octet-stream", false},
		"another protocol":         {"\"application/pgp-encrypted\"", "\"application/x-secret\"", false},
		"no protocol":              {"protocol=\"application/pgp-encrypted\"; ", "", false},
		"another control part":     {"Content-Type: application/pgp-encrypted\n", "Content-Type: text/plain\n", false},
		"text in the control part": {"Version: 1\n", "Version: 1\nThe secret is 42.\n", false},
		"much in the control part": {"Version: 1\n", "Version: 1\n" + strings.Repeat("\n", 2000) + "The secret is 42.\n", false},
		"another version":          {"Version: 1\n", "Version: 2\n", false},
		"no version":               {"Version: 1\n", "\n", false},
		"another data part":        {"application/octet-stream", "text/plain", false},
		"large part header":        {"name=encrypted.asc\n", "name=encrypted.asc\n" + strings.Repeat("X-Note: "+strings.Repeat("t", 60)+"\n", 80), false},
		"text in a part header":    {"name=encrypted.asc\n", "name=encrypted.asc\nThe secret is 42.\n", false},
		"two types":                {"MIME-Version: 1.0\n", "Content-Type: text/plain\n", false},
		"two types, other order":   {"boundary=b\n", "boundary=b\nContent-Type: text/plain\n", false},
		"two boundaries":           {"boundary=b\n", "boundary=c; boundary=b\n", false},
		"two encodings":            {"name=encrypted.asc\n", "name=encrypted.asc\nContent-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64\n", false},
		"another multipart":        {"multipart/encrypted", "multipart/mixed", false},
	} {
		message := good
		if test.old != "" {
			if !strings.Contains(good, test.old) {
				t.Fatalf("%s: no %q to replace", name, test.old)
			}
			message = strings.Replace(good, test.old, test.new, 1)
		}
		got := inspect(t, message)
		checkProtection(t, &got)
		if got.Encrypted != test.want {
			t.Errorf("%s: %+v", name, got)
		}
		if !test.want && got.Why == "" && name != "another multipart" {
			t.Errorf("%s: no reason", name)
		}
	}
}

// A signature around an encrypted message: both, unless there is text beside it.
func TestInspectSignedAround(t *testing.T) {
	inner := strings.TrimPrefix(encrypted(armored("MESSAGE", pgpMessage(nil))), "Subject: x\n")
	sig := armored("SIGNATURE", signature)
	if got := inspect(t, signed(inner, sig)); !got.Signed || !got.Encrypted {
		t.Errorf("%+v", got)
	}
	text := strings.Repeat("The secret is 42. ", 60) + "\n"
	for name, message := range map[string]string{
		"preamble": strings.Replace(signed(inner, sig), "--s\n", text+"--s\n", 1),
		"epilogue": signed(inner, sig) + text,
		"mixed":    signed("Content-Type: multipart/mixed; boundary=m\n\n--m\n"+inner+"--m--", sig),
	} {
		if got := inspect(t, message); !got.Signed || got.Encrypted {
			t.Errorf("%s: %+v", name, got)
		}
	}
	deep := "\ntext"
	for range 60 {
		deep = strings.TrimPrefix(signed(deep, sig), "Subject: x\n")
	}
	if got := inspect(t, "Subject: x\n"+deep); got.Encrypted {
		t.Errorf("60 signatures: %+v", got)
	}
}

// inspectReads reports whether base64 can be read to its end.
func inspectReads(text string) bool {
	_, err := io.Copy(io.Discard, newBase64Reader(strings.NewReader(text)))
	return err == nil
}
