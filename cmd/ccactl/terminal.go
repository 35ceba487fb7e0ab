package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"unicode/utf8"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// secretLimit is far above every password and passphrase.
const secretLimit = 64 << 10

var (
	errNoTerminal = errors.New("there is no terminal to ask on")
	errNoAnswer   = errors.New("no answer was given") // Ctrl-D
	errDiffer     = errors.New("the two differ")
)

// attended reports whether somebody sits in front of us: only then is anything
// asked. A controlling terminal alone does not say so: a job that a session left
// running in the background has one.
func attended() bool {
	return term.IsTerminal(int(os.Stdin.Fd())) || term.IsTerminal(int(os.Stderr.Fd()))
}

// ask reads a secret from the terminal, hidden. Stdin stays free for data.
func ask(question string) (string, error) {
	secret, err := askHidden(question)
	if err != nil {
		return "", err
	}
	return checkSecret(secret)
}

// askOr is ask where an empty answer is one too: it means the preset, which stands
// in brackets.
func askOr(question, preset string) (string, error) {
	secret, err := askHidden(question + " [Enter: " + preset + "]")
	if err != nil || len(secret) == 0 {
		return "", err
	}
	return checkSecret(secret)
}

func askHidden(question string) ([]byte, error) {
	if !attended() {
		return nil, errNoTerminal
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, errNoTerminal
	}
	defer tty.Close()
	defer restoreOnSignal(tty)()
	bare := strings.TrimLeft(question, " ")
	secret, err := hidden(tty, question[:len(question)-len(bare)]+plain(bare)+": ")
	_, _ = fmt.Fprintln(tty)
	if err != nil {
		return nil, unanswered(err)
	}
	return secret, nil
}

// hidden asks for a line that is not shown, and asks once that is so: programs
// answer at once. Unlike term.ReadPassword it takes Ctrl-D for the end, and does
// not wait on.
func hidden(tty *os.File, question string) (line []byte, err error) {
	fd := int(tty.Fd())
	shown, err := unix.IoctlGetTermios(fd, ioctlGetTermios)
	if err != nil {
		return nil, err
	}
	quiet := *shown
	quiet.Lflag = quiet.Lflag&^unix.ECHO | unix.ICANON | unix.ISIG
	quiet.Iflag |= unix.ICRNL
	if err := unix.IoctlSetTermios(fd, ioctlSetTermios, &quiet); err != nil {
		return nil, err
	}
	defer func() { _ = unix.IoctlSetTermios(fd, ioctlSetTermios, shown) }()
	_, _ = io.WriteString(tty, question)
	some := make([]byte, 4096) // a terminal gives one line at a time
	for {
		n, err := tty.Read(some)
		line = append(line, some[:n]...)
		if whole, ok := bytes.CutSuffix(line, []byte("\n")); ok || err == io.EOF && len(line) > 0 {
			return whole, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// discard drops what was typed ahead of a question that is not asked any more.
func discard() {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer tty.Close()
	if state, err := unix.IoctlGetTermios(int(tty.Fd()), ioctlGetTermios); err == nil {
		_ = unix.IoctlSetTermios(int(tty.Fd()), ioctlSetTermiosFlush, state)
	}
}

func unanswered(err error) error {
	if errors.Is(err, io.EOF) {
		return errNoAnswer
	}
	return fmt.Errorf("read the answer: %w", err)
}

// shortPassphrase is what somebody who has the sealed file can try out: the
// stretching of a passphrase makes each try dear, not the tries fewer.
const shortPassphrase = 10 // characters

// tries is how often a person may mistype.
const tries = 3

// askNew asks for a new passphrase twice, and anew where the two differ: what
// somebody would type next must not go to his shell. A short one is taken, and
// called so.
func askNew(question string) (string, error) {
	indent := question[:len(question)-len(strings.TrimLeft(question, " "))]
	asked := question
	for range tries {
		first, err := ask(asked)
		if err != nil {
			return "", err
		}
		repeat := indent + "the same again"
		if utf8.RuneCountInString(first) < shortPassphrase {
			repeat += " (it is short: whoever has the file can guess it)"
		}
		again, err := ask(repeat)
		if err != nil || first == again {
			return again, err
		}
		asked = question + " (the two differ)"
	}
	discard()
	return "", errDiffer
}

// askLine reads a line from the terminal, shown; an empty one is the preset,
// which stands in brackets. It is setup's, and keeps to setup's margin.
func askLine(question, preset string) (string, error) {
	if !attended() {
		return "", errNoTerminal
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", errNoTerminal
	}
	defer tty.Close()
	if preset != "" {
		question += " [" + preset + "]"
	}
	_, _ = fmt.Fprint(tty, margin+strings.Join(wrapped(question), "\n"+margin)+" ")
	line := make([]byte, 4096) // a terminal gives one line at a time
	n, err := tty.Read(line)
	if err != nil {
		_, _ = fmt.Fprintln(tty)
		return "", unanswered(err)
	}
	if answer := string(bytes.TrimSpace(line[:n])); answer != "" {
		return answer, nil
	}
	return preset, nil
}

// goAhead asks whether to do what was warned of; no answer is a no.
func goAhead() (yes bool, err error) {
	if !attended() {
		return false, errNoTerminal
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return false, errNoTerminal
	}
	defer tty.Close()
	_, _ = fmt.Fprint(tty, "go ahead? [y/N] ")
	answer, err := bufio.NewReader(tty).ReadString('\n')
	return err == nil && strings.HasPrefix(strings.ToLower(strings.TrimSpace(answer)), "y"), nil
}

// What setup says stands behind a margin, and fits the narrowest usual terminal.
const (
	margin  = "   "
	columns = 80
)

// wrapped cuts what setup says into lines. Where nobody sits there it is one line,
// for logs.
func wrapped(text string) []string {
	if !attended() {
		return []string{plain(text)}
	}
	return cut(text, columns-1-len(margin))
}

// cut makes lines of a text, between its words, of at most that many characters.
func cut(text string, most int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(plain(text)) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > most {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// restoreOnSignal makes sure that a terminal whose echo is off gets it back
// when a signal ends us; the signal then does what it would have done.
func restoreOnSignal(tty *os.File) (stop func()) {
	state, err := term.GetState(int(tty.Fd()))
	if err != nil {
		return func() {}
	}
	signals, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	go func() {
		select {
		case s := <-signals:
			_ = term.Restore(int(tty.Fd()), state)
			_, _ = fmt.Fprintln(tty)
			if s == syscall.SIGQUIT { // of which Go would dump its stacks
				os.Exit(128 + int(syscall.SIGQUIT))
			}
			signal.Reset(s)
			_ = syscall.Kill(os.Getpid(), s.(syscall.Signal))
		case <-done:
		}
	}()
	return func() { signal.Stop(signals); close(done) }
}

// secretFrom reads a secret from stdin or a file: one final newline is dropped,
// nothing else.
func secretFrom(r io.Reader) (string, error) {
	data, err := io.ReadAll(io.LimitReader(r, secretLimit+2))
	if err != nil {
		return "", fmt.Errorf("read the secret: %w", err)
	}
	return checkSecret(bytes.TrimSuffix(data, []byte("\n")))
}

// checkSecret refuses what can't be one. JSON can't carry bytes that are no
// UTF-8: it would change them silently.
func checkSecret(data []byte) (string, error) {
	switch {
	case len(data) == 0:
		return "", usage("the secret is empty")
	case len(data) > secretLimit:
		return "", usage("the secret is longer than %d bytes", secretLimit)
	case !utf8.Valid(data):
		return "", usage("the secret is no UTF-8 text")
	case bytes.IndexByte(data, 0) >= 0:
		return "", usage("the secret holds a zero byte")
	}
	return string(data), nil
}

// given returns the secret from stdin where the flag says so, else asks. Flag
// names what to use where nobody can be asked.
func given(stdin bool, question, flag string) (string, error) {
	if stdin {
		return secretFrom(os.Stdin)
	}
	secret, err := ask(question)
	if errors.Is(err, errNoTerminal) {
		return "", usage("%v: use %s", err, flag)
	}
	return secret, err
}
