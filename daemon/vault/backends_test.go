package vault

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/cloud-ca/ccad/daemon/account"
)

// exercise proves a real backend: first use, the same master again, another
// folder's item beside it, and a store under it.
func exercise(t *testing.T, backend string) (dir string, k *Keyring) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dir = t.TempDir()
	k, err := OpenKeyring(dir, backend)
	if err != nil {
		t.Fatal(err)
	}
	if k.NeedsPassphrase() || k.Backend() != backend {
		t.Errorf("%s needs a passphrase of ours", k.Backend())
	}
	first, err := k.Master(ctx, account.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	other, err := OpenKeyring(t.TempDir(), backend)
	if err != nil {
		t.Fatal(err)
	}
	second, err := other.Master(ctx, account.Secret{})
	if err != nil || sameMaster(first, second) {
		t.Fatalf("another folder: %v", err)
	}
	if _, err := Open(dir, first, 0); err != nil {
		t.Fatal(err)
	}
	k, err = OpenKeyring(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	again, err := k.Master(ctx, account.Secret{})
	if err != nil || !sameMaster(first, again) {
		t.Fatalf("not the same master: %v", err)
	}
	if _, err := Open(dir, again, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKeyring(dir, "file"); err == nil {
		t.Error("the backend changed")
	}
	return dir, k
}

// The library looks for the session bus when a process starts, so this test
// runs itself again under one of its own.
func TestSecretService(t *testing.T) {
	if os.Getenv("CCAD_TEST_BUS") == "" {
		need(t, "dbus-run-session", "gnome-keyring-daemon")
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		home := t.TempDir()
		cmd := exec.CommandContext(t.Context(), "dbus-run-session", "--", self, "-test.run=^TestSecretService$", "-test.v")
		cmd.Env = append(os.Environ(), "CCAD_TEST_BUS=1", "HOME="+home, "XDG_DATA_HOME="+home, "XDG_RUNTIME_DIR="+home, "DBUS_SESSION_BUS_ADDRESS=")
		out, err := cmd.CombinedOutput()
		t.Logf("under dbus-run-session:\n%s", out)
		if err != nil || !strings.Contains(string(out), "--- PASS: TestSecretService") {
			t.Errorf("%v", err)
		}
		return
	}
	// Without a login keyring, and nobody to ask for one, nothing comes to be.
	daemon := startGnomeKeyring(t, "")
	k, err := OpenKeyring(t.TempDir(), "secret-service")
	if err != nil {
		t.Fatal(err)
	}
	brief, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	_, err = k.Master(brief, account.Secret{})
	t.Logf("no login keyring: %v", err)
	if made, _ := k.Exists(); err == nil || made {
		t.Errorf("no login keyring: made %v, %v", made, err)
	}
	daemon.stop(t)

	daemon = startGnomeKeyring(t, "--unlock")
	dir, k := exercise(t, "secret-service")

	// The keyring's own restart doesn't lose it; locked, with nobody to ask, it
	// doesn't open, and says so in time.
	daemon.stop(t)
	daemon = startGnomeKeyring(t, "--unlock")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	m, err := k.Master(ctx, account.Secret{})
	if err != nil {
		t.Fatalf("after the keyring's restart: %v", err)
	}
	if _, err := Open(dir, m, 1); err != nil {
		t.Fatal(err)
	}
	daemon.stop(t)
	startGnomeKeyring(t, "")
	short, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	_, err = k.Master(short, account.Secret{})
	t.Logf("a locked keyring: %v", err)
	if err == nil || errors.Is(err, ErrMissing) {
		t.Errorf("a locked keyring: %v", err)
	}
}

type gnomeKeyring struct{ cmd *exec.Cmd }

// startGnomeKeyring starts the daemon and waits until the bus has its name.
func startGnomeKeyring(t *testing.T, unlock string) gnomeKeyring {
	t.Helper()
	bus, err := dbus.ConnectSessionBus()
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close()
	const name = "org.freedesktop.secrets"
	if err := bus.AddMatchSignal(dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, name)); err != nil {
		t.Fatal(err)
	}
	signals := make(chan *dbus.Signal, 10)
	bus.Signal(signals)
	args := []string{"--foreground", "--components=secrets"}
	if unlock != "" {
		args = append(args, unlock)
	}
	g := gnomeKeyring{exec.Command("gnome-keyring-daemon", args...)}
	g.cmd.Stdin = strings.NewReader("test")
	g.cmd.Stdout, g.cmd.Stderr = os.Stdout, os.Stderr
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if g.cmd.ProcessState == nil {
			g.stop(t)
		}
	})
	deadline := time.After(time.Minute)
	for {
		select {
		case s := <-signals:
			if len(s.Body) == 3 && s.Body[0] == name && s.Body[2] != "" {
				return g
			}
		case <-deadline:
			t.Fatal("gnome-keyring-daemon doesn't appear on the bus")
		}
	}
}

func (g gnomeKeyring) stop(t *testing.T) {
	t.Helper()
	if err := g.cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = g.cmd.Wait()
}

// A real pass, with a gpg home of its own.
func TestPass(t *testing.T) {
	need(t, "pass", "gpg", "gpgconf")
	home, store := t.TempDir(), t.TempDir()
	if err := os.Chmod(home, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GNUPGHOME", home)
	t.Setenv("PASSWORD_STORE_DIR", store)
	run := func(program string, args ...string) {
		t.Helper()
		if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", program, err, out)
		}
	}
	t.Cleanup(func() { run("gpgconf", "--kill", "gpg-agent") })
	run("gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "", "--quick-gen-key", "ccad-test", "default", "default", "never")
	run("pass", "init", "ccad-test")

	_, k := exercise(t, "pass")
	items, err := filepath.Glob(filepath.Join(store, "ccad", itemPrefix+"*.gpg"))
	if err != nil || len(items) != 2 {
		t.Errorf("items %v, %v", items, err)
	}
	for _, item := range items {
		if err := os.Remove(item); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := k.Master(t.Context(), account.Secret{}); !errors.Is(err, ErrMissing) {
		t.Errorf("the item gone: %v", err)
	}
}
