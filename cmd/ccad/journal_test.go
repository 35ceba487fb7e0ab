package main

import (
	"bytes"
	"log/slog"
	"testing"
)

func TestJournal(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(&journal{w: &out, level: slog.LevelInfo})
	log.Debug("not seen")
	log.Info("ready", "state", "locked", "socket", "/run/a b")
	log.Warn("two\nlines", "error", "x\ny")
	log.Error("alone")
	want := "<6>ready state=locked socket=\"/run/a b\"\n<4>two lines error=\"x\\ny\"\n<3>alone\n"
	if got := out.String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
