package daemon_test

import (
	"fmt"
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
	keys := ipc.File{Path: "/x/credentials", Data: []byte("[a]\naws_access_key_id=AKIA\naws_secret_access_key=s\n")}
	out = ipc.Changes{}
	w.do("POST", "/v1/import", ipc.ImportRequest{Files: []ipc.File{keys}, DryRun: true}, &out)
	if len(out.Changes) != 1 || out.Changes[0].Error == nil || !strings.Contains(out.Changes[0].Error.Message, "no S3 endpoint") {
		t.Fatalf("%+v", out.Changes)
	}
	if n := w.cloud.Count("s3:ListBuckets"); n != 0 {
		t.Errorf("a dry run asked the cloud %d times", n)
	}
}

// A profile of Amazon's beside one of ours is left out, and that is told: it is no
// failure, and the other may be named. Where the flag says where S3 is, or the
// name has an endpoint already, it is ours.
func TestImportBesideAmazons(t *testing.T) {
	w := newWorld(t, practice.Options{})
	amazons := "[work]\naws_access_key_id=AKIA\naws_secret_access_key=s\n"
	text := amazons + "[ours]\naws_access_key_id=AK\naws_secret_access_key=s\nendpoint_url=" + w.cloud.S3URL + "\n"
	for _, r := range []ipc.ImportRequest{{DryRun: true}, {NoVerify: true, Name: "named"}, {NoVerify: true}} {
		out, err := w.bring(r, text)
		if err != nil || len(out.Changes) != 1 || out.Changes[0].Error != nil || out.Changes[0].AccessKeyID != "AK" {
			t.Fatalf("%+v: %+v, %v", r, out, err)
		}
		if len(out.Notes) != 1 || !strings.HasSuffix(out.Notes[0], ":1: skipped: its keys name no S3 endpoint, as Amazon's do") {
			t.Errorf("%+v: the notes are %q", r, out.Notes)
		}
	}
	for _, r := range []ipc.ImportRequest{{DryRun: true, S3Endpoint: w.cloud.S3URL}, {DryRun: true}} {
		out, err := w.bring(r, text)
		if err != nil || len(out.Changes) != 2 || out.Changes[0].Error != nil || len(out.Notes) != 0 {
			t.Fatalf("%+v: %+v, %v", r, out, err)
		}
		w.do("POST", "/v1/environments", ipc.AddRequest{Name: "work", S3AccessKey: "AKIA", S3Secret: "s", S3Endpoint: w.cloud.S3URL, NoVerify: true}, nil)
	}
}

// A name that another identity has is told apart: --name helps.
func TestImportUnderATakenName(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("a-b", "dev-ccontini")
	w.want(w.importText("", w.openrc(secret, "'A B'", "")), ipc.CodeTaken, "not A B: held by another identity")
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
	w.want(w.try("POST", "/v1/import", r, nil), ipc.CodeEmpty, "nothing to import")
}

// What a file leaves for the cloud to say is no reason for a dry run to fail, and
// what nobody names is: a project's id alone makes no name.
func TestDryRunOfWhatNamesNoProject(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	vars, err := w.view("dev", "&auth=application-credential")
	if err != nil {
		t.Fatal(err)
	}
	cred := fmt.Sprintf("export OS_AUTH_TYPE=v3applicationcredential\nexport OS_AUTH_URL=%s\nexport OS_APPLICATION_CREDENTIAL_ID=%s\nexport OS_APPLICATION_CREDENTIAL_SECRET=%s\n",
		w.cloud.AuthURL, vars["OS_APPLICATION_CREDENTIAL_ID"], vars["OS_APPLICATION_CREDENTIAL_SECRET"])
	byID := strings.Replace(w.openrc(secret, "x", ""), "OS_PROJECT_NAME=x", "OS_PROJECT_ID="+w.cloud.User.Projects["system-ccontini"], 1)
	try := func(name, text string) ipc.Change {
		t.Helper()
		var out ipc.Changes
		w.do("POST", "/v1/import", ipc.ImportRequest{Name: name, Files: []ipc.File{{Path: "/x/openrc", Data: []byte(text)}}, DryRun: true}, &out)
		return out.Changes[0]
	}
	if c := try("", cred); c.Error != nil || c.Action != "merged" || c.Environment != "dev" {
		t.Errorf("the one that dev has: %+v", c)
	}
	w.do("DELETE", "/v1/environments/dev", nil, nil)
	if c := try("", cred); c.Error != nil || c.Action != "added" || len(c.Notes) != 1 || !strings.Contains(c.Notes[0], "the cloud") {
		t.Errorf("the cloud names it: %+v", c)
	}
	if c := try("ac", cred); c.Error != nil || c.Action != "added" || c.Environment != "ac" {
		t.Errorf("a person names it: %+v", c)
	}
	if c := try("", byID); c.Error == nil || c.Error.Code != ipc.CodeUnnamed || c.Missing != "" || c.Project == "" {
		t.Errorf("by the project's id: %+v", c)
	}
	w.want(w.importText("", byID), ipc.CodeUnnamed, "names")
	if err := w.importText("sys", byID); err != nil {
		t.Error(err)
	}
}

// That a file holds nothing for ccad is told apart from a file that can't be read.
func TestImportOfNothing(t *testing.T) {
	w := newWorld(t, practice.Options{})
	for text, want := range map[string]ipc.Code{
		"hello\n": ipc.CodeEmpty, "export OS_REGION_NAME=x\n": ipc.CodeEmpty, "clouds: {}\n": ipc.CodeEmpty,
		"export OS_PASSWORD='x\n": ipc.CodeUsage, "clouds:\n  a:\n b: c\n": ipc.CodeUsage,
	} {
		r := []ipc.File{{Path: "/x/f", Data: []byte(text)}}
		w.want(w.try("POST", "/v1/import", ipc.ImportRequest{Files: r, DryRun: true}, nil), want, "")
		if want == ipc.CodeUsage {
			w.want(w.try("POST", "/v1/scrub", ipc.ScrubRequest{Files: r}, nil), want, "")
		}
	}
	r := []ipc.File{{Path: "/x/f", Data: []byte("hello\n")}}
	w.want(w.try("POST", "/v1/scrub", ipc.ScrubRequest{Files: r}, nil), ipc.CodeEmpty, "none of the formats")
}

// What is wrong with an address is told by what it is of: it need not have come by
// a flag.
func TestAddressesByName(t *testing.T) {
	w := newWorld(t, practice.Options{})
	r := w.addRequest("dev", "dev-ccontini")
	r.S3Endpoint = "s3"
	w.want(w.try("POST", "/v1/environments", r, nil), ipc.CodeUsage, "the S3 endpoint can't be used: not a URL with a host")
	r.S3Endpoint, r.AuthURL = "", "http://k.example"
	w.want(w.try("POST", "/v1/environments", r, nil), ipc.CodeUsage, "the auth URL can't be used: k.example is plain http")
}

// A file without its password, as the dashboard's and those that were scrubbed, is
// whole where ccad has the user's: unless the cloud refuses that one.
func TestImportWithTheUsersPassword(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	bare := ipc.File{Path: "/x/openrc", Data: []byte(strings.Replace(w.openrc(secret, "system-ccontini", ""), "export OS_PASSWORD="+secret+"\n", "", 1))}
	var out ipc.Changes
	w.do("POST", "/v1/import", ipc.ImportRequest{Name: "sys", Files: []ipc.File{bare}}, &out)
	if c := out.Changes[0]; c.Error != nil || c.Missing != "" || c.Action != "added" || c.State != "ok" {
		t.Errorf("%+v", c)
	}
	w.cloud.SetPassword(w.cloud.User.Name, "second")
	_ = w.verify("dev")
	out = ipc.Changes{}
	w.do("POST", "/v1/import", ipc.ImportRequest{Name: "sys", Files: []ipc.File{bare}}, &out)
	if c := out.Changes[0]; c.Missing != "password" {
		t.Errorf("the one that is stored is refused: %+v", c)
	}
}

// What brings nothing new is unchanged, and leaves no line in the audit trail.
func TestImportAgain(t *testing.T) {
	w := newWorld(t, practice.Options{})
	file := ipc.File{Path: "/x/openrc", Data: []byte(w.openrc(secret, "dev-ccontini", ""))}
	again := func(noWatch bool) string {
		t.Helper()
		var out ipc.Changes
		w.do("POST", "/v1/import", ipc.ImportRequest{Files: []ipc.File{file}, NoWatch: noWatch}, &out)
		if c := out.Changes[0]; c.State != "ok" {
			t.Errorf("%+v", c)
		}
		return out.Changes[0].Action
	}
	adopted := func() int { return strings.Count(w.lines(), `"event":"adopted"`) }
	if is := again(false); is != "added" || adopted() != 1 {
		t.Errorf("the first time: %s, %d lines", is, adopted())
	}
	if is := again(false); is != "unchanged" || adopted() != 1 {
		t.Errorf("once more: %s, %d lines", is, adopted())
	}
	if is := again(true); is != "merged" || adopted() != 2 {
		t.Errorf("not watched any more: %s, %d lines", is, adopted())
	}
	w.newKey()
	if is := again(true); is != "merged" {
		t.Errorf("with an S3 key that the cloud has now: %s", is)
	}
}
