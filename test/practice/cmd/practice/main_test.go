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

// TestAdministrator: a line of stdin is an act of the administrator, answered by
// a line; the portal shows what it brought.
func TestAdministrator(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	cmd := exec.Command(os.Args[0], "--portal", key)
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
	for len(vars) < 8 && lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), "=")
		vars[key] = value
	}
	for _, c := range [][2]string{
		{"regenerate nobody x", `there is no user "nobody"`},
		{"regenerate " + vars["OS_USERNAME"], "it is: regenerate USER PASSWORD"},
		{"", "it is: regenerate USER PASSWORD"},
		{"regenerate " + vars["OS_USERNAME"] + " second-password", "done"},
	} {
		if _, err := io.WriteString(stdin, c[0]+"\n"); err != nil {
			t.Fatal(err)
		}
		if lines.Scan(); lines.Text() != c[1] {
			t.Errorf("%s: %q", c[0], lines.Text())
		}
	}
	body := `{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"` + vars["OS_USERNAME"] + `","domain":{"id":"default"},"password":"second-password"}}}}}`
	login, err := http.Post(vars["OS_AUTH_URL"]+"/auth/tokens", "application/json", strings.NewReader(body))
	if err != nil || login.StatusCode != http.StatusCreated {
		t.Fatalf("%v, %v", login, err)
	}
	login.Body.Close()
	data, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	ask, _ := http.NewRequest("GET", vars["PORTAL_URL"]+"/environments", nil)
	ask.Header.Set("MC-Api-Key", strings.TrimSpace(string(data)))
	shown, err := http.DefaultClient.Do(ask)
	if err != nil {
		t.Fatal(err)
	}
	list, _ := io.ReadAll(shown.Body)
	shown.Body.Close()
	if shown.StatusCode != http.StatusOK || !strings.Contains(string(list), "dev-ccontini") {
		t.Errorf("%s: %s", shown.Status, list)
	}
	_ = stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

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
