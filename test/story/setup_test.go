package story

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cloud-ca/ccad/ipc"
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

// endStray ends the daemon that a story's setup started in the background.
func endStray(runtimeDir, bin string) {
	socket := filepath.Join(runtimeDir, "ccad", "ccad.sock")
	if _, err := os.Stat(socket); err != nil {
		return
	}
	cmd := exec.Command(bin+"/ccactl", "status", "--json")
	cmd.Env = []string{"CCAD_SOCKET=" + socket}
	out, err := cmd.Output()
	var st ipc.Status
	if err != nil || json.Unmarshal(out, &st) != nil {
		return
	}
	if p, err := os.FindProcess(st.Daemon.PID); err == nil {
		_ = p.Signal(syscall.SIGTERM)
	}
}
