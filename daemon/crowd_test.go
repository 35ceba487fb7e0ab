package daemon_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// TestTellsOfManyEnvironments: however many environments a user has, the incident
// is told before what it does to each of them, and all their shells hear its end.
func TestTellsOfManyEnvironments(t *testing.T) {
	w := newWorld(t, practice.Options{})
	user := w.cloud.User.Name
	const many = 300
	var clouds strings.Builder
	clouds.WriteString("clouds:\n")
	for n := range many {
		fmt.Fprintf(&clouds, "  e%d: {auth: {auth_url: %q, username: %q, password: mistyped, project_name: p%d, user_domain_id: default, project_domain_id: default}}\n", n, w.cloud.AuthURL, user, n)
	}
	w.do("POST", "/v1/import", ipc.ImportRequest{NoVerify: true, Files: []ipc.File{{Path: "clouds.yaml", Data: []byte(clouds.String())}}}, nil)
	names := []string{"e0", "e150", fmt.Sprint("e", many-1)}
	for _, name := range names {
		w.prompt(name)
	}
	events := w.events()

	w.do("POST", "/v1/verify", ipc.VerifyRequest{Environments: names[:1]}, nil)
	w.until("each environment's refusal is told", func() bool { return events.count("refused", "") > many })
	if n := events.count("refused", "the cloud refuses the password of "+user); n != 1 {
		t.Errorf("the incident was told %d times", n)
	}
	if first := events.first("refused"); first.Environment != "" {
		t.Errorf("before the incident %+v was told", first)
	}
	w.do("POST", "/v1/update", ipc.UpdateRequest{User: user, Password: secret}, nil)
	works := "the password of " + user + " works again"
	events.once("healed", works)
	for _, name := range names {
		if line := w.prompt(name); line != "note: "+works {
			t.Errorf("%s: the prompt is told %q", name, line)
		}
		if line := w.prompt(name); line != "" {
			t.Errorf("%s: and once more %q", name, line)
		}
	}
}

// TestTellsWhomItConcerns: a line goes to the shells of the user's environments,
// or of the one environment whose key it is about, and to no others.
func TestTellsWhomItConcerns(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.cloud.AddUser("mallory", "first", "hers")
	w.add("dev", "dev-ccontini")
	w.add("system", "system-ccontini")
	w.do("POST", "/v1/environments", ipc.AddRequest{Name: "hers", User: "mallory", Project: "hers", Password: "first", AuthURL: w.cloud.AuthURL, S3Endpoint: w.cloud.S3URL}, nil)
	for _, name := range []string{"dev", "system", "hers"} {
		w.do("POST", "/v1/environments/"+name+"/s3-key", nil, nil)
		w.prompt(name)
	}
	heal := func(user, password string) {
		w.cloud.SetPassword(user, password)
		w.do("POST", "/v1/verify", ipc.VerifyRequest{}, nil)
		w.do("POST", "/v1/update", ipc.UpdateRequest{User: user, Password: password}, nil)
	}
	heal(w.cloud.User.Name, "second")
	heal("mallory", "second")
	w.cloud.DeleteKey(w.shown("dev").S3.AccessKeyID)
	w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"])
	w.do("POST", "/v1/verify", ipc.VerifyRequest{}, nil)
	heal(w.cloud.User.Name, "third") // which gives each of his a new generation
	his, hers := "note: the password of "+w.cloud.User.Name+" works again", "note: the password of mallory works again"
	key := "note: the S3 key of dev was changed elsewhere, ccad has the new one"
	for name, want := range map[string]string{"dev": his + "|" + key + "|" + his, "system": his + "|" + his, "hers": hers} {
		if line := w.prompt(name); line != want {
			t.Errorf("%s: the prompt is told %q, want %q", name, line, want)
		}
	}
}
