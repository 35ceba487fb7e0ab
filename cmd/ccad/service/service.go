// Package service makes ccad a background service of its user: of systemd's
// user manager, or an agent of launchd.
//
//	packaging (units, agent) ─▶ plan ─▶ files below ~ ─▶ enabled, sockets listen
//
// github.com/kardianos/service puts the service's own unit in place by our
// template, takes it away, starts and stops it. What it does not know is done
// here: sockets, a unit that is broken or somebody's own, packages that have
// units already, and escaping. systemd is asked for the state itself, since
// that library takes a reload for "not installed".
//
// Every verb may be run again: it mends what is not as it should be, leaves a
// running daemon alone where all is, and says what it did. A file that is not
// ours is never touched.
package service

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"unicode"

	kardianos "github.com/kardianos/service"
)

// name is the service's, to both managers.
const name = "ccad"

// A manager is one kind of service manager.
type manager interface {
	install() error
	uninstall() error
	start() error
	stop() error
	restart() error
	status() error
}

// Run does a verb, and says on w what it did. ErrUsage is a misuse.
func Run(w io.Writer, verb string, args []string) error {
	flags := flag.NewFlagSet("ccad "+verb, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	sealed := false
	if verb == "install" || verb == "uninstall" {
		flags.BoolVar(&sealed, "seal", false, "")
	}
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 {
		return ErrUsage
	}
	if sealed {
		return seal(w, verb)
	}
	if who := invoker(); os.Geteuid() == 0 && who != 0 && who != -1 {
		return fmt.Errorf("each user's ccad is his own: run ccad %s without sudo", verb)
	}
	m, err := newManager(w)
	if err != nil {
		return err
	}
	switch verb {
	case "install":
		return m.install()
	case "uninstall":
		return m.uninstall()
	case "start":
		return m.start()
	case "stop":
		return m.stop()
	case "restart":
		return m.restart()
	case "status":
		return m.status()
	}
	return ErrUsage
}

// ErrUsage means that the words after the verb are none of its.
var ErrUsage = errors.New("usage")

func newManager(w io.Writer) (manager, error) {
	home := os.Getenv("HOME")
	if info, err := os.Stat(home); !filepath.IsAbs(home) || err != nil || !info.IsDir() {
		return nil, fmt.Errorf("there is no home folder (HOME is %q) to install a service in", home)
	}
	program, err := ownProgram()
	if err != nil {
		return nil, err
	}
	if runtime.GOOS == "darwin" {
		return newLaunchd(w, home, program)
	}
	return newSystemd(w, home, program)
}

// ownProgram is where this program will be after its next upgrade, too: by the
// name that PATH has for it, if that is the same file.
func ownProgram() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find our own program: %w", err)
	}
	if found, err := exec.LookPath(name); err == nil && filepath.IsAbs(found) && sameFile(found, self) {
		return found, nil
	}
	return self, nil
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// library is kardianos's view of the service. The text is whole: there is no
// key of that library's in it.
func library(option, text string) (kardianos.Service, error) {
	return kardianos.New(nil, &kardianos.Config{
		Name:   name,
		Option: kardianos.KeyValue{"UserService": true, option: text},
	})
}

// checkProgram refuses a path that systemd takes for no program's, however it is
// quoted, or that the library would take for a key of its templates.
func checkProgram(path string) error {
	if strings.ContainsAny(path, "\"'\\{}") || hasControl(path) {
		return fmt.Errorf("no service can be made of the program at %q: move it to a path without quotes, backslashes and braces", path)
	}
	return nil
}

func hasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }
