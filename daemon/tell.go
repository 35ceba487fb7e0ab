package daemon

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cloud-ca/ccad/daemon/rotate"
	"github.com/cloud-ca/ccad/daemon/session"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/ipc"
)

// notifyTimeout bounds how long a desktop may take to show a line.
const notifyTimeout = 5 * time.Second

// maxTold is how many lines are kept for the prompts of shells that sleep.
const maxTold = 256

// maxHeard is how many shells are told apart before all are forgotten.
const maxHeard = 4096

// told is what the shells of an environment are to hear at their next prompt,
// each shell once: a line belongs to the generation that it came with, and of
// each shell is known which generation it last asked for.
type told struct {
	mu    sync.Mutex
	lines []toldLine
	heard map[hearing]uint64
}

// A hearing is a shell and the environment it has.
type hearing struct {
	shell       rotate.Process
	environment string
}

type toldLine struct {
	environment string // vault's id
	generation  uint64
	line        string
}

func (t *told) add(e vault.Environment, line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, toldLine{e.ID, e.Generation, line})
	t.lines = t.lines[max(0, len(t.lines)-maxTold):]
}

// hear returns what a shell has not heard yet of an environment that it had
// before: nothing to one that takes it up.
func (t *told) hear(shell rotate.Process, e vault.Environment) (lines []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.heard == nil || len(t.heard) > maxHeard {
		t.heard = map[hearing]uint64{} // most of these shells have ended
	}
	h := hearing{shell, e.ID}
	last, before := t.heard[h]
	t.heard[h] = e.Generation
	for _, l := range t.lines {
		if before && l.environment == e.ID && l.generation > last {
			lines = append(lines, l.line)
		}
	}
	return lines
}

// tell says what a commit brought: that the cloud began to refuse somebody, that
// it stopped, that a new value was noticed. Each is an event, a count, a line at
// the prompts of the environment's shells and one on the desktop: once, since
// the next commit finds no change.
func (d *Daemon) tell(before, after *vault.Contents) {
	for id, is := range after.Users {
		was, known := before.Users[id]
		if !known {
			continue
		}
		touched := after.EnvironmentsOf(id)
		name := is.User.String()
		switch {
		case was.Refused == nil && is.Refused != nil:
			d.incident("password", "refused", is.Name, "", fmt.Sprintf("the cloud refuses the password of %s", name))
		case was.Refused != nil && is.Refused == nil:
			line := fmt.Sprintf("the password of %s works again", name)
			d.incident("password", "healed", is.Name, "", line)
			d.toShells(touched, line)
		case noticed(was.Passwords, is.Passwords):
			line := fmt.Sprintf("the password of %s was changed elsewhere, its %d environments have the new one", name, len(touched))
			d.incident("password", "noticed", is.Name, "", line)
			d.toShells(touched, line)
		}
	}
	for name, is := range after.Environments {
		was, known := before.Environments[name]
		if !known || was.ID != is.ID {
			continue
		}
		switch {
		case was.KeysRefused == nil && is.KeysRefused != nil:
			d.incident("s3-key", "refused", "", name, fmt.Sprintf("the cloud refuses the S3 key of %s", name))
		case was.KeysRefused != nil && is.KeysRefused == nil:
			line := fmt.Sprintf("the S3 key of %s works again", name)
			d.incident("s3-key", "healed", "", name, line)
			d.toShells([]vault.Environment{is}, line)
		}
	}
}

// noticed reports whether another value came into force that no person of this
// machine put there.
func noticed[T vault.Value](was, is vault.Versions[T]) bool {
	former, had := was.Active()
	v, ok := is.Active()
	return had && ok && v.ID != former.ID && (v.Source == rotate.ByFile || v.Source == rotate.ByPortal)
}

func (d *Daemon) toShells(environments []vault.Environment, line string) {
	for _, e := range environments {
		d.told.add(e, line)
	}
}

// incident makes one known: as an event, a count, and on the desktop. A shell
// hears of a refusal by the failing of its own request.
func (d *Daemon) incident(kind, state, user, environment, line string) {
	d.feed.publish(ipc.Event{Time: d.now(), Event: state, User: user, Environment: environment, Message: line})
	d.metrics.incidents.WithLabelValues(kind, state).Inc()
	if state == "refused" { // the portal may have what the cloud wants now
		d.lookAtPortal()
	}
	go func() {
		ctx, cancel := context.WithTimeout(d.image, notifyTimeout)
		defer cancel()
		body := "ccactl status says more"
		if state == "refused" {
			body = "ccactl status says what mends it"
		}
		if err := session.Notify(ctx, line, body); err != nil {
			d.Log.Debug("desktop", "error", err)
		}
	}()
}
