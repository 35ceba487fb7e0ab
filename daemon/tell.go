package daemon

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cloud-ca/ccad/daemon/rotate"
	"github.com/cloud-ca/ccad/daemon/session"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/ipc"
)

// notifyTimeout bounds how long a desktop may take to show a line.
const notifyTimeout = 5 * time.Second

// maxTold is how many lines are kept for the prompts of shells that sleep: one
// for a user's password, one for each environment's own value.
const maxTold = 4096

// maxHeard is how many shells are told apart before all are forgotten.
const maxHeard = 4096

// told is what the shells of an environment are to hear at their next prompt,
// each shell once: a line belongs to the generation that it came with, and of
// each shell is known which generation it last asked for. A lock or a restart
// forgets that, and the lines: then a shell that had selected the environment
// before hears what is younger than itself.
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
	about      string // a user's id, for all his environments, or an environment's
	generation uint64 // the first that came with it, of whichever environment
	at         time.Time
	line       string
}

func (t *told) add(l toldLine) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, l)
	t.lines = t.lines[max(0, len(t.lines)-maxTold):]
}

// hear returns what a shell has not heard yet of an environment that it had
// before: nothing to one that takes it up. selected says that it had selected
// the environment already when it asked.
func (t *told) hear(shell rotate.Process, selected bool, e vault.Environment) (lines []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.heard == nil || len(t.heard) > maxHeard { // most of these shells have ended
		t.heard = map[hearing]uint64{}
	}
	h := hearing{shell, e.ID}
	last, before := t.heard[h]
	t.heard[h] = e.Generation
	begun := startOf(shell)
	for _, l := range t.lines {
		concerns := (l.about == e.ID || l.about == e.UserID) && l.generation <= e.Generation
		missed := before && l.generation > last || !before && selected && !begun.IsZero() && l.at.After(begun)
		if concerns && missed {
			lines = append(lines, "note: "+l.line)
		}
	}
	return lines
}

// heardBy is what the shell that asks has not heard yet.
func (d *Daemon) heardBy(r *request, e vault.Environment) []string {
	_, parent := processOf(r.pid)
	shell, _ := processOf(parent)
	return d.told.hear(shell, r.URL.Query().Get("selected") == "true", e)
}

// tell says what a commit brought: that the cloud began to refuse somebody, that
// it has accepted what he has now, that a new value was noticed. Each is an event, a
// count, a line at the prompts of the environment's shells and one on the desktop:
// once, since the next commit finds no change.
func (d *Daemon) tell(before, after *vault.Contents) {
	for id, is := range after.Users {
		was, known := before.Users[id]
		if !known {
			continue
		}
		name := is.User.String()
		switch {
		case !rotate.PasswordAmiss(was) && rotate.PasswordAmiss(is):
			d.incident("password", "refused", name, "", fmt.Sprintf("the cloud refuses the password of %s", name))
		case rotate.PasswordAmiss(was) && !rotate.PasswordAmiss(is):
			line := fmt.Sprintf("the password of %s works again", name)
			d.incident("password", "healed", name, "", line)
			d.toShells(id, before.Generation+1, line)
		case noticed(was.Passwords, is.Passwords, rotate.ByFile, rotate.ByPortal):
			line := fmt.Sprintf("the password of %s was changed elsewhere, its %d environments have the new one", name, len(after.NamesOf(id)))
			d.incident("password", "noticed", name, "", line)
			d.toShells(id, before.Generation+1, line)
		}
	}
	for name, is := range after.Environments {
		if was, known := before.Environments[name]; known && was.ID == is.ID {
			d.tellEnvironment(was, is)
		}
	}
}

// tellEnvironment is tell for what belongs to one environment. Keys that a new
// password brought with it are not worth a line beside the password's.
func (d *Daemon) tellEnvironment(was, is vault.Environment) {
	regenerated := !was.KeysOwed && noticed(was.Keys, is.Keys, "cloud")
	d.tellValue("s3-key", "S3 key", is, rotate.KeysAmiss(was), rotate.KeysAmiss(is),
		regenerated || noticed(was.Keys, is.Keys, rotate.ByFile, rotate.ByPortal))
	d.tellValue("application-credential", "application credential", is, rotate.CredentialAmiss(was), rotate.CredentialAmiss(is),
		noticed(was.AppCreds, is.AppCreds, rotate.ByFile, rotate.ByPortal))
}

// tellValue tells of an environment's value of one kind: whether it was amiss and
// is, and whether another was noticed.
func (d *Daemon) tellValue(kind, called string, e vault.Environment, was, is, noticed bool) {
	tell := func(state, line string) {
		d.incident(kind, state, "", e.Name, line)
		d.toShells(e.ID, e.Generation, line)
	}
	switch {
	case !was && is:
		d.incident(kind, "refused", "", e.Name, fmt.Sprintf("the cloud refuses the %s of %s", called, e.Name))
	case was && !is:
		tell("healed", fmt.Sprintf("the %s of %s works again", called, e.Name))
	case noticed:
		tell("noticed", fmt.Sprintf("the %s of %s was changed elsewhere, ccad has the new one", called, e.Name))
	}
}

// noticed reports whether another value came into force, from one of the sources
// that no person of this machine is.
func noticed[T vault.Value](was, is vault.Versions[T], sources ...string) bool {
	former, had := was.Active()
	v, ok := is.Active()
	return had && ok && v.ID != former.ID && slices.Contains(sources, v.Source)
}

func (d *Daemon) toShells(about string, generation uint64, line string) {
	d.told.add(toldLine{about, generation, d.now(), line})
}

// incident makes one known: as an event, a count, and on the desktop. A shell
// hears of a refusal by the failing of its own request.
func (d *Daemon) incident(kind, state, user, environment, line string) {
	d.feed.publish(ipc.Event{Time: d.now(), Event: state, User: user, Environment: environment, Message: line})
	d.metrics.incidents.WithLabelValues(kind, state).Inc()
	if state == "refused" { // the portal may have what the cloud wants now
		kick(d.askPortal)
	}
	d.watched.watcher.Again() // what files say may mean something else now
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
