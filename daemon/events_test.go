package daemon_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// watch follows the daemon's events from now on, and returns a function that
// waits for the next one of a kind about an environment ("": whatever it is).
func (w *world) watch() func(event, environment string) ipc.Event {
	w.Helper()
	events, begun := make(chan ipc.Event, 256), make(chan struct{})
	go func() {
		first := true
		_ = ipc.Stream(w.at(w.Context()), "GET", "/v1/events", func(line []byte) error {
			var e ipc.Event
			if err := json.Unmarshal(line, &e); err != nil {
				return err
			}
			if events <- e; first {
				first = false
				close(begun)
			}
			return nil
		})
	}()
	select {
	case <-begun:
	case <-time.After(time.Minute):
		w.Fatal("a stream of events does not begin with how things stand")
	}
	return func(event, environment string) ipc.Event {
		w.Helper()
		for limit := time.After(time.Minute); ; {
			select {
			case e := <-events:
				if (event == "" || e.Event == event) && (environment == "" || e.Environment == environment) {
					return e
				}
			case <-limit:
				w.Fatalf("no event %q of %q came", event, environment)
			}
		}
	}
}

// Whoever watches hears each verdict of the cloud, whether or not anything that
// is served has changed by it.
func TestVerdictsAreEvents(t *testing.T) {
	w := newWorld(t, practice.Options{})
	next := w.watch()
	if e := next("", ""); e.Event != "unlocked" || e.Message == "" {
		t.Errorf("the stream begins with %+v", e)
	}
	r := w.addRequest("dev", "dev-ccontini")
	r.NoVerify = true
	w.do("POST", "/v1/environments", r, nil)
	generation := next("adopted", "dev").Generation
	if err := w.verify("dev"); err != nil {
		t.Fatal(err)
	}
	if e := next("verified", "dev"); e.User != w.cloud.User.Name || e.Generation != generation {
		t.Errorf("after verify: %+v", e)
	}
	w.want(w.try("POST", "/v1/update", ipc.UpdateRequest{User: w.cloud.User.Name, Password: "wrong"}, nil), ipc.CodeRefused, "")
	if e := next("refused", ""); e.User != w.cloud.User.Name || e.Message == "" {
		t.Errorf("a refused update: %+v", e)
	}
	r = w.addRequest("sys", "nonesuch")
	w.want(w.try("POST", "/v1/environments", r, nil), ipc.CodeRefused, "nonesuch")
	if e := next("refused", "sys"); e.Message == "" {
		t.Errorf("a refused add: %+v", e)
	}
	project := w.cloud.User.Projects["dev-ccontini"]
	w.cloud.LeaveProject(w.cloud.User.Name, project)
	w.verify("dev")
	next("refused", "dev")
	w.cloud.JoinProject(w.cloud.User.Name, project)
	w.verify("dev")
	next("verified", "dev")
}
