package daemon_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// This file guards that one thing has one name and one name is one thing,
// whichever door a value comes in by.

// bring imports files given as text.
func (w *world) bring(r ipc.ImportRequest, files ...string) (out ipc.Changes, err error) {
	for i, text := range files {
		r.Files = append(r.Files, ipc.File{Path: fmt.Sprintf("/x/%d", i), Data: []byte(text)})
	}
	r.NoWatch = true
	err = w.try("POST", "/v1/import", r, &out)
	return out, err
}

func (w *world) credentials(profile, access, secret string) string {
	return fmt.Sprintf("[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\nendpoint_url = %s\n", profile, access, secret, w.cloud.S3URL)
}

func TestOneNameOfTwoInAFile(t *testing.T) {
	w := newWorld(t, practice.Options{})
	two := w.credentials("Dev X", "AK1", "s1") + w.credentials("dev-x", "AK2", "s2")
	for _, r := range []ipc.ImportRequest{{}, {NoVerify: true}, {DryRun: true}} {
		_, err := w.bring(r, two)
		w.want(err, ipc.CodeFailed, "dev-x")
	}
	other := strings.Replace(w.openrc(secret, "dev-ccontini", ""), w.cloud.User.Name, "somebody", 1)
	_, err := w.bring(ipc.ImportRequest{NoVerify: true}, w.openrc(secret, "dev-ccontini", ""), other)
	w.want(err, ipc.CodeFailed, "dev-ccontini")
	if n := len(w.status().Environments); n != 0 {
		t.Errorf("%d environments are stored of what was refused", n)
	}

	// One thing said twice is one thing, and a user's project may have a key.
	same := w.credentials("dev-ccontini", "AK1", "s1")
	if out, err := w.bring(ipc.ImportRequest{NoVerify: true}, same, same, w.openrc(secret, "dev-ccontini", "")); err != nil || len(out.Changes) != 3 {
		t.Errorf("%+v, %v", out.Changes, err)
	}
	if s := w.status().Environments; len(s) != 1 || s[0].User != w.cloud.User.Name || s[0].S3.AccessKeyID != "AK1" {
		t.Errorf("%+v", s)
	}
}

// Whose a key is nobody knows that the cloud has not been asked about: a file
// with another one is another identity's.
func TestImportOverAnUnprovedKey(t *testing.T) {
	w := newWorld(t, practice.Options{})
	for i, key := range []string{"AK1", "AK1", "AK2"} {
		out, err := w.bring(ipc.ImportRequest{NoVerify: true}, w.credentials("s3", key, "s"))
		if err != nil {
			t.Fatal(err)
		}
		if failed := out.Changes[0].Error != nil; failed != (i == 2) {
			t.Errorf("import %d: %+v", i, out.Changes[0])
		} else if failed {
			w.want(out.Changes[0].Error, ipc.CodeFailed, "AK1")
		}
	}
	if got := w.environment("s3").S3.AccessKeyID; got != "AK1" {
		t.Errorf("the key is %s now", got)
	}
	w.do("POST", "/v1/update", ipc.UpdateRequest{Environment: "s3", S3AccessKey: "AK2", S3Secret: "s", NoVerify: true}, nil)
	if got := w.environment("s3").S3.AccessKeyID; got != "AK2" {
		t.Errorf("a person may replace it, and it is %s", got)
	}
}

// A project has one environment: two would rotate each other's key to death.
func TestRestoreMakesNoTwin(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	var backup []byte
	w.do("POST", "/v1/backup", ipc.BackupRequest{Passphrase: "p"}, &backup)
	w.do("DELETE", "/v1/environments/dev", nil, nil)
	w.add("other", "dev-ccontini")
	var out ipc.Changes
	w.do("POST", "/v1/restore", ipc.RestoreRequest{Passphrase: "p", Data: backup}, &out)
	if c := out.Changes[0]; c.Action != "unchanged" || !strings.Contains(strings.Join(c.Notes, " "), "other") {
		t.Errorf("restore: %+v", c)
	}
	if s := w.status(); len(s.Environments) != 1 || s.Environments[0].Name != "other" {
		t.Errorf("after it: %+v", s.Environments)
	}
}

// What a backup may not bring is told, and holds up nothing else of it.
func TestRestoreOfAnotherEndpoint(t *testing.T) {
	w := newWorld(t, practice.Options{})
	r := w.addRequest("dev", "dev-ccontini")
	r.S3Endpoint, r.NoVerify = "https://evil.example", true
	w.do("POST", "/v1/environments", r, nil)
	w.add("sys", "system-ccontini")
	if _, err := w.bring(ipc.ImportRequest{Name: "keys", S3Endpoint: w.cloud.S3URL, NoVerify: true}, "[x]\naws_access_key_id = AK\naws_secret_access_key = s\n"); err != nil {
		t.Fatal(err)
	}
	var backup []byte
	w.do("POST", "/v1/backup", ipc.BackupRequest{Passphrase: "p"}, &backup)
	w.do("DELETE", "/v1/environments/dev", nil, nil)
	w.do("DELETE", "/v1/environments/keys", nil, nil)
	var out ipc.Changes
	w.do("POST", "/v1/restore", ipc.RestoreRequest{Passphrase: "p", Data: backup}, &out)
	if len(out.Changes) != 3 || out.Changes[0].Action != "failed" || out.Changes[1].Action != "added" {
		t.Fatalf("%+v", out.Changes)
	}
	w.want(out.Changes[0].Error, ipc.CodeFailed, "https://evil.example")
	if s := w.status(); len(s.Environments) != 2 {
		t.Errorf("after it: %+v", s.Environments)
	}
}

// What is restored with --no-verify waits for a person, though its user is known.
func TestRestoreWithoutVerifying(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.add("sys", "system-ccontini")
	var backup []byte
	w.do("POST", "/v1/backup", ipc.BackupRequest{Passphrase: "p"}, &backup)
	for _, noVerify := range []bool{true, false} {
		w.do("DELETE", "/v1/environments/dev", nil, nil)
		w.do("POST", "/v1/restore", ipc.RestoreRequest{Passphrase: "p", Data: backup, NoVerify: noVerify}, nil)
		_, err := w.view("dev", "&auth=token")
		if !noVerify {
			w.until("it is checked by itself", func() bool { return w.environment("dev").State == "ok" })
			continue
		}
		w.want(err, ipc.CodeWithheld, "--no-verify")
		if e := w.environment("dev"); e.State != "unverified" {
			t.Errorf("nobody has asked, and it is %s", e.State)
		}
	}
}

func TestNoVerifyCredentialIsSentByAPersonOnly(t *testing.T) {
	w := newWorld(t, practice.Options{})
	text := fmt.Sprintf("export OS_AUTH_TYPE=v3applicationcredential\nexport OS_AUTH_URL=%s\nexport OS_APPLICATION_CREDENTIAL_ID=none\nexport OS_APPLICATION_CREDENTIAL_SECRET=s\n", w.cloud.AuthURL)
	if _, err := w.bring(ipc.ImportRequest{Name: "dev", NoVerify: true}, text); err != nil {
		t.Fatal(err)
	}
	_, err := w.view("dev", "&auth=token")
	w.want(err, ipc.CodeWithheld, "--no-verify")
	w.restart()
	if n := w.cloud.Count("POST /v3/auth/tokens"); n != 0 {
		t.Fatalf("it was sent %d times", n)
	}
	for range 2 { // refused is refused, the second time too
		err := w.verify("dev")
		if err == nil {
			t.Fatal("verify says nothing of a refused application credential")
		}
		w.want(err, ipc.CodeRefused, "application credential")
		if e := w.environment("dev"); e.State != "refused" || e.ProjectState != "refused" || e.ApplicationCredential != "none" {
			t.Errorf("%+v", e)
		}
	}
	if n := w.cloud.Count("POST /v3/auth/tokens"); n != 1 {
		t.Errorf("it was sent %d times", n)
	}
}

// The secret of a key that a person names is Keystone's to tell. Where it can't
// be asked the name is kept, and no other key is taken in its place.
func TestNamedKeyIsWaitedFor(t *testing.T) {
	for _, listed := range []bool{true, false} {
		t.Run(fmt.Sprint(listed), func(t *testing.T) {
			w := newWorld(t, practice.Options{})
			project := w.cloud.User.Projects["dev-ccontini"]
			keys := []practice.Key{w.cloud.CreateKey(w.cloud.User.Name, project), w.cloud.CreateKey(w.cloud.User.Name, project)}
			for _, key := range keys {
				r := w.addRequest("dev", "dev-ccontini")
				r.S3AccessKey, r.NoVerify = key.Access, true
				var out ipc.Changes
				w.do("POST", "/v1/environments", r, &out)
				if notes := strings.Join(out.Changes[0].Notes, " "); !strings.Contains(notes, key.Access) {
					t.Errorf("add says nothing of the key: %q", notes)
				}
				_, _, err := w.get("/v1/environments/dev/views/credential-process")
				w.want(err, ipc.CodeFailed, "no S3 key")
				if !listed {
					w.cloud.DeleteKey(key.Access)
				}
				w.restart()
				err = nil
				if e := w.verify("dev"); e != nil {
					err = e
				}
				e := w.environment("dev")
				if listed && (err != nil || e.S3.AccessKeyID != key.Access || e.State != "ok") {
					t.Errorf("of two keys %s was named: %v, %+v", key.Access, err, e.S3)
				}
				if !listed {
					w.want(err, ipc.CodeRefused, key.Access)
					if e.S3.AccessKeyID != "" || e.S3.State != "refused" {
						t.Errorf("another key was taken: %+v", e.S3)
					}
					w.want(w.try("POST", "/v1/environments/dev/s3-key", nil, nil), ipc.CodeRefused, key.Access)
				}
				w.do("DELETE", "/v1/environments/dev", nil, nil)
			}
		})
	}
}

// A key without an endpoint would be Amazon's to see.
func TestS3KeyAlone(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.do("POST", "/v1/environments", ipc.AddRequest{Name: "mine", S3AccessKey: "AK", S3Secret: "s", NoVerify: true}, nil)
	if s3 := w.environment("mine").S3; s3.Endpoint != "https://objects.cloud.ca" || s3.Region != "cloud.ca" {
		t.Errorf("the documentation's endpoint is the default, and it is %+v", s3)
	}
	text := "[amazon]\naws_access_key_id = AK\naws_secret_access_key = s\n"
	for _, r := range []ipc.ImportRequest{{}, {NoVerify: true}, {DryRun: true}} {
		out, err := w.bring(r, text)
		if err != nil || out.Changes[0].Error == nil {
			t.Fatalf("%+v: %+v, %v", r, out, err)
		}
		w.want(out.Changes[0].Error, ipc.CodeFailed, "--s3-endpoint")
	}
	r := w.addRequest("dev", "dev-ccontini") // a cloud with no S3 in its catalog
	r.S3Endpoint, r.NoVerify, r.S3AccessKey, r.S3Secret = "", true, "AK", "s"
	w.do("POST", "/v1/environments", r, nil)
	_, _, err := w.get("/v1/environments/dev/views/credential-process")
	w.want(err, ipc.CodeFailed, "no S3 endpoint")
}

// What is stored under another name is no stranger's.
func TestStoredUnderAnotherName(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	err := w.importText("other", w.openrc(secret, "dev-ccontini", ""))
	w.want(err, ipc.CodeFailed, "environment dev")
	if err != nil && strings.Contains(err.Error(), "another identity") {
		t.Errorf("it is the same user and project: %v", err)
	}
}
