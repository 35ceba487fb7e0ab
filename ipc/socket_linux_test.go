package ipc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// listening makes a socket in a folder of its own and accepts in the background.
func listening(t *testing.T) (path string, accepted chan *Conn) {
	t.Helper()
	path = socket(t)
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	accepted = make(chan *Conn, 8)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- c.(*Conn)
		}
	}()
	return path, accepted
}

// The socket and its folder are ours alone from the first moment, whatever the
// umask is: a chmod that follows would leave a gap.
func TestSocketIsBornSecure(t *testing.T) {
	old := unix.Umask(0)
	defer unix.Umask(old)
	watch, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(watch)
	path := socket(t)
	if _, err := unix.InotifyAddWatch(watch, filepath.Dir(path), unix.IN_ATTRIB); err != nil {
		t.Fatal(err)
	}
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := os.Chmod(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path + "2"); err == nil {
		t.Error("it listens in a folder that others can enter")
	}
	if now := unix.Umask(0); now != 0 {
		t.Errorf("the umask is %o now", now)
	}
	_ = unix.SetNonblock(watch, true)
	events := make([]byte, 4096)
	n, _ := unix.Read(watch, events)
	if bytes.Contains(events[:max(n, 0)], []byte("ccad.sock")) {
		t.Error("the socket's mode was changed after its birth")
	}
}

// A daemon that died leaves its socket behind; one that lives keeps it, and so
// does whatever else has its name.
func TestWhatIsInTheWay(t *testing.T) {
	path, accepted := listening(t)
	if _, err := Listen(path); !errors.Is(err, ErrLive) {
		t.Errorf("beside a living daemon: %v", err)
	}
	<-accepted // the other's question whether somebody answers
	if c, err := net.Dial("unix", path); err != nil {
		t.Errorf("the living daemon's socket is gone: %v", err)
	} else {
		_ = c.Close()
	}

	stale := filepath.Join(filepath.Dir(path), "stale.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	_ = dead.Close()
	l, err := Listen(stale)
	if err != nil {
		t.Fatalf("over a dead daemon's socket: %v", err)
	}
	_ = l.Close()

	file := filepath.Join(filepath.Dir(path), "file.sock")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(file); err == nil {
		t.Error("a file was taken for a dead socket")
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "mine" {
		t.Errorf("the file is %q, %v", data, err)
	}
}

// stranger is a uid that is not ours.
const stranger = 65534

// TestPeerOfAnotherUser opens the way to the socket on purpose, and lets another
// user's process come: the kernel's word alone must keep it out.
func TestPeerOfAnotherUser(t *testing.T) {
	if path := os.Getenv("CCAD_TEST_STRANGER"); path != "" {
		beStranger(path)
	}
	if os.Getuid() != 0 {
		t.Skip("only root can be another user")
	}
	path, accepted := listening(t)
	for _, name := range []string{path, filepath.Dir(path)} {
		if err := os.Chmod(name, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command("/proc/self/exe", "-test.run", "^TestPeerOfAnotherUser$")
	c.Env, c.Dir = append(os.Environ(), "CCAD_TEST_STRANGER="+path), "/"
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger, Gid: stranger}}
	out, err := c.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("hung up on, 0 bytes")) {
		t.Errorf("%v: %s", err, out)
	}
	mine, err := net.Dial("unix", path) // and the next one is served
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Close()
	select {
	case got := <-accepted:
		if got.PID != os.Getpid() {
			t.Errorf("accepted process %d, we are %d", got.PID, os.Getpid())
		}
	case <-time.After(time.Minute):
		t.Error("our own connection is not accepted")
	}
}

// beStranger connects, asks, and tells how it was received.
func beStranger(path string) {
	c, err := net.Dial("unix", path)
	if err != nil {
		fmt.Println("not even connected:", err)
		os.Exit(1)
	}
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	_, _ = io.WriteString(c, "GET /v1/status HTTP/1.0\r\n\r\n")
	n, err := io.Copy(io.Discard, c)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		fmt.Println("not hung up on:", err)
		os.Exit(1)
	}
	fmt.Printf("uid %d is hung up on, %d bytes\n", os.Getuid(), n)
	os.Exit(0)
}
