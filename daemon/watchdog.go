package daemon

import (
	"context"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"

	"github.com/cloud-ca/ccad/ipc"
)

// feedWatchdog tells systemd's watchdog that ccad answers, as often as a third
// of its time, each time that ccad has just been asked over its own socket: a
// daemon that only runs is of no use to anybody. It ends with ctx, at once
// where no watchdog waits.
func (d *Daemon) feedWatchdog(ctx context.Context) {
	patience, err := sd.SdWatchdogEnabled(false)
	if err != nil || patience == 0 {
		return
	}
	every := patience / 3
	for ctx.Err() == nil {
		asking, cancel := context.WithTimeout(ctx, every)
		_, err := ipc.Do(asking, "GET", "/v1/alive", nil, nil)
		cancel()
		if err == nil {
			_, _ = sd.SdNotify(false, sd.SdNotifyWatchdog)
		} else if ctx.Err() == nil {
			d.Log.Warn("watchdog: ccad does not answer itself", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(every):
		}
	}
}

// alive answers that somebody is there.
func (d *Daemon) alive(*request) (any, error) { return struct{}{}, nil }
