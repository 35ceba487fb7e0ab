package story

import (
	"net"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"
)

// repo is the folder of the project: stories read what it ships.
func repo() string {
	path, err := filepath.Abs("../..")
	if err != nil {
		panic(err)
	}
	return path
}

// freePort NAME: sets a variable to a loopback port that is free just now.
func freePort(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	ts.Check(err)
	ts.Check(l.Close())
	ts.Setenv(args[0], port)
}
