package daemon_test

import (
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// A dry run shows what the import would do: the flags' endpoint over the file's,
// and what it would be refused for without asking the cloud.
func TestDryRunSaysWhatAnImportDoes(t *testing.T) {
	w := newWorld(t, practice.Options{})
	file := ipc.File{Path: "/x/openrc", Data: []byte(w.openrc(secret, "dev-ccontini", "export AWS_ENDPOINT_URL_S3=https://other.example\n"))}
	var out ipc.Changes
	w.do("POST", "/v1/import", ipc.ImportRequest{Files: []ipc.File{file}, S3Endpoint: w.cloud.S3URL, DryRun: true}, &out)
	if c := out.Changes[0]; c.S3Endpoint != w.cloud.S3URL || c.Error != nil {
		t.Errorf("%+v", c)
	}
	keys := ipc.File{Path: "/x/credentials", Data: []byte("[a]\naws_access_key_id=AKIA\naws_secret_access_key=s\n[b]\naws_access_key_id=AK\naws_secret_access_key=s\nendpoint_url=" + w.cloud.S3URL + "\n")}
	out = ipc.Changes{}
	w.do("POST", "/v1/import", ipc.ImportRequest{Files: []ipc.File{keys}, DryRun: true}, &out)
	if len(out.Changes) != 2 || out.Changes[0].Error == nil || !strings.Contains(out.Changes[0].Error.Message, "no S3 endpoint") || out.Changes[1].Error != nil {
		t.Fatalf("%+v", out.Changes)
	}
	if n := w.cloud.Count("s3:ListBuckets"); n != 0 {
		t.Errorf("a dry run asked the cloud %d times", n)
	}
}

// A person may choose among what a file holds; nothing of the rest is looked at.
func TestImportOfSomeFindings(t *testing.T) {
	w := newWorld(t, practice.Options{})
	text := "clouds:\n"
	for _, name := range []string{"dev", "system"} {
		text += "  " + name + ":\n    auth: {auth_url: '" + w.cloud.AuthURL + "', username: " + w.cloud.User.Name + ", project_name: " + name + "-ccontini, password: " + secret + "}\n"
	}
	r := ipc.ImportRequest{Files: []ipc.File{{Path: "/x/clouds.yaml", Data: []byte(text)}}, DryRun: true}
	var out ipc.Changes
	w.do("POST", "/v1/import", r, &out)
	if len(out.Changes) != 2 {
		t.Fatalf("%+v", out)
	}
	r.DryRun, r.Only, r.Name = false, []string{out.Changes[1].Source}, "chosen"
	w.do("POST", "/v1/import", r, &out)
	if s := w.status(); len(s.Environments) != 1 || s.Environments[0].Name != "chosen" || s.Environments[0].Project != "system-ccontini" {
		t.Errorf("%+v", s.Environments)
	}
	r.Only = []string{"/x/clouds.yaml:99"}
	w.want(w.try("POST", "/v1/import", r, nil), ipc.CodeUsage, "nothing to import")
}
