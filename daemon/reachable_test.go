package daemon

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/cloud-ca/ccad/daemon/session"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/ipc"
)

// TestReachable: whoever removes the socket, or its folder, keeps nobody from ccad
// for long, and a socket that systemd made is systemd's.
func TestReachable(t *testing.T) {
	top, err := os.MkdirTemp("", "ccad") // a socket's address is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(top) })
	folder := filepath.Join(top, "run")
	lock, err := vault.LockFolder(folder)
	if err != nil {
		t.Fatal(err)
	}
	d := &Daemon{
		Options: Options{Socket: filepath.Join(folder, "ccad.sock"), Log: slog.New(slog.NewTextHandler(io.Discard, nil))},
		image:   context.Background(),
		locks:   []*os.File{lock},
		made:    true,
	}
	gate := func(name string) (*session.Gate, string) {
		path := filepath.Join(folder, name)
		l, err := ipc.Listen(path)
		if err != nil {
			t.Fatal(err)
		}
		g := session.NewGate(l)
		server := &http.Server{ConnState: g.ConnState}
		go func() { _ = server.Serve(g) }()
		t.Cleanup(func() { _ = server.Close() })
		return g, path
	}
	var units string
	d.gate, _ = gate("ccad.sock")
	d.credentials.gate, units = gate(ipc.CredentialsName)
	answers := func(path string) bool {
		t.Helper()
		if err := d.listenAnew(); err != nil {
			t.Error(err)
		}
		c, err := net.Dial("unix", path)
		if err != nil {
			return false
		}
		defer c.Close()
		_, _ = io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
		_, err = c.Read(make([]byte, 1))
		return err == nil
	}
	for name, path := range map[string]string{"nothing": filepath.Join(top, "nothing"), "socket": d.Socket, "credentials": units, "folder": folder, "socket once more": d.Socket} {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		if !answers(d.Socket) || !answers(units) {
			t.Errorf("%s removed: nobody answers", name)
		}
		if info, err := os.Stat(d.Socket); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s removed: %v, %v", name, info, err)
		}
		if _, err := vault.LockFolder(folder); err == nil {
			t.Errorf("%s removed: the folder has another owner", name)
		}
	}
	d.made = false
	if err := os.Remove(d.Socket); err != nil {
		t.Fatal(err)
	}
	if answers(d.Socket) {
		t.Error("it takes systemd's place")
	}
	d.made = true
	d.gate.Shut()
	_ = d.gate.Close()
	if answers(d.Socket) {
		t.Error("it answers though it ends")
	}
}
