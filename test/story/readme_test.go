package story

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cloud-ca/ccad/test/lab"
)

// A block is a fenced piece of the README.
type block struct{ kind, text string }

func readmeBlocks(ts *testscript.TestScript) (blocks []block, inline []string) {
	data, err := os.ReadFile(filepath.Join(repo(), "README.md"))
	ts.Check(err)
	kind := ""
	for line := range strings.Lines(string(data)) {
		switch fence, is := strings.CutPrefix(line, "```"); {
		case is && kind == "":
			kind = strings.TrimSpace(fence)
			blocks = append(blocks, block{kind: kind})
		case is:
			kind = ""
		case kind != "":
			blocks[len(blocks)-1].text += line
		default:
			for _, m := range regexp.MustCompile("`ccactl ([a-z-]+)[^`]*`").FindAllStringSubmatch(line, -1) {
				inline = append(inline, m[1])
			}
		}
	}
	return blocks, inline
}

// readme: lives the README from its first line to its last, as its reader would
// in a home of his own: each block of sh in a new interactive bash on a terminal,
// its questions answered; crontab lines and units as cron and systemd run them, in
// their poor environment; what is hcl is saved as main.tf. What differs is what
// the reader's would: his names, his cloud's address, and his password. What runs
// this test is not run by it.
func readme(t *testing.T, real *lab.Lab, ts *testscript.TestScript) {
	blocks, inline := readmeBlocks(ts)
	if len(blocks) < 20 {
		ts.Fatalf("the README has %d blocks only", len(blocks))
	}
	u, _ := ts.Value(userKey{}).(lab.User)
	password := u.Password
	// Of old ones the README says what to do, and its reader does it.
	oldCLI := older(ts, [3]int{0, 29, 13}, "aws", "--version")
	oldBoto := older(ts, [3]int{0, 28, 0}, "python3", "-c", "import boto3; print('boto3/' + boto3.__version__)")
	for i, b := range blocks {
		text := strings.NewReplacer(
			"system-ccontini-2925", u.Name, "dev-ccontini", ts.Getenv("DEV"),
			"ccactl add dev", "ccactl add dev --auth-url "+ts.Getenv("AUTH_URL"), "make test", "make --dry-run test",
		).Replace(b.text)
		if oldCLI {
			text = strings.ReplaceAll(text, "aws --profile dev ", `aws --profile dev --endpoint-url "$(aws configure get endpoint_url --profile dev)" `)
		}
		if oldBoto {
			text = strings.ReplaceAll(text, `.client("s3")`, `.client("s3", endpoint_url=__import__("os").popen("aws configure get endpoint_url --profile dev").read().strip())`)
		}
		r := reader{ts: ts, dir: ts.Getenv("HOME"), password: password}
		if strings.Contains(text, "make ") {
			r.dir = repo()
		}
		switch {
		case strings.Contains(text, "ccactl update --user"): // somebody pressed Regenerate
			r.password = "regenerated"
			real.SetPassword(t, u.Name, r.password)
		case strings.Contains(text, "ccactl restore"): // on another machine
			r.bash("rm saved.age; ccactl backup --passphrase-file ~/.backup-passphrase saved.age\n")
			r.elsewhere = true
		}
		switch b.kind {
		case "sh":
			r.bash(text)
		case "cron":
			r.poor("PATH=/usr/bin:/bin", strings.Join(strings.Fields(text)[5:], " "))
		case "ini":
			r.unit(text)
		case "toml": // it is restarted, as its reader is told
			config := filepath.Join(r.dir, ".config", "ccad", "config.toml")
			ts.Check(os.MkdirAll(filepath.Dir(config), 0o700))
			ts.Check(os.WriteFile(config, []byte(text), 0o600))
			endStray(ts.Getenv("XDG_RUNTIME_DIR"), ts.Getenv("BIN"))
			r.bash("timeout 20 sh -c 'until ! ccactl status >/dev/null 2>&1; do sleep 0.1; done'\nccactl setup --without import,aws,shell,scrub,verify\n")
		case "hcl":
			ts.Check(os.WriteFile(filepath.Join(r.dir, "main.tf"), []byte(text), 0o600))
		default:
			ts.Fatalf("block %d of the README is of the kind %q, which nobody runs", i, b.kind)
		}
	}
	for _, verb := range inline {
		if out, err := exec.Command(ts.Getenv("BIN")+"/ccactl", verb, "--help").CombinedOutput(); err != nil {
			ts.Fatalf("the README speaks of ccactl %s: %s", verb, out)
		}
	}
}

// older reports whether a program says that it is NAME/MAJOR.MINOR, with a minor
// version below the one for that major version.
func older(ts *testscript.TestScript, first [3]int, command ...string) bool {
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	ts.Check(err)
	var major, minor int
	_, version, _ := strings.Cut(string(out), "/")
	_, err = fmt.Sscanf(version, "%d.%d", &major, &minor)
	ts.Check(err)
	return major < len(first) && minor < first[major]
}

// A reader runs what he reads.
type reader struct {
	ts        *testscript.TestScript
	dir       string
	password  string
	elsewhere bool // on another machine: a ccad of its own
}

// answers are what he types at a question that ends so.
func (r reader) answers() map[string]string {
	return map[string]string{`\[yes\] $`: "", `for commands \[dev\] $`: "", `(?i)passphrase: $`: "correct horse", `the same again: $`: "correct horse", `password of .*: $`: r.password}
}

func (r reader) env() []string {
	env := append(storyEnv(r.ts), "TERM=xterm", "SHELL=/bin/bash", "CHECKPOINT_DISABLE=1", "TF_CLI_CONFIG_FILE=/dev/null")
	for _, name := range []string{"PYENV_ROOT", "PYENV_VERSION", "AWS_EC2_METADATA_DISABLED"} {
		env = append(env, name+"="+r.ts.Getenv(name))
	}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOFLAGS", "GOPROXY"} {
		value, err := exec.Command("go", "env", name).Output()
		r.ts.Check(err)
		env = append(env, name+"="+strings.TrimSpace(string(value)))
	}
	return env
}

// bash runs a block in a new interactive shell. What fails in it, or anywhere in
// a pipeline, fails.
func (r reader) bash(text string) {
	script := r.ts.MkAbs("block.sh")
	prepare := "set -eo pipefail\n"
	if strings.Contains(text, "ccad install") || strings.Contains(text, "ccactl render") {
		prepare += "PATH=" + r.ts.MkAbs("no-systemd") + ":$PATH\n"
	}
	if r.elsewhere {
		prepare += "e=$(mktemp -d); export XDG_RUNTIME_DIR=$e XDG_CONFIG_HOME=$e/c XDG_DATA_HOME=$e/d XDG_STATE_HOME=$e/s\n" +
			"ccad run --passphrase-file ~/.ci-passphrase >$e/ready & trap 'kill $!; wait; rm -rf $e' EXIT\ntimeout 20 sh -c \"until [ -s $e/ready ]; do sleep 0.1; done\"\n"
	}
	r.ts.Check(os.WriteFile(script, []byte(prepare+text), 0o600))
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "--rcfile", filepath.Join(r.ts.Getenv("HOME"), ".bashrc"), "-i", script)
	cmd.Dir, cmd.Env = r.dir, r.env()
	terminal, err := pty.Start(cmd)
	r.ts.Check(err)
	seen := r.converse(terminal)
	err = cmd.Wait()
	_ = terminal.Close()
	r.ts.Logf("%s%s", text, <-seen)
	if err != nil {
		r.ts.Fatalf("%v\n%s", errors.Join(err, ctx.Err()), text)
	}
}

// converse answers questions until the terminal is closed, and then hands over
// what was on the screen.
func (r reader) converse(terminal *os.File) <-chan []byte {
	screen := make(chan []byte, 1)
	go func() {
		var all []byte
		answered := 0
		chunk := make([]byte, 4096)
		for {
			n, err := terminal.Read(chunk)
			all = append(all, chunk[:n]...)
			for question, answer := range r.answers() {
				if regexp.MustCompile(question).Match(all[answered:]) {
					answered = len(all)
					_, _ = fmt.Fprintln(terminal, answer)
				}
			}
			if err != nil {
				screen <- bytes.ReplaceAll(all, []byte("\r"), nil)
				return
			}
		}
	}()
	return screen
}

// unit runs what a unit starts, with the credential that systemd would fetch.
func (r reader) unit(text string) {
	field := func(name string) string {
		m := regexp.MustCompile(`(?m)^` + name + `=(.*)$`).FindStringSubmatch(text)
		if m == nil {
			r.ts.Fatalf("the unit has no %s", name)
		}
		return strings.NewReplacer("%h", r.dir, "%t", r.ts.Getenv("XDG_RUNTIME_DIR"), "%d", "$CREDENTIALS_DIRECTORY").Replace(m[1])
	}
	id, socket, _ := strings.Cut(field("LoadCredential"), ":")
	r.poor("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"set -e; CREDENTIALS_DIRECTORY=$("+r.ts.MkAbs("no-systemd/load-credential")+" "+id+" "+socket+"); "+field("ExecStart"))
}

// poor runs a command as cron and systemd do, who know nothing of a login. The
// folder of the socket is what /run/user/UID is elsewhere.
func (r reader) poor(path, command string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	cmd.Dir, cmd.Env = r.dir, []string{path, "HOME=" + r.dir, "SHELL=/bin/sh", "XDG_RUNTIME_DIR=" + r.ts.Getenv("XDG_RUNTIME_DIR")}
	out, err := cmd.CombinedOutput()
	r.ts.Logf("%s\n%s", command, out)
	if err != nil {
		r.ts.Fatalf("%v: %s", err, command)
	}
}
