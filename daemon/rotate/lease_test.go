package rotate

import (
	"cmp"
	"slices"
	"testing"
	"time"
)

// Nobody else knows that a program still runs with the former key: a restart and a
// lock, after which there is a new ledger, must not forget it.
func TestDrainWaitsForProgramsOverRestarts(t *testing.T) {
	w := newWorld(t)
	w.dev()
	w.runs(42)
	if err := w.Rotate(t.Context(), KindKey, "dev", Wish{}, silent); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		w.open()
		w.clock.step(3 * time.Hour)
		if _, failures := w.GoOn(t.Context()); len(failures) > 0 || len(w.keys()) != 2 {
			t.Fatalf("a program holds the former key; at the cloud are %v; %v", w.keys(), failures)
		}
	}
	w.alive[42] = false
	w.open()
	w.finish()
	w.clean()
}

// What is kept on record is who runs with what, and no more: it is written where a
// program is given something, never for what is asked for at every prompt or call.
func TestLedgerKeepsWhoRuns(t *testing.T) {
	clock, alive := &clock{now: epoch}, map[int]bool{1: true, 2: true, 3: true}
	l := NewLedger(clock.Now, func(p Process) bool { return alive[p.PID] })
	saves, saved := 0, []Lease{}
	run := func(pid, keys int) Lease {
		return Lease{Environment: "e1", View: ViewExec, Holder: Process{PID: pid}, Held: Held{Keys: keys}}
	}
	l.Keep([]Lease{run(1, 1), run(9, 1)}, func(leases []Lease) { saves, saved = saves+1, leases })
	for what, lease := range map[string]Lease{
		"an SDK":  {View: "credential-process", Held: Held{Keys: 1}, Holder: Process{PID: 2}, Until: epoch.Add(time.Hour)},
		"a shell": {View: "openstack/hook-sh", Held: Held{Password: 1, Keys: 1}, Holder: Process{PID: 2}},
		"a file":  {View: "file/s3cfg", Held: Held{Keys: 1}, Holder: Process{Program: "/x/s3cfg"}},
	} {
		lease.Environment = "e1"
		l.Add(lease)
		l.Succeed(lease, time.Minute)
		l.Of("e1")
		if saves != 0 {
			t.Errorf("%s is written down", what)
		}
	}
	for _, step := range []struct {
		what string
		do   func()
		want []Lease
	}{
		{"one more", func() { l.Add(run(2, 1)) }, []Lease{run(1, 1), run(2, 1)}},
		{"it is given the next key too", func() { l.Add(run(2, 2)) }, []Lease{run(1, 1), run(2, 1), run(2, 2)}},
		{"what it runs starts anew", func() { l.Succeed(run(2, 3), 0) }, []Lease{run(1, 1), run(2, 3)}},
		{"and has only a key of the gateway", func() { l.Succeed(run(2, 0), 0) }, []Lease{run(1, 1)}},
		{"one has ended", func() { alive[1] = false; l.Add(run(3, 3)) }, []Lease{run(3, 3)}},
		{"all have", func() { alive[3] = false; l.Add(run(2, 0)) }, nil},
	} {
		step.do()
		slices.SortFunc(saved, func(a, b Lease) int {
			return cmp.Or(cmp.Compare(a.Holder.PID, b.Holder.PID), cmp.Compare(a.Keys, b.Keys))
		})
		if !slices.Equal(saved, step.want) {
			t.Errorf("%s: saved %+v; want %+v", step.what, saved, step.want)
		}
	}
}
