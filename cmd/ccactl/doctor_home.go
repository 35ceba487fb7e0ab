package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
		if folder, err := unwritable(path); err != nil {
			found = append(found, wrong(check, writableAdvice(folder, err), "%s can't be written (%v), and ccad keeps things in %s", folder, err, path))
		} else if full(folder) {
			found = append(found, wrong(check, "make room there", "no space is left for %s", path))
		}
	}
	return found
}

// unwritable returns why a path, or where it is not there the folder in which it
// will be made, can't be written, and which of both that is.
func unwritable(path string) (at string, err error) {
	for {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) || path == filepath.Dir(path) {
			return path, syscall.Access(path, 2) // W_OK
		}
		path = filepath.Dir(path)
	}
}

// full reports whether nothing more fits where a path is.
func full(path string) bool {
	var s syscall.Statfs_t
	return syscall.Statfs(path, &s) == nil && s.Blocks > 0 && s.Bavail == 0
}

func writableAdvice(path string, err error) string {
	if errors.Is(err, syscall.EROFS) {
		return "mount it writable, or point XDG_DATA_HOME, XDG_STATE_HOME and XDG_CONFIG_HOME to where you can write"
	}
	return permit("u+w", path)
}

// permit is how its user gets a permission for a path: one that is another's he
// can't change the mode of.
func permit(mode, path string) string {
	if !owned(path) {
		return `sudo chown "$USER" ` + shellWord(path)
	}
	return "chmod " + mode + " " + shellWord(path)
}

// owned reports whether a path is ours; one that can't be looked at is taken to be.
func owned(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return true
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return !ok || int(stat.Uid) == os.Getuid()
}

// checkHook looks into the rc file alone. The line may be in a file that this one
// reads, as it surely is where the hook has set this shell's variable.
func checkHook(examination) []finding {
	const check = "shell"
	s, known := loginShell()
	switch {
	case !known:
		return fine(check, "there is a hook for bash, zsh and fish; programs of another shell are served by ccactl exec")
	case s.hooked() && s.tooEarly():
		return []finding{wrong(check, "make it: "+s.line, "a login shell comes to the line in %s before ccactl is in its PATH", s.rc)}
	case s.hooked():
		return fine(check, "%s is hooked in %s", s.name, s.rc)
	case os.Getenv("CCAD_PROMPT") != "":
		return fine(check, "a hook is at work in this shell, though its line is not in %s itself", s.rc)
	}
	at, err := unwritable(real(s.rc))
	if err != nil {
		return []finding{wrong(check, "add it where that file comes from: "+s.line, "%s does not follow: its line is not in %s, and %s can't be written (%v)", s.name, s.rc, at, err)}
	}
	mend := "echo " + shellWord(s.line) + " >> " + shellWord(s.rc)
	if lines, err := os.ReadFile(s.rc); err == nil && len(lines) > 0 && lines[len(lines)-1] != '\n' { // its last line has no end
		mend = `printf '\n%s\n' ` + shellWord(s.line) + " >> " + shellWord(s.rc)
	}
	folder := filepath.Dir(s.rc)
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		mend = "mkdir -p " + shellWord(folder) + " && " + mend
	}
	return []finding{wrong(check, mend, "%s does not follow, unless a file does it that %s reads: the line is not there", s.name, s.rc)}
}

// checkDefault: what new shells start with is an environment.
func checkDefault(x examination) []finding {
	name := readDefault(ipc.DefaultPath())
	if !x.open() || name == "" || slices.ContainsFunc(x.status.Environments, func(e ipc.Environment) bool { return e.Name == name }) {
		return nil
	}
	return []finding{wrong("shell", "ccactl use --default NAME, or - for none", "new shells start with %s, and there is no such environment", name)}
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
