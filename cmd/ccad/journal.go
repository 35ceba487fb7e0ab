package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// newLog returns the daemon's log: JSON for whoever collects it, lines for
// people where systemd's journal has it.
func newLog(level slog.Leveler) *slog.Logger {
	if toJournal(os.Stderr) {
		return slog.New(&journal{w: os.Stderr, level: level})
	}
	return slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

// toJournal reports whether a file is the journal (systemd.exec(5), JOURNAL_STREAM).
func toJournal(f *os.File) bool {
	var st unix.Stat_t
	return unix.Fstat(int(f.Fd()), &st) == nil && os.Getenv("JOURNAL_STREAM") == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}

// journal writes a line a record as journald reads it: <priority>message
// key=value (sd-daemon(3)). The time and the program are journald's own.
type journal struct {
	mu    sync.Mutex
	w     io.Writer
	level slog.Leveler
}

// Enabled implements slog.Handler.
func (j *journal) Enabled(_ context.Context, l slog.Level) bool { return l >= j.level.Level() }

// Handle implements slog.Handler.
func (j *journal) Handle(ctx context.Context, r slog.Record) error {
	priority := 7
	switch {
	case r.Level >= slog.LevelError:
		priority = 3
	case r.Level >= slog.LevelWarn:
		priority = 4
	case r.Level >= slog.LevelInfo:
		priority = 6
	}
	var pairs bytes.Buffer
	bare := func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
			return slog.Attr{}
		}
		return a
	}
	err := slog.NewTextHandler(&pairs, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: bare}).Handle(ctx, r)
	if err != nil {
		return err
	}
	line := fmt.Appendf(nil, "<%d>%s %s", priority, strings.ReplaceAll(r.Message, "\n", " "), pairs.Bytes())
	j.mu.Lock()
	defer j.mu.Unlock()
	_, err = j.w.Write(append(bytes.TrimRight(line, " \n"), '\n'))
	return err
}

// WithAttrs implements slog.Handler; ccad's log has no standing attributes.
func (j *journal) WithAttrs([]slog.Attr) slog.Handler { return j }

// WithGroup implements slog.Handler; ccad's log has no groups.
func (j *journal) WithGroup(string) slog.Handler { return j }
