package session

import (
	"net"
	"os"
	"testing"
	"time"
)

func TestScrubEnvironment(t *testing.T) {
	for _, name := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR", "GODEBUG", "GOTRACEBACK", "HTTPS_PROXY", "LD_PRELOAD", "GOMEMLIMIT", "CCAD_SOCKET"} {
		t.Setenv(name, "x")
	}
	before := os.Environ()
	t.Cleanup(func() { // what the testing package itself needs
		for _, pair := range before {
			for i := range pair {
				if pair[i] == '=' && i > 0 {
					_ = os.Setenv(pair[:i], pair[i+1:])
					break
				}
			}
		}
	})
	ScrubEnvironment()
	for name, want := range map[string]bool{
		"SSL_CERT_FILE": false, "SSL_CERT_DIR": false, "GODEBUG": false, "GOTRACEBACK": false, "HTTPS_PROXY": false, "LD_PRELOAD": false,
		"GOMEMLIMIT": true, "CCAD_SOCKET": true, "PATH": true,
	} {
		if _, got := os.LookupEnv(name); got != want {
			t.Errorf("%s is kept: %v", name, got)
		}
	}
}

// A server that is told to end in the midst of a lock must be able to.
func TestShutGateCanBeClosed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := NewGate(l)
	ended := make(chan error, 1)
	go func() {
		_, err := g.Accept()
		ended <- err
	}()
	g.Shut()
	_ = g.Close()
	_ = g.Close()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("Accept returned a connection")
		}
	case <-time.After(10 * time.Second):
		t.Error("Accept never ends")
	}
}
