package daemon_test

import (
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

func TestCloudsFile(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments", ipc.AddRequest{
		Name: "keys", S3Endpoint: w.cloud.S3URL, S3AccessKey: "AK", S3Secret: "hunter3", NoVerify: true,
	}, nil)
	ask := func(text string, names ...string) (out ipc.CloudsFileReply, err error) {
		err = w.try("POST", "/v1/clouds-file", ipc.CloudsFileRequest{Path: "/home/u/clouds.yaml", Data: []byte(text), Environments: names}, &out)
		return out, err
	}

	const mine = "# mine\nclouds:\n  other:\n    auth:\n      password: kept\n"
	out, err := ask(mine, "dev")
	want := mine + `  dev:
    auth:
      auth_url: ` + strings.TrimSuffix(w.cloud.AuthURL, "/v3") + `
      username: ` + w.cloud.User.Name + `
      project_name: dev-ccontini
      user_domain_id: default
      project_domain_id: default
    identity_api_version: "3"
`
	if text := string(out.Data); err != nil || text != want || strings.Join(out.Clouds, " ") != "dev" {
		t.Fatalf("%v, %q, got:\n%s\nwant:\n%s", err, out.Clouds, text, want)
	}
	if strings.Contains(string(out.Data), secret) {
		t.Error("a secret is in the file")
	}
	if again, err := ask(want, "dev"); err != nil || string(again.Data) != want {
		t.Errorf("the second time: %v, %s", err, again.Data)
	}

	_, err = ask(mine, "dev", "keys")
	w.want(err, ipc.CodeFailed, "keys has no user and project by name: a cloud needs both")
	_, err = ask(mine, "none")
	w.want(err, ipc.CodeUnknown, "none")
	_, err = ask("clouds:\n  dev:\n    auth: {username: somebody}\n", "dev")
	w.want(err, ipc.CodeFailed, "/home/u/clouds.yaml:2: cloud dev is there already, and not from ccactl")
	_, err = ask("clouds: [hunter2", "dev")
	w.want(err, ipc.CodeFailed, "/home/u/clouds.yaml:1: it can't be read as YAML of clouds")
}
