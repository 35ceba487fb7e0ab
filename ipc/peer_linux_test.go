package ipc

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestPeerNobodyKnows: where the kernel does not say who is on the other end, it is
// nobody of ours, though it is. A child whose kernel does not is asked.
func TestPeerNobodyKnows(t *testing.T) {
	if os.Getenv("CCAD_TEST_UNTOLD") != "" {
		withholdPeers(t)
		path, accepted := listening(t)
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := peerOf(c.(*net.UnixConn)); err == nil {
			t.Fatal("the kernel tells it all the same")
		}
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		if n, err := c.Read(make([]byte, 1)); n != 0 || os.IsTimeout(err) {
			t.Errorf("not hung up on: %d bytes, %v", n, err)
		}
		if len(accepted) != 0 {
			t.Error("it was accepted")
		}
		return
	}
	c := exec.Command("/proc/self/exe", "-test.run", "^TestPeerNobodyKnows$")
	c.Env = append(os.Environ(), "CCAD_TEST_UNTOLD=1")
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// withholdPeers has the kernel refuse SO_PEERCRED to this process, for good.
func withholdPeers(t *testing.T) {
	t.Helper()
	const number, option = 0, 16 + 2*8 // in seccomp_data: the call, the low half of its third argument
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: number},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_GETSOCKOPT, Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: option},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SO_PEERCRED, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread()
	err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	if err == nil {
		if _, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program))); e != 0 {
			err = fmt.Errorf("seccomp: %w", e)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}
