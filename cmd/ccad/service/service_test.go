package service

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/packaging"
)

// What the packages put into /usr/lib is what install writes, but for the
// program.
func TestServiceText(t *testing.T) {
	if n := strings.Count(packaging.Service, "ExecStart="+packaging.Program+" run\n"); n != 1 {
		t.Fatalf("the unit has %d lines that start %s", n, packaging.Program)
	}
	got := serviceText(packaging.Service, packaging.Program, `/home/a b/$X/100%/ccad`)
	want := strings.Replace(packaging.Service, "ExecStart=/usr/bin/ccad run\n", `ExecStart=:"/home/a b/$X/100%%/ccad" run`+"\n", 1)
	if got != want {
		t.Errorf("%s", got)
	}
	for name, unit := range map[string]string{"service": packaging.Service, "socket": packaging.Socket, "gateway": packaging.GatewaySocket, "render": packaging.Render} {
		if !hasMark(unit, packaging.UnitMark) || strings.Contains(unit, "{{") {
			t.Errorf("%s has no mark, or a template's key:\n%s", name, unit)
		}
	}
	if got := serviceText(packaging.Render, packaging.CLI, "/a b/ccactl"); !strings.Contains(got, "\nExecStart=:\"/a b/ccactl\" render\n") {
		t.Errorf("%s", got)
	}
	if n := strings.Count(packaging.GatewaySocket, "\nListenStream=@ADDRESS@\n"); n != 1 {
		t.Errorf("the gateway's unit has %d places for its address", n)
	}
}

func TestEnvironmentText(t *testing.T) {
	for _, variable := range passedOn {
		t.Setenv(variable, "")
	}
	if got := environmentText(); got != "" {
		t.Errorf("nothing is set: %s", got)
	}
	t.Setenv("XDG_DATA_HOME", `/a b/"c"\100%$x`)
	t.Setenv("XDG_STATE_HOME", "relative")
	t.Setenv("XDG_CONFIG_HOME", "/two\nlines")
	got := environmentText()
	if !hasMark(got, packaging.UnitMark) || !strings.HasSuffix(got, "[Service]\nEnvironment=\"XDG_DATA_HOME=/a b/\\\"c\\\"\\\\100%%$x\"\n") {
		t.Errorf("%s", got)
	}
}

func TestCheckProgram(t *testing.T) {
	for path, fine := range map[string]bool{
		"/usr/bin/ccad": true, "/home/ö/a b/$x/%h/ccad": true,
		"/a\nb/ccad": false, "/{{Path}}/ccad": false, `/a"b/ccad`: false, "/a'b/ccad": false, `/a\b/ccad`: false, "/a\x7f/ccad": false,
	} {
		if err := checkProgram(path); (err == nil) != fine || err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestCurrent(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		text  string
		there bool
		words string
	}{
		"ours":   {packaging.Service, true, ""},
		"cut":    {"", true, ""},
		"theirs": {"[Service]\n", false, "somebody's own"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		text, there, err := current(path, packaging.UnitMark)
		if there != c.there || there && text != c.text || (err == nil) != (c.words == "") || err != nil && !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %q, %v, %v", name, text, there, err)
		}
	}
	if _, there, err := current(filepath.Join(dir, "missing"), packaging.UnitMark); there || err != nil {
		t.Errorf("missing: %v, %v", there, err)
	}
	for name, words := range map[string]string{"/dev/null": "masks", filepath.Join(dir, "ours"): "is not ccad's"} {
		link := filepath.Join(dir, "link")
		_ = os.Remove(link)
		if err := os.Symlink(name, link); err != nil {
			t.Fatal(err)
		}
		if _, _, err := current(link, packaging.UnitMark); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("a link to %s: %v", name, err)
		}
	}
}

// The agent is a property list as launchd reads it, whatever the paths are, and
// starts at login and again after a failure. No Mac has run it.
func TestAgent(t *testing.T) {
	text := agentText("/Users/a & b", "/Users/a & b/<c>/ccad")
	if !hasMark(text, packaging.AgentMark) || strings.Contains(text, "@") {
		t.Errorf("no mark, or a place that is not filled:\n%s", text)
	}
	var words []string
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		switch x := token.(type) {
		case xml.CharData:
			if word := strings.TrimSpace(string(x)); word != "" {
				words = append(words, word)
			}
		case xml.StartElement:
			if n := x.Name.Local; n == "true" || n == "false" {
				words = append(words, n)
			}
		}
	}
	want := "Label ccad ProgramArguments /Users/a & b/<c>/ccad run RunAtLoad true KeepAlive SuccessfulExit false ProcessType Background Umask 63 HardResourceLimits Core 0 StandardErrorPath /Users/a & b/Library/Logs/ccad.log"
	if got := strings.Join(words, " "); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// Misuse and what can't be done is said before anything is touched.
func TestRunRefuses(t *testing.T) {
	for _, args := range [][]string{{"install", "--nonsense"}, {"install", "word"}, {"start", "--seal"}, {"dance"}} {
		t.Setenv("HOME", t.TempDir())
		t.Setenv("XDG_RUNTIME_DIR", "/nonexistent")
		var out bytes.Buffer
		err := Run(&out, args[0], args[1:])
		if args[0] != "dance" && !errors.Is(err, ErrUsage) || err == nil || out.Len() > 0 {
			t.Errorf("%q: %v, %s", args, err, out.String())
		}
	}
	t.Setenv("HOME", "")
	if err := Run(io.Discard, "install", nil); err == nil || !strings.Contains(err.Error(), "no home folder") {
		t.Errorf("no home: %v", err)
	}
}

// On a terminal the passphrase is asked for twice and not shown; from a pipe it
// is one line.
func TestAskPassphrase(t *testing.T) {
	ours, theirs, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	defer theirs.Close()
	for typed, want := range map[string]string{"correct horse\ncorrect horse\n": "correct horse", "one\ntwo\n": "", "\n\n": ""} {
		if _, err := ours.WriteString(typed); err != nil {
			t.Fatal(err)
		}
		got, err := askPassphrase(theirs)
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("typed %q: %q, %v", typed, got, err)
		}
	}
	for piped, want := range map[string]string{"correct horse\n": "correct horse", "a b": "a b", "a\n\n": "a\n", "": "", "\n": "", strings.Repeat("x", maxPassphrase+1): ""} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = w.WriteString(piped); _ = w.Close() }()
		got, err := askPassphrase(r)
		_ = r.Close()
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("piped %q: %q, %v", piped[:min(len(piped), 20)], got, err)
		}
	}
}

// What does not open the keyring is not sealed: ccad would be locked at each login.
func TestProved(t *testing.T) {
	home, uid := t.TempDir(), os.Getuid()
	if err := proved(home, uid, []byte("any")); err != nil {
		t.Errorf("before first use: %v", err)
	}
	dir := filepath.Join(home, ".local/share/ccad")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	k, err := vault.OpenKeyring(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Master(t.Context(), account.NewSecret("correct horse")); err != nil {
		t.Fatal(err)
	}
	if err := proved(home, uid, []byte("correct horse")); err != nil {
		t.Errorf("the right one: %v", err)
	}
	want := "the passphrase does not open the keyring in " + dir + ", and nothing was sealed: file keyring: wrong passphrase"
	if err := proved(home, uid, []byte("battery staple")); err == nil || err.Error() != want {
		t.Errorf("another: %v, want %s", err, want)
	}
}
