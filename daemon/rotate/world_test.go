package rotate

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/test/practice"
)

// errDied is what a crash hook returns: the process is dead at that point, and
// nothing after it happens.
var errDied = errors.New("the process died")

// taken are the transitions that the tests of a run took.
var taken sync.Map

// TestMain sees that a whole run takes every transition there is.
func TestMain(m *testing.M) {
	code := m.Run()
	if flag.Lookup("test.run").Value.String() == "" && code == 0 {
		for _, way := range allTransitions() {
			if _, ok := taken.Load(way); !ok {
				fmt.Printf("no test takes the transition %q\n", way)
				code = 1
			}
		}
	}
	os.Exit(code)
}

func allTransitions() (all []string) {
	for _, table := range []map[Step]map[outcome]Step{transitions, passwordTransitions} {
		for from, ways := range table {
			for how, to := range ways {
				all = append(all, fmt.Sprintf("%s %s %s", from, how, cmp.Or(to, "over")))
			}
		}
	}
	slices.Sort(all)
	return all
}

// A clock that tests step, and the cloud's, which may be off.
type clock struct {
	mu   sync.Mutex
	now  time.Time
	skew time.Duration
}

func (c *clock) far() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now.Add(c.skew)
}

func (c *clock) skews(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.skew = d
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// tb is what a world needs of a test; a rapid.T has it too, with the folder that
// modelled adds.
type tb interface {
	Helper()
	Log(args ...any)
	Logf(format string, args ...any)
	Error(args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Failed() bool
	Cleanup(func())
	Context() context.Context
	TempDir() string
}

// A world is a practice cloud and a Keeper that can die and come back.
type world struct {
	tb
	clock  *clock
	cloud  *practice.Cloud
	dir    string
	master vault.Master
	ledger *Ledger
	alive  map[int]bool
	kept   []Lease // what a restart finds of the programs that run
	*Keeper
}

const testGrace = time.Hour

func newWorld(t tb) *world {
	t.Helper()
	w := &world{tb: t, clock: &clock{now: epoch}, dir: t.TempDir(), alive: map[int]bool{}}
	var err error
	if w.cloud, err = practice.Start(practice.Options{Now: w.clock.far, TokenTTL: 12 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.cloud.Close)
	if w.master, err = vault.NewMaster(); err != nil {
		t.Fatal(err)
	}
	w.open()
	return w
}

// second is another machine with the same user, in his project dev.
func (w *world) second() *world {
	w.Helper()
	other := w.another()
	other.take("dev", "dev-ccontini")
	return other
}

// another is another machine, which has nothing yet.
func (w *world) another() *world {
	w.Helper()
	other := &world{tb: w.tb, clock: w.clock, cloud: w.cloud, dir: w.TempDir(), alive: map[int]bool{}}
	var err error
	if other.master, err = vault.NewMaster(); err != nil {
		w.Fatal(err)
	}
	other.open()
	return other
}

// open starts a Keeper on what the disk has: after a death, without any memory.
func (w *world) open() {
	w.Helper()
	v, err := vault.Open(w.dir, w.master, 0)
	if err != nil {
		w.Fatal(err)
	}
	w.Keeper = New(v, cloud.New(cloud.Options{Now: w.clock.Now, Timeout: 5 * time.Second}), w.clock.Now, func(_, _ *vault.Contents, _ string) {})
	w.after = func(d time.Duration) <-chan time.Time {
		w.clock.step(d)
		over := make(chan time.Time)
		close(over)
		return over
	}
	w.traced = func(from Step, how outcome, to Step) {
		taken.Store(fmt.Sprintf("%s %s %s", from, how, cmp.Or(to, "over")), true)
	}
	w.ledger = NewLedger(w.clock.Now, func(p Process) bool { return w.alive[p.PID] })
	w.ledger.Keep(w.kept, func(leases []Lease) { w.kept = leases })
	w.SetPatience(Patience{Ledger: w.ledger, Grace: testGrace, Lease: 20 * time.Minute})
}

// Adopt is a person's command about one environment.
func (w *world) Adopt(ctx context.Context, o Offer) (Outcome, error) {
	return w.Round().Adopt(ctx, o)
}

// dev stores the environment dev with the S3 key that the cloud has for it.
func (w *world) dev() practice.Key {
	w.Helper()
	return w.adopt("dev", "dev-ccontini")
}

func (w *world) adopt(name, project string) practice.Key {
	w.Helper()
	key := w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects[project])
	w.take(name, project)
	return key
}

// take imports an environment, with the S3 key that the cloud has for it.
func (w *world) take(name, project string) {
	w.Helper()
	o := w.offer(name)
	o.Environment.Project, o.Password = project, account.NewSecret(w.cloud.Password(w.cloud.User.Name))
	if _, err := w.Adopt(w.Context(), o); err != nil {
		w.Fatal(err)
	}
}

// offer is an openrc of the user for dev or sys, without a password.
func (w *world) offer(name string) Offer {
	w.Helper()
	auth, err := account.ParseEndpoint(w.cloud.AuthURL, false)
	if err != nil {
		w.Fatal(err)
	}
	s3, err := account.ParseEndpoint(w.cloud.S3URL, false)
	if err != nil {
		w.Fatal(err)
	}
	project := map[string]string{"dev": "dev-ccontini", "sys": "system-ccontini"}[name]
	return Offer{
		Name: name, Named: true, By: "import",
		User:        account.User{Name: w.cloud.User.Name, DomainID: "default", Auth: auth, IdentityAPI: "3"},
		Environment: account.Environment{Project: project, ProjectDomainID: "default", S3: account.S3{Endpoint: s3, Region: practice.Region}},
	}
}

// keys are the access keys that the cloud has for dev's project.
func (w *world) keys() (ids []string) {
	for _, key := range w.cloud.Keys(w.cloud.User.Name) {
		if key.ProjectID == w.cloud.User.Projects["dev-ccontini"] {
			ids = append(ids, key.Access)
		}
	}
	return ids
}

// has reports whether there is an environment.
func (w *world) has(name string) bool {
	_, ok := w.Contents().Environments[name]
	return ok
}

func (w *world) active(name string) account.KeyPair {
	v, _ := w.Contents().Environments[name].Keys.Active()
	return v.Value
}

// serves checks that what dev serves works at the cloud.
func (w *world) serves() {
	w.Helper()
	active := w.active("dev")
	e, _, err := w.Environment("dev")
	if err != nil {
		w.Fatal(err)
	}
	if _, err := w.Keeper.cloud.ListBuckets(w.Context(), e.S3, active); err != nil {
		w.Fatalf("the S3 key that is served does not work: %v", err)
	}
}

// living checks that what dev serves is at the cloud, without asking it.
func (w *world) living(when string) {
	w.Helper()
	if !slices.Contains(w.keys(), w.active("dev").AccessKeyID) {
		w.Fatalf("%s: the key that is served is not at the cloud", when)
	}
}

// finish lets every fault be over and time pass until nothing is under way. A
// person helps: a password whose answers were lost twice waits for one.
func (w *world) finish() {
	w.Helper()
	w.cloud.Heal()
	for range 60 {
		if _, failures := w.GoOn(w.Context()); len(failures) > 0 {
			w.Logf("resume: %v; verify: %v", failures, w.Verify(w.Context(), "dev", true))
		}
		if w.journal() == nil {
			return
		}
		w.clock.step(15 * time.Minute)
	}
	w.Fatalf("the rotation does not end: %+v", *w.journal())
}

// clean checks that rotation has left nothing behind: one key at the cloud, the
// one that serves, and one version stored.
func (w *world) clean() {
	w.Helper()
	w.serves()
	e, _, _ := w.Environment("dev")
	if ids := w.keys(); len(ids) != 1 || ids[0] != w.active("dev").AccessKeyID {
		w.Errorf("the cloud has the keys %v, and %s serves", ids, w.active("dev").AccessKeyID)
	}
	if len(e.Keys.List) != 1 || e.KeyRotation != nil {
		w.Errorf("stored: %d versions, journal %v", len(e.Keys.List), e.KeyRotation)
	}
	if _, refused := w.cloud.Passwords(w.cloud.User.Name); refused != 0 {
		w.Errorf("the cloud counted %d failed logins", refused)
	}
}

func silent(Progress) {}

func secretOf(s string) account.Secret { return account.NewSecret(s) }

func (w *world) journal() *vault.Rotation { return w.Contents().Environments["dev"].KeyRotation }

// beginKey journals the rotation of an S3 key and does nothing more.
func (w *world) beginKey(name string, grace *time.Duration) (joined bool, err error) {
	return w.begin(w.Context(), ofEnvironment{s3Keys{}, name}, grace)
}
