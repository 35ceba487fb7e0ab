package daemon_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// waits checks that a former value lives on for the one that was given it, whose
// end nobody knows: for the grace.
func (w *world) waits(what string, r *ipc.Rotation, view string) {
	w.Helper()
	switch {
	case r == nil || len(r.Holders) != 1 || r.Holders[0].Version != 1 || r.Until == nil:
		w.Errorf("%s: the rotation is %+v", what, r)
	case r.Holders[0].View != view || time.Until(*r.Until) < 30*time.Minute:
		w.Errorf("%s: held by %+v until %v", what, r.Holders[0], r.Until)
	}
}

// A token dies with the password that it was made with: who has one holds a former
// password.
func TestTokenHoldsItsPassword(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	if vars, err := w.view("dev", "&auth=token"); err != nil || vars["OS_TOKEN"] == "" || vars["OS_PASSWORD"] != "" {
		t.Fatalf("%d variables, %v", len(vars), err)
	}
	w.rotate(ipc.RotateRequest{User: w.cloud.User.Name, Password: true})
	if former := w.status().Users[0].FormerHolders; len(former) != 1 || former[0].Environment != "dev" || former[0].Version != 1 {
		t.Errorf("former holders: %+v", former)
	}
}

// An application credential that was printed is kept for the grace, and so is the
// one that a token was made with.
func TestCredentialIsKeptForItsHolder(t *testing.T) {
	for _, auth := range []string{"application-credential", "token"} {
		t.Run(auth, func(t *testing.T) {
			w := newWorld(t, practice.Options{})
			w.add("dev", "dev-ccontini")
			vars, err := w.view("dev", "&auth=application-credential")
			if err == nil && auth == "token" { // there is no password that it could be made with
				w.do("DELETE", "/v1/environments/dev", nil, nil)
				err = w.importText("dev", fmt.Sprintf("export OS_AUTH_TYPE=v3applicationcredential\nexport OS_AUTH_URL=%s\nexport OS_APPLICATION_CREDENTIAL_ID=%s\nexport OS_APPLICATION_CREDENTIAL_SECRET=%s\n",
					w.cloud.AuthURL, vars["OS_APPLICATION_CREDENTIAL_ID"], vars["OS_APPLICATION_CREDENTIAL_SECRET"]))
				if err == nil {
					vars, err = w.view("dev", "&auth=token")
				}
				w.add("sys", "system-ccontini") // whose password replaces it
			}
			if err != nil || vars["OS_PASSWORD"] != "" {
				t.Fatalf("%d variables, %v", len(vars), err)
			}
			w.rotate(ipc.RotateRequest{Environments: []string{"dev"}, ApplicationCredential: true})
			w.waits(auth, w.status().Environments[0].CredentialRotation, "openstack/json")
		})
	}
}

// Who was shown a key has it, and nobody knows for how long; who saw no secret has
// nothing.
func TestShownKeyIsKept(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	var shown ipc.Shown
	w.do("GET", "/v1/environments/dev", nil, &shown)
	if len(shown.Holders) != 0 {
		t.Errorf("nobody was given a secret: %+v", shown.Holders)
	}
	w.do("GET", "/v1/environments/dev?reveal=true", nil, &shown)
	w.rotate(ipc.RotateRequest{Environments: []string{"dev"}})
	w.waits("show", w.status().Environments[0].Rotation, "show")
	if n := len(w.cloud.Keys(w.cloud.User.Name)); n != 2 {
		t.Errorf("at the cloud are %d keys", n)
	}
}

// TestFormerKeyIsGone: a Regenerate deletes the former key, too. Once Keystone has
// said so, nobody waits for its holders any more.
func TestFormerKeyIsGone(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	if _, err := w.view("dev", "&client=aws&direct=true"); err != nil {
		t.Fatal(err)
	}
	w.rotate(ipc.RotateRequest{Environments: []string{"dev"}})
	if r := w.status().Environments[0].Rotation; r == nil || r.Step != "drain" {
		t.Fatalf("it does not drain: %+v", r)
	}
	w.do("POST", "/v1/verify", ipc.VerifyRequest{}, nil)
	if w.status().Environments[0].Rotation == nil {
		t.Error("it is told no more, and the former key lives")
	}
	w.cloud.Reset(w.cloud.User.Name, "second")
	w.do("POST", "/v1/update", ipc.UpdateRequest{User: w.cloud.User.Name, Password: "second"}, nil)
	if r := w.status().Environments[0].Rotation; r != nil {
		t.Errorf("it waits for a key that is gone: %+v", r)
	}
}
