package stale

import (
	"strconv"
	"strings"
)

// A dialect is what a backslash takes the meaning of within quotes of each kind.
// Outside it does of everything.
type dialect struct{ single, double string }

var (
	posix = dialect{"", "$`\"\\"} // and .env files
	fish  = dialect{`'\`, `$"\`}
)

// meanings returns what the word that a text begins with says to those who read
// quotes: shells, YAML and JSON.
func meanings(text string) []string {
	words := []string{posix.word(text), fish.word(text)}
	if quoted, err := strconv.QuotedPrefix(text); err == nil {
		word, _ := strconv.Unquote(quoted)
		words = append(words, word)
	}
	if rest, ok := strings.CutPrefix(text, "'"); ok { // YAML's, in which two are one
		word, _, _ := strings.Cut(strings.ReplaceAll(rest, "''", "\x00"), "'")
		words = append(words, strings.ReplaceAll(word, "\x00", "'"))
	}
	return words
}

// word reads a word as a shell does, but for what it would put in.
func (d dialect) word(text string) string {
	escaped := map[byte]string{'\'': d.single, '"': d.double}
	var word strings.Builder
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && i+1 < len(text) && (quote == 0 || strings.IndexByte(escaped[quote], text[i+1]) >= 0):
			i++
			word.WriteByte(text[i])
		case c == quote && quote != 0:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		case quote == 0 && strings.IndexByte(" \t;&|()<>", c) >= 0:
			return word.String()
		default:
			word.WriteByte(c)
		}
	}
	return word.String()
}
