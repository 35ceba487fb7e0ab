package daemon_test

import (
	"path/filepath"
	"testing"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// The documentation's sample, whose secret is a mask, imported with nobody to
// ask: the environment has nothing to serve, which is told with the key that the
// file names; the secret alone mends it.
func TestKeyWithoutItsSecret(t *testing.T) {
	w := newWorld(t, practice.Options{})
	key := w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"])
	path := filepath.Join(w.dir, "credentials")
	text := "[default]\nregion = " + practice.Region + "\naws_access_key_id = " + key.Access + "\naws_secret_access_key = ********************\ns3 =\nendpoint_url = " + w.cloud.S3URL + "\n"
	w.save(path, text)
	var out ipc.Changes
	w.do("POST", "/v1/import", ipc.ImportRequest{Files: []ipc.File{{Path: path, Data: []byte(text)}}, Bare: true}, &out)
	w.until("the file was read", func() bool { return w.environment("default").S3.Wanted == key.Access })
	if s3 := w.environment("default").S3; s3.State != "none" || s3.AccessKeyID != "" {
		t.Errorf("%+v", s3)
	}
	w.do("POST", "/v1/verify", ipc.VerifyRequest{}, &out)
	if c := out.Changes[0]; c.Error == nil || c.Error.Code != ipc.CodeFailed || c.Action != "failed" || c.Error.Message != "environment default has no S3 key" {
		t.Errorf("%+v, %+v", c, c.Error)
	}
	w.do("POST", "/v1/update", ipc.UpdateRequest{Environment: "default", S3Secret: key.Secret}, nil)
	if s3 := w.environment("default").S3; s3.State != "ok" || s3.AccessKeyID != key.Access || s3.Wanted != "" {
		t.Errorf("%+v", s3)
	}
	out = ipc.Changes{}
	w.do("POST", "/v1/verify", ipc.VerifyRequest{}, &out)
	if c := out.Changes[0]; c.Error != nil {
		t.Errorf("%+v, %+v", c, c.Error)
	}
}

// So it is with a user whose password is not stored.
func TestVerifyWithoutAPassword(t *testing.T) {
	w := newWorld(t, practice.Options{})
	file := ipc.File{Path: "/x/openrc", Data: []byte(w.openrc("", "dev-ccontini", ""))}
	w.do("POST", "/v1/import", ipc.ImportRequest{Files: []ipc.File{file}, Name: "dev", Bare: true}, nil)
	var out ipc.Changes
	w.do("POST", "/v1/verify", ipc.VerifyRequest{}, &out)
	if c := out.Changes[0]; c.Error == nil || c.Error.Code != ipc.CodeFailed {
		t.Errorf("%+v, %+v", c, c.Error)
	}
}

// A shell selects an environment of S3 keys alone as any other: it gets no OS_
// variable, hears why when it does so and not at each prompt, and sees a refusal.
func TestHookOfKeysAlone(t *testing.T) {
	w := newWorld(t, practice.Options{})
	key := w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"])
	w.do("POST", "/v1/environments", ipc.AddRequest{Name: "alone", S3Endpoint: w.cloud.S3URL, S3Region: practice.Region, S3AccessKey: key.Access, S3Secret: key.Secret}, nil)
	for _, format := range []string{"hook-sh", "hook-fish"} {
		for query, warned := range map[string]bool{"": true, "&selected=true": false} {
			body, warnings, err := w.get("/v1/environments/alone/views/env?format=" + format + query)
			if err != nil || len(body) > 0 || (len(warnings) > 0) != warned {
				t.Errorf("%s%s: %q, warnings %q, %v", format, query, body, warnings, err)
			}
		}
	}
	if n := w.environment("alone").Leases; n != 0 {
		t.Errorf("%d leases of nothing", n)
	}
	_, _, err := w.get("/v1/environments/alone/views/env")
	w.want(err, ipc.CodeFailed, "holds S3 keys alone")
	w.cloud.DeleteKeys(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"])
	w.want(w.verify("alone"), ipc.CodeRefused, "")
	_, _, err = w.get("/v1/environments/alone/views/env?format=hook-sh&selected=true")
	w.want(err, ipc.CodeRefused, "S3 key")
}

// Who asks for an unknown format hears of those that are for people.
func TestUnknownFormat(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	_, _, err := w.get("/v1/environments/dev/views/env?format=x")
	w.want(err, ipc.CodeUsage, "unknown format (known: clouds.yaml, dotenv, fish, json, rclone, s3cfg, sh)")
}
