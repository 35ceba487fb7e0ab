package daemon_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/ipc"
)

// A reach is the way to one of the many daemons that tests run side by side: its
// socket, and what stands beside it.
type reach struct {
	*testing.T
	socket string
}

// parallel are the tests that run beside others; alone says of one that it may not.
var parallel sync.Map

func alone(t *testing.T) { parallel.Store(t, true) }

// newReach makes a folder for a socket. Its test runs beside others from here on:
// most of them wait, for files to settle, for the second to end or for a cloud
// that hangs.
func newReach(t *testing.T) reach {
	t.Helper()
	if _, already := parallel.LoadOrStore(t, true); !already {
		t.Parallel()
	}
	run, err := os.MkdirTemp("", "cc") // short: a socket's path has 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(run) })
	return reach{t, filepath.Join(run, "ccad", "ccad.sock")}
}

// folder makes a daemon's, and in it a keyring whose passphrase is words: one of
// the least Argon2id that a keyring may have, since under the race detector the
// usual one is most of what a test works.
func (r reach) folder() string {
	r.Helper()
	dir := r.TempDir()
	data := filepath.Join(dir, "data")
	err := os.CopyFS(data, os.DirFS("testdata/quick"))
	if err == nil {
		err = filepath.WalkDir(data, func(path string, e fs.DirEntry, err error) error {
			mode := fs.FileMode(0o600)
			if err == nil && e.IsDir() {
				mode = 0o700
			}
			return errors.Join(err, os.Chmod(path, mode))
		})
	}
	if err != nil {
		r.Fatal(err)
	}
	return dir
}

// at is a context whose requests go there.
func (r reach) at(ctx context.Context) context.Context { return ipc.At(ctx, r.socket) }

func (r reach) get(path string) (body []byte, warnings []string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	warnings, err = ipc.Do(r.at(ctx), "GET", path, nil, &body)
	return body, warnings, err
}

func (r reach) try(method, path string, in, out any) error {
	_, err := ipc.Do(r.at(context.Background()), method, path, in, out)
	return err
}

func (r reach) do(method, path string, in, out any) {
	r.Helper()
	if err := r.try(method, path, in, out); err != nil {
		r.Fatalf("%s %s: %v", method, path, err)
	}
}

// raw sends bytes and returns the answer's.
func (r reach) raw(request string) string {
	c, err := net.Dial("unix", r.socket)
	if err != nil {
		r.Error(err)
		return ""
	}
	defer func() { _ = c.Close() }()
	_, _ = io.WriteString(c, request)
	answer, _ := io.ReadAll(c)
	return string(answer)
}

// generations is the folder of the generations.
func (r reach) generations() string { return filepath.Join(filepath.Dir(r.socket), "gen") }

// units is where systemd asks.
func (r reach) units() string { return filepath.Join(filepath.Dir(r.socket), ipc.CredentialsName) }
