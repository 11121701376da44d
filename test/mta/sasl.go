package mta

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
)

// serveUnix answers every connection to a unix socket that every user may use.
func serveUnix(t testing.TB, path string, answer func(net.Conn)) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				answer(c)
			}()
		}
	}()
}

// startDovecotAuth speaks Dovecot's authentication protocol, as far as Postfix
// needs it: every user logs in with Password.
func startDovecotAuth(t testing.TB, path string) {
	t.Helper()
	serveUnix(t, path, func(c net.Conn) {
		io.WriteString(c, "VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t0123456789abcdef0123456789abcdef\nDONE\n")
		for lines := bufio.NewScanner(c); lines.Scan(); {
			words := strings.Split(lines.Text(), "\t")
			if words[0] != "AUTH" || len(words) < 2 {
				continue
			}
			verdict, user := "FAIL", ""
			for _, w := range words[2:] {
				response, ok := strings.CutPrefix(w, "resp=")
				if !ok {
					continue
				}
				// RFC 4616: authorization identity, user and password.
				b, _ := base64.StdEncoding.DecodeString(response)
				if parts := bytes.Split(b, []byte{0}); len(parts) == 3 {
					user = string(parts[1])
					if string(parts[2]) == Password {
						verdict = "OK"
					}
				}
			}
			fmt.Fprintf(c, "%s\t%s\tuser=%s\n", verdict, words[1], user)
		}
	})
}

// startSASLAuthd speaks saslauthd's protocol, which Sendmail's SASL library
// asks: four strings, each after its length in two bytes, and one such string
// as the answer.
func startSASLAuthd(t testing.TB, path string) {
	t.Helper()
	serveUnix(t, path, func(c net.Conn) {
		var words [4]string // user, password, service, realm
		for i := range words {
			var size uint16
			if binary.Read(c, binary.BigEndian, &size) != nil {
				return
			}
			b := make([]byte, size)
			if _, err := io.ReadFull(c, b); err != nil {
				return
			}
			words[i] = string(b)
		}
		answer := "NO"
		if words[1] == Password {
			answer = "OK"
		}
		binary.Write(c, binary.BigEndian, uint16(len(answer)))
		io.WriteString(c, answer)
	})
}
