// Package stale reads where a secret that is in force no more may still lie:
// the environments of the user's own processes, his dotfiles and shell
// histories, and files that are named to it. It returns words and their places
// and judges none of them: which words were secrets once only the daemon knows.
//
//	processes, files ─▶ guard (files.go) ─▶ words ─▶ Word{place, text}
//
// A word is what could be a value: what stands between spaces and quotes, what
// stands behind the first "=" or ":" of a line or of an environment variable, and
// what shells, YAML and JSON read where quotes are. So a secret that is cut up (by
// an editor's wrapping, in an encoding such as base64) or is of less than six
// characters is not found.
package stale

import "strings"

// A Word is something that could be a secret, and where it stands.
type Word struct {
	Text  string
	Place Place
}

// A Place is a line of a file, or a variable of a process.
type Place struct {
	File     string // absolute; "" for a process
	Line     int
	PID      int
	Program  string
	Variable string
}

// What is shorter or longer is no secret of ours.
const (
	minWord = 6
	maxWord = 4096
)

// Lines returns the words of a file's text.
func Lines(file, text string) (words []Word) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		for _, word := range candidates(line) {
			words = append(words, Word{word, Place{File: file, Line: n}})
		}
	}
	return words
}

// candidates returns the words of one line, each once.
func candidates(line string) (words []string) {
	seen := map[string]bool{}
	add := func(word string) {
		if len(word) >= minWord && len(word) <= maxWord && !seen[word] {
			seen[word] = true
			words = append(words, word)
		}
	}
	line = strings.TrimSpace(line)
	for _, separator := range []string{"=", ":"} {
		if _, value, ok := strings.Cut(line, separator); ok {
			add(strings.TrimSpace(value))
		}
	}
	for field := range strings.FieldsFuncSeq(line, func(r rune) bool { return r == ' ' || r == '\t' || r == '"' || r == '\'' || r == ',' || r == ';' }) {
		add(field)
		for _, separator := range []string{"=", ":"} {
			if _, value, ok := strings.Cut(field, separator); ok {
				add(value)
			}
		}
	}
	if !strings.ContainsAny(line, "'\"\\") {
		return words
	}
	for i := range len(line) {
		if i == 0 || strings.IndexByte(" \t=:,{[(", line[i-1]) >= 0 {
			for _, word := range meanings(line[i:min(len(line), i+2*maxWord)]) {
				add(word)
			}
		}
	}
	return words
}
