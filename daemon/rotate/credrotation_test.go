package rotate

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/test/practice"
)

// credential makes the environment dev's application credential.
func (w *world) credential() account.ApplicationCredential {
	w.Helper()
	w.dev()
	ac, err := w.ApplicationCredential(w.Context(), "dev")
	if err != nil {
		w.Fatal(err)
	}
	return ac
}

// byPassword is a token of dev's user and project, without ccad's doing.
func (w *world) byPassword() (account.User, cloud.Grant) {
	w.Helper()
	e, u, err := w.Environment("dev")
	if err != nil {
		w.Fatal(err)
	}
	g, err := w.Keeper.cloud.Password(w.Context(), u.User, secretOf(w.cloud.User.Password), e.Environment)
	if err != nil {
		w.Fatal(err)
	}
	return u.User, g
}

// credentials are those that the cloud lists.
func (w *world) credentials() []cloud.ListedCredential {
	w.Helper()
	u, g := w.byPassword()
	all, err := w.Keeper.cloud.ApplicationCredentials(w.Context(), u, g)
	if err != nil {
		w.Fatal(err)
	}
	return all
}

func (w *world) activeCredential() account.ApplicationCredential {
	return active(w.Contents().Environments["dev"].AppCreds)
}

// imported is dev with an application credential of its own, from a file, and
// without a password.
func (w *world) imported(limits cloud.Limits) account.ApplicationCredential {
	w.Helper()
	w.dev()
	u, g := w.byPassword()
	ac, err := w.Keeper.cloud.CreateApplicationCredential(w.Context(), u, g, account.ApplicationCredential{Name: "theirs", Secret: secretOf("their-secret")}, limits)
	if err != nil {
		w.Fatal(err)
	}
	if err := w.Remove("dev", false); err != nil {
		w.Fatal(err)
	}
	if _, err := w.Adopt(w.Context(), Offer{Name: "dev", Named: true, By: "import", AppCred: &ac, User: account.User{Auth: u.Auth, IdentityAPI: "3"}}); err != nil {
		w.Fatal(err)
	}
	return ac
}

// finishCredential lets time pass until nothing is under way.
func (w *world) finishCredential() {
	w.Helper()
	w.cloud.Heal()
	for range 60 {
		if _, failures := w.GoOn(w.Context()); len(failures) > 0 {
			w.Logf("resume: %v", failures)
		}
		if w.Contents().Environments["dev"].CredRotation == nil {
			return
		}
		w.clock.step(15 * time.Minute)
	}
	w.Fatalf("the rotation does not end: %+v", *w.Contents().Environments["dev"].CredRotation)
}

// cleanCredential checks that the one that serves works, and is the only one.
func (w *world) cleanCredential() {
	w.Helper()
	e, u, _ := w.Environment("dev")
	serves := w.activeCredential()
	g, err := w.Keeper.cloud.Application(w.Context(), u.Auth, serves)
	if err != nil || g.ProjectID != w.cloud.User.Projects["dev-ccontini"] {
		w.Errorf("what is served: %v, for project %s", err, g.ProjectID)
	}
	if all := w.credentials(); len(all) != 1 || all[0].ID != serves.ID {
		w.Errorf("the cloud has %+v, %s serves", all, serves.ID)
	}
	if len(e.AppCreds.List) != 1 || e.CredRotation != nil {
		w.Errorf("stored: %d versions, journal %v", len(e.AppCreds.List), e.CredRotation)
	}
	if _, refused := w.cloud.Passwords(w.cloud.User.Name); refused != 0 {
		w.Errorf("the cloud counted %d failed logins", refused)
	}
}

func TestRotateCredential(t *testing.T) {
	w := newWorld(t)
	old := w.credential()
	generation := w.Contents().Environments["dev"].Generation
	e, _, _ := w.Environment("dev")
	w.ledger.Add(Lease{Environment: e.ID, View: "openstack/sh", Held: Held{AppCred: 1}, Until: epoch.Add(10 * time.Minute)})
	var story []string
	if err := w.Rotate(t.Context(), KindAppCred, "dev", Wish{}, func(p Progress) { story = append(story, string(p.Step)+" "+p.State) }); err != nil {
		t.Fatal(err)
	}
	want := "journal done, create start, create done, prove start, prove done, flip start, flip done, drain start"
	if got := strings.Join(story, ", "); got != want {
		t.Errorf("told: %s; want %s", got, want)
	}
	if w.activeCredential() == old || w.Contents().Environments["dev"].Generation <= generation {
		t.Error("the new one does not serve, or shells are not told")
	}
	r, ok := w.Retiring(KindAppCred, w.Contents().Environments["dev"])
	if !ok || r.Version != 1 || len(r.Holders) != 1 || !r.End.Equal(epoch.Add(10*time.Minute)) {
		t.Errorf("it retires %+v", r)
	}
	w.clock.step(9 * time.Minute)
	w.GoOn(t.Context())
	if len(w.credentials()) != 2 {
		t.Error("deleted while it is held")
	}
	w.clock.step(2 * time.Minute)
	w.GoOn(t.Context())
	w.cleanCredential()
	if name := w.activeCredential().Name; !strings.HasPrefix(name, "ccad-dev-") {
		t.Errorf("it is called %s", name)
	}
}

// A kill at every boundary of every step: afterwards one is active and works, and
// nothing is left behind.
func TestCredentialKilledAnywhere(t *testing.T) {
	for n := 1; ; n++ {
		w := newWorld(t)
		w.credential()
		points := w.die(n)
		err := w.Rotate(t.Context(), KindAppCred, "dev", Wish{Grace: new(time.Duration), Wait: true}, silent)
		if err == nil {
			if n < 15 {
				t.Errorf("only %d points to die at: %v", n, *points)
			}
			return
		}
		last := (*points)[len(*points)-1]
		if !errors.Is(err, errDied) {
			t.Fatalf("%s: %v", last, err)
		}
		w.open()
		w.finishCredential()
		w.cleanCredential()
		if t.Failed() {
			t.Fatalf("killed at %q", last)
		}
	}
}

func TestCredentialOfAFaultyCloud(t *testing.T) {
	const all = "/v3/users/{user}/application_credentials"
	for _, route := range []string{"POST " + all, "GET " + all, "DELETE " + all + "/{id}", "POST /v3/auth/tokens"} {
		for name, fault := range map[string]practice.Fault{
			"500":         {Status: 500, Body: "<html>"},
			"429":         practice.Limited("", "7"),
			"cut":         {Break: practice.Cut},
			"lost answer": {Break: practice.Cut, AfterWork: true},
			"garbage":     practice.Garbage(""),
		} {
			t.Run(name+" "+route, func(t *testing.T) {
				w := newWorld(t)
				w.credential()
				fault.Route, fault.Times = route, 2
				w.cloud.Fail(fault)
				before := w.cloud.Count(route)
				_ = w.Rotate(t.Context(), KindAppCred, "dev", Wish{Grace: new(time.Duration)}, silent)
				for range 6 {
					w.GoOn(t.Context())
					w.clock.step(time.Minute)
				}
				if w.cloud.Count(route) == before {
					t.Fatalf("no request of that route: %v", w.cloud.Counts())
				}
				w.finishCredential()
				w.cleanCredential()
			})
		}
	}
}

// An unrestricted one replaces itself, without any password; what it may do and
// until when, its successor may.
func TestCredentialReplacesItself(t *testing.T) {
	w := newWorld(t)
	reader := "1ea3e56793574b668e85960fbf651e13"
	limits := cloud.Limits{Roles: []string{reader}, Unrestricted: true, Expires: epoch.Add(90 * day)}
	old := w.imported(limits)
	for range 2 {
		if err := w.Rotate(t.Context(), KindAppCred, "dev", Wish{Grace: new(time.Duration)}, silent); err != nil {
			t.Fatal(err)
		}
		w.finishCredential()
	}
	w.cleanCredential()
	is := w.credentials()[0]
	if is.ID == old.ID || !slices.Equal(is.Roles, limits.Roles) || !is.Unrestricted || !is.Expires.Equal(limits.Expires) {
		t.Errorf("it is %+v", is)
	}
	if accepted, refused := w.cloud.Passwords(w.cloud.User.Name); refused != 0 || accepted > 5 {
		t.Errorf("%d logins by password, %d refused", accepted, refused) // this test's own
	}
}

// A restricted one can't, and stays as it is.
func TestRestrictedCredentialStays(t *testing.T) {
	w := newWorld(t)
	old := w.imported(cloud.Limits{})
	err := w.Rotate(t.Context(), KindAppCred, "dev", Wish{}, silent)
	if !errors.Is(err, ErrWithdrawn) || !strings.Contains(err.Error(), "restricted") {
		t.Errorf("error %v", err)
	}
	if w.activeCredential() != old {
		t.Error("what worked was given up")
	}
	w.cleanCredential()

	// With the user's password it can be.
	w.adoptWithoutKey("sys", "system-ccontini")
	if err := w.Rotate(t.Context(), KindAppCred, "dev", Wish{Grace: new(time.Duration)}, silent); err != nil {
		t.Fatal(err)
	}
	w.finishCredential()
	w.cleanCredential()
	if w.activeCredential() == old {
		t.Error("it is still the same")
	}
}

// adoptWithoutKey stores another environment of the user, by his password.
func (w *world) adoptWithoutKey(name, project string) {
	w.Helper()
	auth, err := account.ParseEndpoint(w.cloud.AuthURL, false)
	if err != nil {
		w.Fatal(err)
	}
	if _, err := w.Adopt(w.Context(), Offer{
		Name: name, Named: true, By: "import", Password: secretOf(w.cloud.User.Password),
		User:        account.User{Name: w.cloud.User.Name, DomainID: "default", Auth: auth, IdentityAPI: "3"},
		Environment: account.Environment{Project: project, ProjectDomainID: "default"},
	}); err != nil {
		w.Fatal(err)
	}
}

// Others of the same user and project survive.
func TestForeignCredentialsAreLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.credential()
	u, g := w.byPassword()
	foreign, err := w.Keeper.cloud.CreateApplicationCredential(t.Context(), u, g, account.ApplicationCredential{Name: "ccad-dev-else"}, cloud.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Rotate(t.Context(), KindAppCred, "dev", Wish{Grace: new(time.Duration)}, silent); err != nil {
		t.Fatal(err)
	}
	w.finishCredential()
	all := w.credentials()
	if len(all) != 2 || !slices.ContainsFunc(all, func(l cloud.ListedCredential) bool { return l.ID == foreign.ID }) {
		t.Errorf("the cloud has %+v", all)
	}
}

// What a person puts in force meanwhile stays, and what was being made goes.
func TestCredentialSuperseded(t *testing.T) {
	w := newWorld(t)
	w.credential()
	w.fault = func(point string) error {
		if point == "flip: begun" {
			return errDied
		}
		return nil
	}
	_ = w.Rotate(t.Context(), KindAppCred, "dev", Wish{}, silent)
	w.open()
	u, g := w.byPassword()
	theirs, err := w.Keeper.cloud.CreateApplicationCredential(t.Context(), u, g, account.ApplicationCredential{Name: "theirs"}, cloud.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Adopt(t.Context(), Offer{Name: "dev", Named: true, By: "import", AppCred: &theirs, User: account.User{Auth: u.Auth, IdentityAPI: "3"}}); err != nil {
		t.Fatal(err)
	}
	w.finishCredential()
	if w.activeCredential() != theirs {
		t.Error("a person's is not in force")
	}
	for _, l := range w.credentials() {
		if l.ID != theirs.ID && slices.ContainsFunc(w.Contents().Environments["dev"].AppCreds.List, func(v vault.Version[account.ApplicationCredential]) bool {
			return v.Value.ID == l.ID && v.State == vault.Pending
		}) {
			t.Errorf("left pending: %+v", l)
		}
	}
	if n := len(w.credentials()); n != 2 { // theirs, and the first one, which nobody asked to be deleted
		t.Errorf("the cloud has %d", n)
	}
}

// There must be one, and the cloud must have such.
func TestCredentialCannotBeRotated(t *testing.T) {
	w := newWorld(t)
	w.dev()
	err := w.Rotate(t.Context(), KindAppCred, "dev", Wish{}, silent)
	if !errors.Is(err, ErrAbsent) || err.Error() != "the application credential of dev: there is none" {
		t.Errorf("without one: %v", err)
	}
	plan, err := w.Plan(KindAppCred, "dev", nil)
	if err != nil || !errors.Is(plan.Err, ErrAbsent) {
		t.Errorf("the plan: %+v, %v", plan, err)
	}
	if w.Contents().Environments["dev"].CredRotation != nil {
		t.Error("it is begun")
	}
}

// The rotation's new one was deleted before it served, and the answer to its second
// making is lost: it is known by its name again.
func TestCredentialRemade(t *testing.T) {
	w := newWorld(t)
	old := w.credential()
	w.fault = func(point string) error {
		if point == "prove: begun" {
			return errDied
		}
		return nil
	}
	_ = w.Rotate(t.Context(), KindAppCred, "dev", Wish{Grace: new(time.Duration)}, silent)
	w.open()
	u, g := w.byPassword()
	for _, l := range w.credentials() {
		if l.ID == old.ID {
			continue
		}
		if err := w.Keeper.cloud.DeleteApplicationCredential(t.Context(), u, g, l.ID); err != nil {
			t.Fatal(err)
		}
	}
	w.cloud.Fail(practice.Fault{Route: "POST " + credentialRoute, Break: practice.Cut, AfterWork: true, Times: 1})
	w.GoOn(t.Context())
	w.finishCredential()
	w.cleanCredential()
	if w.activeCredential().ID == old.ID {
		t.Error("it is not rotated")
	}
}

// TestServedCredentialIsAsked: a credential that is served is asked about whether
// its user's password is stored or not.
func TestServedCredentialIsAsked(t *testing.T) {
	w := newWorld(t)
	ac := w.imported(cloud.Limits{})
	w.adoptWithoutKey("sys", "system-ccontini")
	if err := w.Verify(t.Context(), "dev", false); err != nil {
		t.Fatal(err)
	}
	u, g := w.byPassword()
	if err := w.Keeper.cloud.DeleteApplicationCredential(t.Context(), u, g, ac.ID); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, w.Verify(t.Context(), "dev", false))
	wantRefused(t, w.Verify(t.Context(), "dev", true))
	if e := w.Contents().Environments["dev"]; !CredentialAmiss(e) || EnvironmentState(w.Contents(), e, w.clock.Now()) != StateRefused {
		t.Errorf("it is served: %+v", e.AppCreds.List)
	}
}
