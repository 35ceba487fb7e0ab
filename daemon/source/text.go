package source

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A SyntaxError says that a file could not be read without guessing, and where.
// It holds nothing of the file's content.
type SyntaxError struct {
	File   string
	Line   int // 0: the file as a whole
	Reason string
	Empty  bool // it is well-formed, and holds nothing for ccad
}

// Error returns one line: file, line, reason.
func (e *SyntaxError) Error() string {
	return where(e.File, e.Line) + ": " + e.Reason
}

// unusable is the reason why an entry holds nothing for ccad although it is
// well-formed. A file with one entry turns it into a SyntaxError, a file with
// many into a note.
type unusable struct{ reason string }

func (u *unusable) Error() string { return u.reason }

// input is a file at work.
type input struct {
	File
	text         string // cleaned
	order        int    // its place among the files given
	insecureHTTP bool
}

// A place is a line of a file; line 0 is the file as a whole.
type place struct {
	in   *input
	line int
}

func (p place) String() string { return where(p.in.Path, p.line) }

// error makes a SyntaxError. The reason must be words of ours alone.
func (p place) error(reason string) *SyntaxError {
	return &SyntaxError{File: p.in.Path, Line: p.line, Reason: reason}
}

// where names a place in one line, whatever the path holds.
func where(path string, line int) string {
	switch {
	case path == "-":
		path = "standard input"
	case strings.ContainsFunc(path, func(r rune) bool { return !strconv.IsPrint(r) }):
		path = strconv.Quote(path)
	}
	if line == 0 {
		return path
	}
	return path + ":" + strconv.Itoa(line)
}

// clean returns the text of a file with plain line ends and without a byte
// order mark, and refuses what is no text.
func clean(in *input) (string, error) {
	data := in.Data
	if len(data) > MaxSize {
		return "", place{in, 0}.error("is larger than 1 MiB")
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return "", place{in, 0}.error("is UTF-16: save it as UTF-8")
	}
	text := strings.TrimPrefix(string(data), "\ufeff")
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if strings.TrimSpace(text) == "" {
		return "", place{in, 0}.error("is empty")
	}
	line := 1
	for i, r := range text {
		switch {
		case r == '\n':
			line++
		case r == utf8.RuneError && strings.HasPrefix(text[i:], "\ufffd"):
			// the replacement character itself, written as such
		case r == utf8.RuneError:
			return "", place{in, line}.error("is not UTF-8 text")
		case isControl(r) && r != '\t':
			return "", place{in, line}.error("holds a control character: it is no text file")
		}
	}
	return text, nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }
