package service

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/ipc"
)

// Where no systemd runs, a daemon that does all the same is named, and how it ends.
func TestUnmanaged(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "ccad", "ccad.sock")
	t.Setenv("CCAD_SOCKET", socket)
	if err := unmanaged(); !strings.HasSuffix(err.Error(), ": ccad run serves without one") {
		t.Errorf("with none: %v", err)
	}
	if err := os.Mkdir(filepath.Dir(socket), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := ipc.Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(ipc.ProtocolHeader, strconv.Itoa(ipc.Protocol))
		_, _ = io.WriteString(w, `{"daemon":{"pid":4711}}`)
	})}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	if err := unmanaged(); !strings.HasSuffix(err.Error(), ": it runs by itself, kill 4711 ends it and ccactl setup starts it") {
		t.Errorf("with one: %v", err)
	}
}
