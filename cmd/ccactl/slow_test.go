package main

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/ipc"
)

// A daemon that is stopped, or hangs, is given up on, with the command that
// starts it anew; doctor tells of it beside all else.
func TestDaemonThatHangs(t *testing.T) {
	dir := filepath.Dir(hangingDaemon(t))
	readWithin = 50 * time.Millisecond
	t.Cleanup(func() { readWithin = 10 * time.Second })
	t.Setenv("HOME", dir)
	for name, ask := range map[string]func() error{
		"status": func() error { _, err := status(); return err },
		"json":   func() error { return emitJSON("/v1/status") },
		"show":   func() error { return read("/v1/environments/dev", nil) },
	} {
		err := ask()
		if err == nil || !strings.Contains(err.Error(), "takes too long to answer") || hintFor(err) != restartAdvice(0) {
			t.Errorf("%s: %v, with the hint %q", name, err, hintFor(err))
		}
	}
	if names := environmentNames(); names != nil {
		t.Errorf("completion has %q", names)
	}
	var x examination
	x.status, x.err = status()
	found := checkDaemon(x)
	if !slices.ContainsFunc(found, func(f finding) bool { return !f.OK && f.Mend == restartAdvice(0) }) {
		t.Errorf("doctor says %+v", found)
	}
}

// hangingDaemon listens, and never answers, where the daemon is looked for.
func hangingDaemon(t *testing.T) string {
	t.Helper()
	f, err := startFake() // its folder is short, and its own
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.stop)
	socket := filepath.Join(filepath.Dir(f.socket), "hung.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	t.Setenv("CCAD_SOCKET", socket)
	if ipc.SocketPath() != socket {
		t.Fatal("the socket is looked for elsewhere")
	}
	return socket
}
