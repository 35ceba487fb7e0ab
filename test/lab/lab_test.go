package lab_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/test/lab"
)

// auth asks for a token and returns the status.
func auth(t *testing.T, l *lab.Lab, u lab.User, password string) int {
	t.Helper()
	var project string
	for project = range u.Projects {
	}
	domain := map[string]string{"id": "default"}
	body, err := json.Marshal(map[string]any{"auth": map[string]any{
		"identity": map[string]any{"methods": []string{"password"}, "password": map[string]any{
			"user": map[string]any{"name": u.Name, "domain": domain, "password": password}}},
		"scope": map[string]any{"project": map[string]any{"name": project, "domain": domain}}}})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(l.AuthURL+"/auth/tokens", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func want(t *testing.T, what string, got, want int) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %d, want %d", what, got, want)
	}
}

func TestAdmin(t *testing.T) {
	l := lab.Start(t, lab.Options{})
	want(t, "the lab's user", auth(t, l, l.User, l.User.Password), 201)
	for _, url := range []string{l.S3URL, l.S3URLUS} {
		resp, err := http.Get(url + "/healthcheck")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		want(t, url, resp.StatusCode, 200)
	}

	u := l.NewUser(t, "system", "dev")
	want(t, "a new user", auth(t, l, u, "hunter2"), 201)
	l.SetPassword(t, u.Name, "other")
	want(t, "the old password", auth(t, l, u, "hunter2"), 401)
	want(t, "the new password", auth(t, l, u, "other"), 201)
	l.DisableUser(t, u.Name)
	want(t, "disabled", auth(t, l, u, "other"), 401)
	l.EnableUser(t, u.Name)
	want(t, "enabled", auth(t, l, u, "other"), 201)

	for _, project := range u.Projects {
		l.CreateKey(t, u.Name, project)
		l.CreateKey(t, u.Name, project)
	}
	want(t, "keys", len(l.Keys(t, u.Name)), 4)
	l.DeleteKeys(t, u.Name, l.Keys(t, u.Name)[0].ProjectID)
	want(t, "keys of one project", len(l.Keys(t, u.Name)), 2)
	l.Regenerate(t, u, "third")
	want(t, "regenerated keys", len(l.Keys(t, u.Name)), 2)
}

func TestOwn(t *testing.T) {
	var dir string
	t.Run("up", func(t *testing.T) {
		l := lab.Start(t, lab.Options{Settings: []string{"CLOUD_S3_REGION=ca-east-1"}})
		if l.Region != "ca-east-1" || l.RegionUS != "us-east-1" {
			t.Errorf("regions %s and %s", l.Region, l.RegionUS)
		}
		l.Configure(t, "[security_compliance]\nlockout_failure_attempts = 1\nlockout_duration = 600\n")
		want(t, "wrong", auth(t, l, l.User, "wrong"), 401)
		want(t, "right, but locked", auth(t, l, l.User, l.User.Password), 401)
		dir = l.Dir
	})
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", dir, err)
	}
}

// ended is a test that takes note of how it was ended.
type ended struct {
	testing.TB
	how string
}

func (e *ended) Helper() {}

func (e *ended) Fatal(args ...any) { e.end("failed", args) }

func (e *ended) Skip(args ...any) { e.end("skipped", args) }

func (e *ended) end(how string, args []any) {
	e.how = how + ": " + fmt.Sprint(args...)
	runtime.Goexit()
}

// TestUnavailable pretends to a machine without the packages and without root.
func TestUnavailable(t *testing.T) {
	bin := t.TempDir()
	for name, script := range map[string]string{"dpkg-query": "exit 1", "id": "echo 1000", "sudo": "exit 1"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	start := func() string {
		e := &ended{TB: t}
		done := make(chan struct{})
		go func() {
			defer close(done)
			lab.Start(e, lab.Options{Own: true})
		}()
		<-done
		return e.how
	}
	const why = "no real cloud here: cloud: install: neither root nor sudo"
	t.Setenv("CCAD_TEST_PARTIAL", "")
	if how := start(); !strings.HasPrefix(how, "failed: "+why) {
		t.Errorf("without the packages: %s", how)
	}
	t.Setenv("CCAD_TEST_PARTIAL", "1")
	if how := start(); !strings.HasPrefix(how, "skipped: LEFT OUT: "+why) {
		t.Errorf("with CCAD_TEST_PARTIAL: %s", how)
	}
}
