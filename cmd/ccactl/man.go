//go:build man

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// Built with the tag man, "ccactl man FOLDER" writes the man pages of all verbs,
// and does nothing else. The program that people get has neither the verb nor
// what it links.
func init() {
	if len(os.Args) != 3 || os.Args[1] != "man" {
		return
	}
	c := root()
	c.DisableAutoGenTag = true
	keepLines(c)
	if err := doc.GenManTree(c, &doc.GenManHeader{Title: "CCACTL", Section: "1", Source: "ccad", Manual: "ccad"}, os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "ccactl:", err)
		os.Exit(1)
	}
	page := filepath.Join(os.Args[2], "ccactl.1")
	text, err := os.ReadFile(page)
	if err == nil {
		text = bytes.Replace(text, []byte(".SH SYNOPSIS\n\\fBccactl\\fP"), []byte(".SH SYNOPSIS\n\\fBccactl\\fP \\fIVERB\\fP [\\fIWORD\\fP...]"), 1)
		err = os.WriteFile(page, append(bytes.TrimRight(text, "\n"), ", \\fBccad(1)\\fP\n"...), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "ccactl:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// keepLines makes of each indented line of the verbs' descriptions one that
// stays as it is: of less than four spaces the pages' maker knows no code.
func keepLines(c *cobra.Command) {
	c.Long = strings.ReplaceAll(c.Long, "\n  ", "\n      ")
	for _, sub := range c.Commands() {
		keepLines(sub)
	}
}
