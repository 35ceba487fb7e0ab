package story

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

// nextProtocol writes what go build makes a ccactl of the next protocol from, as
// an upgrade would bring it while the old daemon still runs.
func nextProtocol(dir string) (overlay string, err error) {
	original := filepath.Join(repo(), "ipc", "ipc.go")
	text, err := os.ReadFile(original)
	if err != nil {
		return "", err
	}
	now := fmt.Sprintf("const Protocol = %d", ipc.Protocol)
	if !bytes.Contains(text, []byte(now)) {
		return "", fmt.Errorf("%s does not say %s", original, now)
	}
	changed, overlay := filepath.Join(dir, "next.go"), filepath.Join(dir, "next.json")
	text = bytes.Replace(text, []byte(now), fmt.Appendf(nil, "const Protocol = %d", ipc.Protocol+1), 1)
	data, err := json.Marshal(map[string]any{"Replace": map[string]string{original: changed}})
	if err == nil {
		err = errors.Join(os.WriteFile(changed, text, 0o600), os.WriteFile(overlay, data, 0o600))
	}
	return overlay, err
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

// stranger COMMAND…: runs it as a user whom no password file knows, without HOME
// and without any XDG folder, in the folder "strange".
func stranger(ts *testscript.TestScript, neg bool, args []string) {
	program := args[0]
	if !strings.Contains(program, "/") {
		program = filepath.Join(ts.Getenv("BIN"), program)
	}
	cmd := exec.Command("unshare", append([]string{"--user", "--map-user=54321", "--map-group=54321", program}, args[1:]...)...)
	cmd.Dir = ts.MkAbs("strange")
	ts.Check(os.MkdirAll(cmd.Dir, 0o700))
	cmd.Env = []string{"PATH=" + ts.Getenv("PATH"), "SHELL=/bin/bash"}
	out, err := cmd.CombinedOutput()
	ts.Logf("%s", out)
	ts.Check(os.WriteFile(ts.MkAbs("said"), out, 0o600))
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		ts.Fatalf("run it in a user namespace: %v", err)
	}
	if (err != nil) != neg {
		ts.Fatalf("it ended with %v", err)
	}
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
