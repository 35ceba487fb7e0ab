package vault

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/cloud-ca/ccad/daemon/account"
)

// dying is a disk at whose nth step the process dies as if by a power cut of
// itself: no deferred call runs.
func dying(n string) disk {
	left, err := strconv.Atoi(n)
	if err != nil {
		panic(err)
	}
	return disk{fault: func(string) error {
		if left--; left == -1 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil
	}}
}

// crashes runs a child on a fresh copy of dir for each step in which it can die,
// and check on what it left. The last run is the one that lived.
func crashes(t *testing.T, dir, name string, args []string, check func(dir string, n int, died bool)) {
	t.Helper()
	for n := 0; ; n++ {
		left := copyFolder(t, dir)
		out, err := child(t, name, append([]string{left, strconv.Itoa(n)}, args...)...).CombinedOutput()
		exit, isExit := errors.AsType[*exec.ExitError](err)
		died := isExit && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
		if err != nil && !died {
			t.Fatalf("%s, step %d: %v: %s", name, n, err, out)
		}
		check(left, n, died)
		if !died {
			if n < 7 {
				t.Fatalf("%s: only %d steps", name, n)
			}
			t.Logf("%s: died in each of %d steps", name, n)
			return
		}
	}
}

// masterFor hands a master key to a child, in an environment variable: only
// tests may.
func masterFor(t *testing.T, m Master) {
	t.Helper()
	data, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("CCAD_TEST_MASTER", string(data))
}

func masterOfParent() Master {
	m, err := decodeMaster([]byte(os.Getenv("CCAD_TEST_MASTER")))
	if err != nil {
		panic(err)
	}
	return m
}

func childChange(args []string) error {
	v, err := Open(args[0], masterOfParent(), 0)
	if err != nil {
		return err
	}
	v.disk = dying(args[1])
	return v.Change(addEnvironment("new"))
}

func TestCrashInChange(t *testing.T) {
	dir, m, v := testVault(t)
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		if err := v.Change(addEnvironment(name)); err != nil {
			t.Fatal(err)
		}
	}
	masterFor(t, m)
	old, new := 0, 0
	crashes(t, dir, "change", nil, func(dir string, n int, died bool) {
		v, err := Open(dir, m, 6)
		if err != nil {
			t.Fatalf("died in step %d: %v", n, err)
		}
		c := v.Contents()
		if _, ok := c.Environments["new"]; ok {
			new++
		} else {
			old++
		}
		if _, ok := c.Environments["new"]; !died && !ok || len(c.Environments) < 6 {
			t.Errorf("died in step %d: %v", n, c)
		}
		if err := v.Change(addEnvironment("next")); err != nil {
			t.Errorf("died in step %d, next change: %v", n, err)
		}
		checkPredecessors(t, dir, m, "died in step "+strconv.Itoa(n))
	})
	if old < 7 || new < 2 {
		t.Errorf("%d times the old, %d times the new store", old, new)
	}
}

func childCreate(args []string) error {
	_, err := dying(args[1]).openVault(args[0], masterOfParent(), 0)
	return err
}

// Dying while the first store is made: the marker lets the next start make it.
func TestCrashInCreate(t *testing.T) {
	dir, m := t.TempDir(), testMaster(t)
	m.fresh = false
	if err := WriteFile(filepath.Join(dir, freshMarker), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	masterFor(t, m)
	crashes(t, dir, "create", nil, func(dir string, n int, _ bool) {
		v, err := Open(dir, m, 0)
		if err != nil || v.Contents().Sequence != 1 {
			t.Fatalf("died in step %d: %v", n, err)
		}
		if got := names(t, dir); got != storeName {
			t.Errorf("died in step %d, the folder has: %s", n, got)
		}
	})
}

// quick is a file keyring that doesn't spend Argon2's time.
func quick(dir string) (*Keyring, error) {
	k, err := OpenKeyring(dir, fileBackend)
	if err != nil {
		return nil, err
	}
	k.stretch = func() *stretch { return &stretch{Memory: 8, Time: 1, Threads: 1, Salt: randomKey()[:16]} }
	return k, nil
}

func childKeyring(args []string) error {
	k, err := quick(args[0])
	if err != nil {
		return err
	}
	k.disk = dying(args[1])
	_, err = k.Master(context.Background(), account.NewSecret("one"))
	return err
}

// Dying at first use: the next one, with whatever passphrase if the first
// didn't count yet, has a keyring, and a store is made for it.
func TestCrashAtFirstUse(t *testing.T) {
	t.Parallel()
	crashes(t, t.TempDir(), "keyring", nil, func(dir string, n int, died bool) {
		k, err := quick(dir)
		if err != nil {
			t.Fatal(err)
		}
		made, err := k.Exists()
		if err != nil {
			t.Fatal(err)
		}
		pass := account.NewSecret("one")
		if !made {
			pass = account.NewSecret("two")
		}
		first, err := k.Master(t.Context(), pass)
		if err != nil {
			t.Fatalf("died in step %d: %v", n, err)
		}
		if _, err := Open(dir, first, 0); err != nil {
			t.Errorf("died in step %d: %v", n, err)
		}
		again, err := k.Master(t.Context(), pass)
		if err != nil || again.identity.String() != first.identity.String() {
			t.Errorf("died in step %d, another master: %v", n, err)
		}
		if got := strings.Fields(names(t, k.items())); len(got) != 1 {
			t.Errorf("died in step %d, items: %s", n, got)
		}
	})
}

func childPassphrase(args []string) error {
	k, err := quick(args[0])
	if err != nil {
		return err
	}
	k.disk = dying(args[1])
	return k.ChangePassphrase(context.Background(), account.NewSecret("old"), account.NewSecret("new"))
}

// Dying while the passphrase changes: the old one opens or the new one, never
// both after the next unlock and never neither.
func TestCrashInChangePassphrase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	k, err := quick(dir)
	if err != nil {
		t.Fatal(err)
	}
	m, err := k.Master(t.Context(), account.NewSecret("old"))
	if err != nil {
		t.Fatal(err)
	}
	opens := map[string]int{}
	crashes(t, dir, "passphrase", nil, func(dir string, n int, died bool) {
		k, err := quick(dir)
		if err != nil {
			t.Fatal(err)
		}
		var by []string
		for _, p := range []string{"old", "new"} {
			switch got, err := k.Master(t.Context(), account.NewSecret(p)); {
			case err == nil && got.identity.String() == m.identity.String():
				by = append(by, p)
			case !errors.Is(err, ErrPassphrase):
				t.Errorf("died in step %d, %s passphrase: %v", n, p, err)
			}
		}
		if len(by) != 1 || !died && by[0] != "new" {
			t.Fatalf("died in step %d: opened by %v", n, by)
		}
		opens[by[0]]++
		if got := strings.Fields(names(t, k.items())); len(got) != 1 {
			t.Errorf("died in step %d, items: %s", n, got)
		}
	})
	if opens["old"] < 7 || opens["new"] < 2 {
		t.Errorf("opened by: %v", opens)
	}
}

// childFullDisk changes a store on a disk that takes 4 KB a file: the write
// itself stops half way.
func childFullDisk(args []string) error {
	v, err := Open(args[0], masterOfParent(), 0)
	if err != nil {
		return err
	}
	signal.Ignore(syscall.SIGXFSZ)
	limit := syscall.Rlimit{Cur: 4096, Max: 4096}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	err = v.Change(func(c *Contents) error {
		c.Users["u"] = User{User: account.User{ID: "u", Name: strings.Repeat("x", 1<<20)}}
		return nil
	})
	if !errors.Is(err, syscall.EFBIG) {
		return errors.New("the write didn't stop half way")
	}
	if len(v.Contents().Users) != 0 {
		return errors.New("the contents changed")
	}
	return v.Change(addEnvironment("small"))
}

func TestWriteThatStopsHalfWay(t *testing.T) {
	dir, m, _ := testVault(t)
	masterFor(t, m)
	if out, err := child(t, "full disk", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	v, err := Open(dir, m, 0)
	if err != nil || len(v.Contents().Environments) != 2 {
		t.Errorf("%v: %v", v, err)
	}
	if got := names(t, dir); got != "store.age store.age.1 store.age.2" {
		t.Errorf("the folder has: %s", got)
	}
}
