package configure

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestForeignGroup: a group that its owner may not give a file has no permissions
// on what takes its place, which is of his own group.
func TestForeignGroup(t *testing.T) {
	const nobody = 65534
	if path := os.Getenv("CCAD_TEST_FOREIGN_GROUP"); path != "" {
		if changed, err := addDev(path); !changed || err != nil {
			t.Error(changed, err)
		}
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can make the file")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "config")
	for _, err := range []error{
		os.Chmod(dir, 0o755), os.Chmod(filepath.Dir(dir), 0o755), os.Chown(dir, nobody, nobody),
		os.WriteFile(path, []byte("[default]\n"), 0o600), os.Chown(path, nobody, 0), os.Chmod(path, 0o640),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.ReadFile("/proc/self/exe") // its own folder is root's
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "self"), self, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(dir, "self"), "-test.run=^TestForeignGroup$")
	cmd.Dir, cmd.Env = dir, []string{"CCAD_TEST_FOREIGN_GROUP=" + path}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}
