// Command record runs commands on a terminal and draws what was seen as an SVG
// that plays by itself: record COLUMNS <commands >terminal.svg. A line of its
// input is a command; "# text" is shown and not run. Questions are answered as a
// person would who agrees to everything.
package main

import (
	"bufio"
	"fmt"
	"html"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/creack/pty"
)

// The looks of the terminal.
const (
	fontSize   = 14
	lineHeight = 19
	charWidth  = 8.43
	margin     = 16
	pause      = 1.2  // seconds before a command is typed
	perLine    = 0.12 // seconds from a line to the next
	hold       = 8.0  // seconds that the whole is shown, before it begins anew
)

var colours = map[string]string{"31": "#f47067", "32": "#57ab5a", "33": "#c69026", "1": "#ffffff"}

// A line is shown from a moment on; its text has the terminal's colours.
type line struct {
	at   float64
	text string
}

func main() {
	columns, err := strconv.Atoi(strings.Join(os.Args[1:], ""))
	if err != nil {
		fail(fmt.Errorf("usage: record COLUMNS <commands"))
	}
	var lines []line
	at := 0.0
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		command := in.Text()
		at += pause
		lines = append(lines, line{at, "\x1b[1m$ " + command + "\x1b[0m"})
		if strings.HasPrefix(command, "#") {
			lines[len(lines)-1].text = "\x1b[33m" + command + "\x1b[0m"
			continue
		}
		at += pause / 2
		seen, err := run(command, columns)
		if err != nil {
			fail(fmt.Errorf("%s: %w\n%s", command, err, seen))
		}
		for _, text := range strings.Split(strings.TrimRight(seen, "\n"), "\n") {
			at += perLine
			lines = append(lines, line{at, text})
		}
		lines = append(lines, line{at, ""})
	}
	draw(os.Stdout, lines, columns, at+hold)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "record:", err)
	os.Exit(1)
}

// run runs a command on a terminal of its own and returns what that showed.
func run(command string, columns int) (string, error) {
	cmd := exec.Command("bash", "-c", command)
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 50, Cols: uint16(columns)})
	if err != nil {
		return "", err
	}
	defer func() { _ = tty.Close() }()
	out := converse(tty)
	seen := strings.ReplaceAll(string(out), "\r\n", "\n")
	seen = strings.ReplaceAll(seen, os.Getenv("HOME"), "~")
	return regexp.MustCompile("(?m)^.*\r(\x1b\\[K)?").ReplaceAllString(seen, ""), cmd.Wait()
}

// converse reads what the terminal shows until the command ends, and answers.
func converse(tty *os.File) (all []byte) {
	answers := map[*regexp.Regexp]string{
		regexp.MustCompile(`\[[a-z]+\] $`):                       "",
		regexp.MustCompile(`(?i)(passphrase|the same again): $`): "a passphrase of your own",
	}
	chunk := make([]byte, 4096)
	for {
		n, err := tty.Read(chunk)
		all = append(all, chunk[:n]...)
		for question, answer := range answers {
			if n > 0 && question.Match(all) {
				_, _ = fmt.Fprintln(tty, answer)
			}
		}
		if err != nil { // EIO when the command has ended
			return all
		}
	}
}

// draw writes the SVG: lines that appear, above a window that scrolls.
func draw(w io.Writer, lines []line, columns int, total float64) {
	const rows = 30
	width, height := 2*margin+float64(columns)*charWidth, 2*margin+rows*lineHeight
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %d" font-family="ui-monospace,Menlo,Consolas,monospace" font-size="%d">`+"\n", width, height, fontSize)
	fmt.Fprintf(w, "<title>ccactl in a terminal</title>\n<rect width=\"100%%\" height=\"100%%\" rx=\"8\" fill=\"#22272e\"/>\n")
	fmt.Fprintf(w, "<svg x=\"%d\" y=\"%d\" width=\"%.0f\" height=\"%d\"><g fill=\"#cdd9e5\">\n", margin, margin, width-2*margin, rows*lineHeight)
	var times, moves []string
	for i, l := range lines {
		if i >= rows {
			times = append(times, fmt.Sprintf("%.4f", l.at/total))
			moves = append(moves, fmt.Sprintf("0 %d", -(i+1-rows)*lineHeight))
		}
	}
	if len(moves) > 0 {
		fmt.Fprintf(w, `<animateTransform attributeName="transform" type="translate" calcMode="discrete" dur="%.1fs" repeatCount="indefinite" keyTimes="0;%s" values="0 0;%s"/>`+"\n",
			total, strings.Join(times, ";"), strings.Join(moves, ";"))
	}
	for i, l := range lines {
		if l.text == "" {
			continue
		}
		fmt.Fprintf(w, `<text y="%d" xml:space="preserve"><animate attributeName="visibility" calcMode="discrete" dur="%.1fs" repeatCount="indefinite" keyTimes="0;%.4f" values="hidden;visible"/>%s</text>`+"\n",
			(i+1)*lineHeight-5, total, l.at/total, spans(l.text, columns))
	}
	fmt.Fprint(w, "</g></svg>\n</svg>\n")
}

// spans turns the terminal's colours into the SVG's, and cuts a line at the edge.
func spans(text string, columns int) string {
	sgr := regexp.MustCompile("\x1b\\[([0-9;]*)m")
	var out strings.Builder
	colour, used := "", 0
	put := func(s string) {
		if n := utf8.RuneCountInString(s); used+n > columns {
			s = string([]rune(s)[:max(columns-used, 0)])
		}
		used += utf8.RuneCountInString(s)
		switch {
		case s == "":
		case colour == "":
			out.WriteString(html.EscapeString(s))
		default:
			fmt.Fprintf(&out, `<tspan fill="%s">%s</tspan>`, colour, html.EscapeString(s))
		}
	}
	end := 0
	for _, m := range sgr.FindAllStringSubmatchIndex(text, -1) {
		put(text[end:m[0]])
		colour, end = colours[text[m[2]:m[3]]], m[1]
	}
	put(text[end:])
	return out.String()
}
