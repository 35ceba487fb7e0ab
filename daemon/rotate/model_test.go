package rotate

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/test/practice"
)

// TestModel has persons, an administrator, a second machine and a broken world do
// whatever they can in any order, and holds after each act what must hold always:
//
//   - no password that ccad made, or that the cloud has accepted, is forgotten
//     while the cloud holds it, and one of each kind is active;
//   - a value whose refusal is on record is not sent again by anything but a
//     person, after an hour; an unanswered one once more, and once more by a kill;
//   - no more logins of a user fail without a person than may, whatever is sent;
//   - no key is deleted that ccad did not record, and none that it made is
//     unrecorded;
//   - generations never repeat, and rise with everything that is served;
//
// and in the end, when all is well again and a person has looked, that what is in
// force works and nothing is under way. CCAD_SOAK is how many lives are lived.
func TestModel(t *testing.T) {
	lives := cmp.Or(os.Getenv("CCAD_SOAK"), "12")
	steps := "25"
	if os.Getenv("CCAD_SOAK") != "" {
		steps = "60"
	}
	for name, value := range map[string]string{"rapid.checks": lives, "rapid.steps": steps, "rapid.nofailfile": "true"} {
		f := flag.Lookup(name)
		was := f.Value.String()
		if err := f.Value.Set(value); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Value.Set(was) })
	}
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"rotate key": m.rotateKey, "rotate password": m.rotateModelled, "rotate password once more": m.rotateModelled, "go on": m.goOnModelled,
			"update": m.update, "import": m.importModelled, "verify": m.verify, "probe": m.probe, "token": m.token, "notice": m.noticed, "remove": m.remove,
			"restart": m.restart, "time": m.passes, "more time": m.passes,
			"administrator": m.administrator, "other machine": m.otherMachine, "fault": m.breaks, "deliver": m.delivers, "disk": m.disk, "heal": m.heals,
		})
		m.endsWell()
	})
}

// modelled gives a rapid.T a folder, in memory where there is such: every commit
// is synced.
type modelled struct{ *rapid.T }

func (t modelled) TempDir() string {
	parent := ""
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		parent = "/dev/shm"
	}
	dir, err := os.MkdirTemp(parent, "ccad-model-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// A model is a world and what must be remembered of its past.
type model struct {
	*world
	other *world // the second machine; nil: there is none

	fresh       int               // makes names and passwords that never were
	known       map[string]bool   // passwords that ccad made, or that the cloud accepted from it
	unattended  map[string]int    // how often each wrong one was sent without a person
	given       map[uint64]string // generations, and what was served at each
	generations map[string]uint64 // the last of each environment
	foreign     map[string]bool   // keys that the administrator made and ccad has not taken up
	kills       int
	spent       int       // logins that failed without a person, since one acted or the cloud accepted a password
	lies        bool      // a server says that nobody looked at what was judged
	late        time.Time // when no request was under way for the last time
}

func newModel(rt *rapid.T) *model {
	m := &model{
		world: newWorld(modelled{rt}), known: map[string]bool{}, unattended: map[string]int{},
		given: map[uint64]string{}, generations: map[string]uint64{}, foreign: map[string]bool{},
	}
	m.dev()
	m.look()
	return m
}

func (m *model) next(what string) string {
	m.fresh++
	return what + strconv.Itoa(m.fresh)
}

// act has ccad do something, perhaps die in it, and checks what came of it. person
// says that one is behind it.
func (m *model) act(t *rapid.T, what string, person bool, do func() error) {
	before := m.look()
	var points *[]string
	if at := rapid.IntRange(-300, 200).Draw(t, "dies at"); at > 0 {
		points = m.dieAnywhere(at)
	}
	err := do()
	died := points != nil && errors.Is(m.fault("the end"), errDied)
	m.fault = nil
	if points != nil && !died {
		m.vault.Fault(nil)
	}
	if died {
		m.kills++
		m.open()
		_ = m.Resume()
	}
	t.Logf("%s (a person: %v, died: %v): %v", what, person, died, err)
	m.check(before, m.look(), person)
}

// A view is what can be seen from outside at one moment.
type view struct {
	now      time.Time
	wrong    map[string]int
	accepted int
	records  map[string]vault.Attempt // of every wrong value
	cloud    map[string]bool          // access keys there
	ours     map[string]bool          // access keys on record
}

func (m *model) look() view {
	v := view{now: m.clock.Now(), wrong: m.cloud.Wrong(m.name()), records: map[string]vault.Attempt{}, cloud: map[string]bool{}, ours: m.recorded()}
	v.accepted, _ = m.cloud.Passwords(m.name())
	for value := range v.wrong {
		v.records[value] = m.attempt(try{user: m.account(), password: secretOf(value)})
	}
	for _, key := range m.cloud.Keys(m.name()) {
		v.cloud[key.Access] = true
	}
	for _, p := range m.user().Passwords.List {
		if p.Source == "rotation" || p.Accepted {
			m.known[p.Value.Reveal()] = true
		}
	}
	return v
}

// account is the user as ccad names him, whether it has him or not.
func (m *model) account() account.User {
	auth, err := account.ParseEndpoint(m.cloud.AuthURL, false)
	if err != nil {
		m.Fatal(err)
	}
	return account.User{Name: m.name(), DomainID: "default", Auth: auth, IdentityAPI: "3"}
}

func (m *model) recorded() map[string]bool {
	ours := map[string]bool{}
	for _, e := range m.Contents().Environments {
		for _, v := range e.Keys.List {
			ours[v.Value.AccessKeyID] = true
		}
		for access := range e.KeysDeleted {
			ours[access] = true
		}
	}
	return ours
}

func (m *model) check(before, after view, person bool) {
	m.Helper()
	for value, n := range after.wrong {
		more := n - before.wrong[value]
		was := before.records[value]
		rested := after.now.Sub(was.At) >= refusedPause || was.LockedOut
		switch {
		case more > 0 && was.Refused && !was.Expired && !(person && rested):
			m.Errorf("%q was refused, and was sent again %d times", value, more)
		case !person && !sentAgain(was, after):
			m.unattended[value] += more
		}
		if most := maxUnanswered + min(m.kills, 1); m.unattended[value] > most {
			m.Errorf("%q is wrong and was sent %d times without a person", value, m.unattended[value])
		}
	}
	m.checkSpent(before, after, person)
	for access := range before.cloud {
		if !before.ours[access] && !after.cloud[access] {
			m.Errorf("the key %s was not on record, and is deleted", access)
		}
	}
	m.checkMade(before, after)
	m.checkStored()
	m.checkServed()
}

// checkSpent sees that no more logins fail unattended than may, whatever is sent,
// until a person acts or the cloud accepts a password.
func (m *model) checkSpent(before, after view, person bool) {
	m.Helper()
	if person || after.accepted > before.accepted {
		m.spent = 0
		return
	}
	if m.lies {
		return
	}
	for value, n := range after.wrong {
		if !sentAgain(before.records[value], after) {
			m.spent += n - before.wrong[value]
		}
	}
	if m.spent > maxFailures {
		m.Errorf("%d logins have failed unattended: %v", m.spent, after.wrong)
	}
}

// sentAgain reports whether a value may be sent unattended since it has rested.
func sentAgain(was vault.Attempt, after view) bool {
	return was.Unanswered > 0 && !was.Refused && !after.now.Before(was.At.Add(pauseAfter(was)))
}

// checkMade sees that what is new at the cloud is on record, here or on the other
// machine.
func (m *model) checkMade(before, after view) {
	m.Helper()
	theirs := map[string]bool{}
	if m.other != nil {
		theirs = (&model{world: m.other}).recorded()
	}
	for access := range after.cloud {
		if !before.cloud[access] && !after.ours[access] && !theirs[access] {
			m.Errorf("the key %s was made, and is not on record", access)
		}
	}
}

// checkStored sees that no password is lost, and that one is in force.
func (m *model) checkStored() {
	m.Helper()
	if len(m.Contents().Users) == 0 {
		return
	}
	held := m.cloud.Password(m.name())
	if _, stored := m.user().Passwords.Holding(secretOf(held)); m.known[held] && !stored {
		m.Errorf("the cloud holds %q, which ccad knew and has forgotten; journal %+v", held, m.user().Rotation)
	}
	if _, ok := m.user().Passwords.Active(); !ok {
		m.Error("no password is in force")
	}
}

// checkServed sees that generations rise with what is served, and never repeat.
func (m *model) checkServed() {
	m.Helper()
	for name, e := range m.Contents().Environments {
		u := m.Contents().Users[e.UserID]
		served := fmt.Sprintf("%s %s %v %s %v", name, active(u.Passwords).Reveal(), u.Refused == nil, active(e.Keys).AccessKeyID, e.KeysRefused == nil)
		if was, ok := m.given[e.Generation]; ok && was != served {
			m.Errorf("generation %d was %q and is %q", e.Generation, was, served)
		}
		if e.Generation < m.generations[name] {
			m.Errorf("generation %d of %s follows %d", e.Generation, name, m.generations[name])
		}
		m.given[e.Generation], m.generations[name] = served, e.Generation
	}
}

// What persons and the daemon do.

func (m *model) rotateKey(t *rapid.T) {
	if !m.has("dev") {
		t.Skip()
	}
	wish := Wish{}
	if rapid.Bool().Draw(t, "at once") {
		wish.Grace = new(time.Duration)
	}
	m.act(t, "rotate key", true, func() error { return m.Rotate(m.Context(), KindKey, "dev", wish, silent) })
}

func (m *model) rotateModelled(t *rapid.T) {
	if len(m.Contents().Users) == 0 {
		t.Skip()
	}
	if f := m.fault4(t, changeRoute, 60); f != nil {
		t.Logf("fault: %+v", *f)
		m.cloud.Fail(*f)
	}
	if rapid.IntRange(0, 3).Draw(t, "by the schedule") == 0 {
		u := m.user()
		if v, _ := u.Passwords.Active(); !v.Accepted || v.HandsOff || u.Refused != nil {
			t.Skip()
		}
		m.act(t, "scheduled password", false, func() error {
			_, err := m.beginPassword(m.Context(), ofUser{u.ID, u.User.String()}, false)
			_, failures := m.GoOn(m.Context())
			return errors.Join(err, failures["the password of "+u.User.String()])
		})
		return
	}
	m.act(t, "rotate password", true, m.rotatePassword)
}

func (m *model) goOnModelled(t *rapid.T) {
	m.act(t, "go on", false, func() error {
		_, failures := m.GoOn(m.Context())
		return errors.Join(slices.Collect(maps.Values(failures))...)
	})
}

// value draws a password that a person or a file may have.
func (m *model) value(t *rapid.T) string {
	if rapid.Bool().Draw(t, "right") {
		return m.cloud.Password(m.name())
	}
	return m.next("typo")
}

func (m *model) update(t *rapid.T) {
	if len(m.Contents().Users) == 0 {
		t.Skip()
	}
	value, noVerify := m.value(t), rapid.Bool().Draw(t, "no verify")
	m.act(t, fmt.Sprintf("update %q, no verify %v", value, noVerify), true, func() error {
		_, err := m.UpdatePassword(m.Context(), m.user().ID, secretOf(value), noVerify)
		return err
	})
}

func (m *model) importModelled(t *rapid.T) {
	name := rapid.SampledFrom([]string{"dev", "sys"}).Draw(t, "name")
	value, noVerify := m.value(t), rapid.Bool().Draw(t, "no verify")
	m.act(t, fmt.Sprintf("import %s with %q, no verify %v", name, value, noVerify), true, func() error {
		o := m.offer(name)
		o.Password, o.NoVerify = secretOf(value), noVerify
		_, err := m.Adopt(m.Context(), o)
		return err
	})
}

func (m *model) verify(t *rapid.T) {
	name := rapid.SampledFrom([]string{"dev", "sys"}).Draw(t, "name")
	person := rapid.Bool().Draw(t, "a person")
	if !m.has(name) {
		t.Skip()
	}
	m.act(t, "verify "+name, person, func() error { return m.Verify(m.Context(), name, person) })
}

// probe is what the daemon does by itself, now and then.
func (m *model) probe(t *rapid.T) {
	if !m.has("dev") {
		t.Skip()
	}
	m.act(t, "probe", false, func() error { return m.Verify(m.Context(), "dev", false) })
}

func (m *model) token(t *rapid.T) {
	if !m.has("dev") {
		t.Skip()
	}
	m.act(t, "token", false, func() error {
		_, _, err := m.Token(m.Context(), "dev")
		return err
	})
}

func (m *model) noticed(t *rapid.T) {
	if !m.has("dev") {
		t.Skip()
	}
	value := m.value(t)
	m.act(t, fmt.Sprintf("notice %q", value), false, func() error {
		_, err := m.Notice(m.Context(), Notice{Environment: "dev", Password: secretOf(value), By: ByFile})
		return err
	})
}

func (m *model) remove(t *rapid.T) {
	name := rapid.SampledFrom([]string{"dev", "sys"}).Draw(t, "name")
	if !m.has(name) || m.fresh%4 != 0 { // now and then
		t.Skip()
	}
	before := m.look()
	err := m.Remove(name, true)
	t.Logf("remove %s: %v", name, err)
	if j := m.user().Rotation; len(m.Contents().Users) == 0 {
		m.known = map[string]bool{} // a person has had them forgotten
	} else if errors.Is(err, ErrConflict) && (j == nil || j.Asked.IsZero()) {
		m.Errorf("not removed, though nothing was in doubt: %v", err)
	}
	if after := m.look(); len(after.cloud) != len(before.cloud) {
		m.Error("removing changed the cloud")
	}
	m.checkStored()
	m.checkServed()
}

func (m *model) restart(t *rapid.T) {
	t.Log("restart")
	m.open()
	if err := m.Resume(); err != nil {
		t.Logf("resume: %v", err)
	}
	m.checkStored()
	m.checkServed()
}

func (m *model) passes(t *rapid.T) {
	d := rapid.SampledFrom([]time.Duration{time.Second, 30 * time.Second, 5 * time.Minute, 20 * time.Minute, 2 * time.Hour, 25 * time.Hour}).Draw(t, "time")
	if m.cloud.Late() == 0 {
		m.late = m.clock.Now()
	} else if m.clock.Now().Add(d).After(m.late.Add(lingers)) { // nothing is under way for longer
		m.delivers(t)
	}
	t.Logf("%v pass", d)
	m.clock.step(d)
}

// What others do.

func (m *model) administrator(t *rapid.T) {
	dev := m.cloud.User.Projects["dev-ccontini"]
	what := rapid.SampledFrom([]string{"reset", "regenerate", "disable", "enable", "expire", "revoke", "delete key", "make key", "lockout", "no policy"}).Draw(t, "act")
	t.Logf("administrator: %s", what)
	switch what {
	case "reset":
		m.cloud.SetPassword(m.name(), m.next("reset"))
	case "regenerate":
		m.cloud.Reset(m.name(), m.next("regenerated"))
	case "disable", "enable":
		m.cloud.Enable(m.name(), what == "enable")
	case "expire":
		m.cloud.ExpirePassword(m.name())
	case "revoke":
		m.cloud.RevokeTokens(m.name())
	case "delete key":
		m.cloud.DeleteKey(m.active("dev").AccessKeyID)
	case "make key":
		m.cloud.CreateKey(m.name(), dev)
	case "lockout":
		m.cloud.SetPolicy(practice.Policy{LockoutAttempts: 3, LockoutDuration: 30 * time.Minute})
	default:
		m.cloud.SetPolicy(practice.Policy{})
	}
}

func (m *model) otherMachine(t *rapid.T) {
	if m.other == nil {
		m.other = m.another()
	}
	o := m.other
	what := rapid.SampledFrom([]string{"import", "rotate key", "rotate password", "key rejected", "go on"}).Draw(t, "act")
	made := map[string]bool{} // by us: it may not delete them
	for access := range m.look().cloud {
		v := slices.IndexFunc(m.Contents().Environments["dev"].Keys.List, func(v vault.Version[account.KeyPair]) bool {
			return v.Value.AccessKeyID == access && v.Source == "rotation"
		})
		made[access] = v >= 0
	}
	var err error
	_, there := o.Contents().Environments["dev"]
	switch {
	case what == "import" || !there:
		offer := o.offer("dev")
		offer.Password = secretOf(o.cloud.Password(o.name()))
		_, err = o.Adopt(o.Context(), offer)
	case what == "rotate key":
		err = o.Rotate(o.Context(), KindKey, "dev", Wish{Grace: new(time.Duration)}, silent)
	case what == "rotate password":
		err = o.rotatePassword()
	case what == "key rejected":
		err = o.KeyRejected(o.Context(), "dev")
	default:
		_, _ = o.GoOn(o.Context())
	}
	t.Logf("the other machine: %s: %v", what, err)
	after := m.look()
	for access, ours := range made {
		if ours && !after.cloud[access] {
			t.Errorf("the other machine deleted our key %s", access)
		}
	}
}

// answers are the ways in which a cloud may answer wrong, or not at all.
var answers = []practice.Fault{
	{Break: practice.Cut}, {Break: practice.Cut, AfterWork: true}, {Break: practice.Cut, AfterWork: true}, {Break: practice.Reset, AfterWork: true}, {Break: practice.Torn},
	{Break: practice.Cut, Late: true}, {Break: practice.Cut, Late: true},
	{Status: 500}, {Status: 500, AfterWork: true}, {Status: 503}, practice.Limited("", "7"), practice.Garbage(""),
	{Status: 307}, {Status: 307, AfterWork: true}, {Status: 404, Body: "<html>"}, {Status: 404, Body: "<html>", AfterWork: true},
	{Status: 401, Body: "<html>", AfterWork: true}, {Status: 401, Body: unauthorized, AfterWork: true},
	{Status: 403, Body: `{"error":{"code":403,"title":"Forbidden","message":"no"}}`},
	{Status: 400, Body: `{"error":{"code":400,"title":"Bad Request","message":"The password does not match the requirements: x."}}`},
}

// fault4 draws a fault of a route, so often in a hundred; else nil.
func (m *model) fault4(t *rapid.T, route string, percent int) *practice.Fault {
	if rapid.IntRange(1, 100).Draw(t, "fault") > percent {
		return nil
	}
	f := rapid.SampledFrom(answers).Draw(t, "answer")
	f.Route, f.Times = route, rapid.IntRange(1, 3).Draw(t, "times")
	switch {
	case route == "POST /v3/credentials" && f.Status == 403: // then the cloud chooses, and a kill may leave a key that nobody can tell from others'
		return nil
	case route != changeRoute && f.Body == unauthorized, route == tokenRoute && f.Late: // lies about a password that is right, and attempts nobody makes
		return nil
	}
	m.lies = m.lies || f.AfterWork && (f.Status == 307 || f.Status == 404)
	return &f
}

func (m *model) breaks(t *rapid.T) {
	route := rapid.SampledFrom([]string{
		changeRoute, tokenRoute, tokenRoute, "GET /v3/auth/projects", "POST /v3/credentials", "GET /v3/users/{user}/credentials/OS-EC2",
		"DELETE /v3/users/{user}/credentials/OS-EC2/{key}", "s3:ListBuckets",
	}).Draw(t, "route")
	f := m.fault4(t, route, 100)
	if f == nil {
		t.Skip()
	}
	f.Skip = rapid.IntRange(0, 1).Draw(t, "skip")
	t.Logf("fault: %+v", *f)
	m.cloud.Fail(*f)
}

// delivers has late requests arrive, each of which is one of ccad's.
func (m *model) delivers(t *rapid.T) {
	if m.cloud.Late() == 0 {
		t.Skip()
	}
	before := m.look()
	n := m.cloud.Deliver()
	t.Logf("%d late requests arrive", n)
	after := m.look()
	m.checkMade(before, after)
	m.checkStored()
}

// disk has the disk be full until it heals, perhaps but for what is reserved.
func (m *model) disk(t *rapid.T) {
	reserved := rapid.Bool().Draw(t, "but for the reserve")
	t.Logf("the disk is full, but for the reserve: %v", reserved)
	m.vault.Fault(func(step string) error {
		_, err := os.Stat(filepath.Join(m.dir, "reserve"))
		if step == "write" && (!reserved || err == nil) {
			return syscall.ENOSPC
		}
		return nil
	})
}

func (m *model) heals(t *rapid.T) {
	skew := time.Duration(rapid.IntRange(-20, 20).Draw(t, "skew")) * time.Minute
	t.Logf("faults end, the cloud's clock is off by %v", skew)
	m.cloud.Heal()
	m.lies = false
	m.vault.Fault(nil)
	m.clock.skews(skew)
}

// endsWell ends everything that is wrong, lets time pass and a person look.
func (m *model) endsWell() {
	m.Log("the end")
	m.cloud.Heal()
	m.clock.skews(0)
	m.cloud.SetPolicy(practice.Policy{})
	m.cloud.Enable(m.name(), true)
	m.open()
	_ = m.Resume()
	m.cloud.Deliver()
	m.checkStored()
	if !m.has("dev") {
		offer := m.offer("dev")
		offer.Password = secretOf(m.cloud.Password(m.name()))
		m.clock.step(2 * time.Hour)
		if _, err := m.Adopt(m.Context(), offer); err != nil {
			m.Fatalf("import: %v", err)
		}
	}
	for range 4 {
		m.clock.step(2 * time.Hour)
		before := m.look()
		_, failures := m.GoOn(m.Context())
		m.check(before, m.look(), false)
		if len(failures) > 0 {
			m.Logf("go on: %v", failures)
		}
		for _, name := range []string{"dev", "sys"} {
			if m.has(name) {
				m.Logf("verify %s: %v", name, m.Verify(m.Context(), name, true))
			}
		}
		if u := m.user(); u.Refused != nil && u.Refused.Expired {
			m.Logf("rotate: %v", m.rotatePassword())
		}
	}
	right := secretOf(m.cloud.Password(m.name()))
	if v, _ := m.user().Passwords.Active(); v.Value != right {
		if v, ours := m.user().Passwords.Holding(right); ours && v.Source == "rotation" { // which no person can hand in
			m.Errorf("the password that ccad made is not put in force: %+v", m.user().Rotation)
		}
		m.clock.step(2 * time.Second)
		if _, err := m.UpdatePassword(m.Context(), m.user().ID, right, false); err != nil {
			m.Fatalf("update with the cloud's own: %v", err)
		}
	}
	if u := m.user(); u.Refused != nil && u.Refused.Expired {
		m.Logf("rotate: %v", m.rotatePassword())
	}
	held := secretOf(m.cloud.Password(m.name()))
	for range 3 {
		_, failures := m.GoOn(m.Context())
		m.Logf("go on: %v", failures)
		m.clock.step(lingers)
	}
	u := m.user()
	if active, _ := u.Passwords.Active(); active.Value != held || u.Refused != nil || !active.Accepted || u.Rotation != nil {
		m.Errorf("the password in force is the cloud's: %v; refused %+v, accepted %v, journal %+v", active.Value == held, u.Refused, active.Accepted, u.Rotation)
	}
	for name, e := range m.Contents().Environments {
		if _, _, err := m.Token(m.Context(), name); err != nil {
			m.Errorf("no token for %s: %v", name, err)
		}
		_ = m.Verify(m.Context(), name, true)
		e = m.Contents().Environments[name]
		if pair, has := e.Keys.Active(); e.KeyRotation != nil || has && e.KeysRefused == nil && !m.look().cloud[pair.Value.AccessKeyID] {
			m.Errorf("%s: its key is not at the cloud, or its rotation is not over: %+v", name, e.KeyRotation)
		}
		for access := range e.KeysDeleted {
			if m.look().cloud[access] {
				m.Errorf("%s: the key %s was deleted and is there again", name, access)
			}
		}
	}
	m.rotatesWell()
}

// rotatesWell sees that in the end a rotation is one.
func (m *model) rotatesWell() {
	before := m.cloud.Password(m.name())
	if err := m.rotatePassword(); err != nil || m.cloud.Password(m.name()) == before {
		m.Errorf("the password is not rotated: %v", err)
	}
	if v, ok := m.Contents().Environments["dev"].Keys.Active(); ok {
		if err := m.Rotate(m.Context(), KindKey, "dev", Wish{Grace: new(time.Duration), Wait: true}, silent); err != nil || m.active("dev") == v.Value {
			m.Errorf("the S3 key is not rotated: %v", err)
		}
	}
}
