package main

import (
	"os"
	"os/exec"
	"path/filepath"
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
	}
	groff, err := exec.LookPath("groff")
	if err != nil {
		return
	}
	pages, _ := filepath.Glob(filepath.Join(dir, "*.1"))
	for _, page := range append(pages, "../../packaging/man/ccad.1") {
		if out, err := exec.Command(groff, "-k", "-man", "-Tutf8", "-ww", "-z", page).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v: %s", page, err, out)
		}
	}
}

// A verb without an example or a long text still says more than its name.
func TestVerbsDescribeThemselves(t *testing.T) {
	var each func(c *cobra.Command)
	each = func(c *cobra.Command) {
		if len(strings.Fields(c.Short)) < 2 {
			t.Errorf("%s is described as %q", c.CommandPath(), c.Short)
		}
		for _, sub := range c.Commands() {
			each(sub)
		}
	}
	each(root())
}
