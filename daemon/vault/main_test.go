package vault

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cloud-ca/ccad/daemon/account"
)

// The test binary runs itself again where a process has to die or to start
// under another environment; this variable names what it then does.
const childVariable = "CCAD_TEST_CHILD"

var children = map[string]func(args []string) error{
	"change":     childChange,
	"create":     childCreate,
	"keyring":    childKeyring,
	"passphrase": childPassphrase,
	"nothing":    func([]string) error { return nil },
	"lock":       childLock,
	"full disk":  childFullDisk,
	"unlock":     childUnlock,
}

func TestMain(m *testing.M) {
	child, ok := children[os.Getenv(childVariable)]
	if !ok {
		os.Exit(m.Run())
	}
	if err := child(os.Args[1:]); err != nil {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
}

// child returns the command that does it.
func child(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), childVariable+"="+name, "GORACE=atexit_sleep_ms=0")
	return cmd
}

// need fails the test where a program is missing: a skip that nobody sees is a
// defect. CCAD_TEST_PARTIAL=1 says that somebody sees.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			if os.Getenv("CCAD_TEST_PARTIAL") == "1" {
				t.Skipf("left out: %s is not installed", p)
			}
			t.Fatalf("%s is not installed (CCAD_TEST_PARTIAL=1 leaves this test out)", p)
		}
	}
}

// opened has the fields of Contents without the methods, which show nothing.
type opened Contents

// diff compares with secrets in clear.
func diff(a, b *Contents) string {
	clear := cmp.Comparer(func(a, b account.Secret) bool { return a.Reveal() == b.Reveal() })
	return cmp.Diff(opened(*a), opened(*b), clear)
}

func testMaster(t testing.TB) Master {
	t.Helper()
	m, err := NewMaster()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// testVault has a folder with a store of one environment, "dev".
func testVault(t testing.TB) (dir string, m Master, v *Vault) {
	t.Helper()
	dir, m = t.TempDir(), testMaster(t)
	v, err := Open(dir, m, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Change(addEnvironment("dev")); err != nil {
		t.Fatal(err)
	}
	m.fresh = false
	return dir, m, v
}

func addEnvironment(name string) func(*Contents) error {
	return func(c *Contents) error {
		c.Environments[name] = Environment{Environment: account.Environment{ID: account.NewID(), Name: name}, Generation: c.NextGeneration()}
		return nil
	}
}

// names returns the file names in dir, joined.
func names(t testing.TB, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

// copyFolder copies the files of a folder into a new one of mode 0700.
func copyFolder(t testing.TB, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.Chmod(to, 0o700); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		rel, relErr := filepath.Rel(from, path)
		if err = errors.Join(err, relErr); err != nil || rel == "." {
			return err
		}
		if e.IsDir() {
			return os.Mkdir(filepath.Join(to, rel), 0o700)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), data, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}
