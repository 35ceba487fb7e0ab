package aws_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/gateway"
)

// TestMain is also the gateway and the relay of a benchmark, and the Go client of
// a rotation under load.
func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // net/http says there what Swift sends behind its answers to HEAD
	if os.Getenv("CCAD_TEST_GO_LOAD") != "" {
		goLoad()
		return
	}
	if to := os.Getenv("CCAD_TEST_RELAY"); to != "" {
		relay(to)
	}
	if os.Getenv("CCAD_TEST_GATEWAY") == "" {
		os.Exit(m.Run())
	}
	serveGateway()
}

// serveGateway is the gateway's process, for the binding that it is told.
func serveGateway() {
	var c struct{ ID, URL, Region, Access, Secret, Profile string }
	if err := json.NewDecoder(os.Stdin).Decode(&c); err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	if c.Profile != "" {
		f, err := os.Create(c.Profile)
		if err == nil {
			err = pprof.StartCPUProfile(f)
		}
		if err != nil {
			panic(err)
		}
	}
	b := gateway.Binding{ID: c.ID, Epoch: 1, S3: account.S3{Endpoint: account.Endpoint{URL: c.URL}, Region: c.Region},
		Keys: account.KeyPair{AccessKeyID: c.Access, Secret: account.NewSecret(c.Secret)}}
	g := gateway.New(gateway.Options{Hosts: []string{l.Addr().String()}, Key: func() []byte { return vaultKey },
		Bind: func(string) (gateway.Binding, error) { return b, nil }})
	fmt.Println(l.Addr())
	go func() { // until the parent ends
		_, _ = io.Copy(io.Discard, os.Stdin)
		pprof.StopCPUProfile()
		os.Exit(0)
	}()
	panic(g.Server().Serve(l))
}

// relay hands on bytes, in a process of its own: what it adds to a request, any
// process between a client and his server does.
func relay(to string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr())
	go func() { // until the parent ends
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	for {
		client, err := l.Accept()
		if err != nil {
			panic(err)
		}
		server, err := net.Dial("tcp", to)
		if err != nil {
			panic(err)
		}
		go func() { _, _ = io.Copy(client, server) }()
		go func() { _, _ = io.Copy(server, client) }()
	}
}

// gatewayProcess starts this binary as a gateway for a binding.
func gatewayProcess(b *testing.B, binding gateway.Binding, name string) pair {
	b.Helper()
	profile := ""
	if dir := os.Getenv("CCAD_BENCH_PROFILES"); dir != "" {
		profile = filepath.Join(dir, name+".prof")
	}
	told, err := json.Marshal(map[string]string{"ID": binding.ID, "URL": binding.S3.Endpoint.URL, "Region": binding.S3.Region,
		"Access": binding.Keys.AccessKeyID, "Secret": binding.Keys.Secret.Reveal(), "Profile": profile})
	if err != nil {
		b.Fatal(err)
	}
	process, url := between(b, "CCAD_TEST_GATEWAY=1", told)
	key := gateway.MintKey(vaultKey, binding.ID, 1, time.Now().Add(time.Hour))
	return pair{process: process, through: side{url, "us-east-1", key.AccessKeyID, key.Secret.Reveal(), benchClient(b)}}
}

// cpuOf is what a process has used so far, in ticks of 10 ms.
func cpuOf(tb testing.TB, pid int) time.Duration {
	tb.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		tb.Fatal(err)
	}
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// statusOf is a line of /proc/PID/status, in KiB.
func statusOf(tb testing.TB, pid int, line string) int {
	tb.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), line)
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// between starts this binary as what listens between client and server; told is
// its first input.
func between(b *testing.B, as string, told []byte) (pid int, url string) {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), as)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = stdin.Close(); _ = cmd.Wait() })
	if _, err := stdin.Write(told); err != nil {
		b.Fatal(err)
	}
	var address string
	if _, err := fmt.Fscanln(stdout, &address); err != nil {
		b.Fatal(err)
	}
	return cmd.Process.Pid, "http://" + address
}
