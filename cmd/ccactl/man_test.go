package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every verb has a man page that names its flags, and groff reads them all.
func TestManPages(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("go", "run", "-tags", "man", ".", "man", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, c := range root().Commands() {
		if c.Name() == "help" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, "ccactl-"+c.Name()+".1"))
		if err != nil {
			t.Error(err)
			continue
		}
		page := strings.ReplaceAll(string(data), `\-`, "-")
		flags := strings.Fields(c.LocalNonPersistentFlags().FlagUsages())
		for _, word := range flags {
			if strings.HasPrefix(word, "--") && !strings.Contains(page, word) {
				t.Errorf("the page of %s does not name %s", c.Name(), word)
			}
		}
		for line := range strings.Lines(c.Long) { // a table is one in the page, too
			if strings.HasPrefix(line, "  ") && !strings.Contains(page, "\n"+line) {
				t.Errorf("the page of %s fills the line %q", c.Name(), line)
			}
		}
	}
	groff := shellOf(t, "groff")
	pages, _ := filepath.Glob(filepath.Join(dir, "*.1"))
	for _, page := range append(pages, "../../packaging/man/ccad.1") {
		if out, err := exec.Command(groff, "-k", "-man", "-Tutf8", "-ww", "-z", page).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v: %s", page, err, out)
		}
	}
}

// Every verb says in its help what its line does not, and shows how it is used
// with commands that there are.
func TestVerbsDescribeThemselves(t *testing.T) {
	top := root()
	var each func(c *cobra.Command)
	each = func(c *cobra.Command) {
		if len(strings.Fields(c.Short)) < 2 || c.Long == "" || c.Example == "" && c.Name() != "help" {
			t.Errorf("%s: short %q, long %q, example %q", c.CommandPath(), c.Short, c.Long, c.Example)
		}
		for line := range strings.Lines(c.Long + "\n" + c.Example) {
			if len([]rune(strings.TrimRight(line, "\n"))) > 100 {
				t.Errorf("%s: a line of its help is too long: %s", c.CommandPath(), line)
			}
		}
		for _, m := range regexp.MustCompile(`(?m)\bccactl ([a-z][a-z-]*)`).FindAllStringSubmatch(c.Example, -1) {
			if found, _, err := top.Find(m[1:2]); err != nil || found == top {
				t.Errorf("%s shows ccactl %s, which there is not", c.CommandPath(), m[1])
			}
		}
		for _, sub := range c.Commands() {
			each(sub)
		}
	}
	each(top)
}

// What the documents say of ccactl, it understands: its verbs, and their flags.
func TestDocumentsSayWhatThereIs(t *testing.T) {
	said := 0
	for _, name := range []string{"README.md", "SECURITY.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "packaging/config.toml"} {
		data, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("`ccactl ([a-z][^`]*)`|(?m)[:;] ccactl ([a-z ]+)$").FindAllStringSubmatch(string(data), -1) {
			said++
			words := strings.Fields(m[1] + m[2])
			top := root()
			c, rest, err := top.Find(words)
			if err == nil {
				err = c.ParseFlags(rest)
			}
			if err != nil && (err.Error() == "pflag: help requested" || strings.HasPrefix(err.Error(), "flag needs an argument")) {
				err = nil // named without its argument
			}
			if err != nil || c == top {
				t.Errorf("%s says %q: %v", name, m[0], err)
			}
		}
	}
	if said < 40 {
		t.Errorf("%d commands only", said)
	}
}
