package daemon

import (
	"context"
	"time"

	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/ipc"
)

// changed is told of every commit: generations first, then the audit trail, then
// whoever watches, of an incident before what it does to each environment.
func (d *Daemon) changed(o *opened, before, after *vault.Contents, why string) {
	if err := d.gens.publish(before, after); err != nil {
		d.Log.Error("generations", "error", err)
	}
	now := d.now()
	var events []ipc.Event
	for name, e := range after.Environments {
		was := before.Environments[name]
		d.recordMade(o, after.Users[e.UserID].Called, was, e)
		said := ipc.Event{Time: now, Event: why, User: after.Users[e.UserID].Called, Environment: name, Generation: e.Generation}
		if e.Generation != was.Generation {
			events = append(events, said)
		}
		verdict := verdictOn(before, after, was, e, now)
		if said.Event = verdict; verdict != "" && (verdict != why || e.Generation == was.Generation) {
			events = append(events, said)
		}
	}
	d.recordRotations(o, before, after)
	for name, e := range before.Environments {
		if _, ok := after.Environments[name]; !ok {
			events = append(events, ipc.Event{Time: now, Event: "removed", User: before.Users[e.UserID].Called, Environment: name})
		}
	}
	d.tell(before, after)
	if len(events) > 0 {
		d.feed.publish(events...)
	}
	if sourcesMoved(before, after) {
		d.lookAfter(after)
	}
	d.look()
}

// publishEvery is how often ccad looks whether shells have all that they should.
const publishEvery = 10 * time.Second

// keepPublished makes up for generations that could not be written, until ctx ends.
func (d *Daemon) keepPublished(ctx context.Context) {
	for tick := time.Tick(publishEvery); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
		if o := d.open.Load(); o != nil {
			d.gens.again(o.vault.Contents)
		}
	}
}

// look wakes the loops that go by what the store says.
func (d *Daemon) look() {
	kick(d.kick)
	kick(d.askOwed)
}

// kick wakes a loop, now or when it is done with what it does.
func kick(loop chan struct{}) {
	select {
	case loop <- struct{}{}:
	default:
	}
}
