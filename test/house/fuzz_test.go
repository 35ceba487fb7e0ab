package house

import (
	"os"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/daemon/source"
)

// Each format that import reads has a fuzz target of its own.
func TestEachFormatIsFuzzed(t *testing.T) {
	text, err := os.ReadFile("../../daemon/source/fuzz_test.go")
	if err != nil {
		t.Fatal(err)
	}
	targets := strings.Split(string(text), "\nfunc Fuzz")[1:]
	for _, format := range source.Formats() {
		found := 0
		for _, target := range targets {
			found += strings.Count(target, `fuzz(f, "`+format+`"`)
		}
		if found != 1 {
			t.Errorf("%s has %d fuzz targets", format, found)
		}
	}
	if len(targets) != len(source.Formats()) {
		t.Errorf("%d fuzz targets for the formats %v", len(targets), source.Formats())
	}
}
