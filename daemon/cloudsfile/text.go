package cloudsfile

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const bom = "\ufeff"

// legible refuses text with characters of which readers of YAML disagree whether
// they end a line or are there at all.
func legible(file, text string) error {
	if !utf8.ValidString(text) {
		return fmt.Errorf("%s is not UTF-8", file)
	}
	for i, r := range text {
		if control(r) && r != '\t' && r != '\n' && !strings.HasPrefix(text[i:], "\r\n") {
			return fmt.Errorf("%s:%d: a control character", file, 1+strings.Count(text[:i], "\n"))
		}
	}
	return nil
}

func control(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
}

// lines cuts text into lines that keep their ends, and says which end it uses.
func lines(text string) (all []string, end string) {
	all = strings.SplitAfter(text, "\n")
	if all[len(all)-1] == "" {
		all = all[:len(all)-1]
	}
	if len(all) > 0 && strings.HasSuffix(all[0], "\r\n") {
		return all, "\r\n"
	}
	return all, "\n"
}

// oneLine refuses a value that would not be one.
func oneLine(what, value string) error {
	if value != strings.TrimSpace(value) || strings.ContainsFunc(value, control) {
		return fmt.Errorf("the %s %q doesn't fit on a line", what, value)
	}
	return nil
}
