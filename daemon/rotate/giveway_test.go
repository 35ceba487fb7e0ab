package rotate

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// runs has a program run with dev's S3 key, of which nobody knows when it ends.
func (w *world) runs(pid int) {
	e := w.Contents().Environments["dev"]
	v, _ := e.Keys.Active()
	w.alive[pid] = true
	w.ledger.Add(Lease{Environment: e.ID, View: ViewExec, Holder: Process{PID: pid, Program: "sleep"}, Held: Held{Keys: v.N}})
}

// regenerate replaces dev's keys as the portal does, and ccad notices.
func (w *world) regenerate() {
	w.Helper()
	dev := w.cloud.User.Projects["dev-ccontini"]
	w.cloud.DeleteKeys(w.cloud.User.Name, dev)
	w.cloud.CreateKey(w.cloud.User.Name, dev)
	if err := w.Verify(w.Context(), "dev", true); err != nil {
		w.Fatal(err)
	}
}

// gives has a person put another key of the project in force.
func (w *world) gives() {
	w.Helper()
	key := w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"])
	o := w.offer("dev")
	o.By, o.Keys = "person", &account.KeyPair{AccessKeyID: key.Access, Secret: account.NewSecret(key.Secret)}
	if _, err := w.Adopt(w.Context(), o); err != nil {
		w.Fatal(err)
	}
}

// Who asks again while the former key drains is told so, and gets no other; with a
// grace it is deleted then.
func TestRotateWhileItDrains(t *testing.T) {
	w := newWorld(t)
	w.dev()
	w.runs(1)
	if err := w.Rotate(t.Context(), KindKey, "dev", Wish{}, silent); err != nil {
		t.Fatal(err)
	}
	serves := w.active("dev")
	w.clock.step(time.Hour)
	if p, err := w.Plan(KindKey, "dev", nil); err != nil || !p.Already || p.Under || len(p.Holders) != 1 {
		t.Errorf("the plan: %+v, %v", p, err)
	}
	var story []Progress
	if err := w.Rotate(t.Context(), KindKey, "dev", Wish{}, func(p Progress) { story = append(story, p) }); err != nil {
		t.Fatal(err)
	}
	if w.active("dev") != serves || len(w.keys()) != 2 {
		t.Errorf("another was made: %v", w.keys())
	}
	want := "it was replaced already, by the rotation begun at " + stamp(epoch) + "; the former one is deleted when the programs have ended that run with it; 1 still hold it; others may hold it"
	if len(story) != 1 || story[0].Step != StepDrain || !story[0].Already || story[0].Note != want || len(story[0].Holders) != 1 {
		t.Errorf("told: %+v", story)
	}
	if err := w.Rotate(t.Context(), KindKey, "dev", Wish{Grace: new(time.Duration), Wait: true}, silent); err != nil {
		t.Fatal(err)
	}
	if w.active("dev") != serves {
		t.Error("a grace made another")
	}
	w.clean()
}

// A rotation whose key is in force no more gives way to the next, and what the
// cloud has deleted already is waited for by nobody.
func TestSupersededGivesWay(t *testing.T) {
	w := newWorld(t)
	w.dev()
	w.runs(1)
	if err := w.Rotate(t.Context(), KindKey, "dev", Wish{}, silent); err != nil {
		t.Fatal(err)
	}
	w.regenerate()
	regenerated := w.active("dev")
	if p, err := w.Plan(KindKey, "dev", nil); err != nil || p.Already || p.Under || p.Name != regenerated.AccessKeyID {
		t.Errorf("the plan: %+v, %v", p, err)
	}
	if err := w.Rotate(t.Context(), KindKey, "dev", Wish{Wait: true}, silent); err != nil {
		t.Fatal(err)
	}
	if w.active("dev") == regenerated || w.journal() != nil || len(w.keys()) != 1 {
		t.Errorf("dev has %s, journal %+v, at the cloud are %v", w.active("dev").AccessKeyID, w.journal(), w.keys())
	}
	w.serves()
}

// What such a rotation has still to delete is deleted all the same, and not while
// somebody holds it, whoever waits and wherever ccad dies.
func TestSupersededDeletesAllTheSame(t *testing.T) {
	for n, over := 1, false; !over; n += 3 {
		w := newWorld(t)
		key := w.dev()
		w.handOut("dev", epoch.Add(20*time.Minute))
		if err := w.Rotate(t.Context(), KindKey, "dev", Wish{}, silent); err != nil {
			t.Fatal(err)
		}
		made := w.active("dev")
		w.gives()
		given := w.active("dev")
		w.clock.step(time.Minute)
		w.die(n)
		err := w.Rotate(t.Context(), KindKey, "dev", Wish{}, silent)
		over = err == nil
		if !over && !errors.Is(err, errDied) {
			t.Fatal(err)
		}
		w.fault = nil
		if over && (w.active("dev") == given || w.journal() == nil || len(w.journal().Left) != 1) {
			t.Fatalf("dev has %s, journal %+v", w.active("dev").AccessKeyID, w.journal())
		}
		w.clock.step(18 * time.Minute)
		w.GoOn(t.Context())
		if !slices.Contains(w.keys(), key.Access) {
			t.Fatalf("killed at %d: the first key is gone while it is held", n)
		}
		w.clock.step(2 * time.Minute)
		w.finish()
		want := []string{made.AccessKeyID, w.active("dev").AccessKeyID} // of the first a person has made another's
		if got := w.keys(); len(got) != 2 || !slices.Contains(got, want[0]) || !slices.Contains(got, want[1]) {
			t.Errorf("killed at %d: at the cloud are %v, want %v", n, got, want)
		}
		if over && w.active("dev") == given {
			t.Error("nothing new is in force")
		}
		w.serves()
	}
}

// A grace is for all that drains, and the plan has all whom it breaks; who waits
// for a rotation waits for it also where another took its place.
func TestSupersededAndAGrace(t *testing.T) {
	w := newWorld(t)
	w.dev()
	w.runs(1)
	if err := w.Rotate(t.Context(), KindKey, "dev", Wish{}, silent); err != nil {
		t.Fatal(err)
	}
	begun := w.journal().Begun
	w.gives()
	w.runs(2)
	w.clock.step(time.Minute)
	if _, err := w.beginKey("dev", nil); err != nil {
		t.Fatal(err)
	}
	if j := stillOf(w.journal(), begun); j == nil || Step(j.Step) != StepDrain || stillOf(w.journal(), epoch.Add(-time.Hour)) != nil {
		t.Errorf("of the first rotation there is %+v", j)
	}
	w.GoOn(t.Context())
	w.gives()
	if p, err := w.Plan(KindKey, "dev", new(time.Duration)); err != nil || len(p.Broken) != 2 {
		t.Errorf("a grace of nothing breaks %+v, %v", p.Broken, err)
	}
	if err := w.Rotate(t.Context(), KindKey, "dev", Wish{Grace: new(time.Duration), Wait: true}, silent); err != nil {
		t.Fatal(err)
	}
	w.GoOn(t.Context())
	if w.journal() != nil {
		t.Errorf("it is not over: %+v", w.journal())
	}
	for _, v := range w.Contents().Environments["dev"].Keys.List {
		if v.State == vault.Pending {
			t.Error("a pending version is left")
		}
	}
}

// A key is due by its own age, and called so while the former one drains; it is
// replaced once that is over, or where a person has put another in force.
func TestScheduleAndADrain(t *testing.T) {
	w := newWorld(t)
	w.dev()
	w.runs(1)
	s := Schedule{Every: 90 * day}
	if err := w.Rotate(t.Context(), KindKey, "dev", Wish{}, silent); err != nil {
		t.Fatal(err)
	}
	serves := w.active("dev")
	w.clock.step(91 * day)
	due := func() time.Time { return s.KeyDue(w.Contents().Environments["dev"], w.user()) }
	if at := due(); at.IsZero() || at.After(w.clock.Now()) {
		t.Errorf("after 91 days it is due %v", at)
	}
	w.follows(s)
	if v, _ := w.Contents().Environments["dev"].Keys.Active(); v.Value != serves || !v.Tried.IsZero() {
		t.Error("it was begun, or noted as tried, while the former one drains")
	}
	w.alive[1] = false
	w.clock.step(lookAgain)
	w.follows(s)
	w.follows(s)
	if w.active("dev") == serves {
		t.Error("it was due, and is the same")
	}

	w.runs(2)
	w.clock.step(time.Hour)
	w.finish()
	if err := w.Rotate(t.Context(), KindKey, "dev", Wish{}, silent); err != nil {
		t.Fatal(err)
	}
	w.gives()
	given := w.active("dev")
	w.clock.step(91 * day)
	w.follows(s)
	if w.active("dev") == given {
		t.Error("what a person gave is not replaced while an older one drains")
	}
}

// What declines a rotation is told with its subject once.
func TestSubjectIsToldOnce(t *testing.T) {
	const subject = "the password of u"
	for note, want := range map[string]string{
		"ask a.example to change the password: too recently":    subject + ": ask a.example to change the password: too recently: ",
		subject + " was refused by the cloud: it is locked out": subject + " was refused by the cloud: it is locked out: ",
	} {
		p := Progress{Subject: subject, Note: note}
		if err := p.err(); !errors.Is(err, ErrWithdrawn) || strings.TrimSuffix(err.Error(), ErrWithdrawn.Error()) != want {
			t.Errorf("told: %v", err)
		}
		p.denied = true
		if err := p.err(); !errors.Is(err, ErrPortal) || strings.TrimSuffix(err.Error(), ErrPortal.Error()) != want {
			t.Errorf("told: %v", err)
		}
	}
}

// A grace of nothing is a person's word on all that drains, what an earlier
// rotation has left among it; and until that is over ccad answers for its key.
func TestGraceForWhatWasLeft(t *testing.T) {
	w := newWorld(t)
	key := w.dev()
	rotate := func(grace *time.Duration) {
		if err := w.Rotate(t.Context(), KindKey, "dev", Wish{Grace: grace}, silent); err != nil {
			t.Fatal(err)
		}
		w.clock.step(time.Minute)
	}
	w.runs(1)
	rotate(nil)
	w.gives()
	w.clock.step(time.Minute)
	w.runs(2)
	rotate(nil)
	if p, err := w.Plan(KindKey, "dev", new(time.Duration)); err != nil || len(p.Broken) != 2 {
		t.Errorf("whom no grace breaks: %+v, %v", p.Broken, err)
	}
	if err := w.Verify(t.Context(), "dev", true); err != nil {
		t.Fatal(err)
	}
	if c := w.Contents(); slices.Contains(ForeignKeys(c, c.Environments["dev"]), key.Access) {
		t.Error("a key that ccad is about to delete is called foreign")
	}
	rotate(new(time.Duration))
	for range 2 {
		w.GoOn(t.Context())
		w.clock.step(time.Minute)
	}
	if slices.Contains(w.keys(), key.Access) || w.journal() != nil {
		t.Errorf("the first key lives on: %v, journal %+v", w.keys(), w.journal())
	}
}
