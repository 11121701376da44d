// Command noop is a milter that lets every message pass, on go-milter as it is:
// what waxseal's speed is compared with. It listens on the unix socket that it
// is given.
package main

import (
	"fmt"
	"net"
	"os"

	"github.com/emersion/go-milter"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: noop SOCKET")
		os.Exit(2)
	}
	l, err := net.Listen("unix", os.Args[1])
	if err == nil {
		server := &milter.Server{NewMilter: func() milter.Milter { return milter.NoOpMilter{} }}
		err = server.Serve(l)
	}
	fmt.Fprintln(os.Stderr, "noop:", err)
	os.Exit(1)
}
