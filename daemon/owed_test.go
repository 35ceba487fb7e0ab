package daemon_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// TestCloudThatHangs: while one cloud lets a check wait, another's rotation goes
// on, and what is owed there is asked.
func TestCloudThatHangs(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)

	var asked, gaveUp atomic.Int32
	var once sync.Once
	hangs, over := make(chan struct{}), make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 { // what is stored then is owed a check
			rw.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body) // else nobody sees that the client has gone
		once.Do(func() { close(hangs) })
		select {
		case <-r.Context().Done():
			gaveUp.Add(1)
		case <-over:
		}
	}))
	t.Cleanup(hanging.Close)
	t.Cleanup(func() { close(over) })
	w.do("POST", "/v1/environments", ipc.AddRequest{Name: "there", User: "u", Password: secret, Project: "p", AuthURL: hanging.URL}, nil)
	<-hangs

	w.cloud.Fail(practice.Fault{Route: "POST /v3/auth/tokens", Times: 1, Status: http.StatusServiceUnavailable})
	w.do("POST", "/v1/environments", w.addRequest("system", "system-ccontini"), nil)
	before := w.environment("dev").S3.AccessKeyID
	w.rotate(ipc.RotateRequest{Environments: []string{"dev"}, Grace: "3s"}) // its end is not the request's
	w.until("the former key is gone", func() bool { return !w.listed(before) })
	w.until("what is owed at the other cloud is judged", func() bool { return w.environment("system").State == "ok" })
	if gaveUp.Load() > 0 {
		t.Error("all this waited for the cloud that hangs")
	}
}
