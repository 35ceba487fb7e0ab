package service

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	kardianos "github.com/kardianos/service"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/packaging"
)

// launchd is that of macOS, on which none of this has been run: the agent's text
// is tested, and what the library does is read.
type launchd struct {
	w     io.Writer
	agent file
	lib   kardianos.Service
}

func newLaunchd(w io.Writer, home, program string) (*launchd, error) {
	if err := errors.Join(checkProgram(program), checkProgram(home)); err != nil {
		return nil, err
	}
	l := &launchd{w: w, agent: file{filepath.Join(home, "Library/LaunchAgents", name+".plist"), agentText(home, program)}}
	var err error
	l.lib, err = library("LaunchdConfig", l.agent.text)
	return l, err
}

// agentText is the agent's property list. There is no secret in it, and nothing
// of the environment.
func agentText(home, program string) string {
	return strings.NewReplacer("@PROGRAM@", escaped(program), "@HOME@", escaped(home)).Replace(packaging.Agent)
}

func escaped(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a Buffer takes all
	return b.String()
}

func (l *launchd) say(format string, args ...any) { _, _ = fmt.Fprintf(l.w, format+"\n", args...) }

func (l *launchd) install() error {
	was, there, err := current(l.agent.path, packaging.AgentMark)
	if err != nil {
		return err
	}
	if was == l.agent.text {
		l.say("ccad is installed")
		return l.start()
	}
	if there {
		if err := l.lib.Uninstall(); err != nil {
			return fmt.Errorf("replace %s: %w", l.agent.path, err)
		}
	}
	if err := l.lib.Install(); err != nil {
		_ = os.Remove(l.agent.path)
		return fmt.Errorf("install %s: %w", l.agent.path, err)
	}
	l.say("wrote %s: it starts at login", l.agent.path)
	return l.start()
}

func (l *launchd) uninstall() error {
	_, there, err := current(l.agent.path, packaging.AgentMark)
	if err != nil {
		return err
	}
	if !there {
		l.say("ccad is not installed")
		return nil
	}
	if err := l.lib.Uninstall(); err != nil {
		return fmt.Errorf("remove %s: %w", l.agent.path, err)
	}
	l.say("removed %s\nthe credentials stay: %s and %s", l.agent.path, ipc.DataDir(), ipc.StateDir())
	return nil
}

func (l *launchd) start() error {
	if st, err := l.lib.Status(); err != nil || st != kardianos.StatusRunning {
		_ = l.lib.Stop() // one that ended by itself is still loaded, and would not be loaded again
		if err := l.lib.Start(); err != nil {
			return fmt.Errorf("start ccad: %w", err)
		}
	}
	l.say("ccad runs")
	return nil
}

func (l *launchd) stop() error {
	if err := l.lib.Stop(); err != nil {
		return fmt.Errorf("stop ccad: %w", err)
	}
	l.say("ccad is stopped")
	return nil
}

func (l *launchd) restart() error {
	if err := l.lib.Restart(); err != nil {
		return fmt.Errorf("restart ccad: %w", err)
	}
	l.say("ccad runs")
	return nil
}

func (l *launchd) status() error {
	switch st, err := l.lib.Status(); {
	case errors.Is(err, kardianos.ErrNotInstalled):
		return errors.New("ccad is not installed: ccad install")
	case err != nil:
		return fmt.Errorf("ask launchd for ccad: %w", err)
	case st == kardianos.StatusRunning:
		l.say("ccad runs")
		return nil
	}
	return errors.New("ccad is stopped: ccad start")
}
