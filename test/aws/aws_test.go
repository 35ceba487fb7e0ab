// Package aws_test runs S3 clients of today through the gateway to a real
// Swift, in the region that is documented and that none of them accepts: both
// AWS CLIs, boto3, the SDKs for Go and JavaScript, rclone, restic and s3cmd. It
// is a module of its own, so that ccad's does not need the AWS SDK.
//
// CCAD_LAB names a lab that is up (test/lab/cloud.sh). A client that is not
// installed fails its test, unless CCAD_TEST_PARTIAL=1 says that leaving
// something out is known and wanted.
package aws_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/pem"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/gateway"
	"github.com/cloud-ca/ccad/test/lab"
)

// vaultKey stands for the vault's gateway key.
var vaultKey = []byte("a key of the vault for gateway keys")

// A world is a user of the lab, and a gateway in front of it.
type world struct {
	lab     *lab.Lab
	user    lab.User
	project string // id
	url     string // of the gateway
	home    string // of the clients
	Pair    account.KeyPair

	mu      sync.Mutex
	binding gateway.Binding
	records []gateway.Record
	// rejected is asked for a newer key; nil: there is none.
	rejected func(gateway.Binding) (gateway.Binding, bool)
}

// newWorld makes a user with one project and key, and starts a gateway.
func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldBy(t, func(url string) account.Endpoint { return account.Endpoint{URL: url} })
}

// newWorldBy is newWorld with the way from the gateway to the lab's S3.
func newWorldBy(t testing.TB, way func(url string) account.Endpoint) *world {
	t.Helper()
	if os.Getenv("CCAD_LAB") == "" {
		t.Skip("CCAD_LAB is unset: make test sets it")
	}
	w := &world{lab: lab.Start(t, lab.Options{}), home: t.TempDir()}
	w.user = w.lab.NewUser(t, "gateway")
	for _, w.project = range w.user.Projects {
	}
	key := w.lab.CreateKey(t, w.user.Name, w.project)
	w.binding = gateway.Binding{ID: account.NewID(), Epoch: 1, Version: 1,
		S3:   account.S3{Endpoint: way(w.lab.S3URL), Region: w.lab.Region},
		Keys: account.KeyPair{AccessKeyID: key.Access, Secret: account.NewSecret(key.Secret)}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.url = "http://" + l.Addr().String()
	g := gateway.New(gateway.Options{
		Hosts:    []string{l.Addr().String()},
		Key:      func() []byte { return vaultKey },
		Bind:     w.bind,
		Rejected: w.ask,
		Done:     func(r gateway.Record) { w.mu.Lock(); w.records = append(w.records, r); w.mu.Unlock() },
	})
	server := g.Server()
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close(); g.Close() })
	w.Pair = gateway.MintKey(vaultKey, w.binding.ID, 1, time.Now().Add(time.Hour))
	return w
}

// overTLS puts TLS in front of a server, as a provider's load balancer does; what
// is inside it stays as it is.
func overTLS(t testing.TB, url string) account.Endpoint {
	t.Helper()
	lender := httptest.NewTLSServer(nil)
	certificate := lender.TLS.Certificates[0]
	lender.Close()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			front, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				back, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
				if err != nil {
					_ = front.Close()
					return
				}
				go func() { _, _ = io.Copy(back, front); _ = back.Close() }()
				_, _ = io.Copy(front, back)
				_ = front.Close()
			}()
		}
	}()
	return account.Endpoint{URL: "https://" + l.Addr().String(), CA: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}))}
}

func (w *world) bind(id string) (gateway.Binding, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if id != w.binding.ID {
		return gateway.Binding{}, gateway.ErrUnknown
	}
	return w.binding, nil
}

func (w *world) ask(_ context.Context, b gateway.Binding) (gateway.Binding, bool) {
	if w.rejected == nil {
		return gateway.Binding{}, false
	}
	return w.rejected(b)
}

// env is what a client's process gets: nothing of ours but the gateway key.
func (w *world) env(more ...string) []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.home, "LANG=C.UTF-8",
		"AWS_ACCESS_KEY_ID=" + w.Pair.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + w.Pair.Secret.Reveal(),
		"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=" + filepath.Join(w.home, "config"), "AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(w.home, "none"),
		"PYENV_ROOT=" + pyenvRoot(), "CCAD_TEST_URL=" + w.url,
	}, more...)
}

// pyenvRoot keeps pyenv's shims working under another HOME.
func pyenvRoot() string {
	if root := os.Getenv("PYENV_ROOT"); root != "" {
		return root
	}
	return filepath.Join(os.Getenv("HOME"), ".pyenv")
}

// A client runs a program in a folder with an environment.
type client struct {
	t     *testing.T
	dir   string
	env   []string
	argv  []string      // before what run is given
	limit time.Duration // of one run
}

// try runs the program; what it wrote comes back, and whether it succeeded.
func (c client) try(args ...string) (stdout, stderr string, ok bool) {
	c.t.Helper()
	limit := c.limit
	if limit == 0 {
		limit = 2 * time.Minute
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), limit)
	defer cancel()
	argv := append(append([]string{}, c.argv...), args...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = c.dir, c.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if ctx.Err() != nil {
		c.t.Fatalf("%q still ran after %s\n%s%s", args, limit, &out, &errs)
	}
	return out.String(), errs.String(), err == nil
}

// run is try of what must succeed.
func (c client) run(args ...string) string {
	c.t.Helper()
	stdout, stderr, ok := c.try(args...)
	if !ok {
		c.t.Fatalf("%q failed\n%s%s", args, stdout, stderr)
	}
	return stdout
}

// need finds a program by one of its names, or ends the test.
func need(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	leaveOut(t, "there is no "+strings.Join(names, " or "))
	return ""
}

func leaveOut(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("CCAD_TEST_PARTIAL") == "1" {
		t.Skip("LEFT OUT: " + reason)
	}
	t.Fatal(reason + " (CCAD_TEST_PARTIAL=1 leaves such tests out)")
}

// file writes a file of n random bytes and returns its path and content.
func file(t testing.TB, dir, name string, n int) (string, []byte) {
	t.Helper()
	data := make([]byte, n)
	_, _ = rand.Read(data)
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, data
}

// same checks that a file holds data.
func same(t testing.TB, path string, data []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, data) {
		t.Errorf("%s came back as %d bytes that differ from the %d sent", filepath.Base(path), len(got), len(data))
	}
}

func contains(t testing.TB, what, got string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %q:\n%s", what, want, got)
		}
	}
}
