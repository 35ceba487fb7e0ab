package main

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestMain lets the test's binary be the command.
func TestMain(m *testing.M) {
	if os.Getenv("BE_PRACTICE") == "1" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestCommand(t *testing.T) {
	for name, end := range map[string]func(*exec.Cmd, io.Closer) error{
		"the end of stdin": func(_ *exec.Cmd, stdin io.Closer) error { return stdin.Close() },
		"SIGTERM":          func(cmd *exec.Cmd, _ io.Closer) error { return cmd.Process.Signal(syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			ready := filepath.Join(t.TempDir(), "ready")
			cmd := exec.Command(os.Args[0], "--region", "ca-east-1", "--ready-file", ready)
			cmd.Env = append(os.Environ(), "BE_PRACTICE=1")
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines, vars := bufio.NewScanner(stdout), map[string]string{}
			for len(vars) < 7 && lines.Scan() {
				key, value, _ := strings.Cut(lines.Text(), "=")
				vars[key] = value
			}
			if vars["CLOUD_S3_REGION"] != "ca-east-1" || vars["OS_USERNAME"] != "system-ccontini-2925" {
				t.Errorf("lines: %v", vars)
			}
			resp, err := http.Get(vars["OS_AUTH_URL"])
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if err := end(cmd, stdin); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
			data, err := os.ReadFile(ready)
			if err != nil || strings.Count(string(data), "\n") != 7 || !strings.Contains(string(data), "OS_AUTH_URL="+vars["OS_AUTH_URL"]) {
				t.Errorf("ready file: %q, %v", data, err)
			}
		})
	}
}
