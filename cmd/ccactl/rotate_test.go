package main

import (
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

func (f *fake) rotation(held bool, lines ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers["POST /v1/rotate"] = answer{status: 200, stream: true, held: held, body: []byte(strings.Join(lines, "\n") + "\n")}
}

func (f *fake) askedOf(request string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[request]
}

const end = `{"event":"end"}`

func exitOf(t *testing.T, c *exec.Cmd) int {
	t.Helper()
	var exit *exec.ExitError
	if err := c.Wait(); errors.As(err, &exit) {
		return exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return 0
}

// On a terminal a step is shown while it is made, and its line then says how it
// ended.
func TestRotateLive(t *testing.T) {
	f := daemonFor(t)
	f.rotation(false,
		`{"step":"journal","subject":"the S3 key of dev","state":"done"}`,
		`{"step":"create","subject":"the S3 key of dev","state":"start"}`,
		`{"step":"create","subject":"the S3 key of dev","state":"done"}`,
		`{"step":"prove","subject":"the S3 key of dev","state":"start"}`,
		`{"step":"prove","subject":"the S3 key of dev","state":"failed","error":"no answer","note":"tried again"}`,
		`{"step":"prove","subject":"the S3 key of dev","state":"start"}`,
		`{"step":"journal","subject":"the S3 key of sys","state":"done"}`, end)
	c, terminal := attend(t, f, "rotate", "dev")
	const create, prove = "the S3 key of dev: create", "the S3 key of dev: prove"
	until(t, terminal, create+" …")
	until(t, terminal, "\r\x1b[K"+create+" (ask the cloud for a new one)\r\n"+prove+" …")
	until(t, terminal, "\r\x1b[K"+prove+" failed, no answer\r\n"+prove+" …\r\nthe S3 key of sys: journal (write it down first)\r\n")
	if code := exitOf(t, c); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// Ctrl-C ends the following and nothing else, and says what goes on.
func TestRotateInterrupted(t *testing.T) {
	for what, c := range map[string]struct {
		args  []string
		lines []string
		shown string // and then Ctrl-C
		said  string
	}{
		"under way": {[]string{"dev", "sys"},
			[]string{`{"step":"journal","subject":"the S3 key of dev","state":"done"}`, `{"step":"create","subject":"the S3 key of dev","state":"start"}`},
			"create …", "ccad goes on with the S3 key of dev, and begins nothing else: ccactl status"},
		"one is over": {[]string{"--all", "--wait"},
			[]string{`{"step":"journal","subject":"the S3 key of dev","state":"done"}`, `{"step":"prove-dead","subject":"the S3 key of dev","state":"done"}`,
				`{"step":"journal","subject":"the S3 key of sys","state":"done"}`, `{"step":"drain","subject":"the S3 key of sys","state":"start","note":"the former one is deleted later"}`},
			"deleted later", "ccad goes on with the S3 key of sys, and begins nothing else"},
		"in the portal": {[]string{"--user", "u", "--password"},
			[]string{`{"step":"portal","subject":"the password of u","state":"start","note":"no","clicks":["Regenerate"],"environments":["dev"],"user":"u"}`},
			"update --user u", "nothing was begun; what you change in the portal is adopted"},
		"nothing yet": {[]string{"dev"}, []string{`{"step":"create","subject":"x","state":"start"}`}, "create …", "nothing was begun"},
	} {
		t.Run(what, func(t *testing.T) {
			f := daemonFor(t)
			f.rotation(true, c.lines...)
			cmd, terminal := attend(t, f, append([]string{"rotate"}, c.args...)...)
			until(t, terminal, c.shown)
			_, _ = io.WriteString(terminal, "\x03")
			until(t, terminal, c.said)
			if code := exitOf(t, cmd); code != 130 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// A grace that breaks somebody is asked about on a terminal, unless the answer
// is given before.
func TestRotateAsksAboutGrace(t *testing.T) {
	const plan = `{"step":"plan","subject":"the S3 key of dev","state":"done","note":"AK would be replaced","broken":[{"environment":"dev","view":"env","pid":12,"program":"python"}]}`
	for _, c := range []struct {
		answer string // "": nothing is asked
		args   []string
		code   int
		goes   bool
	}{
		{"y\n", nil, 0, true},
		{"n\n", nil, 1, false},
		{"\n", nil, 1, false},
		{"", []string{"--yes"}, 0, true},
	} {
		t.Run(strings.TrimSpace(c.answer)+strings.Join(c.args, ""), func(t *testing.T) {
			f := daemonFor(t)
			f.rotation(false, plan, end)
			cmd, terminal := attend(t, f, append([]string{"rotate", "dev", "--grace", "0s"}, c.args...)...)
			until(t, terminal, "warning: python (process 12, until it ends) may hold the S3 key of dev longer than that")
			if c.answer != "" {
				until(t, terminal, "go ahead? [y/N] ")
				_, _ = io.WriteString(terminal, c.answer)
			}
			_, _ = io.Copy(io.Discard, terminal) // a terminal that nobody reads stops its program
			if code := exitOf(t, cmd); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if goes := !strings.Contains(f.askedOf("POST /v1/rotate"), "dry_run"); goes != c.goes {
				t.Errorf("it goes ahead: %v", goes)
			}
		})
	}
}
