package configure

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestTwice: what AWS clients refuse a whole file for is told, each with its line.
func TestTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config")
	for text, want := range map[string][]Warning{
		"[default]\nregion = x\n[a]\nregion = x\n": nil,
		"[default]\nregion = x\n[a]\n[default]\n":  {{File: path, Line: 4, Text: "[default] comes twice, which makes AWS clients fail on the whole file"}},
		"[a]\nregion = x\nRegion = y\n":            {{File: path, Line: 3, Text: "Region comes twice, which makes AWS clients fail on the whole file"}},
		"\ufeff[a]\nregion = x\n":                  {{File: path, Line: 1, Text: "a byte order mark makes AWS clients fail on the whole file"}},
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Traps(path); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}
