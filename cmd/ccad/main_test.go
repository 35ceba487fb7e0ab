package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"ccad": main})
}

// check reads what run would read: the file that is named, which must be there,
// else the usual one, which need not be.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	bad := filepath.Join(dir, "bad.toml")
	if err := os.WriteFile(bad, []byte("[serve]\nlaese = \"1h\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	good, usual := filepath.Join(dir, "good.toml"), filepath.Join(dir, "ccad", "config.toml")
	if err := os.WriteFile(good, []byte("[serve]\nlease = \"1h\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		says string
		want string // in the error; "": none
	}{
		{nil, "there is no " + usual + ": all has its default\n", ""},
		{[]string{"--config", good}, good + " is right\n", ""},
		{[]string{"--config", bad}, "", "laese"},
		{[]string{"--config=" + bad}, "", "laese"},
		{[]string{"--config", filepath.Join(dir, "none.toml")}, "", "none.toml"},
	} {
		var said strings.Builder
		if err := check(&said, c.args); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || said.String() != c.says {
			t.Errorf("%q: %q, %v", c.args, said.String(), err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "ccad"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(bad, usual); err != nil {
		t.Fatal(err)
	}
	if err := check(io.Discard, nil); err == nil || !strings.Contains(err.Error(), "laese") {
		t.Errorf("the usual file: %v", err)
	}
	for _, args := range [][]string{{bad}, {"--config"}, {"--config="}, {"--nonesuch"}} {
		for _, verb := range []func([]string) error{func(args []string) error { return check(io.Discard, args) }, run} {
			if err := verb(args); !errors.As(err, new(misuse)) || strings.Contains(err.Error(), bad) {
				t.Errorf("%q: %v", args, err)
			}
		}
	}
}

// What can't be written has not been said.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for _, args := range [][]string{{"version"}, {"help"}, {"keyrings"}, {"check", "--help"}} {
		c := exec.Command("ccad", args...)
		c.Stdout = full
		if err := c.Run(); err == nil || c.ProcessState.ExitCode() != 1 {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestUsageFits(t *testing.T) {
	for line := range strings.Lines(usage) {
		if len(line) > 81 { // with its end
			t.Errorf("%d: %s", len(line), line)
		}
	}
}
