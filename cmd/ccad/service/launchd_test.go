package service

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	kardianos "github.com/kardianos/service"
)

// launchctl does what the library's calls of launchctl do, by what can be read
// of both: nothing is loaded twice, nothing unloaded that is not loaded.
type launchctl struct {
	kardianos.Service
	agent           string
	loaded, running bool
	did             []string
}

func (l *launchctl) Install() error   { return os.WriteFile(l.agent, nil, 0o600) }
func (l *launchctl) Uninstall() error { _ = l.Stop(); return os.Remove(l.agent) }

func (l *launchctl) Start() error {
	if l.did = append(l.did, "load"); l.loaded {
		return errors.New("already loaded")
	}
	l.loaded, l.running = true, true
	return nil
}

func (l *launchctl) Stop() error {
	if l.did = append(l.did, "unload"); !l.loaded {
		return errors.New("could not find the service")
	}
	l.loaded, l.running = false, false
	return nil
}

func (l *launchctl) Status() (kardianos.Status, error) {
	if l.running {
		return kardianos.StatusRunning, nil
	}
	return kardianos.StatusStopped, nil
}

// What was stopped runs again after install and start, and what runs is left
// alone: it would be locked.
func TestAgentRunsAgain(t *testing.T) {
	home := t.TempDir()
	for _, verb := range []func(*launchd) error{(*launchd).install, (*launchd).start} {
		for state, c := range map[string]struct {
			loaded, running bool
			did             []string
		}{
			"running": {true, true, nil},
			"ended":   {true, false, []string{"unload", "load"}}, // by itself: launchd starts none that ended well
			"stopped": {false, false, []string{"unload", "load"}},
		} {
			ctl := &launchctl{agent: filepath.Join(home, "ccad.plist"), loaded: c.loaded, running: c.running}
			var said bytes.Buffer
			l := &launchd{w: &said, agent: file{ctl.agent, agentText(home, "/ccad")}, lib: ctl}
			if err := l.agent.write(0o600); err != nil {
				t.Fatal(err)
			}
			if err := verb(l); err != nil || !ctl.running || !slices.Equal(ctl.did, c.did) || !strings.HasSuffix(said.String(), "ccad runs\n") {
				t.Errorf("%s: %v, running %v after %q\n%s", state, err, ctl.running, ctl.did, said.String())
			}
		}
	}
}
