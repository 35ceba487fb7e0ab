package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/cloud-ca/ccad/ipc"
)

// A hookedShell is where a shell's hook belongs, and the line that is it.
type hookedShell struct{ name, rc, line string }

// loginShell is the user's; false for one that has no hook.
func loginShell() (hookedShell, bool) {
	s := hookedShell{name: filepath.Base(os.Getenv("SHELL"))}
	switch s.name {
	case "bash":
		s.rc = filepath.Join(ipc.Home(), ".bashrc")
	case "zsh":
		dir := os.Getenv("ZDOTDIR")
		if dir == "" {
			dir = ipc.Home()
		}
		s.rc = filepath.Join(dir, ".zshrc")
	case "fish":
		s.rc = filepath.Join(configHome(), "fish", "config.fish")
	default:
		return hookedShell{}, false
	}
	s.line = hookLine(s.name)
	return s, true
}

// hookLine is what belongs into a shell's rc file. It is silent once ccactl is gone.
func hookLine(shell string) string {
	call := "ccactl"
	if path, err := installed(); err == nil {
		call = calledInRC(path, ipc.Home())
	}
	if shell == "fish" {
		return "command -q " + call + "; and " + call + " shell-init fish | source"
	}
	return "command -v " + call + " >/dev/null && eval \"$(" + call + " shell-init " + shell + ")\""
}

// installed is the path that this program was installed at: the one by which PATH
// finds it (Homebrew's is a link, which stays when what it leads to is upgraded),
// else its own.
func installed() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	if found, err := exec.LookPath("ccactl"); err == nil && filepath.IsAbs(found) && real(found) == real(self) {
		return found, nil
	}
	return self, nil
}

// calledInRC is how an rc file calls ccactl: by its name where each rc file finds
// that, else by its path. Debian's ~/.profile reads ~/.bashrc first, and has
// ~/.local/bin in PATH only after that.
func calledInRC(path, home string) string {
	if slices.Contains([]string{"/usr/local/bin", "/usr/bin", "/bin"}, filepath.Dir(path)) {
		return filepath.Base(path)
	}
	if below, ok := strings.CutPrefix(path, home+"/"); ok && shellWord(below) == below {
		return "~/" + below
	}
	return shellWord(path)
}

// hook returns the line in the rc file that hooks the shell, and what stands
// before it; "" where there is none.
func (s hookedShell) hook() (before, line string) {
	data, err := os.ReadFile(s.rc)
	if err != nil {
		return "", ""
	}
	at := 0
	for line := range strings.Lines(string(data)) {
		trimmed := strings.TrimSpace(line)
		if strings.Contains(trimmed, "shell-init "+s.name) && !strings.HasPrefix(trimmed, "#") {
			return string(data[:at]), trimmed
		}
		at += len(line)
	}
	return "", ""
}

func (s hookedShell) hooked() bool {
	_, line := s.hook()
	return line != ""
}

// tooEarly reports whether a login bash comes to its line before ccactl's folder
// is in PATH, as far as its files tell.
func (s hookedShell) tooEarly() bool {
	before, line := s.hook()
	path, err := installed()
	if err != nil || s.name != "bash" || strings.Contains(s.line, "$(ccactl ") || !strings.Contains(line, "$(ccactl ") {
		return false
	}
	folder := strings.TrimPrefix(filepath.Dir(path), ipc.Home()+"/")
	for _, name := range []string{".bash_profile", ".bash_login", ".profile"} { // bash reads the first of them
		data, err := os.ReadFile(filepath.Join(ipc.Home(), name))
		if err != nil {
			continue
		}
		reads, sets := strings.Index(string(data), ".bashrc"), strings.Index(string(data), folder)
		return reads >= 0 && reads < sets && !strings.Contains(before, folder)
	}
	return false
}

// withLine adds a line to a text, whatever else it holds: at its end, or before
// starship, which shows the CCAD_PROMPT that it finds.
func withLine(text, line string) string {
	if at := regexp.MustCompile(`(?m)^[^#\n]*\bstarship init\b`).FindStringIndex(text); at != nil {
		return text[:at[0]] + line + "\n" + text[at[0]:]
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text + line + "\n"
}
