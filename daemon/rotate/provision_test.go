package rotate

import (
	"errors"
	"testing"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/test/practice"
)

const (
	credentialRoute = "/v3/users/{user}/application_credentials"
	alreadyThere    = `{"error":{"code":409,"title":"Conflict","message":"Conflict occurred attempting to store x - Duplicate entry found."}}`
	forbidding      = `{"error":{"code":403,"title":"Forbidden","message":"no"}}`
)

// asksCredential has a client ask for dev's application credential.
func (w *world) asksCredential() error {
	_, err := w.ApplicationCredential(w.Context(), "dev")
	return err
}

// pendingCredential is the one that is on record, and not in force.
func (w *world) pendingCredential() account.ApplicationCredential {
	w.Helper()
	list := w.Contents().Environments["dev"].AppCreds.List
	if len(list) != 1 || list[0].State != vault.Pending {
		w.Fatalf("stored: %d versions", len(list))
	}
	return list[0].Value
}

// One whose making had no answer, or a wrong one, is the one that serves in the
// end, whatever comes in between, and there is no other.
func TestCredentialOfALostAnswer(t *testing.T) {
	lost := practice.Fault{Route: "POST " + credentialRoute, Break: practice.Cut, AfterWork: true, Times: 1}
	broken := lost
	broken.Break, broken.Status, broken.Body = practice.Answer, 500, "<html>"
	for name, faults := range map[string][]practice.Fault{
		"lost":            {lost},
		"broken":          {broken},
		"no list":         {lost, {Route: "GET " + credentialRoute, Status: 500, Body: "<html>", Times: 1}},
		"a list cut off":  {lost, {Route: "GET " + credentialRoute, Break: practice.Cut, Times: 1}},
		"a forbidden one": {lost, {Route: "GET " + credentialRoute, Status: 403, Body: forbidding, Times: 1}},
		"no proof":        {lost, {Route: tokenRoute, Skip: 1, Status: 503, Times: 1}},
		"a refused proof": {lost, {Route: tokenRoute, Skip: 1, Status: 401, Body: unauthorized, Times: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.dev()
			w.cloud.Fail(faults[0])
			if err := w.asksCredential(); err == nil {
				t.Fatal("it has no answer")
			}
			intended := w.pendingCredential()
			for _, fault := range faults[1:] {
				w.cloud.Fail(fault)
				if err := w.asksCredential(); err == nil {
					t.Fatal("the fault has no effect")
				}
				if kept := w.pendingCredential(); !kept.Secret.Equal(intended.Secret) {
					t.Error("the secret is lost")
				}
			}
			if err := w.asksCredential(); err != nil {
				t.Fatal(err)
			}
			serves := w.activeCredential()
			if serves.Name != intended.Name || !serves.Secret.Equal(intended.Secret) || serves.ID == "" {
				t.Errorf("it is %s, not %s, with the id %q", serves.Name, intended.Name, serves.ID)
			}
			w.cleanCredential()
		})
	}
}

// A proxy that sends the request twice has the second answer: there is one already.
func TestCredentialOfAConflict(t *testing.T) {
	w := newWorld(t)
	w.dev()
	w.cloud.Fail(practice.Fault{Route: "POST " + credentialRoute, Status: 409, Body: alreadyThere, AfterWork: true, Times: 1})
	if err := w.asksCredential(); err != nil {
		t.Fatal(err)
	}
	w.cleanCredential()

	// Nothing of the name is listed: what was intended stays so.
	w = newWorld(t)
	w.dev()
	w.cloud.Fail(practice.Fault{Route: "POST " + credentialRoute, Status: 409, Body: alreadyThere})
	for range 2 {
		wantIs(t, w.asksCredential(), cloud.ErrConflict)
	}
	intended := w.pendingCredential()
	w.cloud.Heal()
	if err := w.asksCredential(); err != nil || !w.activeCredential().Secret.Equal(intended.Secret) {
		t.Errorf("it is %s, not %s: %v", w.activeCredential().Name, intended.Name, err)
	}
	w.cleanCredential()
}

// What is sure of a later request says nothing of the one before it, which may
// arrive after it.
func TestCredentialOfALateRequest(t *testing.T) {
	w := newWorld(t)
	w.dev()
	w.cloud.Fail(practice.Fault{Route: "POST " + credentialRoute, Break: practice.Cut, Late: true, Times: 1})
	if err := w.asksCredential(); err == nil {
		t.Fatal("it has no answer")
	}
	w.cloud.Fail(practice.Fault{Route: "POST " + credentialRoute, Status: 403, Body: forbidding, Times: 1})
	wantIs(t, w.asksCredential(), cloud.ErrRefused)
	intended := w.pendingCredential()
	w.cloud.Deliver()
	if err := w.asksCredential(); err != nil || !w.activeCredential().Secret.Equal(intended.Secret) {
		t.Errorf("it is %s, not %s: %v", w.activeCredential().Name, intended.Name, err)
	}
	w.cleanCredential()
}

// Where a first request is surely refused nothing is left on record.
func TestCredentialIsRefused(t *testing.T) {
	w := newWorld(t)
	w.dev()
	w.cloud.Fail(practice.Fault{Route: "POST " + credentialRoute, Status: 403, Body: forbidding, Times: 1})
	wantIs(t, w.asksCredential(), cloud.ErrRefused)
	if list := w.Contents().Environments["dev"].AppCreds.List; len(list) != 0 {
		t.Errorf("stored: %d versions", len(list))
	}
	if err := w.asksCredential(); err != nil {
		t.Error(err)
	}
	w.cleanCredential()
}

// One of the name that does not have the intended secret is not ours: it neither
// serves nor is it deleted.
func TestCredentialOfTheNameIsAnothers(t *testing.T) {
	w := newWorld(t)
	w.dev()
	w.cloud.Fail(practice.Fault{Route: "POST " + credentialRoute, Break: practice.Cut, Times: 1})
	_ = w.asksCredential()
	intended := w.pendingCredential()
	u, g := w.byPassword()
	theirs, err := w.Keeper.cloud.CreateApplicationCredential(t.Context(), u, g, account.ApplicationCredential{Name: intended.Name, Secret: secretOf("theirs")}, cloud.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		wantIs(t, w.asksCredential(), cloud.ErrRefused)
	}
	if kept := w.pendingCredential(); kept != intended {
		t.Error("what was intended has changed")
	}
	if all := w.credentials(); len(all) != 1 || all[0].ID != theirs.ID {
		t.Errorf("the cloud has %+v", all)
	}
	if err := w.Keeper.cloud.DeleteApplicationCredential(t.Context(), u, g, theirs.ID); err != nil {
		t.Fatal(err)
	}
	if err := w.asksCredential(); err != nil {
		t.Fatal(err)
	}
	w.cleanCredential()
}

// A kill anywhere in its making leaves one, which serves.
func TestCredentialMakingKilledAnywhere(t *testing.T) {
	for n, over := 1, false; !over; n++ {
		w := newWorld(t)
		w.dev()
		points := w.dieAnywhere(n)
		err := w.asksCredential()
		over = err == nil
		last := (*points)[len(*points)-1]
		if !over && !errors.Is(err, errDied) {
			t.Fatalf("%s: %v", last, err)
		}
		w.open()
		if err := w.asksCredential(); err != nil {
			t.Fatalf("killed at %q: %v", last, err)
		}
		w.cleanCredential()
		if t.Failed() {
			t.Fatalf("killed at %q", last)
		}
	}
}

// Of a key, too, a conflict says that there may be one: it stays on record until
// Keystone's list has told.
func TestKeyOfAConflict(t *testing.T) {
	w := newWorld(t)
	w.take("dev", "dev-ccontini")
	w.cloud.Fail(practice.Fault{Route: "POST /v3/credentials", Status: 409, Body: alreadyThere, AfterWork: true, Times: 1})
	w.cloud.Fail(practice.Fault{Route: "GET /v3/users/{user}/credentials/OS-EC2", Skip: 1, Status: 500, Body: "<html>", Times: 1})
	_, err := w.EnsureKey(t.Context(), "dev")
	wantIs(t, err, cloud.ErrConflict)
	if list := w.Contents().Environments["dev"].Keys.List; len(list) != 1 || list[0].State != vault.Pending {
		t.Fatalf("stored: %d versions", len(list))
	}
	if created, err := w.EnsureKey(t.Context(), "dev"); created || err != nil {
		t.Errorf("another is made: %v, %v", created, err)
	}
	w.clean()
}
