package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// A secret is what a shell would set a variable to, not what it would ask for it.
func TestAssigned(t *testing.T) {
	for line, want := range map[string]bool{
		"export OS_PASSWORD=hunter2":                      true,
		"export OS_PASSWORD=••••••••":                     false,
		"export OS_PASSWORD='●●●●'":                       false,
		"export OS_PASSWORD='$ecret1'":                    true,
		"export OS_PASSWORD='(secret'":                    true,
		`export OS_PASSWORD="secret 1"`:                   true,
		`export OS_PASSWORD="(secret"`:                    true,
		"a; OS_PASSWORD=hunter2 openstack token issue":    true,
		"OS_USERNAME=u OS_PASSWORD=hunter2 cmd":           true,
		"set -gx OS_PASSWORD  hunter2":                    true,
		"set -gx OS_PASSWORD '$ecret1'":                   true,
		"set -gx OS_PASSWORD (pass show cloud)":           false,
		"set -gx OS_PASSWORD $secret":                     false,
		"OS_PASSWORD= openstack token issue":              false,
		"OS_PASSWORD=<(pass show cloud)":                  false,
		"OS_PASSWORD=<password>":                          false,
		`OS_PASSWORD="<password>"`:                        false,
		`OS_PASSWORD="$(pass show cloud)"`:                false,
		"OS_PASSWORD=$(pass show cloud)":                  false,
		"OS_PASSWORD=`pass show cloud`":                   false,
		"OS_PASSWORD=********":                            false,
		"OS_PASSWORD='********'":                          false,
		`OS_PASSWORD=""; export OS_PASSWORD`:              false,
		"# OS_PASSWORD=hunter2":                           false,
		"unset OS_PASSWORD":                               false,
		"AWS_SECRET_ACCESS_KEY=amazons":                   false,
		"AWS_ENDPOINT_URL=e AWS_SECRET_ACCESS_KEY=secret": true,
	} {
		if got := len(assigned(line+"\n")) > 0; got != want {
			t.Errorf("%s: %v", line, got)
		}
	}
}

// The mode of what is another's can't be changed.
func TestPermission(t *testing.T) {
	mine, others := t.TempDir(), "/"
	if os.Getuid() == 0 {
		others = t.TempDir()
		if err := os.Chown(others, 54321, -1); err != nil {
			t.Skip(err)
		}
	}
	for got, want := range map[string]string{
		writableAdvice(mine, fs.ErrPermission):                              "chmod u+w " + mine,
		writableAdvice(others, fs.ErrPermission):                            `sudo chown "$USER" ` + others,
		readableAdvice(mine, fs.ErrPermission):                              "chmod u+r " + mine,
		readableAdvice(others, fs.ErrPermission):                            `sudo chown "$USER" ` + others,
		readableAdvice(filepath.Join(others, "nonesuch"), fs.ErrPermission): `sudo chown "$USER" ` + others,
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// The line goes where there is no folder yet too.
func TestHookOfANewUser(t *testing.T) {
	config := t.TempDir()
	t.Setenv("SHELL", "/usr/bin/fish")
	t.Setenv("XDG_CONFIG_HOME", config)
	t.Setenv("CCAD_PROMPT", "")
	folder := filepath.Join(config, "fish")
	mends := func() (mends []string) {
		for _, f := range checkHook(examination{}) {
			mends = append(mends, f.Mend)
		}
		return mends
	}
	s, _ := loginShell()
	add := "echo " + shellWord(s.line) + " >> " + s.rc
	if got := mends(); !slices.Equal(got, []string{"mkdir -p " + folder + " && " + add}) {
		t.Errorf("without its folder: %q", got)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if got := mends(); !slices.Equal(got, []string{add}) {
		t.Errorf("with its folder: %q", got)
	}
	if err := os.WriteFile(s.rc, []byte("# mine, without an end"), 0o600); err != nil {
		t.Fatal(err)
	}
	mend := mends()
	if len(mend) != 1 {
		t.Fatalf("with a file: %q", mend)
	}
	if out, err := exec.Command("sh", "-c", mend[0]).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if text, _ := os.ReadFile(s.rc); string(text) != "# mine, without an end\n"+s.line+"\n" {
		t.Errorf("mended: %q", text)
	}
}
