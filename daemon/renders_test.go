package daemon_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon"
	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// A [[render]] table that can't be followed is refused with its line; a good one
// has an absolute path afterwards.
func TestRenderTables(t *testing.T) {
	t.Setenv("HOME", "/home/me")
	path := filepath.Join(t.TempDir(), "config.toml")
	load := func(text string) (daemon.Config, error) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return daemon.LoadConfig(path, true)
	}
	const good = "[serve]\nlease = \"20m\"\n\n[[render]]\nenvironment = \"dev\"\nview = \"rclone\"\npath = \"~/a/../rclone.conf\"\nreload = [\"true\", \"$HOME\"]\n\n"
	c, err := load(good + "[[render]]\npath = \"/tmp/x\"\nenvironment = \"a.b\"\nview = \"clouds.yaml\"\n")
	if err != nil || len(c.Render) != 2 || c.Render[0].Path != "/home/me/rclone.conf" || c.Render[0].Reload[1] != "$HOME" || c.Render[1].Path != "/tmp/x" {
		t.Errorf("%+v: %v", c.Render, err)
	}
	for text, want := range map[string]string{
		"[[render]]\nenvironment = \"dev\"\nview = \"rlcone\"\npath = \"/x\"\n":                  "line 12: render: the view \"rlcone\" is none of clouds.yaml, dotenv,",
		"[[render]]\nenvironment = \"dev\"\nview = \"hook-sh\"\npath = \"/x\"\n":                 "line 12: render: the view",
		"[[render]]\nenvironment = \"dev\"\npath = \"/x\"\n":                                     "line 10: render: the view \"\"",
		"[[render]]\nenvironment = \"../x\"\nview = \"dotenv\"\npath = \"/x\"\n":                 "line 11: render: \"../x\" names no environment",
		"[[render]]\nenvironment = \"dev\"\nview = \"dotenv\"\npath = \"x/y\"\n":                 "line 13: render: the path \"x/y\" is none of a file, absolute or below ~/",
		"[[render]]\nenvironment = \"dev\"\nview = \"dotenv\"\n\n# none\n":                       "line 10: render: the path",
		"[[render]]\nenvironment = \"dev\"\nview = \"dotenv\"\npath = \"/x/\"\n":                 "line 13: render: the path",
		"[[render]]\nenvironment = \"dev\"\nview = \"dotenv\"\npath = \"/x\\n\"\n":               "line 13: render: the path",
		"[[render]]\nenvironment = \"dev\"\nview = \"dotenv\"\npath = \"~/b/../rclone.conf\"\n":  "line 13: render: /home/me/rclone.conf is the path of line 7, too",
		"[[render]]\nenvironment = \"dev\"\nview = \"dotenv\"\npath = \"/x\"\nreload = [\"\"]\n": "line 14: render: reload names no program",
		"[[render]]\nenvironment = \"dev\"\nview = \"dotenv\"\npath = \"/x\"\nmode = 1\n":        ":14:1: unknown key render.mode",
		"[[render]]\nreload = \"systemctl restart x\"\n":                                         ":11:10: this takes another kind of value",
	} {
		if _, err := load(good + text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q:\n %v\nwant %s", text, err, want)
		}
	}
	if _, err := load("render = [{environment = \"dev\", view = \"x\", path = \"/x\"}]"); err == nil || !strings.Contains(err.Error(), "the view") {
		t.Errorf("an inline table: %v", err)
	}
}

// rendered fetches the view of a [[render]] table, as ccactl render does.
func (r reach) rendered(environment, format, path string) (string, error) {
	body, _, err := r.get("/v1/environments/" + environment + "/views/env?" + url.Values{"format": {format}, "file": {path}}.Encode())
	return string(body), err
}

// What a file is given stays the same until something in it changes, and is held
// by the file, whoever fetched it; only what the config names is rendered.
func TestRenderedFiles(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"])
	w.stop()
	w.start("[[render]]\nenvironment = \"dev\"\nview = \"rclone\"\npath = \"/x/rclone.conf\"\nreload = [\"true\"]\n[[render]]\nenvironment = \"dev\"\nview = \"s3cfg\"\npath = \"/x/s3cfg\"\n")
	var offered ipc.Renders
	w.do("GET", "/v1/renders", nil, &offered)
	if len(offered.Files) != 2 || offered.Locked || offered.Gateway == "" || offered.Files[0].Generation != 0 || offered.Files[0].GivenAt != nil {
		t.Fatalf("%+v", offered)
	}
	w.add("dev", "dev-ccontini")
	first, err := w.rendered("dev", "rclone", "/x/rclone.conf")
	if err != nil || !strings.Contains(first, secret) || !strings.Contains(first, "[dev-s3]") {
		t.Fatalf("%v:\n%s", err, first)
	}
	if again, _ := w.rendered("dev", "rclone", "/x/rclone.conf"); again != first {
		t.Errorf("it changed by itself:\n%s\n%s", first, again)
	}
	for _, other := range [][2]string{{"rclone", "/x/other"}, {"dotenv", "/x/rclone.conf"}} {
		_, err := w.rendered("dev", other[0], other[1])
		w.want(err, ipc.CodeUsage, "no [[render]] table")
	}
	w.do("GET", "/v1/renders", nil, &offered)
	if f := offered.Files[0]; f.Generation == 0 || f.GivenAt == nil || offered.Files[1].GivenAt != nil {
		t.Errorf("%+v", offered.Files)
	}
	if s := w.status(); len(s.Rendered) != 2 || s.Rendered[0].Path != "/x/rclone.conf" || s.Rendered[0].GivenAt == nil {
		t.Errorf("status: %+v", s.Rendered)
	}
	if h := w.shown("dev").Holders; len(h) != 1 || h[0].Program != "/x/rclone.conf" || h[0].View != "file/rclone" || h[0].PID != 0 || h[0].Until != nil {
		t.Errorf("holders: %+v", h)
	}
	var known ipc.StaleFiles
	w.do("GET", "/v1/stale", nil, &known)
	if strings.Join(known.Files, " ") != "/x/rclone.conf /x/s3cfg" {
		t.Errorf("doctor is told of %v", known.Files)
	}
}

// A file that was imported and is rendered from then on is watched no more: it
// says what ccad says, and while ccad is locked that it says nothing.
func TestRenderedFileIsNotWatched(t *testing.T) {
	w, path := imported(t, "dev-ccontini")
	w.save(path, "# ccad is locked\n")
	w.becomes("unparsed")
	w.stop()
	w.start("[[render]]\nenvironment = \"dev-ccontini\"\nview = \"dotenv\"\npath = \"" + path + "\"\n")
	other := filepath.Join(w.dir, "other.sh")
	w.save(other, w.openrc(secret, "system-ccontini", ""))
	w.importFile(other, "sys")
	w.save(other, "# nothing any more\n")
	if f := w.becomes("unparsed"); f.Path != other { // which was saved later, and so the other was judged if ever
		t.Errorf("%+v", f)
	}
	if s := w.status(); len(s.Watched) != 1 {
		t.Errorf("%+v", s.Watched)
	}
}

// A password that the cloud refuses is in no file. Of an rclone.conf the S3
// remote goes on, for a new password kills no S3 key.
func TestRenderedFileOfARefusedUser(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"])
	w.stop()
	w.start("[[render]]\nenvironment = \"dev\"\nview = \"rclone\"\npath = \"/x/rclone.conf\"\n[[render]]\nenvironment = \"dev\"\nview = \"dotenv\"\npath = \"/x/env\"\n")
	w.add("dev", "dev-ccontini")
	w.cloud.SetPassword(w.cloud.User.Name, "second")
	w.do("POST", "/v1/verify", ipc.VerifyRequest{}, nil)
	_, err := w.rendered("dev", "dotenv", "/x/env")
	w.want(err, ipc.CodeRefused, "refused by the cloud")
	text, err := w.rendered("dev", "rclone", "/x/rclone.conf")
	if err != nil || strings.Contains(text, secret) || strings.Contains(text, "[dev]") || !strings.Contains(text, "[dev-s3]") {
		t.Errorf("%v:\n%s", err, text)
	}
	_, _, err = w.get("/v1/environments/dev/views/env?format=rclone")
	w.want(err, ipc.CodeRefused, "refused by the cloud")
}

// A file that holds the real S3 key keeps a replaced one alive until it has been
// rendered anew, and a minute for its program; which file, status says.
func TestRenderedFileHoldsAKey(t *testing.T) {
	w := newWorld(t, practice.Options{})
	w.stop()
	w.start("[[render]]\nenvironment = \"dev\"\nview = \"s3cfg\"\npath = \"/x/s3cfg\"\n")
	r := w.addRequest("dev", "dev-ccontini")
	r.S3Endpoint = w.cloud.S3URLUS
	w.do("POST", "/v1/environments", r, nil)
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	old := w.cloud.Keys(w.cloud.User.Name)[0]
	if text, err := w.rendered("dev", "s3cfg", "/x/s3cfg"); err != nil || !strings.Contains(text, old.Secret) {
		t.Fatalf("%v: %s", err, text)
	}
	w.rotate(ipc.RotateRequest{Environments: []string{"dev"}})
	held := func() (h ipc.Lease, until time.Duration) {
		t.Helper()
		r := w.status().Environments[0].Rotation
		if r == nil || len(r.Holders) != 1 || r.Until == nil {
			t.Fatalf("status tells %+v", r)
		}
		return r.Holders[0], time.Until(*r.Until)
	}
	if h, until := held(); h.Program != "/x/s3cfg" || h.Until != nil || until < 30*time.Minute {
		t.Errorf("until it is rendered: %+v, %v", h, until)
	}
	if text, err := w.rendered("dev", "s3cfg", "/x/s3cfg"); err != nil || strings.Contains(text, old.Secret) {
		t.Fatalf("%v: %s", err, text)
	}
	if h, until := held(); h.Until == nil || until > time.Minute {
		t.Errorf("once it is rendered: %+v, %v", h, until)
	}
}

// Files that are kept written are nobody's use of ccad: it locks when idle all
// the same.
func TestRenderingKeepsNoLockAway(t *testing.T) {
	c := newChild(t, "[lock]\nidle = \"4s\"\n[[render]]\nenvironment = \"dev\"\nview = \"dotenv\"\npath = \"/x\"\n")
	c.unlock()
	c.do("POST", "/v1/environments", ipc.AddRequest{Name: "dev", User: "u", Project: "p", Password: secret, AuthURL: "http://127.0.0.1:9", NoVerify: true}, nil)
	eventually(t, "it locks while a file is rendered", func() bool {
		var offered ipc.Renders
		c.do("GET", "/v1/renders", nil, &offered)
		_, _ = c.rendered("dev", "dotenv", "/x")
		return offered.Locked
	})
}
