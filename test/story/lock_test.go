package story

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/ipc"
)

// home starts a daemon with a home of its own and points this process's client
// at it.
func home(t *testing.T, binary string) (pid int, passphrase string) {
	t.Helper()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	run, err := os.MkdirTemp("", "cc")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", run)
	t.Setenv("CCAD_SOCKET", filepath.Join(run, "ccad", "ccad.sock"))
	for _, name := range []string{"CONFIG", "DATA", "STATE"} {
		t.Setenv("XDG_"+name+"_HOME", filepath.Join(dir, name))
	}
	passphrase = filepath.Join(dir, "passphrase")
	if err := os.WriteFile(passphrase, []byte("correct horse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(bin, binary), "run")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		_ = os.RemoveAll(run)
	})
	line := make([]byte, 256)
	if n, err := out.Read(line); err != nil || !strings.Contains(string(line[:n]), "ready") {
		t.Fatalf("no ready line: %q, %v", line[:n], err)
	}
	return cmd.Process.Pid, "correct horse"
}

func do(t *testing.T, method, path string, in, out any) {
	t.Helper()
	if _, err := ipc.Do(t.Context(), method, path, in, out); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
}

// mark is a password that is found in memory if it is anywhere.
const mark = "Mark7Qx2Zr9Lw4Vn8Kt3"

// TestLockForgets: unlocked, the password is all over the process's memory;
// locked, it is nowhere in it, and the process is the same one.
func TestLockForgets(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can read the daemon's memory")
	}
	pid, passphrase := home(t, "plain/ccad")
	do(t, "POST", "/v1/unlock", ipc.UnlockRequest{Passphrase: passphrase}, nil)
	do(t, "POST", "/v1/environments", ipc.AddRequest{Name: "dev", User: "u", Project: "p", Password: mark, NoVerify: true}, nil)
	for range 200 {
		if _, _, err := ipc.Get("/v1/environments/dev/views/env"); err != nil {
			t.Fatal(err)
		}
	}
	if n := marks(t, pid, mark); n == 0 {
		t.Fatal("the search finds no password in the memory of an unlocked daemon: it would find none in a locked one")
	}
	do(t, "POST", "/v1/lock", nil, nil)
	for _, secret := range []string{mark, passphrase} {
		if n := marks(t, pid, secret); n != 0 {
			t.Errorf("%d marks are left after the lock", n)
		}
	}
}

// marks counts a string in all readable memory of a process.
func marks(t *testing.T, pid int, what string) (n int) {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = mem.Close() }()
	buf := make([]byte, 1<<20)
	for _, line := range strings.Split(string(maps), "\n") {
		var from, to int64
		var mode string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); err != nil || mode[0] != 'r' || strings.Contains(line, "[v") {
			continue
		}
		for at := from; at < to; at += int64(len(buf)) - int64(len(what)) {
			size := min(int64(len(buf)), to-at)
			got, err := mem.ReadAt(buf[:size], at)
			if got == 0 && err != nil && !errors.Is(err, io.EOF) {
				break // a shadow page of the race detector, never written
			}
			n += bytes.Count(buf[:got], []byte(what))
			if size < int64(len(buf)) {
				break
			}
		}
	}
	return n
}

// TestLockRefusesNobody: while clients ask without pause, ccad locks and
// unlocks again and again; every request gets an answer.
func TestLockRefusesNobody(t *testing.T) {
	_, passphrase := home(t, "ccad")
	do(t, "POST", "/v1/unlock", ipc.UnlockRequest{Passphrase: passphrase}, nil)
	do(t, "POST", "/v1/environments", ipc.AddRequest{Name: "dev", User: "u", Project: "p", Password: mark, NoVerify: true}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	var answered, locked atomic.Int64
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for ctx.Err() == nil {
				_, _, err := ipc.Get("/v1/environments/dev/views/env")
				var failure *ipc.Error
				switch {
				case err == nil:
					answered.Add(1)
				case errors.As(err, &failure) && failure.Code == ipc.CodeLocked:
					locked.Add(1)
				default:
					t.Errorf("a request was not answered: %v", err)
					return
				}
			}
		})
	}
	var slowest time.Duration
	for range 10 {
		start := time.Now()
		do(t, "POST", "/v1/lock", nil, nil)
		slowest = max(slowest, time.Since(start))
		var s ipc.Status
		do(t, "GET", "/v1/status", nil, &s)
		if !s.Daemon.Locked {
			t.Error("the answer to lock came before the lock")
		}
		do(t, "POST", "/v1/unlock", ipc.UnlockRequest{Passphrase: passphrase}, nil)
	}
	cancel()
	clients.Wait()
	if answered.Load() == 0 || locked.Load() == 0 {
		t.Errorf("%d answers, %d while locked: the clients saw only one of both", answered.Load(), locked.Load())
	}
	t.Logf("%d answers, %d while locked, slowest lock %v", answered.Load(), locked.Load(), slowest)
}
