package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"waxseal/cmd/waxseal/keytool"
	"waxseal/keys"
)

// imported is a line of what import says.
type imported struct {
	File    string `json:"file"`
	Entry   string `json:"entry,omitempty"`
	Version int    `json:"version,omitempty"`
	Done    string `json:"done"`
	Error   string `json:"error,omitempty"`
}

func (k *keysTool) importCommand() *cobra.Command {
	var name, passphrase string
	var force, dryRun bool
	cmd := &cobra.Command{
		Use:   "import FILE...",
		Short: "Store keys and certificates from files: PKCS #12, PEM, PKCS #7, OpenPGP",
		Long: `Store keys and certificates from files: PKCS #12 (.p12, .pfx), PEM, DER, PKCS #7
bundles (.p7b, .p7c), OpenPGP keys, armored or binary. "-" is standard input.

A private key with its certificate becomes one of our own keys; a certificate
alone becomes somebody's, to encrypt to, unless it is for a key of ours that is
stored already: then it takes the place of that one's certificate. The names are
the addresses in the certificate, or what -name says.

What has expired or can't be used is refused. With -force an own key of that
kind is stored below the current one, to decrypt old mail.`,
		Args: cobra.MinimumNArgs(1),
		RunE: k.run(func(args []string) error {
			return k.importFiles(args, name, k.passphrase(passphrase), force, dryRun)
		}),
	}
	cmd.Flags().StringVar(&name, "name", "", "`ADDRESS` or domain to store it under")
	cmd.Flags().StringVar(&passphrase, "passphrase-file", "", "`FILE` with the passphrase in its first line; asked for on the terminal without")
	cmd.Flags().BoolVar(&force, "force", false, "keep own keys that can't sign any more, for decryption")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be stored")
	return cmd
}

func (k *keysTool) importFiles(files []string, name string, passphrase func() ([]byte, error), force, dryRun bool) error {
	all := []imported{}
	var rows [][]string
	failed := false
	add := func(i imported) {
		failed = failed || i.Error != ""
		all = append(all, i)
		rows = append(rows, []string{i.File, orDash(i.Entry), strconv.Itoa(i.Version), i.Done, i.Error})
	}
	for n, file := range files {
		k.progress("import", n+1, len(files))
		now := time.Now()
		data, err := k.readFile(file)
		var found []keytool.Found
		var authorities []string
		if err == nil {
			found, authorities, err = keytool.Read(data, keytool.ReadOptions{
				Name: name, Source: "imported from " + filepath.Base(file), Passphrase: passphrase, Now: now,
			})
		}
		if err != nil {
			add(imported{File: file, Done: "refused", Error: err.Error()})
			continue
		}
		for _, f := range found {
			add(k.importOne(file, f, force, dryRun, now))
		}
		for _, a := range authorities {
			add(imported{File: file, Entry: a, Done: "passed over: an authority's certificate belongs into trust_anchors"})
		}
	}
	if err := k.table(all, "FILE ENTRY VERSION DONE PROBLEM", rows); err != nil || !failed {
		return err
	}
	return exitStatus(1)
}

func (k *keysTool) importOne(file string, f keytool.Found, force, dryRun bool, now time.Time) imported {
	f, err := keytool.Adopt(k.ctx, k.store, f)
	done := keytool.Stored{Entry: f.Entry}
	switch {
	case err != nil:
	case dryRun:
		done.Done = "would be stored"
		err = keytool.Usable(&keys.Record{Entry: f.Entry, Material: f.Material}, now)
	default:
		done, err = keytool.Store(k.ctx, k.store, f, force, now)
	}
	i := imported{File: file, Entry: f.Entry.String(), Version: done.Version, Done: done.Done}
	if err != nil {
		i.Done, i.Error = "refused", strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return i
}

func (k *keysTool) readFile(file string) ([]byte, error) {
	if file != "-" {
		return readBounded(file, keytool.MaxFile)
	}
	data, err := io.ReadAll(io.LimitReader(k.in, keytool.MaxFile+1))
	if err == nil && len(data) > keytool.MaxFile {
		err = fmt.Errorf("it is larger than %d octets", keytool.MaxFile)
	}
	return data, err
}

// passphrase returns what reads a passphrase, once: from a file, or from the
// terminal, where it does not show.
func (k *keysTool) passphrase(file string) func() ([]byte, error) {
	var word []byte
	return func() (_ []byte, err error) {
		if word != nil {
			return word, nil
		}
		if file == "" {
			word, err = k.ask("Passphrase: ")
			return word, err
		}
		text, err := readBounded(file, 64<<10)
		if err != nil {
			return nil, fmt.Errorf("read the passphrase: %w", err)
		}
		line, _, _ := bytes.Cut(text, []byte("\n"))
		word = bytes.TrimSuffix(line, []byte("\r"))
		return word, nil
	}
}

func (k *keysTool) ask(prompt string) ([]byte, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, errors.New("a passphrase is needed, and there is no terminal to ask for it: give -passphrase-file FILE")
	}
	defer tty.Close()
	old, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("ask for the passphrase: %w", err)
	}
	silent := *old
	silent.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(int(tty.Fd()), unix.TCSETS, &silent); err != nil {
		return nil, fmt.Errorf("ask for the passphrase: %w", err)
	}
	fmt.Fprint(tty, prompt)
	line, err := bufio.NewReader(io.LimitReader(tty, 64<<10)).ReadString('\n')
	restored := unix.IoctlSetTermios(int(tty.Fd()), unix.TCSETS, old)
	fmt.Fprintln(tty)
	if err := errors.Join(err, restored); err != nil {
		return nil, fmt.Errorf("ask for the passphrase: %w", err)
	}
	return []byte(strings.TrimRight(line, "\r\n")), nil
}

// isTerminal says whether people look at what is written to a file.
func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
