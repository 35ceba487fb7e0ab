package daemon

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cloud-ca/ccad/daemon/rotate"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/ipc"
)

// rotate replaces values of environments, or a password, and streams the steps.
// A client that hangs up stops hearing of them; what is begun goes on. One that
// fails does not keep the others from their turn.
func (d *Daemon) rotate(r *request) (any, error) {
	in, err := decode[ipc.RotateRequest](r)
	if err != nil {
		return nil, err
	}
	var do func(context.Context, *stream)
	if in.Password || in.User != "" {
		do, err = d.rotationOfPassword(r, in)
	} else {
		do, err = d.rotationOfValues(r, in)
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := d.untilClosing(r.Context())
	defer cancel()
	s := newStream(r.w)
	defer d.endStream(s, "")
	do(ctx, s)
	return hijacked{}, nil
}

// untilClosing ends when the client hangs up, or the daemon locks or ends.
func (d *Daemon) untilClosing(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-d.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// rotationOfPassword reads a request for a new password and returns what does it.
func (d *Daemon) rotationOfPassword(r *request, in ipc.RotateRequest) (func(context.Context, *stream), error) {
	if in.User == "" || !in.Password || in.All || in.ApplicationCredential || len(in.Environments) > 0 || in.Grace != "" {
		return nil, usage("a password is rotated by its user and --password alone, and knows no grace")
	}
	u, err := r.open.keeper.FindUser(in.User)
	if err != nil {
		return nil, err
	}
	subject := "the password of " + u.User.String()
	if in.DryRun {
		return func(_ context.Context, s *stream) { _ = s.line(d.passwordPlan(r.open.keeper, u, subject)) }, nil
	}
	return func(ctx context.Context, s *stream) {
		err := r.open.keeper.RotatePassword(ctx, u.ID, func(p rotate.Progress) { _ = s.line(progressLine(r.open.keeper, p)) })
		if errors.Is(err, rotate.ErrPortal) {
			err = d.guide(ctx, r.open, s, guided{subject: subject, user: u, why: err})
		}
		if err != nil {
			_ = s.line(failedLine(subject, err))
		}
	}, nil
}

func (d *Daemon) passwordPlan(k *rotate.Keeper, u vault.User, subject string) ipc.RotateLine {
	if err := k.PlanPassword(u.ID); err != nil {
		line := failedLine(subject, err)
		line.Step = "plan"
		return line
	}
	line := ipc.RotateLine{Step: "plan", Subject: subject, State: "done", Note: "it would be changed at the cloud, at once for"}
	for _, e := range k.Contents().EnvironmentsOf(u.ID) {
		line.Note += " " + e.Name
		line.Environments = append(line.Environments, e.Name)
	}
	line.Note += "; all tokens die; the portal goes on showing the former one"
	return line
}

// rotations are what is asked of the values of environments.
type rotations struct {
	*rotate.Keeper
	kind  rotate.Kind
	names []string
	wish  rotate.Wish
	all   bool // of environments, or several: nobody is guided through the portal
}

// rotationOfValues reads a request for new values and returns what makes them.
func (d *Daemon) rotationOfValues(r *request, in ipc.RotateRequest) (func(context.Context, *stream), error) {
	todo := rotations{Keeper: r.open.keeper, kind: rotate.KindKey, names: in.Environments, wish: rotate.Wish{Wait: in.Wait}, all: in.All || len(in.Environments) > 1}
	if in.ApplicationCredential {
		todo.kind = rotate.KindAppCred
	}
	if in.Grace != "" {
		grace, err := time.ParseDuration(in.Grace)
		if err != nil || grace < 0 {
			return nil, usage("--grace is a duration, such as 30m")
		}
		todo.wish.Grace = &grace
	}
	c := r.open.keeper.Contents()
	switch {
	case in.All == (len(in.Environments) > 0):
		return nil, usage("rotate takes environments, or all")
	case in.All:
		todo.names = slices.DeleteFunc(slices.Sorted(maps.Keys(c.Environments)), func(name string) bool {
			return !rotate.Has(todo.kind, c.Environments[name])
		})
	}
	for i, name := range todo.names {
		if _, _, err := r.open.keeper.Environment(name); err != nil {
			return nil, err
		}
		if todo.kind == rotate.KindKey {
			todo.names[i] = rotate.Leader(c, name)
		}
	}
	once := map[string]bool{}
	todo.names = slices.DeleteFunc(todo.names, func(name string) (again bool) {
		again, once[name] = once[name], true
		return again
	})
	if in.DryRun {
		return func(_ context.Context, s *stream) {
			for _, name := range todo.names {
				_ = s.line(todo.plan(name))
			}
		}, nil
	}
	return func(ctx context.Context, s *stream) { d.rotateEach(ctx, r.open, s, todo) }, nil
}

// errNotBegun ends the part of what had not had its turn when the client, or the
// daemon, went away.
var errNotBegun = errors.New("not begun")

// rotateEach begins one after the other, each when the one before it serves, and
// follows all of them to the end that was wished.
func (d *Daemon) rotateEach(ctx context.Context, o *opened, s *stream, todo rotations) {
	tell := func(p rotate.Progress) { _ = s.line(progressLine(todo.Keeper, p)) }
	var following sync.WaitGroup
	for _, name := range todo.names {
		subject := rotate.Subject(todo.kind, name)
		if ctx.Err() != nil {
			_ = s.line(failedLine(subject, errNotBegun))
			continue
		}
		served := make(chan struct{})
		wish := todo.wish
		wish.Served = sync.OnceFunc(func() { close(served) })
		following.Go(func() {
			defer wish.Served()
			err := todo.Rotate(ctx, todo.kind, name, wish, tell)
			if errors.Is(err, rotate.ErrPortal) && todo.kind == rotate.KindKey && !todo.all {
				e, u, _ := todo.Environment(name)
				err = d.guide(ctx, o, s, guided{subject: subject, user: u, environment: e, why: err})
			}
			if err != nil {
				line := failedLine(subject, err)
				if todo.all && todo.kind == rotate.KindKey && errors.Is(err, rotate.ErrPortal) {
					line.Environment = name
				}
				_ = s.line(line)
			}
		})
		<-served
	}
	following.Wait()
}

func (r rotations) plan(name string) ipc.RotateLine {
	subject := rotate.Subject(r.kind, name)
	p, err := r.Plan(r.kind, name, r.wish.Grace)
	if err == nil {
		err = p.Err
	}
	if err != nil {
		line := failedLine(subject, err)
		line.Step = "plan"
		return line
	}
	line := ipc.RotateLine{Step: "plan", Subject: subject, State: "done", Environments: r.touched(name), Holders: leases(r.Keeper, p.Holders), Broken: leases(r.Keeper, p.Broken)}
	switch {
	case p.Under:
		line.Note = "a rotation is under way already, and would go on"
	case p.Already:
		line.Note = "it was replaced already, and no other would be made"
	case p.Name == "":
		line.Note = "there is none, one would be made"
	default:
		line.Note = p.Name + " would be replaced, in " + strings.Join(line.Environments, ", ")
	}
	switch {
	case p.Spared != "":
		line.Note += "; the former one would stay at the cloud: " + p.Spared
	case p.Open:
		line.Note += "; the former one would be kept until the programs have ended that run with it"
	case p.Name != "":
		if p.Unknown && r.wish.Grace == nil {
			line.Note += "; others may hold the former one"
		}
		line.Until = &p.End
		unhurried, _ := r.Plan(r.kind, name, nil)
		line.Unknown = p.Unknown && p.End.Before(unhurried.End)
	}
	return line
}

// touched are the environments that get the new value.
func (r rotations) touched(name string) []string {
	if r.kind != rotate.KindKey {
		return []string{name}
	}
	c := r.Contents()
	return append([]string{name}, rotate.Followers(c, c.Environments[name])...)
}

func progressLine(k *rotate.Keeper, p rotate.Progress) ipc.RotateLine {
	line := ipc.RotateLine{Step: string(p.Step), Subject: p.Subject, State: p.State, Note: p.Note, Already: p.Already, Holders: leases(k, p.Holders)}
	if p.Err != nil {
		line.Error = wireError(p.Err).Message
		line.Note = "tried again" // what ends a rotation has a line of its own
	}
	return line
}

// failedLine is what ends a subject's part, so far as the client hears.
func failedLine(subject string, err error) ipc.RotateLine {
	wire := wireError(err)
	if errors.Is(err, rotate.ErrAbsent) {
		wire.Code = ipc.CodeFailed
	}
	return ipc.RotateLine{Step: "rotate", Subject: subject, State: "failed", Error: wire.Message, Code: wire.Code}
}
