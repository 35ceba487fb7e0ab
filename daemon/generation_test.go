package daemon

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// published is a folder of generations in which dev and prod have number one.
func published(t *testing.T) (*generations, *vault.Contents) {
	t.Helper()
	g := &generations{folder: filepath.Join(t.TempDir(), "gen")}
	c := numbered(1)
	if err := errors.Join(g.claim(), g.publish(nil, c)); err != nil {
		t.Fatal(err)
	}
	g.want(t, "1\n", "1\n")
	return g, c
}

// numbered are contents in which dev has that number, and prod the first.
func numbered(dev uint64) *vault.Contents {
	of := func(name string, n uint64) vault.Environment {
		return vault.Environment{Environment: account.Environment{Name: name}, Generation: n}
	}
	return &vault.Contents{Environments: map[string]vault.Environment{"dev": of("dev", dev), "prod": of("prod", 1)}}
}

// want checks what the files of dev and prod say; "": there is none.
func (g *generations) want(t *testing.T, dev, prod string) {
	t.Helper()
	for name, want := range map[string]string{"dev": dev, "prod": prod} {
		if got, _ := g.read(name); got != want {
			t.Errorf("%s says %q, want %q", name, got, want)
		}
	}
}

// fill lets nothing be written, as a full folder does, until it is called again.
func (g *generations) fill(t *testing.T) (free func()) {
	t.Helper()
	inTheWay := filepath.Join(g.folder, generationTemp)
	if err := os.Mkdir(inTheWay, 0o700); err != nil {
		t.Fatal(err)
	}
	return func() { _ = os.Remove(inTheWay) }
}

// TestLockInAFullFolder: without its file a shell forgets, too.
func TestLockInAFullFolder(t *testing.T) {
	g, _ := published(t)
	g.fill(t)
	if err := g.lock(); err != nil {
		t.Errorf("shells forget, and yet: %v", err)
	}
	g.want(t, "", "")
}

// TestPublishInAFullFolder: what can't be written is no former number, is told
// of, and is written once there is room, whatever is committed meanwhile.
func TestPublishInAFullFolder(t *testing.T) {
	g, one := published(t)
	free := g.fill(t)
	two := numbered(2)
	if err := g.publish(one, two); err == nil || g.warning() == "" {
		t.Errorf("the error is %v, the warning %q", err, g.warning())
	}
	g.want(t, "", "1\n")
	latest := func() *vault.Contents { return two }
	g.again(latest)
	if g.warning() == "" {
		t.Error("it is still full")
	}
	free()
	g.again(latest)
	g.want(t, "2\n", "1\n")
	if g.warning() != "" {
		t.Errorf("all is written, and yet: %s", g.warning())
	}
}

// TestPublishWithoutAFolder: one that somebody removed is made anew, by the next
// commit or by a look, and all files with it.
func TestPublishWithoutAFolder(t *testing.T) {
	g, one := published(t)
	two := numbered(2)
	for _, publish := range []func() error{
		func() error { return g.publish(one, two) },
		func() error { g.again(func() *vault.Contents { return two }); return nil },
	} {
		if err := os.RemoveAll(g.folder); err != nil {
			t.Fatal(err)
		}
		if err := publish(); err != nil {
			t.Error(err)
		}
		g.want(t, "2\n", "1\n")
	}
	if err := errors.Join(g.lock(), os.RemoveAll(g.folder)); err != nil {
		t.Fatal(err)
	}
	g.again(func() *vault.Contents { return two })
	if _, err := os.Lstat(g.folder); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a locked ccad publishes")
	}
}
