package daemon_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// raw sends a request of another protocol than ours, and returns the answer as
// it is.
func (w *world) speak(protocol, method, path string) (status int, body string) {
	w.Helper()
	c, err := net.Dial("unix", w.socket)
	if err != nil {
		w.Fatal(err)
	}
	defer c.Close()
	_, _ = fmt.Fprintf(c, "%s %s HTTP/1.0\r\n%s: %s\r\n\r\n", method, path, ipc.ProtocolHeader, protocol)
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		w.Fatal(err)
	}
	defer r.Body.Close()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		w.Fatal(err)
	}
	return r.StatusCode, string(data)
}

// A client of another protocol is told so, whatever it asks for: what it asks
// may be what only its protocol knows.
func TestAnotherProtocol(t *testing.T) {
	w := newWorld(t, practice.Options{})
	for _, request := range [][2]string{{"GET", "/v1/status"}, {"POST", "/v1/lock"}, {"GET", "/v2/status"}, {"PUT", "/v1/status"}, {"GET", "/metrics"}} {
		status, body := w.speak("99", request[0], request[1])
		var said struct{ Error ipc.Error }
		if err := json.Unmarshal([]byte(body), &said); err != nil || status != http.StatusUpgradeRequired || said.Error.Code != ipc.CodeProtocol {
			t.Errorf("%s: %d %s", request, status, body)
		}
	}
	if status, body := w.speak("1", "GET", "/v2/status"); status != 400 || !strings.Contains(body, `"usage"`) {
		t.Errorf("ours: %d %s", status, body)
	}
	if w.status().Daemon.Locked {
		t.Error("it locked all the same")
	}
}

// What a daemon does not know of it must not overlook.
func TestUnknownParameters(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	for _, query := range []string{"&formt=fish", "&reveal=true", "&for=abc", "&for=0s", "&for=12h&for=1h", "&client=openstack&for=abc", "&for=12h"} {
		_, err := w.view("dev", query)
		w.want(err, ipc.CodeUsage, "")
	}
	for _, path := range []string{"/v1/status?x", "/v1/log?folow=true", "/v1/environments/dev?revael=true", "/v1/environments/dev/views/credential-process?format=json", "/metrics?x=1"} {
		_, _, err := w.get(path)
		w.want(err, ipc.CodeUsage, "")
	}
	for _, query := range []string{"", "&client=swift&auth=token", "&as=exec", "&selected=true", "&direct=true", "&gateway=true&client=openstack", "&as=exec&anew=true"} {
		if _, err := w.view("dev", query); err != nil {
			t.Errorf("%q: %v", query, err)
		}
	}
}

func TestVerifyOfNothing(t *testing.T) {
	w := newWorld(t, practice.Options{})
	var out map[string]json.RawMessage
	if err := w.try("POST", "/v1/verify", ipc.VerifyRequest{}, &out); err != nil || string(out["changes"]) != "[]" {
		t.Errorf("%s, %v", out["changes"], err)
	}
}

// A passphrase is looked at though nothing is locked: whoever gives a wrong one
// must not learn of it when it is needed.
func TestWrongPassphraseOfAnOpenStore(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.want(w.try("POST", "/v1/unlock", ipc.UnlockRequest{Passphrase: "incorrect"}, nil), ipc.CodePassphrase, "passphrase")
	w.do("POST", "/v1/unlock", ipc.UnlockRequest{Passphrase: "correct horse"}, nil)
	w.do("POST", "/v1/unlock", ipc.UnlockRequest{}, nil)
	if w.status().Daemon.Locked {
		t.Error("a wrong passphrase locked it")
	}
}

func TestIdentityAPIOfAnAuthURL(t *testing.T) {
	w := newWorld(t, practice.Options{})
	for url, api := range map[string]string{"/v2.0": "2.0", "/v2.0/": "2.0", "/v3": "3", "": "3"} {
		r := ipc.AddRequest{Name: "e", User: "u", Project: "p", Password: secret, AuthURL: "https://auth.example" + url, NoVerify: true}
		w.do("POST", "/v1/environments", r, nil)
		var shown ipc.Shown
		w.do("GET", "/v1/environments/e", nil, &shown)
		if shown.IdentityAPI != api || shown.AuthURL != "https://auth.example" {
			t.Errorf("%q: API %s at %s", url, shown.IdentityAPI, shown.AuthURL)
		}
		w.do("DELETE", "/v1/environments/e", nil, nil)
	}
}

// What hangs at a cloud holds up nobody who only wants to forget.
func TestRemoveBehindAHangingCloud(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.restart() // no token is cached
	hangs := make(chan struct{})
	w.cloud.Fail(practice.Fault{Route: "POST /v3/auth/tokens", Break: practice.Hang, Times: 1, Begun: func() { close(hangs) }})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = w.view("dev", "&auth=token")
	}()
	<-hangs
	removed := make(chan error, 1)
	go func() { removed <- w.try("DELETE", "/v1/environments/dev", nil, nil) }()
	select {
	case err := <-removed:
		if err != nil {
			t.Error(err)
		}
	case <-done: // after 10 s
		t.Error("remove waits for the cloud")
	}
	w.cloud.Close() // ends what hangs
	<-done
	if s := w.status(); len(s.Users)+len(s.Environments) != 0 {
		t.Errorf("%+v", s)
	}
}
