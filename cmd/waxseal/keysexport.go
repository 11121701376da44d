package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"waxseal/cmd/waxseal/keytool"
	"waxseal/keys"
)

func (k *keysTool) exportCommand() *cobra.Command {
	var format, out, wkd, method string
	cmd := &cobra.Command{
		Use:   "export NAME | export -wkd DIR [NAME...]",
		Short: "Write the public parts: PEM, PKCS #7, OpenPGP armor, or a Web Key Directory",
		Long: `Write the public parts of an entry. A private key is never written.

With -wkd all our own OpenPGP keys, or those named, are written as a Web Key
Directory below the root of a web server: with the advanced method the host is
openpgpkey.DOMAIN, with -method direct it is DOMAIN itself.`,
		RunE: k.run(func(args []string) error {
			switch {
			case wkd != "":
				return k.exportWKD(wkd, method, args)
			case len(args) != 1:
				return errors.New("export writes one entry: give its name, or -wkd DIR")
			}
			return k.export(args[0], format, out)
		}),
	}
	cmd.Flags().StringVar(&format, "format", "", "`FORMAT`: "+strings.Join(keytool.Formats(), ", "))
	cmd.Flags().StringVar(&out, "out", "", "`FILE` to write to instead of standard output")
	cmd.Flags().StringVar(&wkd, "wkd", "", "`DIRECTORY` that a web server serves")
	cmd.Flags().StringVar(&method, "method", "advanced", "advanced or direct")
	return cmd
}

func (k *keysTool) export(arg, format, out string) error {
	r, err := k.findOne(arg)
	if err != nil {
		return err
	}
	data, err := keytool.Export(r, format)
	if err != nil {
		return err
	}
	if out == "" {
		_, err = k.out.Write(data)
		return err
	}
	return os.WriteFile(out, data, 0o644)
}

// published is a key in a Web Key Directory.
type published struct {
	Entry string `json:"entry"`
	File  string `json:"file"`
}

func (k *keysTool) exportWKD(dir, method string, args []string) error {
	if method != "advanced" && method != "direct" {
		return fmt.Errorf("there is no method %q: use advanced or direct", method)
	}
	var records []*keys.Record
	var errs []error
	if len(args) == 0 {
		entries, err := k.store.List(k.ctx)
		errs = append(errs, err)
		for _, e := range entries {
			if !e.Own || e.Scheme != keys.PGP || !strings.Contains(e.Name, "@") {
				continue
			}
			r, err := k.store.Read(k.ctx, e)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			records = append(records, r)
		}
	}
	for _, arg := range args {
		found, err := k.find("pgp/" + strings.TrimPrefix(arg, "pgp/"))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		records = append(records, found...)
	}
	all := []published{}
	var rows [][]string
	for n, r := range records {
		k.progress("write", n+1, len(records))
		file, err := keytool.WriteWKD(dir, r, method == "direct")
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, published{r.Entry.String(), file})
		rows = append(rows, []string{r.Entry.String(), file})
	}
	return errors.Join(append(errs, k.table(all, "ENTRY FILE", rows))...)
}
