package daemon_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/ipc"
)

// After kill -9 anybody may cut off lines that no checkpoint knows. What can't be
// vouched for is said, for good; after a lock or a clean end there is nothing to say.
func TestTrailAfterAKill(t *testing.T) {
	c := newChild(t, "")
	trail := filepath.Join(c.dir, "state", "audit.jsonl")
	again := func() {
		t.Helper()
		c = startChild(c.reach, c.dir, "")
		c.unlock()
	}
	vouched := func(notes ...string) {
		t.Helper()
		var report ipc.LogReport
		c.do("GET", "/v1/log/verify", nil, &report)
		if !report.Intact || len(report.Notes) != len(notes) {
			t.Errorf("%+v, want notes %q", report, notes)
			return
		}
		for i, note := range notes {
			if !strings.Contains(report.Notes[i], note) {
				t.Errorf("%q, want %q", report.Notes[i], note)
			}
		}
	}
	ask := func() {
		t.Helper()
		var backup []byte
		c.do("POST", "/v1/backup", ipc.BackupRequest{Passphrase: "p"}, &backup)
	}
	c.unlock()
	ask()
	c.lock()
	c.unlock()
	ask()
	c.end()
	again()
	vouched()

	kept := bytes.Count(trailLines(t, trail), []byte("\n"))
	for range 3 {
		ask()
	}
	vouched() // which writes what waits in memory
	_ = c.cmd.Process.Kill()
	<-c.done
	cut := bytes.Join(bytes.SplitAfter(trailLines(t, trail), []byte("\n"))[:kept], nil)
	if err := os.WriteFile(trail, cut, 0o600); err != nil {
		t.Fatal(err)
	}
	again()
	last := fmt.Sprint("lines after line ", kept, " may be missing")
	vouched(last)
	ask()
	c.lock()
	c.unlock()
	vouched(last)
	c.end()
}

func trailLines(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
