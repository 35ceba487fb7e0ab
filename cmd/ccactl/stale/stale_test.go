package stale

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestWordsOfLines(t *testing.T) {
	for line, want := range map[string]string{
		`export OS_PASSWORD="hunter2-old"`:                       "hunter2-old",
		`export OS_PASSWORD='with space in it'`:                  "with space in it",
		`OS_PASSWORD=hunter2-old swift list`:                     "hunter2-old",
		`aws_secret_access_key = abc/def+ghi=`:                   "abc/def+ghi=",
		`      password: "hunter2-old"`:                          "hunter2-old",
		`: 1700000000:0;export OS_PASSWORD=hunter2-old`:          "hunter2-old",
		`- cmd: openstack --os-password hunter2-old token issue`: "hunter2-old",
		`swift --os-password=hunter2-old list`:                   "hunter2-old",
		`{"secret": "hunter2-old","x":1}`:                        "hunter2-old",
		`secret_key = 0123456789abcdef0123456789abcdef`:          "0123456789abcdef0123456789abcdef",
	} {
		if words := candidates(line); !slices.Contains(words, want) {
			t.Errorf("%s\n gives %q, without %q", line, words, want)
		}
	}
	if words := candidates("a=1 b=22 " + strings.Repeat("x", maxWord+1)); len(words) != 0 {
		t.Errorf("%q", words)
	}
}

// TestFiles: the usual ones and the named ones are read, each once with its line;
// what is no regular file is named and never waited for.
func TestFiles(t *testing.T) {
	home := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	history := write(".bash_history", "ls\nexport OS_PASSWORD=first-secret\n")
	openrc := write("dev-openrc.sh", "export OS_PASSWORD=second-secret\n")
	download := write("Downloads/dev-openrc (1).sh", "export OS_PASSWORD=fourth-secret\n")
	rendered := write("elsewhere/x.conf", "key = third-secret\n")
	fifo := filepath.Join(home, ".env")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	large := write(".netrc", "")
	if err := os.Truncate(large, maxFile+1); err != nil {
		t.Fatal(err)
	}
	elsewhere := t.TempDir()
	variables := map[string]string{"HISTFILE": filepath.Join(elsewhere, "history"), "ZDOTDIR": filepath.Join(elsewhere, "zsh"), "XDG_CONFIG_HOME": filepath.Join(elsewhere, "config"), "RCLONE_CONFIG": "relative"}
	moved := map[string]string{"history": "by-histfile", "zsh/.zshrc": "by-zdotdir", "config/rclone/rclone.conf": "by-config-home"}
	for name, word := range moved {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(elsewhere, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(elsewhere, name), []byte("export OS_PASSWORD="+word+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(home, "my-openrcs"), 0o700); err != nil {
		t.Fatal(err)
	}
	words, unread := Files(home, func(name string) string { return variables[name] }, []string{rendered, openrc, filepath.Join(home, "missing")})
	places := map[string][]Place{}
	for _, w := range words {
		places[w.Text] = append(places[w.Text], w.Place)
	}
	for word, want := range map[string]Place{
		"first-secret": {File: history, Line: 2}, "second-secret": {File: openrc, Line: 1}, "third-secret": {File: rendered, Line: 1}, "fourth-secret": {File: download, Line: 1},
	} {
		if got := places[word]; len(got) != 1 || got[0] != want {
			t.Errorf("%s at %v, want %v", word, got, want)
		}
	}
	for name, word := range moved {
		if got := places[word]; len(got) != 1 || got[0].File != filepath.Join(elsewhere, name) {
			t.Errorf("%s at %v", word, got)
		}
	}
	if want := []string{fifo, large}; !slices.Equal(unread, want) {
		t.Errorf("unread: %v, want %v", unread, want)
	}
}

func TestProcesses(t *testing.T) {
	if runtime.GOOS != "linux" {
		return
	}
	cmd := exec.Command("sleep", "60")
	cmd.Env = append(os.Environ(), "OS_PASSWORD=a-process's-secret")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	for _, w := range Processes() {
		if w.Text == "a-process's-secret" && w.Place == (Place{PID: cmd.Process.Pid, Program: "sleep", Variable: "OS_PASSWORD"}) {
			return
		}
	}
	t.Error("the process's variable is not found")
}
