package main

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"
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
