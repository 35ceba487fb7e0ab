package main

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"

	"github.com/cloud-ca/ccad/ipc"
)

// In a real shell on a real terminal a followed command is under job control
// like any other: Ctrl-Z, fg, and one Ctrl-C that reaches it once.
func TestJobControl(t *testing.T) {
	f := daemonFor(t)
	f.set("GET /v1/environments/dev/views/env?as=exec&format=environ", "OS_USERNAME=u")
	c := exec.Command("bash", "--norc", "--noprofile", "-i")
	c.Env = append(os.Environ(), "CCAD_SOCKET="+f.socket, "TERM=dumb", "PS1=at the prompt> ", "HISTFILE=")
	terminal, err := pty.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	press := func(keys, wait string) string {
		t.Helper()
		_, _ = io.WriteString(terminal, keys)
		return until(t, terminal, wait)
	}
	until(t, terminal, "prompt> ")
	press(`ccactl exec dev --on-change restart -- sh -c 'trap "echo inter''rupted" INT; trap "echo fin''ished; exit 3" QUIT; trap "echo contin''ued" CONT; echo be''gun; while :; do sleep 0.05; done'`+"\n", "begun\r\n")
	press("\x1a", "prompt> ")
	press("fg\n", "continued\r\n")
	if seen := press("\x03", "interrupted\r\n") + press("\x1c", "finished\r\n"); strings.Count(seen, "interrupted\r\n") != 1 {
		t.Errorf("saw %q", seen)
	}
	press("echo code $?.\n", "code 3.")
	press("exit\n", "exit")
	_ = c.Wait()
}

// On a terminal a command that fails is reported, and nobody waits for that; one
// that succeeds, or is ended by a signal, is not. Without a terminal the command
// takes ccactl's place.
func TestExecReportsAFailure(t *testing.T) {
	f := daemonFor(t)
	f.set("GET /v1/environments/dev/views/env?as=exec&format=environ", "OS_USERNAME=u")
	for script, want := range map[string]bool{"exit 0": false, "exit 3": true, "kill -TERM $$": false} {
		f.mu.Lock()
		clear(f.asked)
		f.mu.Unlock()
		c, terminal := attend(t, f, "exec", "dev", "--", "sh", "-c", script)
		_, _ = io.Copy(io.Discard, terminal)
		_ = c.Wait()
		if code := c.ProcessState.ExitCode(); want && code != 3 {
			t.Errorf("%s: code %d", script, code)
		}
		f.mu.Lock()
		body, reported := f.asked["POST /v1/verify"]
		f.mu.Unlock()
		if reported != want || want && (!strings.Contains(body, `"rejected":"dev"`) || !strings.Contains(body, `"background":true`)) {
			t.Errorf("%s: reported %v, %s", script, reported, body)
		}
	}
	c := exec.Command("ccactl", "exec", "dev", "--", "sh", "-c", "echo $$; exit 3")
	c.Env = append(os.Environ(), "CCAD_SOCKET="+f.socket)
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, _ := c.Output()
	if got := strings.TrimSpace(string(out)); got != strconv.Itoa(c.Process.Pid) {
		t.Errorf("the command is process %s, ccactl was %d", got, c.Process.Pid)
	}
}

// What the cloud refuses is not given to the next start, and the mend is said;
// while ccad is locked the next start has what there was.
func TestRenewed(t *testing.T) {
	f := daemonFor(t)
	t.Setenv("CCAD_SOCKET", f.socket)
	const request = "GET /v1/environments/dev/views/env?as=exec&format=environ&anew=true"
	f.set("GET /v1/status", ipc.Status{Users: []ipc.User{{Name: "u", State: "refused"}}, Environments: []ipc.Environment{{Name: "dev", User: "u", State: "refused"}}})
	h := &holding{name: "dev", path: "env?as=exec&format=environ", body: []byte("OLD=1")}
	for code, want := range map[ipc.Code]string{ipc.CodeLocked: "OLD=1", ipc.CodeRefused: ""} {
		body, _ := json.Marshal(map[string]any{"error": ipc.Error{Code: code, Message: "the password of u was refused"}})
		f.mu.Lock()
		f.answers[request] = answer{status: code.HTTPStatus(), body: body}
		f.mu.Unlock()
		got, err := h.renewed()
		if string(got) != want || (err != nil) != (code == ipc.CodeRefused) {
			t.Errorf("%s: %q, %v", code, got, err)
		}
		if err != nil && err.Error() != "the password of u was refused; the command is not started again, ccactl update --user u mends it" {
			t.Error(err)
		}
	}
}

func TestReactions(t *testing.T) {
	for word, want := range map[string]reaction{
		"ignore": {}, "restart": {follow: true}, "signal:HUP": {true, syscall.SIGHUP}, "signal:sigusr1": {true, syscall.SIGUSR1}, "signal:SIGTERM": {true, syscall.SIGTERM},
	} {
		if got, err := reactionTo(word); err != nil || got != want {
			t.Errorf("%s: %v, %v", word, got, err)
		}
	}
	for _, word := range []string{"", "HUP", "signal:", "signal:NONE", "signal:1;reboot"} {
		if _, err := reactionTo(word); err == nil {
			t.Errorf("%q is taken", word)
		}
	}
}
