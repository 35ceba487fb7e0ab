package daemon_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/test/practice"
)

// Each way that a secret goes out by has its own line in the audit trail, and what
// shows none has none.
func TestEachWayOutIsRecorded(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.ported()
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	const of = "/v1/environments/dev"
	var body []byte
	for _, way := range []struct{ path, view string }{
		{of, ""}, {"/v1/status", ""}, {of + "?reveal=true", "show"},
		{of + "/views/credential-process", "credential-process"},
		{of + "/views/credential-process?gateway=true", "gateway-key"},
		{of + "/views/env?format=sh", "openstack/sh"}, {of + "/views/env?format=json&as=exec", "exec"},
		{of + "/views/endpoint", "endpoint"},
	} {
		before := len(w.recorded())
		var err error
		if body, _, err = w.get(way.path); err != nil {
			t.Fatal(err)
		}
		want := `"event":"handed-out","environment":"dev","view":"` + way.view + `"`
		lines := w.recorded()[before:]
		if way.view == "" && len(lines) > 0 || way.view != "" && (len(lines) != 1 || !strings.Contains(lines[0], want)) {
			t.Errorf("%s: the trail has %q, want %s", way.path, lines, want)
		}
	}
	got := map[string]string{}
	for variable := range strings.SplitSeq(string(body), "\x00") {
		name, value, _ := strings.Cut(variable, "=")
		got[name] = value
	}
	before := len(w.recorded())
	r, err := http.NewRequest("GET", got["AWS_CONTAINER_CREDENTIALS_FULL_URI"], nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", got["AWS_CONTAINER_AUTHORIZATION_TOKEN"])
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	key, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK || !strings.Contains(string(key), "SecretAccessKey") {
		t.Fatalf("the container endpoint answers %d", res.StatusCode)
	}
	w.until("the key of the container endpoint is in the trail", func() bool {
		lines := w.recorded()[before:]
		return len(lines) == 1 && strings.Contains(lines[0], `"event":"gateway-used","environment":"dev"`)
	})
}

// recorded are the lines of the audit trail.
func (w *world) recorded() []string {
	w.Helper()
	w.do("GET", "/v1/log/verify", nil, nil) // flushes
	data, err := os.ReadFile(filepath.Join(w.dir, "state", "audit.jsonl"))
	if err != nil {
		w.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}
