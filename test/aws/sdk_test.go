package aws_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestBoto3 runs with every Python that has boto3: the system's, and the one
// that PATH finds.
func TestBoto3(t *testing.T) {
	t.Parallel()
	script, err := filepath.Abs("scripts/boto.py")
	if err != nil {
		t.Fatal(err)
	}
	ran := map[string]bool{}
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		version, err := exec.Command(python, "-c", "import boto3; print(boto3.__version__)").Output()
		name := strings.TrimSpace(string(version))
		if err != nil || ran[name] {
			continue
		}
		ran[name] = true
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c := client{t: t, dir: t.TempDir(), env: w.env(), argv: []string{python, script}}
			contains(t, "the script", c.run(), "works")
		})
	}
	if len(ran) == 0 {
		leaveOut(t, "no python3 has boto3")
	}
}

func TestJavaScript(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	node := need(t, "node")
	script, err := filepath.Abs("js/client.mjs")
	if err != nil {
		t.Fatal(err)
	}
	installJS(t)
	c := client{t: t, dir: t.TempDir(), env: w.env(), argv: []string{node, script}}
	contains(t, "the script", c.run(), "works")
}

// installing is one at a time.
var installing sync.Mutex

// installJS installs what package-lock.json says beside the script.
func installJS(t *testing.T) {
	t.Helper()
	installing.Lock()
	defer installing.Unlock()
	lock, err := os.ReadFile("js/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if done, err := os.ReadFile("js/node_modules/.ccad-lock"); err == nil && bytes.Equal(done, lock) {
		return
	}
	npm := exec.Command(need(t, "npm"), "ci")
	npm.Dir, npm.WaitDelay = "js", time.Minute
	if out, err := npm.CombinedOutput(); err != nil {
		leaveOut(t, "npm can't install the AWS SDK for JavaScript: "+string(out))
	}
	if err := os.WriteFile("js/node_modules/.ccad-lock", lock, 0o600); err != nil {
		t.Fatal(err)
	}
}
