package daemon

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/rotate"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/ipc"
)

// What a cloud lets nobody change by himself a person changes in its portal: the
// daemon says what to press and whom it concerns, and waits until what comes of
// it is noticed, by whatever source, and adopted as ever. It begins nothing, so
// hanging up leaves nothing behind; what is noticed later is adopted all the
// same. The portal's other way, to remove a user from an environment and add him
// again, takes his access and what hangs on it: nothing here leads to it.

// guided is a value that is waited for.
type guided struct {
	subject     string
	user        vault.User        // the zero one: of an environment with S3 keys alone
	environment vault.Environment // whose S3 key it is; the zero one: it is the password
	why         error             // it can't be changed from here
}

const (
	// guidedFor is how long a person has in the portal.
	guidedFor = time.Hour
	// guidedPoll is how often the portal's API is read meanwhile.
	guidedPoll = 15 * time.Second
)

// guide tells what to press, waits, and tells what was adopted.
func (d *Daemon) guide(ctx context.Context, o *opened, s *stream, g guided) error {
	events, cancel := d.feed.subscribe()
	defer func() { cancel() }()
	_ = s.line(g.instructions(o.keeper.Contents(), d.watches))
	ctx, stop := context.WithTimeout(ctx, guidedFor)
	defer stop()
	poll := time.NewTicker(guidedPoll)
	defer poll.Stop()
	password := false
	for {
		c := o.keeper.Contents()
		if v, is := g.newPassword(c); is && !password {
			password = true
			_ = s.line(adopted("the password of "+g.user.User.String(), v, c.EnvironmentsOf(g.user.ID)...))
		}
		if g.environment.ID == "" && password {
			return nil
		}
		if e, ok := c.Environments[g.environment.Name]; g.environment.ID != "" {
			switch v, is := other(g.environment.Keys, e.Keys); {
			case !ok || e.ID != g.environment.ID:
				return fmt.Errorf("%q was removed meanwhile: %w", g.environment.Name, rotate.ErrUnknown)
			case is && e.KeysRefused == nil:
				_ = s.line(adopted(g.subject, v, e))
				return nil
			}
		}
		select {
		case _, ok := <-events:
			if !ok { // too slow a reader
				events, cancel = d.feed.subscribe()
			}
		case <-poll.C:
			d.lookAtPortal()
		case <-ctx.Done():
			return fmt.Errorf("nothing new was noticed, and %w", g.why)
		}
	}
}

// lookAtPortal has the portal's API read now, if there is a key to it.
func (d *Daemon) lookAtPortal() {
	select {
	case d.askPortal <- struct{}{}:
	default:
	}
}

func (g guided) newPassword(c *vault.Contents) (vault.Version[account.Secret], bool) {
	u := c.Users[g.user.ID]
	v, is := other(g.user.Passwords, u.Passwords)
	return v, is && u.Refused == nil
}

// other returns the version in force, and whether it is another one than before.
func other[T vault.Value](was, is vault.Versions[T]) (vault.Version[T], bool) {
	former, _ := was.Active()
	v, ok := is.Active()
	return v, ok && v.ID != former.ID
}

// adopted tells what came into force.
func adopted[T vault.Value](subject string, v vault.Version[T], of ...vault.Environment) ipc.RotateLine {
	from := map[string]string{rotate.ByFile: "a watched file", rotate.ByPortal: "the portal's API", "cloud": "Keystone's list", "rotation": "a rotation"}
	state := "accepted by the cloud"
	if !v.Accepted {
		state = "not verified yet"
	}
	line := ipc.RotateLine{Step: "adopt", Subject: subject, State: "done", Note: fmt.Sprintf("v%d, from %s, %s", v.N, cmp.Or(from[v.Source], "a person"), state)}
	for _, e := range of {
		line.Environments = append(line.Environments, e.Name)
	}
	return line
}

// instructions are what a person is told, in the words of the portal's own
// documentation.
func (g guided) instructions(c *vault.Contents, watches func(vault.Source) bool) ipc.RotateLine {
	concerned, who, user, project := []vault.Environment{g.environment}, "its user", "", ""
	if g.user.ID != "" {
		concerned = c.EnvironmentsOf(g.user.ID)
	}
	if g.user.Name != "" { // else nobody can name him, who may have come with a credential
		who, user = g.user.Name, g.user.User.String()
	}
	for _, e := range concerned {
		if g.environment.ID == "" || e.ID == g.environment.ID {
			project = cmp.Or(project, e.Project, e.ProjectID)
		}
	}
	line := ipc.RotateLine{Step: "portal", Subject: g.subject, State: "start", Note: g.why.Error(), User: user, Environment: g.environment.Name, Clicks: []string{
		"sign in to the self-service portal",
		"Profile, in the menu on the left (newer portals: the menu of your user)",
		"API Credentials",
		"Service API keys: select the object storage environment" + named(project),
		"Regenerate, on the right: it changes the password and the S3 keys of " + who + " in all his environments, those that ccad has not included",
	}}
	for _, e := range concerned {
		line.Environments = append(line.Environments, e.Name)
		for _, source := range e.Sources {
			if watches(source) {
				line.Sources = append(line.Sources, source.Path)
			}
		}
	}
	slices.Sort(line.Sources)
	line.Sources = slices.Compact(line.Sources)
	if c.Portal != nil && c.Portal.Refused == nil {
		line.Sources = append(line.Sources, "the portal's API at "+c.Portal.Base.Host())
	}
	return line
}

func named(project string) string {
	if project == "" {
		return ""
	}
	return " of project " + project
}
