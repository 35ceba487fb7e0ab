package shell

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// daemon stands for ccad and ccactl: generation files, and a ccactl that prints
// prepared lines and keeps a list of its calls.
type daemon struct {
	t   testing.TB
	dir string
}

func newDaemon(t testing.TB) *daemon {
	dir := filepath.Join(t.TempDir(), `it's "odd" $HOME \ [x]`)
	d := &daemon{t, dir}
	for _, sub := range []string{"gen", "lines"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	d.write("ccactl", `#!/bin/sh
cd `+quotePOSIX(dir)+` || exit 99
echo "$CCAD_SOCKET $*" >>calls
case $1 in
env) if [ -f lines/"$2 $4" ]; then cat lines/"$2 $4"; exit; fi
     if [ -f error ]; then cat error >&2; exit 4; fi
     echo "ccactl: no environment $2" >&2; exit 5 ;;
esac
echo "binary: $*"; exit 7
`)
	if err := os.Chmod(filepath.Join(dir, "ccactl"), 0o700); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *daemon) write(name, text string) {
	d.t.Helper()
	tmp := filepath.Join(d.dir, ".new")
	if err := os.WriteFile(tmp, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
	if err := os.Rename(tmp, filepath.Join(d.dir, name)); err != nil {
		d.t.Fatal(err)
	}
}

func (d *daemon) remove(name string) {
	d.t.Helper()
	if err := os.RemoveAll(filepath.Join(d.dir, name)); err != nil {
		d.t.Fatal(err)
	}
}

// serve makes generation the current one of env, with these variables.
func (d *daemon) serve(env, generation string, vars map[string]string) {
	d.t.Helper()
	for format, quote := range map[string]func(string) string{"hook-sh": quotePOSIX, "hook-fish": quoteFish} {
		text := "__ccad_drop OS_TENANT_NAME\n__ccad_drop HOME\n"
		for name, value := range vars {
			text += "__ccad_put " + name + " " + quote(value) + "\n"
		}
		d.write("lines/"+env+" "+format, text)
	}
	d.write("gen/"+env, generation+"\n")
}

// lock does what the daemon does: generation 0, no more answers.
func (d *daemon) lock(env string) {
	d.t.Helper()
	d.remove("lines/" + env + " hook-sh")
	d.remove("lines/" + env + " hook-fish")
	d.write("error", "ccactl: locked\n")
	d.write("gen/"+env, "0\n")
}

func (d *daemon) calls() []string {
	data, err := os.ReadFile(filepath.Join(d.dir, "calls"))
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
}

func (d *daemon) init(shell, preselected string) string {
	d.t.Helper()
	script, err := Init(shell, Paths{
		Ccactl:      filepath.Join(d.dir, "ccactl"),
		Socket:      filepath.Join(d.dir, "sock"),
		Generations: filepath.Join(d.dir, "gen"),
		Default:     preselected,
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return script
}
