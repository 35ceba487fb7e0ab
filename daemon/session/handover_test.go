package session

import (
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// inherit runs this test in a process of its own, which has files from
// descriptor 3 on and says what Inherited makes of them.
func inherit(t *testing.T, env []string, files ...*os.File) string {
	t.Helper()
	// The shell's exec keeps the pid, which LISTEN_PID has to name.
	cmd := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" -test.run '^TestInherited$'`, os.Args[0])
	cmd.Env = append(append(os.Environ(), "CCAD_TEST_INHERITED=1", "GORACE=atexit_sleep_ms=0"), env...)
	cmd.ExtraFiles = files
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	said, _, _ := strings.Cut(string(out), "\n")
	return said
}

func TestInherited(t *testing.T) {
	if os.Getenv("CCAD_TEST_INHERITED") != "" {
		h, err := Inherited()
		number := func(f *os.File) string {
			if f == nil {
				return "none"
			}
			return strconv.Itoa(int(f.Fd()))
		}
		for _, name := range []string{"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", handoverVariable} {
			if _, there := os.LookupEnv(name); there {
				t.Errorf("%s is still there", name)
			}
		}
		if err != nil {
			_, _ = os.Stdout.WriteString("error: " + err.Error() + "\n")
			return
		}
		_, _ = os.Stdout.WriteString("listener " + number(h.Listener) + " gateway " + number(h.Gateway) + " locks " + strconv.Itoa(len(h.Locks)) +
			" made " + strconv.FormatBool(h.Made) + " relocked " + strconv.FormatBool(h.Relocked()) + "\n")
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what  string
		env   []string
		files int
		want  string
	}{
		{"nobody leaves anything", nil, 2, "listener none gateway none locks 0 made false relocked false"},
		{"our two sockets", []string{"LISTEN_FDS=2", "LISTEN_FDNAMES=ccad:gateway"}, 2, "listener 3 gateway 4 locks 0 made false relocked false"},
		{"in the other order", []string{"LISTEN_FDS=2", "LISTEN_FDNAMES=gateway:ccad"}, 2, "listener 4 gateway 3 locks 0 made false relocked false"},
		{"the gateway's alone", []string{"LISTEN_FDS=1", "LISTEN_FDNAMES=gateway"}, 1, "listener none gateway 3 locks 0 made false relocked false"},
		{"a hand-written unit's", []string{"LISTEN_FDS=1", "LISTEN_FDNAMES=my=own made.socket"}, 1, "listener 3 gateway none locks 0 made false relocked false"},
		{"no names", []string{"LISTEN_FDS=1"}, 1, "listener 3 gateway none locks 0 made false relocked false"},
		{"one too many", []string{"LISTEN_FDS=2", "LISTEN_FDNAMES=a:b"}, 2, "error: take over the listener: there are two"},
		{"what is not there", []string{handoverVariable + "=listener=999"}, 1, "error: take over the listener: bad file descriptor"},
		{"an earlier image's", []string{handoverVariable + "=listener=4 lock=5 lock=6 future=3 made"}, 4, "listener 4 gateway none locks 2 made true relocked true"},
		{"a garbled one", []string{handoverVariable + "=listener=x"}, 1, "error: take over the listener: not a descriptor"},
	} {
		files := make([]*os.File, c.files)
		for i := range files {
			files[i] = f
		}
		if got := inherit(t, c.env, files...); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.what, got, c.want)
		}
	}
}
