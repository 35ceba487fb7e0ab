package daemon_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/cloud-ca/ccad/daemon"
)

// A daemon that is told to end while it starts leaves no socket behind that the
// next one would find answering.
func TestEndsAtOnce(t *testing.T) {
	r := newReach(t)
	dir := r.folder()
	config, err := daemon.LoadConfig(filepath.Join(dir, "config.toml"), false)
	if err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	for range 100 {
		err := daemon.Run(ended, daemon.Options{
			Binary: "/nonexistent", Socket: r.socket, DataDir: filepath.Join(dir, "data"), StateDir: filepath.Join(dir, "state"),
			Ready: io.Discard, Log: slog.New(slog.DiscardHandler), Config: config,
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(r.socket); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("the socket outlives its daemon: %v", err)
		}
	}
}
