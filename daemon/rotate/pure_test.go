package rotate

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/vault"
)

var epoch = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func pair(access, secret string) account.KeyPair {
	return account.KeyPair{AccessKeyID: access, Secret: account.NewSecret(secret)}
}

func withKey(p account.KeyPair, state vault.State, accepted bool) vault.Environment {
	var e vault.Environment
	e.Name = "dev"
	keys, v := e.Keys.Stage(p, "import", epoch)
	v.Accepted = accepted
	e.Keys = keys.With(v)
	if state == vault.Active {
		e.Keys = e.Keys.Activate(v.ID)
	}
	return e
}

func TestReconciled(t *testing.T) {
	mine, other := pair("a", "1"), pair("b", "2")
	for _, c := range []struct {
		name   string
		env    vault.Environment
		listed []account.KeyPair
		active string // access key and secret; "" none
		moved  bool
		state  string
	}{
		{"listed as it is", withKey(mine, vault.Active, false), []account.KeyPair{mine, other}, "a1", false, StateOK},
		{"the secret was regenerated", withKey(mine, vault.Active, true), []account.KeyPair{pair("a", "9")}, "a9", true, StateOK},
		{"gone, another is listed", withKey(mine, vault.Active, true), []account.KeyPair{other}, "b2", true, StateOK},
		{"gone, none is listed", withKey(mine, vault.Active, true), nil, "a1", true, StateRefused},
		{"none yet, two are listed", vault.Environment{}, []account.KeyPair{mine, other}, "a1", true, StateOK},
		{"none anywhere", vault.Environment{}, nil, "", false, StateNone},
		{"intended and made before a crash", withKey(other, vault.Pending, false), []account.KeyPair{mine, other}, "b2", true, StateOK},
		{"intended and never made", withKey(other, vault.Pending, false), []account.KeyPair{mine}, "a1", true, StateOK},
		{"intended, never made, none listed", withKey(other, vault.Pending, false), nil, "", false, StateNone},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, moved := reconciled(c.env, c.listed, epoch)
			active, _ := e.Keys.Active()
			got := active.Value.AccessKeyID + active.Value.Secret.Reveal()
			if got != c.active || moved != c.moved || KeyState(e) != c.state {
				t.Errorf("active %q, moved %v, state %s; want %q, %v, %s", got, moved, KeyState(e), c.active, c.moved, c.state)
			}
			for _, v := range e.Keys.List {
				if v.State == vault.Pending {
					t.Error("a pending version is left")
				}
			}
		})
	}
}

// stored is one user with environment dev, and environment keys with S3 alone.
func stored() *vault.Contents {
	auth := account.Endpoint{URL: "https://auth.cloud.ca"}
	u := vault.User{User: account.User{ID: "u1", Name: "ccontini", DomainID: "default", Auth: auth, IdentityAPI: "3"}}
	dev := vault.Environment{Environment: account.Environment{ID: "e1", Name: "dev", UserID: "u1", Project: "dev-ccontini", ProjectDomainID: "default",
		S3: account.S3{Endpoint: account.Endpoint{URL: "https://objects.cloud.ca"}, Region: "cloud.ca"}}}
	keys := vault.Environment{Environment: account.Environment{ID: "e2", Name: "keys",
		S3: account.S3{Endpoint: account.Endpoint{URL: "https://objects.cloud.ca"}, Region: "cloud.ca"}}}
	return &vault.Contents{Users: map[string]vault.User{"u1": u}, Environments: map[string]vault.Environment{"dev": dev, "keys": keys}}
}

func TestPlaceFor(t *testing.T) {
	c := stored()
	same := account.User{Name: "ccontini", DomainName: "Default", Auth: account.Endpoint{URL: "https://auth.cloud.ca/v3"}}
	other := account.User{Name: "mallory", DomainID: "default", Auth: account.Endpoint{URL: "https://auth.cloud.ca"}}
	elsewhere := account.User{Name: "ccontini", DomainID: "default", Auth: account.Endpoint{URL: "https://auth.evil.example"}}
	project := func(name string) account.Environment {
		return account.Environment{Project: name, ProjectDomainID: "default"}
	}
	s3 := func(url string) account.Environment {
		return account.Environment{S3: account.S3{Endpoint: account.Endpoint{URL: url}}}
	}
	for _, tc := range []struct {
		name  string
		offer Offer
		want  string // environment
		added bool
		err   error
	}{
		{"same user and project: merged into the name it has", Offer{Name: "dev-ccontini", User: same, Environment: project("dev-ccontini")}, "dev", false, nil},
		{"the same under another name", Offer{Name: "second", Named: true, User: same, Environment: project("dev-ccontini")}, "", false, errNamed},
		{"another project of the user", Offer{Name: "system-ccontini", User: same, Environment: project("system-ccontini")}, "system-ccontini", true, nil},
		{"same name, other user", Offer{Name: "dev", Named: true, User: other, Environment: project("dev-ccontini")}, "", false, ErrConflict},
		{"same name and user, other origin", Offer{Name: "dev", Named: true, User: elsewhere, Environment: project("dev-ccontini")}, "", false, ErrConflict},
		{"same name, other project", Offer{Name: "dev", Named: true, User: same, Environment: project("x")}, "", false, ErrConflict},
		{"S3 keys alone, onto the environment of that name", Offer{Name: "dev", Named: true, Environment: s3("https://objects.cloud.ca")}, "dev", false, nil},
		{"S3 keys alone, of another endpoint", Offer{Name: "dev", Named: true, Environment: s3("https://objects.evil.example")}, "", false, ErrConflict},
		{"S3 keys alone, new", Offer{Name: "Other", Environment: s3("https://objects.cloud.ca")}, "other", true, nil},
		{"a user for what had none", Offer{Name: "keys", Named: true, User: same, Environment: project("k")}, "keys", false, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := placeFor(c, tc.offer)
			if !errors.Is(err, tc.err) {
				t.Fatalf("error %v, want %v", err, tc.err)
			}
			if err == nil && (p.env.Name != tc.want || p.added != tc.added) {
				t.Errorf("place %q, added %v; want %q, %v", p.env.Name, p.added, tc.want, tc.added)
			}
		})
	}
	if diff := cmp.Diff(stored().Environments["dev"].Project, c.Environments["dev"].Project); diff != "" {
		t.Errorf("placing changed the store: %s", diff)
	}
	for _, name := range []string{"///", ""} {
		if _, err := placeFor(c, Offer{Name: name, User: same, Environment: project("///")}); !errors.Is(err, ErrUnnamed) {
			t.Errorf("named %q: %v", name, err)
		}
	}
}

func TestOwed(t *testing.T) {
	c := stored()
	u := c.Users["u1"]
	passwords, v := u.Passwords.Stage(account.NewSecret("x"), "person", epoch)
	u.Passwords = passwords.Activate(v.ID)
	c.Users["u1"] = u
	names, _ := Owed(c, nil, epoch)
	if diff := cmp.Diff([]string{"dev"}, names); diff != "" {
		t.Fatalf("an unverified password is not owed a check: %s", diff)
	}
	last := map[string]Try{"e1": {At: epoch, Count: 1}}
	if names, next := Owed(c, last, epoch.Add(time.Second)); len(names) != 0 || next.Before(epoch.Add(firstRetry)) {
		t.Errorf("after one try in vain: %v at once, next %v", names, next)
	}
	if names, _ := Owed(c, last, epoch.Add(2*firstRetry)); len(names) != 1 {
		t.Error("the second check is not owed")
	}
	last["e1"] = Try{At: epoch, Count: 100}
	if _, next := Owed(c, last, epoch); next.After(epoch.Add(lastRetry * 2)) {
		t.Errorf("the wait grows without bound: %v", next.Sub(epoch))
	}
	v.HandsOff, v.State = true, vault.Active
	u.Passwords = u.Passwords.With(v)
	c.Users["u1"] = u
	if names, _ := Owed(c, nil, epoch); len(names) != 0 {
		t.Error("what was given with --no-verify is checked without a person")
	}
	v.HandsOff = false
	u.Passwords, u.Refused = u.Passwords.With(v), &vault.Refusal{At: epoch}
	c.Users["u1"] = u
	if names, _ := Owed(c, nil, epoch); len(names) != 0 {
		t.Error("a refused password is checked again")
	}
}

func TestLedger(t *testing.T) {
	now, running := epoch, map[int]bool{1: true, 2: true}
	l := NewLedger(func() time.Time { return now }, func(p Process) bool { return running[p.PID] })
	l.Add(Lease{Environment: "e1", View: "credential-process", Holder: Process{PID: 1}, Until: epoch.Add(time.Hour)})
	l.Add(Lease{Environment: "e1", View: "credential-process", Holder: Process{PID: 1}, Until: epoch.Add(2 * time.Hour)})
	l.Add(Lease{Environment: "e1", View: "exec", Holder: Process{PID: 2}})
	l.Add(Lease{Environment: "e2", View: "exec", Holder: Process{PID: 2}})
	if diff := cmp.Diff(map[string]int{"e1": 2, "e2": 1}, l.Counts()); diff != "" {
		t.Fatal(diff)
	}
	running[1], running[2] = false, false
	if got := l.Of("e1"); len(got) != 1 || got[0].View != "credential-process" {
		t.Errorf("keys with an Expiration end with it, not with who asked; exec ends with its child: %+v", got)
	}
	now = epoch.Add(2 * time.Hour)
	if got := l.Of("e1"); len(got) != 0 {
		t.Errorf("a lease outlives its Expiration: %+v", got)
	}
}

// An Expiration is a time of day, and who was told it compares it with the clock
// on the wall. So does the ledger, whichever way somebody sets that clock: what
// Go measures beside it would end the lease before the client's, or after it.
func TestLeaseWhileTheClockIsSet(t *testing.T) {
	now := time.Now()
	l := NewLedger(func() time.Time { return now }, func(Process) bool { return true })
	until := now.Add(20 * time.Minute)
	l.Add(Lease{Environment: "e1", View: "credential-process", Until: until})
	if got := l.Of("e1"); len(got) != 1 || got[0].Until != until.Round(0) {
		t.Fatalf("it ends by more than the time of day: %+v", got)
	}
	for _, at := range []struct {
		wall  time.Duration // since the lease was given
		holds int
	}{{-time.Hour, 1}, {19 * time.Minute, 1}, {20 * time.Minute, 0}} {
		now = until.Round(0).Add(at.wall - 20*time.Minute)
		if got := len(l.Of("e1")); got != at.holds {
			t.Errorf("at %v on the wall %d hold it, want %d", at.wall, got, at.holds)
		}
	}
}

// What a file holds nobody sees end. The next lease of the same holder takes its
// place, while the former one lapses.
func TestLeaseThatTakesAPlace(t *testing.T) {
	now := epoch
	l := NewLedger(func() time.Time { return now }, func(Process) bool { return false })
	file := Lease{Environment: "e1", View: "file/s3cfg", Version: 1, Held: Held{Keys: 1}, Holder: Process{Program: "/x/s3cfg"}}
	l.Succeed(file, time.Minute)
	now = now.Add(24 * time.Hour)
	if got := l.Of("e1"); len(got) != 1 || !got[0].Until.IsZero() {
		t.Fatalf("after a day: %+v", got)
	}
	other := file
	other.Holder.Program = "/x/other"
	l.Succeed(other, time.Minute)
	file.Version, file.Keys = 2, 2
	l.Succeed(file, time.Minute)
	got := l.Of("e1")
	if len(got) != 3 || got[0].Keys != 1 || !got[0].Until.Equal(now.Add(time.Minute)) {
		t.Fatalf("while it is written: %+v", got)
	}
	l.Succeed(file, time.Minute) // once more, which prolongs nothing
	now = now.Add(time.Minute)
	if got := l.Of("e1"); len(got) != 2 || got[0].Keys+got[1].Keys != 3 {
		t.Errorf("a minute later: %+v", got)
	}
	other.Keys = 2
	if l.Succeed(other, 0); len(l.Of("e1")) != 2 {
		t.Errorf("without a lapse: %+v", l.Of("e1"))
	}
}

// Whatever Keystone lists, whatever was stored: one active pair at most, and
// what is active is listed, or called refused.
func TestReconciledProperty(t *testing.T) {
	gen := rapid.Custom(func(t *rapid.T) account.KeyPair {
		return pair(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "access"), rapid.SampledFrom([]string{"1", "2"}).Draw(t, "secret"))
	})
	rapid.Check(t, func(t *rapid.T) {
		var e vault.Environment
		for _, p := range rapid.SliceOfN(gen, 0, 3).Draw(t, "stored") {
			keys, v := e.Keys.Stage(p, "cloud", epoch)
			e.Keys = keys
			if rapid.Bool().Draw(t, "activate") {
				e.Keys = e.Keys.Activate(v.ID)
			}
		}
		listed := rapid.SliceOfNDistinct(gen, 0, 3, func(p account.KeyPair) string { return p.AccessKeyID }).Draw(t, "listed")
		e, _ = reconciled(e, listed, epoch)
		active, has := e.Keys.Active()
		there := false
		for _, p := range listed {
			there = there || p == active.Value
		}
		if has && !there && e.KeysRefused == nil {
			t.Fatal("a pair is in force that Keystone does not list")
		}
		if len(listed) > 0 && !has {
			t.Fatal("a listed pair was not adopted")
		}
	})
}

// TestBetweenKeys: a key that is gone is missed for a while, counted from when it
// was first missed, before it is called refused.
func TestBetweenKeys(t *testing.T) {
	e, _ := reconciled(withKey(pair("a", "1"), vault.Active, true), nil, epoch)
	for _, after := range []time.Duration{0, time.Minute, betweenKeys - 1} {
		if !BetweenKeys(e, epoch.Add(after)) {
			t.Errorf("not between two keys after %s", after)
		}
		e, _ = reconciled(e, nil, epoch.Add(after))
	}
	if BetweenKeys(e, epoch.Add(betweenKeys)) {
		t.Error("it never ends")
	}
	e.KeysRefused = &vault.Refusal{At: epoch, Reason: "another"}
	if BetweenKeys(e, epoch) || BetweenKeys(vault.Environment{}, epoch) {
		t.Error("for another reason, or none")
	}
	e, _ = reconciled(e, nil, epoch)
	if !BetweenKeys(e, epoch) {
		t.Error("it is gone after it was refused, and its reason is another")
	}
}
