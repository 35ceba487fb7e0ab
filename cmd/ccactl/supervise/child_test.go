package supervise

import (
	"os"
	"strings"
	"testing"
	"time"
)

// The next start comes once all is gone that the one before had started, not when
// only the command itself is.
func TestWhatItStartedEndsFirst(t *testing.T) {
	w := begin(t, `trap 'say term; exit 0' TERM
test $START = 1 || { say next; exit 0; }
(trap 'while ! test -e "$FILE.end"; do sleep 0.01; done; say late; exit' TERM; say child; while :; do sleep 0.01; done) &
while :; do sleep 0.01; done`, 0)
	w.reads("child")
	w.change()
	w.reads("child", "term")
	w.waits(glance)
	if err := os.WriteFile(w.file+".end", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.end()
	w.reads("child", "term", "late", "next")
}

// What it started and does not listen is killed at the end of the grace, before
// the next start.
func TestWhatItStartedIsKilled(t *testing.T) {
	w := begin(t, `trap 'say term; exit 0' TERM
test $START = 1 || { kill -0 $(cat "$FILE.pid") && say alive || say dead; exit 0; }
sh -c 'trap "" TERM; echo $$ >"$FILE.pid"; echo child >>"$FILE"; while :; do sleep 0.01; done' &
while :; do sleep 0.01; done`, 0)
	w.reads("child")
	w.change()
	w.reads("child", "term")
	w.waits(glance)
	w.timers[grace] <- time.Time{}
	w.end()
	w.reads("child", "term", "dead")
	if len(w.said) != 1 || !strings.Contains(w.said[0], "what sh started does not end within 10s: it is killed") {
		t.Errorf("said %q", w.said)
	}
}
