package daemon_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// importAll imports files that belong together, as one environment.
func (w *world) importAll(name string, paths ...string) {
	w.Helper()
	in := ipc.ImportRequest{Name: name, S3Endpoint: w.cloud.S3URL}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			w.Fatal(err)
		}
		in.Files = append(in.Files, ipc.File{Path: path, Data: data, CA: map[string]string{filepath.Join(w.dir, "ca.pem"): string(w.cloud.CA)}})
	}
	var out ipc.Changes
	w.do("POST", "/v1/import", in, &out)
	if out.Changes[0].Error != nil {
		w.Fatal(out.Changes[0].Error)
	}
}

func (w *world) has(name, password string) {
	w.Helper()
	w.until(name+" has "+password, func() bool {
		s := w.shown(name)
		return s.Password == password && s.State == "ok" && (s.S3.AccessKeyID == "" || w.listed(s.S3.AccessKeyID))
	})
	w.becomes("")
}

func (w *world) hasKey(name, access string) {
	w.Helper()
	w.until(name+" has "+access, func() bool { s := w.shown(name); return s.S3.AccessKeyID == access && s.S3.State == "ok" })
	w.becomes("")
}

func (w *world) newKey() practice.Key {
	return w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"])
}

func profile(w *world, name string, k practice.Key) string {
	return fmt.Sprintf("[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\nendpoint_url = %s\nregion = %s\n\n", name, k.Access, k.Secret, w.cloud.S3URL, practice.Region)
}

// cloudsfile and securefile are what clouds.yaml and secure.yaml say of dev.
func (w *world) cloudsfile() string {
	return fmt.Sprintf("clouds:\n  dev:\n    auth:\n      auth_url: %s\n      username: %s\n      project_name: dev-ccontini\n      user_domain_id: default\n      project_domain_id: default\n", w.cloud.AuthURL, w.cloud.User.Name)
}

func securefile(password string) string {
	return "clouds:\n  dev:\n    auth:\n      password: " + password + "\n"
}

// TestWatchedPasswordFiles: a new password in each format that has passwords.
func TestWatchedPasswordFiles(t *testing.T) {
	w := newWorld(t, practice.Options{})
	in := func(name string) string { return filepath.Join(w.dir, name) }
	rclone := fmt.Sprintf("[box]\ntype = swift\nauth = %s\nuser = %s\ntenant = dev-ccontini\ndomain = default\nkey = ", w.cloud.AuthURL, w.cloud.User.Name)
	text := map[string]func(password string) string{
		"secure.yaml": securefile,
		"rclone.conf": func(p string) string { return rclone + p + "\n" },
		".env":        func(p string) string { return strings.ReplaceAll(w.openrc(p, "dev-ccontini", ""), "export ", "") },
	}
	w.save(in("clouds.yaml"), w.cloudsfile())
	for name, of := range text {
		w.save(in(name), of(secret))
	}
	w.importAll("dev", in("clouds.yaml"), in("secure.yaml"))
	w.importAll("dev", in("rclone.conf"))
	w.importAll("dev", in(".env"))
	for _, name := range []string{"secure.yaml", "rclone.conf", ".env"} {
		w.cloud.Reset(w.cloud.User.Name, "by-"+name)
		for _, other := range []string{"secure.yaml", "rclone.conf", ".env"} {
			w.save(in(other), text[other]("by-"+name)) // one of them is the first, the others say the same
		}
		w.has("dev", "by-"+name)
	}
	w.save(in("secure.yaml"), text["secure.yaml"]("unsafe"))
	if err := os.Chmod(in("secure.yaml"), 0o666); err != nil {
		t.Fatal(err)
	}
	if f := w.becomes("unsafe"); f.Path != in("clouds.yaml") || f.At != in("secure.yaml") || !strings.Contains(f.Reason, "secure.yaml beside it") {
		t.Errorf("%+v", f)
	}
	var stale ipc.StaleFiles
	w.do("GET", "/v1/stale", nil, &stale)
	if !strings.Contains(strings.Join(stale.Files, " "), in("secure.yaml")) {
		t.Errorf("secure.yaml is not looked at for former secrets: %v", stale.Files)
	}
	if n := w.refusals(); n != 0 {
		t.Errorf("%d logins failed", n)
	}
}

// TestWatchedBesideClouds: a new password in a secure file of either ending, beside a
// clouds file of the other.
func TestWatchedBesideClouds(t *testing.T) {
	for beside, name := range map[string]string{"secure.yml": "clouds.yaml", "secure.yaml": "clouds.yml"} {
		w := newWorld(t, practice.Options{})
		clouds, secure := filepath.Join(w.dir, name), filepath.Join(w.dir, beside)
		w.save(clouds, w.cloudsfile())
		w.save(secure, securefile(secret))
		w.importAll("dev", clouds, secure)
		w.cloud.Reset(w.cloud.User.Name, "regenerated")
		w.save(secure, securefile("regenerated"))
		w.has("dev", "regenerated")
	}
}

// TestWatchedKeyFiles: a new S3 key in each format of S3 keys, for an environment
// with a user and for one without.
func TestWatchedKeyFiles(t *testing.T) {
	for _, alone := range []bool{false, true} {
		w := newWorld(t, practice.Options{})
		first := w.newKey()
		if !alone {
			w.add("dev", "dev-ccontini")
		}
		text := map[string]func(k practice.Key) string{
			"credentials": func(k practice.Key) string {
				return profile(w, "work", k) + profile(w, "other", practice.Key{Access: "another", Secret: "s"})
			},
			".s3cfg": func(k practice.Key) string {
				return fmt.Sprintf("[default]\naccess_key = %s\nsecret_key = %s\nhost_base = %s\nuse_https = False\n", k.Access, k.Secret, strings.TrimPrefix(w.cloud.S3URL, "http://"))
			},
			"rclone.conf": func(k practice.Key) string {
				return fmt.Sprintf("[s3]\ntype = s3\nprovider = Other\naccess_key_id = %s\nsecret_access_key = %s\nendpoint = %s\n", k.Access, k.Secret, w.cloud.S3URL)
			},
		}
		for file, of := range text {
			path := filepath.Join(w.dir, file)
			w.save(path, of(first))
			if file == "credentials" {
				w.save(path, profile(w, "work", first)) // the second profile comes later
			}
			w.importAll("dev", path)
			w.save(path, of(first))
		}
		for file, of := range text {
			key := w.newKey()
			w.save(filepath.Join(w.dir, file), of(key))
			w.until(file+" is adopted", func() bool { return w.shown("dev").S3.AccessKeyID == key.Access })
		}
		serving := w.shown("dev").S3.AccessKeyID
		mallory := w.cloud.AddUser("mallory", "m", "hers")
		hers := w.cloud.CreateKey("mallory", mallory.Projects["hers"])
		path := filepath.Join(w.dir, "credentials")
		w.save(path, text["credentials"](hers))
		w.until("her key is refused", func() bool {
			for _, f := range w.status().Watched {
				if f.Path == path && f.State == "refused" {
					return true
				}
			}
			return false
		})
		w.save(path, text["credentials"](first)) // a backup is put back
		w.until("an older one is left alone", func() bool {
			for _, f := range w.status().Watched {
				if f.Path == path && f.State == "older" {
					return true
				}
			}
			return false
		})
		if s := w.shown("dev"); s.S3.AccessKeyID != serving || s.S3.State != "ok" {
			t.Errorf("alone %v: %+v", alone, s.S3)
		}
	}
}

// TestKeyBeforeItsPassword: an S3 key that is saved before the password that it
// came with waits for it, and nothing is wrong afterwards.
func TestKeyBeforeItsPassword(t *testing.T) {
	w := newWorld(t, practice.Options{})
	path := filepath.Join(w.dir, "openrc.sh")
	save := func(password string, k practice.Key) {
		w.save(path, w.openrc(password, "dev-ccontini", fmt.Sprintf("export AWS_ACCESS_KEY_ID=%s\nexport AWS_SECRET_ACCESS_KEY=%s\n", k.Access, k.Secret)))
	}
	save(secret, w.newKey())
	w.importAll("dev", path)
	for _, key := range w.cloud.Reset(w.cloud.User.Name, "second") {
		if key.ProjectID != w.cloud.User.Projects["dev-ccontini"] {
			continue
		}
		save(secret, key)
		w.becomes("waiting")
		w.do("POST", "/v1/update", ipc.UpdateRequest{User: w.cloud.User.Name, Password: "second"}, nil)
		w.hasNo(key)
	}
	if n := w.refusals(); n != 1 {
		t.Errorf("%d logins failed", n)
	}
}

// hasNo trouble with a key, but that the file's password is older.
func (w *world) hasNo(key practice.Key) {
	w.Helper()
	w.until("the key is in force", func() bool { s := w.shown("dev"); return s.S3.AccessKeyID == key.Access && s.State == "ok" })
	w.becomes("older")
}

// TestWatchedCredential: a new application credential in an openrc of one is
// adopted, and that of another project is not.
func TestWatchedCredential(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.add("dev", "dev-ccontini")
	w.add("system", "system-ccontini")
	made := func(name string) map[string]string {
		v, err := w.view(name, "&auth=application-credential")
		if err != nil {
			t.Fatal(err)
		}
		w.do("DELETE", "/v1/environments/"+name, nil, nil)
		return v
	}
	first, foreign := made("dev"), made("system")
	w.add("dev", "dev-ccontini")
	second := made("dev")
	path := filepath.Join(w.dir, "app-openrc.sh")
	save := func(v map[string]string) {
		w.save(path, fmt.Sprintf("export OS_AUTH_TYPE=v3applicationcredential\nexport OS_AUTH_URL=%s\nexport OS_IDENTITY_API_VERSION=3\nexport OS_APPLICATION_CREDENTIAL_ID=%s\nexport OS_APPLICATION_CREDENTIAL_SECRET=%s\n",
			w.cloud.AuthURL, v["OS_APPLICATION_CREDENTIAL_ID"], v["OS_APPLICATION_CREDENTIAL_SECRET"]))
	}
	save(first)
	w.importAll("app", path)
	events := w.events()
	save(foreign)
	if f := w.becomes("refused"); f.Kind != "application-credential" {
		t.Errorf("%+v", f)
	}
	save(second)
	w.until("the new one is in force", func() bool {
		v, err := w.view("app", "&auth=application-credential")
		return err == nil && v["OS_APPLICATION_CREDENTIAL_ID"] == second["OS_APPLICATION_CREDENTIAL_ID"]
	})
	w.becomes("")
	events.once("noticed", "the application credential of app was changed elsewhere")
}

// TestWatchedCA: a file that names an authority is about the cloud that it was
// imported for: what counts is the authority that was stored then.
func TestWatchedCA(t *testing.T) {
	w := newWorld(t, practice.Options{TLS: true})
	ca, path := filepath.Join(w.dir, "ca.pem"), filepath.Join(w.dir, "openrc.sh")
	w.save(ca, string(w.cloud.CA))
	w.save(path, w.openrc(secret, "dev-ccontini", "export OS_CACERT="+ca+"\n"))
	w.importAll("dev", path)
	w.cloud.Reset(w.cloud.User.Name, "second")
	w.save(path, w.openrc("second", "dev-ccontini", "export OS_CACERT="+ca+"\n"))
	w.has("dev", "second")
}

// TestTenEnvironments: one file brings ten environments the new password, with few
// logins. make bench prints how long that takes.
func TestTenEnvironments(t *testing.T) {
	w := newWorld(t, practice.Options{})
	var projects []string
	for i := range 10 {
		projects = append(projects, fmt.Sprint("p", i))
	}
	w.cloud.User = w.cloud.AddUser("ten", secret, projects...)
	path := filepath.Join(w.dir, "openrc.sh")
	for _, p := range projects {
		w.cloud.CreateKey("ten", w.cloud.User.Projects[p])
		w.save(path, w.openrc(secret, p, ""))
		w.importAll(p, path)
	}
	dead := map[string]bool{}
	for _, k := range w.cloud.Keys("ten") {
		dead[k.Access] = true
	}
	w.cloud.Reset("ten", "regenerated")
	nextSecond() // tokens of the very second of a change are born dead
	w.save(path, w.openrc("regenerated", "p9", ""))
	begun := time.Now()
	w.until("all ten are healed", func() bool {
		for _, e := range w.status().Environments {
			if e.State != "ok" || e.S3.State != "ok" || dead[e.S3.AccessKeyID] {
				return false
			}
		}
		return w.shown("p0").Password == "regenerated"
	})
	t.Logf("ten environments follow a file in %.2f s", time.Since(begun).Seconds()) // make bench
	if accepted, refused := w.cloud.Passwords("ten"); refused != 0 || accepted > 40 {
		t.Errorf("%d logins, %d failed", accepted, refused)
	}
}

func nextSecond() {
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
}

// TestProfileIsGone: of a file in which only another profile is left nothing is
// taken, and nobody is asked about that one's key.
func TestProfileIsGone(t *testing.T) {
	for _, alone := range []bool{false, true} {
		w := newWorld(t, practice.Options{})
		if !alone {
			w.add("dev", "dev-ccontini")
		}
		path := filepath.Join(w.dir, "credentials")
		key := w.newKey()
		w.save(path, profile(w, "work", key))
		w.importAll("dev", path)
		w.cloud.ResetCounts()
		w.save(path, profile(w, "amazon", practice.Key{Access: "AKIAIOSFODNN7EXAMPLE", Secret: "another's"}))
		if f := w.becomes("missing"); f.Reason != "work is not in it any more" {
			t.Errorf("%+v", f)
		}
		if n := w.cloud.Count("*"); n != 0 {
			t.Errorf("the cloud was asked %d times", n)
		}
		next := w.newKey()
		w.save(path, profile(w, "work", next))
		w.hasKey("dev", next.Access)
	}
}
