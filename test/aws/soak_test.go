//go:build soak

package aws_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
)

// TestSoakLargeObject sends an object over 5 GiB up and down through the gateway
// with the AWS CLI, in parts. Nothing of it is on disk but in Swift.
func TestSoakLargeObject(t *testing.T) {
	w := newWorld(t)
	const size = 5<<30 + 12345
	aws := func(args ...string) *exec.Cmd {
		cmd := exec.Command(need(t, "aws"), append([]string{"--endpoint-url", w.url, "s3"}, args...)...)
		cmd.Env, cmd.Stderr = w.env(), os.Stderr
		return cmd
	}
	if err := aws("mb", "s3://large").Run(); err != nil {
		t.Fatal(err)
	}
	sent := sha256.New()
	up := aws("cp", "-", "s3://large/object", "--expected-size", "5368721465", "--no-progress")
	up.Stdin = io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{1}), size), sent)
	if err := up.Run(); err != nil {
		t.Fatal(err)
	}
	down := aws("cp", "s3://large/object", "-", "--no-progress")
	got := sha256.New()
	down.Stdout = got
	if err := down.Run(); err != nil {
		t.Fatal(err)
	}
	if a, b := hex.EncodeToString(sent.Sum(nil)), hex.EncodeToString(got.Sum(nil)); a != b {
		t.Errorf("sent %s, got %s", a, b)
	}
	if err := aws("rb", "s3://large", "--force").Run(); err != nil {
		t.Error(err)
	}
}

// TestSoakRotateUnderLoad is TestRotateUnderLoad in its real time: the shortest
// lease that the configuration takes, and clients as they are.
func TestSoakRotateUnderLoad(t *testing.T) {
	rotateUnderLoad(t, "", "16m", 1)
}
