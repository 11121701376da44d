// Command waxseal signs and encrypts mail by policy, as a milter of Postfix or
// Sendmail. The commands are in a file each; this one only puts them together.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// version is set at build time: -ldflags "-X main.version=1.2.3".
var version = "dev"

// exitStatus is an error that ends the program with this status. What there is
// to say has been said.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

func main() {
	cmd := root()
	cmd.SetArgs(longFlags(os.Args[1:]))
	err := cmd.Execute()
	var status exitStatus
	switch {
	case errors.As(err, &status):
		os.Exit(int(status))
	case err != nil:
		fmt.Fprintln(os.Stderr, "waxseal:", err)
		os.Exit(1)
	}
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "waxseal",
		Short:         "Sign and encrypt mail by policy, as a milter of Postfix or Sendmail",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.AddCommand(serveCommand(), checkCommand(), filterCommand(), inspectCommand(), keysCommand(), versionCommand())
	return cmd
}

// longFlags writes -config as --config: mail administrators know flags with one
// dash, and no flag here has a short form but -h.
func longFlags(args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		if a == "--" {
			copy(out[i:], args[i:])
			break
		}
		if len(a) > 2 && a[0] == '-' && a[1] != '-' {
			a = "-" + a
		}
		out[i] = a
	}
	return out
}
