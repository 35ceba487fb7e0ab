package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"
)

// table prints rows in columns. A cell may come from the cloud, so it is made
// plain. The last column may be coloured: nothing is aligned behind it.
type table struct{ w *tabwriter.Writer }

func newTable(w io.Writer) table { return table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)} }

func (t table) row(cells ...string) {
	for i, cell := range cells[:len(cells)-1] {
		if cells[i] = plain(cell); cells[i] == "" {
			cells[i] = "-"
		}
	}
	_, _ = fmt.Fprintln(t.w, strings.Join(cells, "\t"))
}

// head is a row of headings above names that are signed.
func (t table) head(cells ...string) {
	if colourful() {
		cells[0] = "  " + cells[0]
	}
	_, _ = fmt.Fprintln(t.w, strings.Join(cells, "\t"))
}

func (t table) flush() error { return t.w.Flush() }

// colourful reports whether stdout is a terminal that has colours, and whose owner
// likes them.
func colourful() bool {
	has := os.Getenv("TERM")
	return os.Getenv("NO_COLOR") == "" && has != "" && has != "dumb" && term.IsTerminal(int(os.Stdout.Fd()))
}

// coloured shows a state: green what is well, red what is not, yellow what is
// between. Without colours it is the word alone.
func coloured(state string) string {
	state = plain(state)
	if !colourful() {
		return state
	}
	colour := "33"
	switch state {
	case "ok":
		colour = "32"
	case "refused", "locked-out", "locked", "failed":
		colour = "31"
	case "none", "":
		return state
	}
	return "\x1b[" + colour + "m" + state + "\x1b[0m"
}

// signed puts a state's sign before a name, for people on a terminal: what is
// wrong is then seen without reading.
func signed(state, name string) string {
	if !colourful() {
		return name
	}
	sign := "!"
	switch state {
	case "ok":
		sign = "✓"
	case "refused", "locked-out":
		sign = "✗"
	case "none", "":
		sign = "·"
	}
	return sign + " " + name
}

// shortKey is a key of 32 characters by its first eight, on a terminal.
func shortKey(key string) string {
	if !colourful() || len(key) <= 12 {
		return key
	}
	return key[:8] + "…"
}

func bold(text string) string {
	if !colourful() {
		return text
	}
	return "\x1b[1m" + text + "\x1b[0m"
}

// mark is a check's sign at the head of a line: for people on a terminal a
// coloured one, else a word.
func mark(ok bool) string {
	switch {
	case !colourful() && ok:
		return "ok   "
	case !colourful():
		return "WRONG"
	case ok:
		return "\x1b[32m✓\x1b[0m"
	}
	return "\x1b[31m✗\x1b[0m"
}

// arrow stands before the command that mends what was just told.
func arrow() string {
	if colourful() {
		return "→ "
	}
	return "mend: "
}

// relative says how far a time is from now.
func relative(t *time.Time, now time.Time) string {
	if t == nil || t.IsZero() {
		return "never"
	}
	if d := now.Sub(*t); d >= 0 {
		return span(d) + " ago"
	}
	return "in " + span(t.Sub(now))
}

// span is a duration in its largest unit.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}

// size is a number of bytes in its largest unit.
func size(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/1000, 0
	for value >= 999.95 && unit < 4 {
		value, unit = value/1000, unit+1
	}
	return fmt.Sprintf("%.1f %cB", value, "kMGTP"[unit])
}
