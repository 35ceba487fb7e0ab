package daemon_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon"
	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// A leap is a clock that goes on by itself and that a test sets forward.
type leap struct{ by atomic.Int64 }

func (l *leap) now() time.Time       { return time.Now().Add(time.Duration(l.by.Load())) }
func (l *leap) step(d time.Duration) { l.by.Add(int64(d)) }

// What the config schedules is told of, and done by a daemon that was off, and then
// locked, when it was due: once.
func TestScheduled(t *testing.T) {
	var clock leap
	w := newWorld(t, practice.Options{Now: clock.now})
	w.stop()
	config := "[rotate]\nevery = \"90d\"\n[rotate.user.\"" + w.cloud.User.Name + "\"]\npassword = true\n[rotate.environment.sys]\nevery = \"0d\"\n[rotate.user.misspelt]\nevery = \"7d\"\n"
	w.start(config)
	w.add("dev", "dev-ccontini")
	w.add("sys", "system-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	w.do("POST", "/v1/environments/sys/s3-key", nil, nil)
	s := w.status()
	dev, sys, u := s.Environments[0], s.Environments[1], s.Users[0]
	for what, due := range map[string]*ipc.Due{"the key": dev.RotationDue, "the password": u.RotationDue} {
		if due == nil || due.Tried != nil || time.Until(due.At) < 80*24*time.Hour || time.Until(due.At) > 90*24*time.Hour {
			t.Errorf("%s is due %+v", what, due)
		}
	}
	if sys.RotationDue != nil {
		t.Errorf("the environment without a schedule is due %+v", sys.RotationDue)
	}
	if !strings.Contains(s.Daemon.Warning, "user misspelt") {
		t.Errorf("the warning is %q", s.Daemon.Warning)
	}
	if got := w.metric(`ccad_rotation_due_seconds{kind="s3-key"}`); !strings.HasPrefix(got, "7.") {
		t.Errorf("the metric is %q", got)
	}

	w.stop()
	clock.step(400 * 24 * time.Hour) // four of them are missed
	w.startLocked(config)
	if s := w.status(); !s.Daemon.Locked || w.cloud.Password(w.cloud.User.Name) != secret {
		t.Error("a locked daemon has changed a password")
	}
	passphrase, err := os.ReadFile(filepath.Join(w.dir, "passphrase"))
	if err != nil {
		t.Fatal(err)
	}
	w.do("POST", "/v1/unlock", ipc.UnlockRequest{Passphrase: strings.TrimSpace(string(passphrase))}, nil)
	w.until("rotated", func() bool {
		s := w.status()
		return s.Users[0].PasswordVersion == 2 && s.Users[0].Rotation == nil && s.Environments[0].S3.Version == 2
	})
	s = w.status()
	if s.Environments[1].S3.Version != 1 {
		t.Error("the environment without a schedule is rotated")
	}
	for what, due := range map[string]*ipc.Due{"the password": s.Users[0].RotationDue} {
		if due == nil || due.At.Sub(clock.now()) < 80*24*time.Hour {
			t.Errorf("%s is due again %+v", what, due)
		}
	}
	password, err := w.view("dev", "")
	if err != nil || password["OS_PASSWORD"] == secret {
		t.Errorf("the view: %v", err)
	}
	w.stop()
	w.start(config)
	w.until("over", func() bool {
		clock.step(time.Hour)
		w.do("POST", "/v1/verify", ipc.VerifyRequest{}, nil)
		return w.status().Environments[0].Rotation == nil
	})
	if s := w.status(); s.Users[0].PasswordVersion != 2 || s.Environments[0].S3.Version != 2 {
		t.Errorf("what was missed is made up for more than once: %+v", s)
	}
	if n := w.refusals(); n != 0 {
		t.Errorf("%d failed logins", n)
	}
}

// A machine that slept wakes up: the daemon ran all the time, and its timers
// stood still.
func TestScheduledAfterSleep(t *testing.T) {
	var clock leap
	w := newWorld(t, practice.Options{Now: clock.now})
	w.stop()
	w.start("[rotate]\nevery = \"30d\"\n")
	w.add("dev", "dev-ccontini")
	w.do("POST", "/v1/environments/dev/s3-key", nil, nil)
	clock.step(31 * 24 * time.Hour)
	w.do("POST", "/v1/verify", ipc.VerifyRequest{}, nil) // whatever is asked of it wakes it
	w.until("rotated", func() bool { return w.status().Environments[0].S3.Version == 2 })
}

func TestRotateConfig(t *testing.T) {
	for config, want := range map[string]string{
		"[rotate]\nevery = \"\"\n":                           "",
		"[rotate]\nevery = \"90d\"\ngrace = \"2d\"\n":        "",
		"[rotate.user.\"u@auth.cloud.ca\"]\npassword = true": "",
		"[rotate.environment.dev]\nevery = \"0d\"\n":         "",
		"[rotate]\nevery = \"90\"\n":                         "every",
		"[rotate]\nevery = \"x d\"\n":                        "number of days",
		"[rotate]\nevery = \"-3d\"\n":                        "number of days",
		"[rotate]\nevery = \"5m\"\n":                         "rotate.every is 5m0s, less than 1h0m0s",
		"[rotate.user.u]\nevery = \"1s\"\n":                  "rotate.user.\"u\".every is 1s",
		"[rotate.environment.dev]\nevery = \"-2h\"\n":        "rotate.environment.\"dev\".every is -2h0m0s",
		"[rotate.environment.\"../dev\"]\nevery = \"90d\"\n": "no name of an environment",
		"[rotate.user.u]\npasswords = true\n":                "unknown key",
		"[rotate.environment.dev]\npassword = true\n":        "unknown key",
		"[rotate]\ngrace = \"-1h\"\n":                        "rotate.grace is negative",
		"[serve]\nlease = \"1d\"\n":                          "serve.lease",
	} {
		path := filepath.Join(t.TempDir(), "config.toml")
		if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := daemon.LoadConfig(path, true)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q", config, err, want)
		}
	}
}
