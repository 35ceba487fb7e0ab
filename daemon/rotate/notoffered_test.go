package rotate

import (
	"errors"
	"testing"

	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/test/practice"
)

// TestCredentialsAreNotOffered: a cloud that knows no application credentials is
// found out before anything is journalled, and nothing is stored of one that it did
// not make.
func TestCredentialsAreNotOffered(t *testing.T) {
	unknown := func(w *world) {
		for _, method := range []string{"GET ", "POST "} {
			w.cloud.Fail(practice.Fault{Route: method + credentialRoute, Status: 404, Body: `{"error":{"code":404,"title":"Not Found","message":"The resource could not be found."}}`})
		}
	}
	w := newWorld(t)
	served := w.credential()
	unknown(w)
	err := w.atOnce(KindAppCred)
	wantIs(t, err, cloud.ErrNotOffered)
	if errors.Is(err, ErrPortal) {
		t.Errorf("no portal has them either: %v", err)
	}
	e := w.Contents().Environments["dev"]
	if e.CredRotation != nil || len(e.AppCreds.List) != 1 || w.activeCredential() != served || w.cloud.Count("POST "+credentialRoute) != 1 {
		t.Errorf("left: journal %v, %d versions", e.CredRotation, len(e.AppCreds.List))
	}
	w.cloud.Heal()
	w.cleanCredential()

	w = newWorld(t)
	w.dev()
	unknown(w)
	_, err = w.ApplicationCredential(t.Context(), "dev")
	wantIs(t, err, cloud.ErrNotOffered)
	if e := w.Contents().Environments["dev"]; len(e.AppCreds.List) != 0 {
		t.Errorf("stored: %+v", e.AppCreds.List)
	}
}
