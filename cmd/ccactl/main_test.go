package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cloud-ca/ccad/ipc"
)

// raceOptions keep the race detector from making each program wait a second at
// its end.
const raceOptions = "atexit_sleep_ms=0"

func TestMain(m *testing.M) {
	_ = os.Setenv("GORACE", raceOptions)
	testscript.Main(m, map[string]func(){"ccactl": main})
}

// The stories drive the real program against a daemon that answers what a story
// tells it to. Beside testscript's own commands there are
//
//	exits CODE COMMAND…            run it and demand an exit code
//	answer METHOD PATH FILE        answer so from now on; .jsonl is a stream,
//	                               .environ gets zero bytes for its newlines
//	answer METHOD PATH CODE TEXT   answer with a typed failure
//	warning TEXT                   send a warning with each answer
//	[!] asked METHOD PATH REGEXP   the last such request's body (does not) match
//	daemon stop                    hang up for good
func TestStories(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			d, err := startFake()
			if err != nil {
				return err
			}
			env.Defer(d.stop)
			env.Values["daemon"] = d
			program, err := exec.LookPath("ccactl")
			if err != nil {
				return err
			}
			env.Setenv("CCACTL", program)
			env.Setenv("GORACE", raceOptions)
			env.Setenv("CCAD_SOCKET", d.socket)
			env.Setenv("CCAD_DIR", filepath.Dir(d.socket))
			env.Setenv("HOME", env.WorkDir+"/home")
			env.Setenv("XDG_CONFIG_HOME", env.WorkDir+"/home/.config")
			env.Setenv("HOME_QUERY", url.QueryEscape(env.WorkDir+"/home"))
			return os.MkdirAll(env.WorkDir+"/home", 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   exits,
			"answer":  func(ts *testscript.TestScript, _ bool, args []string) { fakeOf(ts).answerCommand(ts, args) },
			"warning": func(ts *testscript.TestScript, _ bool, args []string) { fakeOf(ts).setWarning(args[0]) },
			"asked":   func(ts *testscript.TestScript, neg bool, args []string) { fakeOf(ts).askedCommand(ts, neg, args) },
			"daemon":  func(ts *testscript.TestScript, _ bool, _ []string) { fakeOf(ts).stop() },
			"chmod": func(ts *testscript.TestScript, _ bool, args []string) {
				mode, err := strconv.ParseUint(args[0], 8, 12)
				ts.Check(err)
				ts.Check(os.Chmod(ts.MkAbs(args[1]), os.FileMode(mode)))
			},
			"truncate": func(ts *testscript.TestScript, _ bool, args []string) {
				size, err := strconv.ParseInt(args[0], 10, 64)
				ts.Check(err)
				ts.Check(os.Truncate(ts.MkAbs(args[1]), size))
			},
		},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if want := args[0]; strconv.Itoa(got) != want {
		ts.Fatalf("exit code %d, want %s", got, want)
	}
}

// fake is a daemon that answers from a table and remembers what it was asked.
type fake struct {
	socket string
	server *http.Server

	mu      sync.Mutex
	answers map[string]answer
	warning string
	asked   map[string]string // the last body, by method and path
}

type answer struct {
	status int
	body   []byte
	stream bool
	held   bool // and stays open until the client hangs up
}

func startFake() (*fake, error) {
	dir, err := os.MkdirTemp("", "ccad") // a socket's address is short
	if err != nil {
		return nil, err
	}
	f := &fake{socket: filepath.Join(dir, "ccad.sock"), answers: map[string]answer{}, asked: map[string]string{}}
	l, err := net.Listen("unix", f.socket)
	if err != nil {
		return nil, err
	}
	f.server = &http.Server{Handler: f}
	go func() { _ = f.server.Serve(l) }()
	return f, nil
}

func (f *fake) stop() {
	_ = f.server.Close()
	_ = os.RemoveAll(filepath.Dir(f.socket))
}

func fakeOf(ts *testscript.TestScript) *fake { return ts.Value("daemon").(*fake) }

func (f *fake) setWarning(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.warning = text
}

// set answers a request, "METHOD PATH", with a document.
func (f *fake) set(request string, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[request] = answer{status: 200, body: data}
}

// refuse answers a request with a typed failure.
func (f *fake) refuse(request string, code ipc.Code, message string) {
	body, _ := json.Marshal(map[string]any{"error": ipc.Error{Code: code, Message: message}})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[request] = answer{status: code.HTTPStatus(), body: body}
}

func (f *fake) answerCommand(ts *testscript.TestScript, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: answer METHOD PATH FILE | CODE TEXT")
	}
	a := answer{status: 200}
	if len(args) == 4 {
		a.status = ipc.Code(args[2]).HTTPStatus()
		a.body, _ = json.Marshal(map[string]any{"error": ipc.Error{Code: ipc.Code(args[2]), Message: args[3]}})
	} else {
		a.body, a.stream = []byte(ts.ReadFile(args[2])), strings.HasSuffix(args[2], ".jsonl")
		if strings.HasSuffix(args[2], ".environ") {
			a.body = bytes.ReplaceAll(a.body, []byte("\n"), []byte{0})
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[args[0]+" "+args[1]] = a
}

func (f *fake) askedCommand(ts *testscript.TestScript, neg bool, args []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, asked := f.asked[args[0]+" "+args[1]]
	if found := asked && regexp.MustCompile(args[2]).MatchString(body); found == neg {
		ts.Fatalf("asked %v, with %q", asked, body)
	}
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	request := fmt.Sprintf("%s %s", r.Method, r.URL.RequestURI())
	f.mu.Lock()
	f.asked[request] = string(body)
	a, known := f.answers[request]
	warning := f.warning
	f.mu.Unlock()
	w.Header().Set(ipc.ProtocolHeader, strconv.Itoa(ipc.Protocol))
	if warning != "" {
		w.Header().Set(ipc.WarningHeader, warning)
	}
	if !known {
		a.status, a.body = 404, []byte(`{"error":{"code":"unknown","message":"no answer to `+request+`"}}`)
	}
	if !a.stream {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
	if a.held {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
}
