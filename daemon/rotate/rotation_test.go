package rotate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/test/practice"
)

func TestRotateKey(t *testing.T) {
	w := newWorld(t)
	old := w.dev()
	generation := w.Contents().Environments["dev"].Generation
	var story []string
	if err := w.Rotate(t.Context(), KindKey, "dev", Wish{}, func(p Progress) { story = append(story, string(p.Step)+" "+p.State) }); err != nil {
		t.Fatal(err)
	}
	want := "journal done, create start, create done, prove start, prove done, flip start, flip done, drain start"
	if got := strings.Join(story, ", "); got != want {
		t.Errorf("told: %s; want %s", got, want)
	}
	if w.active("dev").AccessKeyID == old.Access || len(w.keys()) != 2 {
		t.Errorf("the new key does not serve beside the old one: %v", w.keys())
	}
	if w.Contents().Environments["dev"].Generation <= generation {
		t.Error("shells are not told")
	}
	w.serves()
	if _, failures := w.GoOn(t.Context()); len(failures) > 0 || len(w.keys()) != 2 {
		t.Errorf("deleted before its time: %v, %v", w.keys(), failures)
	}
	w.clock.step(3 * time.Second)
	w.finish()
	w.clean()
}

// The old key is there as long as somebody holds it, and no longer.
func TestDrainWaitsForHolders(t *testing.T) {
	for name, c := range map[string]struct {
		lease  Lease
		grace  time.Duration // 0: none wished
		theirs bool          // the key came from a file
		reborn bool          // the daemon started anew after the key was made
		ends   time.Duration // the holder ends then; 0: never, or before
		kept   time.Duration // the old key is there then
		gone   time.Duration // and gone then
	}{
		"nobody":                     {kept: time.Second, gone: 3 * time.Second},
		"an SDK":                     {lease: Lease{Until: epoch.Add(20 * time.Minute)}, kept: 19 * time.Minute, gone: 21 * time.Minute},
		"a shell":                    {lease: Lease{Holder: Process{PID: 1}}, kept: 59 * time.Minute, gone: 61 * time.Minute},
		"what a shell left behind":   {lease: Lease{Holder: Process{PID: 2}}, kept: 59 * time.Minute, gone: 61 * time.Minute},
		"a program":                  {lease: Lease{View: ViewExec, Holder: Process{PID: 1}}, ends: 70 * time.Hour, kept: 69 * time.Hour, gone: 71 * time.Hour},
		"a program, a grace":         {lease: Lease{View: ViewExec, Holder: Process{PID: 1}}, grace: time.Minute, kept: 59 * time.Second, gone: 61 * time.Second},
		"a program that ended":       {lease: Lease{View: ViewExec, Holder: Process{PID: 2}}, kept: time.Second, gone: 3 * time.Second},
		"a shorter grace":            {lease: Lease{Until: epoch.Add(20 * time.Minute)}, grace: time.Minute, kept: 50 * time.Second, gone: 61 * time.Second},
		"a longer grace":             {grace: 5 * time.Hour, kept: 4 * time.Hour, gone: 5*time.Hour + time.Second},
		"who has the file":           {theirs: true, kept: 59 * time.Minute, gone: 61 * time.Minute},
		"the file, a grace":          {theirs: true, grace: time.Minute, kept: 59 * time.Second, gone: 61 * time.Second},
		"who knows, after a restart": {reborn: true, kept: 59 * time.Minute, gone: 61 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.alive[1] = true
			w.dev()
			if !c.theirs {
				if err := w.atOnce(KindKey); err != nil {
					t.Fatal(err)
				}
			}
			if c.reborn {
				w.clock.step(time.Second)
				w.open()
			}
			if c.lease != (Lease{}) {
				e, _, _ := w.Environment("dev")
				active, _ := e.Keys.Active()
				c.lease.Environment, c.lease.Keys = e.ID, active.N
				w.ledger.Add(c.lease)
			}
			wish := Wish{}
			if c.grace != 0 {
				wish.Grace = &c.grace
			}
			if err := w.Rotate(t.Context(), KindKey, "dev", wish, silent); err != nil {
				t.Fatal(err)
			}
			flip := w.clock.Now()
			for _, at := range []struct {
				after time.Duration
				keys  int
			}{{c.kept, 2}, {c.gone, 1}} {
				w.clock.step(flip.Add(at.after).Sub(w.clock.Now()))
				w.alive[1] = c.ends == 0 || at.after < c.ends
				if _, failures := w.GoOn(t.Context()); len(failures) > 0 {
					t.Fatal(failures)
				}
				if n := len(w.keys()); n != at.keys {
					t.Errorf("%v after the flip there are %d keys, want %d", at.after, n, at.keys)
				}
			}
			w.clean()
		})
	}
}

// A moment is how long after the one before it, and how many keys there are then.
type moment struct {
	after time.Duration
	keys  int
}

// drains checks how many keys are at the cloud, moment after moment.
func (w *world) drains(moments ...moment) {
	w.Helper()
	for _, m := range moments {
		w.clock.step(m.after)
		w.GoOn(w.Context())
		if n := len(w.keys()); n != m.keys {
			w.Errorf("%d keys, want %d", n, m.keys)
		}
	}
}

// Who holds a key keeps it alive also where its environment was removed and added
// anew meanwhile.
func TestDrainAfterRemoval(t *testing.T) {
	w := newWorld(t)
	key := w.dev()
	w.handOut("dev", epoch.Add(80*time.Minute))
	if err := w.Remove("dev", false); err != nil {
		t.Fatal(err)
	}
	w.take("dev", "dev-ccontini")
	if w.active("dev").AccessKeyID != key.Access {
		t.Fatalf("%s serves", w.active("dev").AccessKeyID)
	}
	if p, err := w.Plan(KindKey, "dev", new(time.Duration)); err != nil || len(p.Broken) != 1 {
		t.Errorf("a grace of nothing breaks %+v, %v", p.Broken, err)
	}
	if err := w.Rotate(t.Context(), KindKey, "dev", Wish{}, silent); err != nil {
		t.Fatal(err)
	}
	w.drains(moment{79 * time.Minute, 2}, moment{2 * time.Minute, 1})
}

// A clock that is set back under a drain keeps the old key for those who were
// told a time that is now further off; one that is set forward has them ask anew.
func TestDrainWhileTheClockIsSet(t *testing.T) {
	for set, kept := range map[time.Duration]bool{-time.Hour: true, time.Hour: false} {
		w := newWorld(t)
		w.dev()
		e, _, _ := w.Environment("dev")
		active, _ := e.Keys.Active()
		until := w.clock.Now().Add(20 * time.Minute)
		w.ledger.Add(Lease{Environment: e.ID, Held: Held{Keys: active.N}, Until: until})
		if err := w.Rotate(t.Context(), KindKey, "dev", Wish{}, silent); err != nil {
			t.Fatal(err)
		}
		w.clock.step(set)
		w.clock.step(30 * time.Minute)
		w.GoOn(t.Context())
		if n := len(w.keys()); (n == 2) != kept {
			t.Errorf("set by %v, half an hour later there are %d keys", set, n)
		}
		w.clock.step(until.Sub(w.clock.Now()))
		w.finish()
		w.clean()
	}
}

// A restart in mid-drain is never shorter: leases that the dead daemon may have
// given run to their end, even where the new one gives shorter ones.
func TestDrainAfterRestart(t *testing.T) {
	w := newWorld(t)
	w.dev()
	w.SetPatience(Patience{Ledger: w.ledger, Grace: testGrace, Lease: 12 * time.Hour})
	if err := w.Rotate(t.Context(), KindKey, "dev", Wish{}, silent); err != nil {
		t.Fatal(err)
	}
	w.clock.step(time.Second)
	w.open() // gives 20 minutes
	w.drains(moment{11 * time.Hour, 2}, moment{61 * time.Minute, 1})
	w.clean()
}

// Foreign keys, of the same user and project, survive every rotation.
func TestForeignKeysAreLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.dev()
	foreign := w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"])
	if err := w.Rotate(t.Context(), KindKey, "dev", Wish{Grace: new(time.Duration)}, silent); err != nil {
		t.Fatal(err)
	}
	w.finish()
	if ids := w.keys(); len(ids) != 2 || !slices.Contains(ids, foreign.Access) {
		t.Errorf("the keys are %v, the foreign one was %s", ids, foreign.Access)
	}
	w.serves()
}

// A key of somebody else's appears just when the cloud is to choose one: it is not
// taken for ours before one was asked for, and what is ours by a guess alone is
// never deleted.
func TestAppearingKeysAreNotDeleted(t *testing.T) {
	noChoice := practice.Fault{Route: "POST /v3/credentials", Status: 403, Body: `{"error":{"code":403,"title":"Forbidden","message":"no"}}`}
	const server = "POST /v3/users/{user}/credentials/OS-EC2"
	for name, c := range map[string]struct {
		point string // it appears there
		nth   int
		lost  bool // the cloud never heard of our question
		asked int
	}{
		"before one was asked for": {point: "create: recorded", nth: 1, asked: 1},
		"in place of ours":         {point: "create: recorded", nth: 2, lost: true, asked: 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.dev()
			w.cloud.Fail(noChoice)
			w.cloud.Fail(practice.Fault{Route: "s3:ListBuckets", Status: 403, Body: "<Error><Code>SignatureDoesNotMatch</Code></Error>"})
			var foreign practice.Key
			n := 0
			w.fault = func(point string) error {
				if point != c.point {
					return nil
				}
				if n++; n == c.nth {
					foreign = w.cloud.CreateKey(w.name(), w.cloud.User.Projects["dev-ccontini"])
					if c.lost {
						return errDied
					}
				}
				return nil
			}
			if _, err := w.beginKey("dev", nil); err != nil {
				t.Fatal(err)
			}
			for range 8 {
				w.GoOn(t.Context())
				w.clock.step(proveWithin / 2)
			}
			if w.journal() != nil || !slices.Contains(w.keys(), foreign.Access) {
				t.Errorf("the foreign key is gone, journal %+v", w.journal())
			}
			if n := w.cloud.Count(server); n != c.asked {
				t.Errorf("%d keys were asked for", n)
			}
			w.cloud.Heal()
			w.serves()
			e, _, _ := w.Environment("dev")
			if got := ForeignKeys(w.Contents(), e); !slices.Equal(got, []string{foreign.Access}) || len(w.keys()) != 2 {
				t.Errorf("told of %v, at the cloud are %v", got, w.keys())
			}
		})
	}
}

// Two machines with one user: the second takes up the key that the first made
// when its own is gone, and never deletes it.
func TestTwoMachines(t *testing.T) {
	first := newWorld(t)
	first.dev()
	second := first.second()
	zero := new(time.Duration)
	if err := first.Rotate(t.Context(), KindKey, "dev", Wish{Grace: zero, Wait: true}, silent); err != nil {
		t.Fatal(err)
	}
	if err := second.KeyRejected(t.Context(), "dev"); err != nil {
		t.Fatal(err)
	}
	if second.active("dev") != first.active("dev") {
		t.Fatal("the second machine does not serve the key that is there")
	}
	plan, err := second.Plan(KindKey, "dev", zero)
	if err != nil || !strings.Contains(plan.Spared, "another ccad") {
		t.Errorf("the plan: %+v, %v", plan, err)
	}
	var story []string
	if err := second.Rotate(t.Context(), KindKey, "dev", Wish{Grace: zero, Wait: true}, func(p Progress) { story = append(story, p.Note) }); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(story, " "), "stays at the cloud") {
		t.Errorf("told: %q", story)
	}
	first.serves()
	second.serves()
	_ = second.Verify(t.Context(), "dev", false)
	e, _, _ := second.Environment("dev")
	if got := ForeignKeys(second.Contents(), e); !slices.Equal(got, []string{first.active("dev").AccessKeyID}) {
		t.Errorf("the second machine tells of %v", got)
	}
	for range 3 { // each goes on with its own
		for _, w := range []*world{first, second} {
			if err := w.Rotate(t.Context(), KindKey, "dev", Wish{Grace: zero, Wait: true}, silent); err != nil {
				t.Fatal(err)
			}
			first.serves()
			second.serves()
		}
	}
	if n := len(first.keys()); n != 2 {
		t.Errorf("%d keys", n)
	}
}

// Two machines change the password of one user: the second one's is refused once,
// and it is served there no more.
func TestTwoMachinesAndAPassword(t *testing.T) {
	first := newWorld(t)
	first.both()
	second := first.second()
	if err := first.rotatePassword(); err != nil {
		t.Fatal(err)
	}
	var no *RefusedError
	if err := second.rotatePassword(); !errors.As(err, &no) {
		t.Errorf("the second machine says %v", err)
	}
	if MayServePassword(second.user()) == nil {
		t.Error("the second machine serves a dead password")
	}
	first.works(1)
	first.sentWrong(1)
	if _, err := second.UpdatePassword(t.Context(), second.user().ID, secretOf(first.cloud.Password(first.name())), false); err != nil {
		t.Fatal(err)
	}
	first.clock.step(2 * time.Second)
	if err := second.rotatePassword(); err != nil {
		t.Error(err)
	}
	second.known()
}

// die makes the n-th crash point the last.
func (w *world) die(n int) (points *[]string) {
	points = &[]string{}
	w.fault = func(point string) error {
		*points = append(*points, point)
		if len(*points) >= n {
			return errDied
		}
		return nil
	}
	return points
}

// dieAnywhere makes the n-th of all points the last, the steps of every write of
// the store among them.
func (w *world) dieAnywhere(n int) (points *[]string) {
	points = w.die(n)
	w.vault.Fault(func(step string) error { return w.fault("store: " + step) })
	return points
}

// A kill at every boundary of every step, and between a request and its answer:
// afterwards one key is active and works, and nothing is left behind.
func TestKilledAnywhere(t *testing.T) {
	for n := 1; ; n++ {
		w := newWorld(t)
		w.dev()
		points := w.die(n)
		err := w.Rotate(t.Context(), KindKey, "dev", Wish{}, silent)
		if err == nil { // it got as far as the drain
			w.clock.step(2 * time.Hour)
			_, failures := w.GoOn(t.Context())
			err = failures["the S3 key of dev"]
		}
		last := (*points)[len(*points)-1]
		if err == nil {
			if n < 15 {
				t.Errorf("only %d points to die at: %v", n, *points)
			}
			return
		}
		if !errors.Is(err, errDied) {
			t.Fatalf("%s: %v", last, err)
		}
		w.open()
		w.serves()
		w.finish()
		w.clean()
		if t.Failed() {
			t.Fatalf("killed at %q", last)
		}
	}
}

// Every request of a rotation fails once in each way there is.
func TestFaultyCloud(t *testing.T) {
	for _, route := range []string{"POST /v3/credentials", "s3:ListBuckets", "GET /v3/users/{user}/credentials/OS-EC2", "DELETE /v3/users/{user}/credentials/OS-EC2/{key}", "POST /v3/auth/tokens"} {
		for name, fault := range map[string]practice.Fault{
			"500":         {Status: 500, Body: "<html>"},
			"429":         practice.Limited("", "7"),
			"cut":         {Break: practice.Cut},
			"lost answer": {Break: practice.Cut, AfterWork: true},
			"reset":       {Break: practice.Reset, AfterWork: true},
			"torn":        {Break: practice.Torn},
			"garbage":     practice.Garbage(""),
		} {
			t.Run(name+" "+route, func(t *testing.T) {
				w := newWorld(t)
				w.dev()
				w.open() // without tokens
				fault.Route, fault.Times = route, 2
				if route == "POST /v3/auth/tokens" {
					fault.Times = 1 // a second lost answer is for a person to mend
				}
				w.cloud.Fail(fault)
				if _, err := w.beginKey("dev", nil); err != nil {
					t.Fatal(err)
				}
				for range 8 {
					w.GoOn(t.Context())
					w.living(route)
					w.clock.step(20 * time.Minute)
				}
				if w.cloud.Count(route) == 0 {
					t.Fatalf("no request of that route: %v", w.cloud.Counts())
				}
				w.finish()
				w.clean()
			})
		}
	}
}

// Where nobody may choose a key the cloud makes it; a lost answer is found.
func TestCloudChoosesTheKey(t *testing.T) {
	for _, lost := range []bool{false, true} {
		w := newWorld(t)
		w.dev()
		w.cloud.Fail(practice.Fault{Route: "POST /v3/credentials", Status: 403, Body: `{"error":{"code":403,"title":"Forbidden","message":"no"}}`})
		if lost {
			w.cloud.Fail(practice.Fault{Route: "POST /v3/users/{user}/credentials/OS-EC2", Break: practice.Cut, AfterWork: true, Times: 1})
		}
		if _, err := w.beginKey("dev", nil); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			w.GoOn(t.Context())
			w.clock.step(time.Minute)
		}
		w.finish()
		w.clean()
	}
}

// S3 refuses what Keystone lists: a while is waited, then the new key goes.
func TestWithdrawn(t *testing.T) {
	w := newWorld(t)
	old := w.dev()
	w.cloud.Fail(practice.Fault{Route: "s3:ListBuckets", Status: 403, Body: "<Error><Code>SignatureDoesNotMatch</Code></Error>"})
	if _, err := w.beginKey("dev", nil); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		w.GoOn(t.Context())
		w.clock.step(proveWithin / 2)
	}
	if w.journal() != nil || w.active("dev").AccessKeyID != old.Access {
		t.Errorf("not withdrawn: %+v", w.journal())
	}
	w.cloud.Heal()
	w.clean()

	refusal := practice.Fault{Status: 409, Body: `{"error":{"code":409,"title":"Conflict","message":"Quota"}}`, Route: "POST /v3/credentials"}
	w.cloud.Fail(refusal)
	err := w.Rotate(t.Context(), KindKey, "dev", Wish{}, silent)
	if !errors.Is(err, ErrWithdrawn) {
		t.Errorf("a refused creation: %v", err)
	}
	w.cloud.Heal()
	w.clean()
}

// A key that a person puts in force while another is being made stays.
func TestSupersededByAPerson(t *testing.T) {
	for _, step := range []Step{StepFlip, StepDrain, StepDelete} {
		t.Run(string(step), func(t *testing.T) {
			w := newWorld(t)
			w.dev()
			w.fault = func(point string) error {
				if point == string(step)+": begun" {
					return errDied
				}
				return nil
			}
			_ = w.Rotate(t.Context(), KindKey, "dev", Wish{Grace: new(time.Duration)}, silent)
			w.open()
			for _, key := range w.cloud.Reset(w.cloud.User.Name, "regenerated") {
				if key.ProjectID != w.cloud.User.Projects["dev-ccontini"] {
					w.cloud.DeleteKey(key.Access)
				}
			}
			w.clock.step(2 * time.Second)
			var id string
			for id = range w.Contents().Users {
			}
			if _, err := w.UpdatePassword(t.Context(), id, secretOf("regenerated"), false); err != nil {
				t.Fatal(err)
			}
			w.finish()
			w.serves()
			if ids := w.keys(); len(ids) != 1 || ids[0] != w.active("dev").AccessKeyID {
				t.Errorf("the cloud has %v, %s serves", ids, w.active("dev").AccessKeyID)
			}
		})
	}
}

// The key that is to go is back in force: it is not deleted.
func TestOldKeyBackInForce(t *testing.T) {
	for _, step := range []Step{StepDrain, StepDelete} {
		w := newWorld(t)
		old := w.dev()
		w.fault = func(point string) error {
			if point == string(step)+": begun" {
				return errDied
			}
			return nil
		}
		_ = w.Rotate(t.Context(), KindKey, "dev", Wish{Grace: new(time.Duration)}, silent)
		w.open()
		w.cloud.DeleteKey(w.active("dev").AccessKeyID) // somebody, in the portal
		if err := w.Verify(t.Context(), "dev", true); err != nil {
			t.Fatal(err)
		}
		w.finish()
		if w.active("dev").AccessKeyID != old.Access || !slices.Contains(w.keys(), old.Access) {
			t.Errorf("%s: the last key that worked is gone: %v", step, w.keys())
		}
		w.serves()
	}
}

// The successor vanished, and nobody has noticed: the old key is kept.
func TestOldKeyIsKeptWithoutSuccessor(t *testing.T) {
	w := newWorld(t)
	old := w.dev()
	if err := w.Rotate(t.Context(), KindKey, "dev", Wish{}, silent); err != nil {
		t.Fatal(err)
	}
	w.cloud.DeleteKey(w.active("dev").AccessKeyID)
	for range 4 {
		w.clock.step(time.Hour)
		w.GoOn(t.Context())
	}
	if !slices.Contains(w.keys(), old.Access) {
		t.Error("the last key that worked was deleted")
	}
}

func TestTwoRotatesAtOnce(t *testing.T) {
	w := newWorld(t)
	w.dev()
	ended := make(chan error, 4)
	for range 4 {
		go func() { ended <- w.Rotate(context.Background(), KindKey, "dev", Wish{}, silent) }()
	}
	for range 4 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if n := len(w.keys()); n != 2 {
		t.Errorf("%d keys: each made one of its own", n)
	}
	w.finish()
	w.clean()
}

// A disk that is full lets nothing be asked of the cloud that is not on record.
func TestStoreUnwritable(t *testing.T) {
	w := newWorld(t)
	w.dev()
	w.cloud.ResetCounts()
	if err := os.Rename(w.dir, w.dir+".away"); err != nil {
		t.Fatal(err)
	}
	if err := w.Rotate(t.Context(), KindKey, "dev", Wish{}, silent); err == nil {
		t.Fatal("rotated without a journal")
	}
	if n := w.cloud.Count("POST *"); n != 0 {
		t.Errorf("%d requests without a journal", n)
	}
	back := func() {
		if err := os.Rename(w.dir+".away", w.dir); err != nil {
			t.Fatal(err)
		}
	}
	back()
	for _, step := range []Step{StepCreate, StepProve, StepFlip, StepDelete, StepDead} { // full after the remote change
		w.fault = func(point string) error {
			if point == string(step)+": asked" {
				return os.Rename(w.dir, w.dir+".away")
			}
			return nil
		}
		if _, err := w.beginKey("dev", new(time.Duration)); err != nil {
			t.Fatal(err)
		}
		if _, failures := w.GoOn(t.Context()); len(failures) == 0 {
			t.Errorf("%s: the disk was not missed", step)
		}
		back()
		w.fault = nil
		w.clock.step(15 * time.Minute)
		w.finish()
		w.clean()
	}
}

// soak returns how many random kills to make (CCAD_SOAK) and what draws them; a
// failure is seen again with the CCAD_SEED that the log tells.
func soak(t *testing.T, kills int) (int, *rand.Rand) {
	if n, err := strconv.Atoi(os.Getenv("CCAD_SOAK")); err == nil {
		kills = n
	}
	seed := uint64(time.Now().UnixNano())
	if n, err := strconv.ParseUint(os.Getenv("CCAD_SEED"), 10, 64); err == nil {
		seed = n
	}
	t.Logf("CCAD_SEED=%d", seed)
	return kills, rand.New(rand.NewPCG(seed, 1))
}

func TestRandomKills(t *testing.T) {
	kills, random := soak(t, 25)
	w := newWorld(t)
	w.dev()
	for i := range kills {
		points := w.dieAnywhere(1 + random.IntN(150))
		_ = w.Rotate(t.Context(), KindKey, "dev", Wish{Grace: new(time.Duration)}, silent)
		if len(*points) > 0 && random.IntN(3) == 0 {
			w.cloud.Fail(practice.Fault{Route: "*", Break: practice.Cut, AfterWork: random.IntN(2) == 0, Skip: random.IntN(4), Times: 1})
		}
		w.clock.step(time.Duration(random.IntN(100)) * time.Second)
		w.open()
		w.living(fmt.Sprintf("after kill %d", i))
	}
	w.finish()
	w.clean()
}

// The table in the package documentation, the table in the code and the ways
// that are really taken are the same.
func TestTransitions(t *testing.T) {
	page, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, line := range strings.Split(string(page), "\n") {
		cells := strings.Split(strings.TrimPrefix(line, "//"), "|")
		if len(cells) == 4 && !strings.Contains(line, "it means") {
			documented = append(documented, strings.Join([]string{strings.TrimSpace(cells[0]), strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2])}, " "))
		}
	}
	coded := allTransitions()
	slices.Sort(documented)
	if !slices.Equal(documented, coded) {
		t.Errorf("documented:\n%s\ncoded:\n%s", strings.Join(documented, "\n"), strings.Join(coded, "\n"))
	}
}

// A new key that somebody deletes before it serves is made again.
func TestNewKeyDeletedBeforeItServes(t *testing.T) {
	w := newWorld(t)
	old := w.dev()
	w.fault = func(point string) error {
		if point == string(StepProve)+": begun" {
			return errDied
		}
		return nil
	}
	_ = w.Rotate(t.Context(), KindKey, "dev", Wish{Grace: new(time.Duration)}, silent)
	w.open()
	for _, id := range w.keys() {
		if id != old.Access {
			w.cloud.DeleteKey(id)
		}
	}
	w.finish()
	w.clean()
}

// A cloud that says it deleted the key, and did not.
func TestDeadIsProved(t *testing.T) {
	w := newWorld(t)
	w.dev()
	w.cloud.Fail(practice.Fault{Route: "DELETE /v3/users/{user}/credentials/OS-EC2/{key}", Status: 204, Times: 1})
	if err := w.Rotate(t.Context(), KindKey, "dev", Wish{Grace: new(time.Duration), Wait: true}, silent); err != nil {
		t.Fatal(err)
	}
	w.clean()
}

// What serves is not withdrawn, whatever the journal says.
func TestWithdrawSparesWhatServes(t *testing.T) {
	w := newWorld(t)
	w.dev()
	if err := w.Rotate(t.Context(), KindKey, "dev", Wish{}, silent); err != nil {
		t.Fatal(err)
	}
	serving := w.active("dev").AccessKeyID
	err := w.vault.Change(func(c *vault.Contents) error {
		e := c.Environments["dev"]
		j := *e.KeyRotation
		j.Step, e.KeyRotation = string(StepWithdraw), &j
		c.Environments["dev"] = e
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w.finish()
	if !slices.Contains(w.keys(), serving) {
		t.Error("the key that serves was withdrawn")
	}
}

// A user who is disabled in mid-rotation costs one failed login; when he is back,
// and a person says so, it goes on.
func TestUserDisabledInMidRotation(t *testing.T) {
	for _, step := range []Step{StepCreate, StepProve, StepDelete, StepDead} {
		w := newWorld(t)
		w.dev()
		w.fault = func(point string) error {
			if point == string(step)+": begun" {
				return errDied
			}
			return nil
		}
		_ = w.Rotate(t.Context(), KindKey, "dev", Wish{Grace: new(time.Duration)}, silent)
		w.open()
		w.cloud.Enable(w.cloud.User.Name, false)
		w.cloud.ResetCounts()
		for range 5 {
			_, failures := w.GoOn(t.Context())
			if len(failures) == 0 && w.journal() == nil {
				t.Errorf("%s: it went on without the user", step)
			}
			w.living(string(step))
			w.clock.step(time.Hour)
		}
		if n := w.cloud.Count("POST /v3/auth/tokens"); n != 1 {
			t.Errorf("%s: the password was sent %d times", step, n)
		}
		w.cloud.Enable(w.cloud.User.Name, true)
		if err := w.Verify(t.Context(), "dev", true); err != nil {
			t.Fatal(err)
		}
		w.finish()
		w.serves()
		if ids := w.keys(); len(ids) != 1 {
			t.Errorf("%s: the keys %v are left", step, ids)
		}
	}
}
