package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cloud-ca/ccad/ipc"
)

// checkHome: there is a home folder, and what ccad keeps there can be written.
func checkHome(examination) (found []finding) {
	const check = "home"
	if err := ipc.CheckHome(); err != nil {
		return []finding{wrong(check, "export HOME=/home/YOU", "%v", err)}
	}
	for _, path := range []string{ipc.DataDir(), ipc.StateDir(), filepath.Dir(ipc.ConfigPath())} {
		folder := path
		for {
			if _, err := os.Stat(folder); !errors.Is(err, fs.ErrNotExist) || folder == filepath.Dir(folder) {
				break
			}
			folder = filepath.Dir(folder)
		}
		if err := syscall.Access(folder, 2); err != nil { // W_OK
			found = append(found, wrong(check, writableMend(folder, err), "%s can't be written (%v), and ccad keeps things in %s", folder, err, path))
		}
	}
	return found
}

func writableMend(folder string, err error) string {
	if errors.Is(err, syscall.EROFS) {
		return "mount it writable, or point XDG_DATA_HOME, XDG_STATE_HOME and XDG_CONFIG_HOME to where you can write"
	}
	return "chmod u+w " + shellWord(folder)
}

// checkConfig lets the daemon's own program read the configuration: an error in it
// is why none runs, or why the next one will not.
func checkConfig(examination) []finding {
	const check = "config"
	if _, err := os.Stat(ipc.ConfigPath()); err != nil {
		return nil
	}
	program, err := programBeside("ccad")
	if err != nil {
		return nil // checkDaemon tells what that leads to
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "check").CombinedOutput()
	if err == nil {
		return fine(check, "%s can be read", ipc.ConfigPath())
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return []finding{wrong(check, "edit "+shellWord(ipc.ConfigPath())+"; ccad check shows the place", "%s", strings.TrimPrefix(first, "ccad: "))}
}

// checkService asks the service that ccad is how it stands, and says when it ends.
func checkService(examination) []finding {
	const check = "service"
	program, err := programBeside("ccad")
	if err != nil || !serviceInstalled() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "status").CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil {
		return []finding{wrong(check, "ccad install", "%s", strings.TrimPrefix(lines[len(lines)-1], "ccad: "))}
	}
	said := strings.Join(strings.Fields(lines[0]), " ")
	linger, err := exec.CommandContext(ctx, "loginctl", "show-user", strconv.Itoa(os.Getuid()), "--property=Linger", "--value").Output()
	switch {
	case err != nil: // no logind
	case strings.TrimSpace(string(linger)) == "yes":
		said += "; it goes on while you are logged out"
	default:
		said += "; it ends with your last session (loginctl enable-linger keeps it)"
	}
	return fine(check, "%s", said)
}
