package daemon

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/cloud-ca/ccad/daemon/audit"
	"github.com/cloud-ca/ccad/daemon/rotate"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/ipc"
)

// rotate replaces S3 keys and streams the steps. A client that hangs up stops
// hearing of them; what is begun goes on. A failed environment does not keep
// the others from their turn.
func (d *Daemon) rotate(r *request) (any, error) {
	in, err := decode[ipc.RotateRequest](r)
	if err != nil {
		return nil, err
	}
	if in.Password || in.User != "" {
		return d.rotatePassword(r, in)
	}
	wish, names, err := d.rotationOf(r, in)
	if err != nil {
		return nil, err
	}
	ctx, cancel := d.untilClosing(r.Context())
	defer cancel()
	s := newStream(r.w)
	defer d.endStream(s, "")
	if in.DryRun {
		for _, name := range names {
			_ = s.line(planLine(r.open.keeper, name, wish.Grace))
		}
		return hijacked{}, nil
	}
	tell := func(p rotate.Progress) { _ = s.line(progressLine(p)) }
	var begun []string
	for _, name := range names {
		if err := r.open.keeper.RotateKey(ctx, name, wish, tell); err != nil {
			_ = s.line(failedLine("the S3 key of "+name, err))
			continue
		}
		begun = append(begun, name)
	}
	for _, name := range begun {
		if !in.Wait {
			break
		}
		if err := r.open.keeper.AwaitKey(ctx, name, tell); err != nil {
			_ = s.line(failedLine("the S3 key of "+name, err))
		}
	}
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

// rotatePassword gives a user a new password and streams the steps.
func (d *Daemon) rotatePassword(r *request, in ipc.RotateRequest) (any, error) {
	if in.User == "" || !in.Password || in.All || len(in.Environments) > 0 || in.Grace != "" {
		return nil, usage("a password is rotated by its user and --password alone, and knows no grace")
	}
	u, err := r.open.keeper.FindUser(in.User)
	if err != nil {
		return nil, err
	}
	ctx, cancel := d.untilClosing(r.Context())
	defer cancel()
	s := newStream(r.w)
	defer d.endStream(s, "")
	subject := "the password of " + u.User.String()
	if in.DryRun {
		note := "it would be changed at the cloud, at once for"
		for _, e := range r.open.keeper.Contents().EnvironmentsOf(u.ID) {
			note += " " + e.Name
		}
		_ = s.line(ipc.RotateLine{Step: "plan", Subject: subject, State: "done", Note: note + "; all tokens die; the portal goes on showing the former one"})
		return hijacked{}, nil
	}
	if err := r.open.keeper.RotatePassword(ctx, u.ID, func(p rotate.Progress) { _ = s.line(progressLine(p)) }); err != nil {
		_ = s.line(failedLine(subject, err))
		return hijacked{}, nil
	}
	d.record(r.open, audit.Entry{Event: "rotated", User: u.Called, Note: "password"})
	return hijacked{}, nil
}

// rotationOf reads what is to be rotated, and how.
func (d *Daemon) rotationOf(r *request, in ipc.RotateRequest) (w rotate.Wish, names []string, err error) {
	if in.Grace != "" {
		grace, err := time.ParseDuration(in.Grace)
		if err != nil || grace < 0 {
			return w, nil, usage("--grace is a duration, such as 30m")
		}
		w.Grace = &grace
	}
	c := r.open.keeper.Contents()
	switch {
	case in.All == (len(in.Environments) > 0):
		return w, nil, usage("rotate takes environments, or all")
	case in.All:
		for _, name := range slices.Sorted(maps.Keys(c.Environments)) {
			if _, has := c.Environments[name].Keys.Active(); has {
				names = append(names, name)
			}
		}
		return w, names, nil
	}
	for _, name := range in.Environments {
		if _, _, err := r.open.keeper.Environment(name); err != nil {
			return w, nil, err
		}
	}
	return w, in.Environments, nil
}

func planLine(k *rotate.Keeper, name string, grace *time.Duration) ipc.RotateLine {
	p, err := k.PlanKey(name, grace)
	if err == nil {
		err = p.Err
	}
	if err != nil {
		line := failedLine("the S3 key of "+name, err)
		line.Step = "plan"
		return line
	}
	line := ipc.RotateLine{Step: "plan", Subject: "the S3 key of " + name, State: "done", Holders: leases(name, p.Holders), Broken: leases(name, p.Broken)}
	switch {
	case p.Under:
		line.Note = "a rotation is under way already, and would go on"
	case p.AccessKeyID == "":
		line.Note = "there is none, one would be made"
	default:
		line.Note = p.AccessKeyID + " would be replaced"
	}
	if p.AccessKeyID != "" {
		line.Until = &p.End
	}
	return line
}

func progressLine(p rotate.Progress) ipc.RotateLine {
	line := ipc.RotateLine{Step: string(p.Step), Subject: p.Subject, State: p.State, Note: p.Note}
	if p.Err != nil {
		line.Error = wireError(p.Err).Message
		line.Note = "tried again" // what ends a rotation has a line of its own
	}
	return line
}

// failedLine is what ends an environment's part, so far as the client hears.
func failedLine(subject string, err error) ipc.RotateLine {
	wire := wireError(err)
	if errors.Is(err, rotate.ErrAbsent) {
		wire.Code = ipc.CodeFailed
	}
	return ipc.RotateLine{Step: "rotate", Subject: subject, State: "failed", Error: wire.Message, Code: wire.Code}
}

// recordRotation puts into the audit trail that a key was replaced, and that the
// former one is dead.
func (d *Daemon) recordRotation(o *opened, name string, was, is vault.Environment) {
	if was.KeyRotation == is.KeyRotation || was.KeyRotation == nil {
		return
	}
	switch {
	case rotate.Step(was.KeyRotation.Step) == rotate.StepFlip && is.KeyRotation != nil && rotate.Step(is.KeyRotation.Step) == rotate.StepDrain:
		v, _ := is.Keys.Find(is.KeyRotation.New)
		d.record(o, audit.Entry{Event: "rotated", Environment: name, Version: v.N})
	case rotate.Step(was.KeyRotation.Step) == rotate.StepDead && is.KeyRotation == nil:
		v, _ := was.Keys.Find(was.KeyRotation.Old)
		d.record(o, audit.Entry{Event: "key-deleted", Environment: name, Version: v.N})
	}
}
