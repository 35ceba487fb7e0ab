package story

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"testing"
	"time"
)

// make demo runs by itself to its end, where a reset heals in front of the
// newcomer: the open shell drops the dead password, and has the new one. Before,
// the machine's own AWS CLI has worked with the documented region.
func TestDemo(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "make", "--no-print-directory", "-C", "../..", "demo")
	cmd.Env = append(os.Environ(), "NO_COLOR=1", "TMPDIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	seen := regexp.MustCompile(`(?s)7\. An administrator resets.*OS_PASSWORD has 7 characters\n` +
		`.*refused by the cloud.*OS_PASSWORD is unset\n.*healed after \d+ ms.*works again\n.*OS_PASSWORD has 16 characters\n` +
		`.*\nsystem .* ok\n.*openrc-dev:1: a former password.*all as they were written\n`)
	listed := regexp.MustCompile(`(?s)which it refuses by itself\n.*\nmake_bucket: demo\n.*\nupload: .* hello\n.*5\. `)
	if there, err := condition("prog:aws"); err != nil {
		t.Error(err)
	} else if there && !listed.Match(out) {
		t.Errorf("the AWS CLI does not work in it:\n%s", out)
	}
	if !seen.Match(out) {
		t.Errorf("the demo does not end as it is to:\n%s", out)
	}
	if left, _ := os.ReadDir(cmd.Env[len(cmd.Env)-1][len("TMPDIR="):]); len(left) > 0 {
		t.Errorf("it leaves %v", left)
	}
}
