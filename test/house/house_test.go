// Package house holds the rules of the house that a machine can keep: who may
// import whom, one architecture page per package, sizes, the verb table's order.
package house

import (
	"bufio"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/cloud-ca/ccad/"

// arrows is who may import whom of ours, downward only.
var arrows = map[string][]string{
	"cmd/ccad":              {"cmd/ccad/service", "daemon", "daemon/session", "daemon/vault/busguard", "ipc"},
	"cmd/ccad/service":      {"daemon", "daemon/account", "daemon/vault", "ipc", "packaging"},
	"cmd/ccactl":            {"cmd/ccactl/configure", "cmd/ccactl/render", "cmd/ccactl/shell", "cmd/ccactl/stale", "cmd/ccactl/supervise", "ipc"},
	"cmd/ccactl/configure":  {},
	"cmd/ccactl/render":     {"ipc"},
	"cmd/ccactl/shell":      {},
	"cmd/ccactl/stale":      {},
	"cmd/ccactl/supervise":  {},
	"ipc":                   {},
	"packaging":             {},
	"daemon":                {"daemon/account", "daemon/audit", "daemon/cloud", "daemon/cloudsfile", "daemon/gateway", "daemon/rotate", "daemon/session", "daemon/source", "daemon/vault", "daemon/view", "daemon/watch", "ipc"},
	"daemon/account":        {},
	"daemon/audit":          {},
	"daemon/cloud":          {"daemon/account"},
	"daemon/cloudsfile":     {},
	"daemon/gateway":        {"daemon/account"},
	"daemon/watch":          {"ipc"},
	"daemon/rotate":         {"daemon/account", "daemon/cloud", "daemon/vault"},
	"daemon/session":        {},
	"daemon/source":         {"daemon/account"},
	"daemon/vault":          {"daemon/account", "daemon/vault/busguard"},
	"daemon/vault/busguard": {},
	"daemon/view":           {"daemon/account"},
}

// loggers may log; no other room has a logger, and so none can log a secret.
// account only describes itself to slog, and the gateway silences net/http.
var loggers = []string{"cmd/ccad", "cmd/ccactl", "daemon", "daemon/account", "daemon/gateway"}

// wellKnown are methods whose interface, of the standard library, documents them.
var wellKnown = []string{"Close", "Error", "Read", "ReadFrom", "String", "Unwrap", "Write", "WriteTo"}

// The limits of size, in lines.
const (
	maxFile     = 400
	maxFunction = 80
)

func TestArrows(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "../../cmd/...", "../../ipc/...", "../../daemon/...", "../../packaging").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		words := strings.Fields(line)
		pkg := strings.TrimPrefix(words[0], module)
		allowed, known := arrows[pkg]
		if !known {
			t.Errorf("%s has no line in the table", pkg)
		}
		for _, imported := range words[1:] {
			if room, ours := strings.CutPrefix(imported, module); ours && !slices.Contains(allowed, room) {
				t.Errorf("%s imports %s", pkg, room)
			}
			if (imported == "log" || imported == "log/slog") && !slices.Contains(loggers, pkg) {
				t.Errorf("%s imports %s", pkg, imported)
			}
		}
	}
}

// parsed walks all Go files of the product.
func parsed(t *testing.T, each func(path string, fset *token.FileSet, f *ast.File)) {
	t.Helper()
	for _, top := range []string{"cmd", "ipc", "daemon"} {
		err := filepath.WalkDir("../../"+top, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
			if err != nil {
				return err
			}
			each(strings.TrimPrefix(path, "../../"), fset, f)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// ARCHITECTURE.md names each room, and none that is gone.
func TestArchitectureNamesEachRoom(t *testing.T) {
	data, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	parsed(t, func(path string, _ *token.FileSet, _ *ast.File) {
		if room := filepath.Dir(path); !strings.Contains(page, "`"+room+"`") {
			t.Errorf("it does not name %s", room)
		}
	})
	for _, m := range regexp.MustCompile("`((?:cmd|daemon|ipc|packaging|test)(?:/[a-z.]+)*)`").FindAllStringSubmatch(page, -1) {
		if _, err := os.Stat("../../" + m[1]); err != nil {
			t.Errorf("it names %s: %v", m[1], err)
		}
	}
}

func TestOnePageEach(t *testing.T) {
	pages := map[string][]string{}
	parsed(t, func(path string, _ *token.FileSet, f *ast.File) {
		dir := filepath.Dir(path)
		if _, ok := pages[dir]; !ok {
			pages[dir] = nil
		}
		if f.Doc != nil {
			pages[dir] = append(pages[dir], path)
		}
	})
	for dir, docs := range pages {
		if len(docs) != 1 {
			t.Errorf("%s has %d package comments: %v", dir, len(docs), docs)
		}
	}
}

func TestEverythingExportedIsDocumented(t *testing.T) {
	parsed(t, func(path string, fset *token.FileSet, f *ast.File) {
		for _, decl := range f.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc == nil && !slices.Contains(wellKnown, d.Name.Name) {
					t.Errorf("%s: %s has no comment", fset.Position(d.Pos()), d.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if ts, ok := spec.(*ast.TypeSpec); ok && ts.Name.IsExported() && d.Doc == nil && ts.Doc == nil {
						t.Errorf("%s: %s has no comment", fset.Position(ts.Pos()), ts.Name.Name)
					}
				}
			}
		}
		_ = path
	})
}

func TestSizes(t *testing.T) {
	parsed(t, func(path string, fset *token.FileSet, f *ast.File) {
		if n := fset.Position(f.End()).Line; n > maxFile {
			t.Errorf("%s has %d lines: is there an idea inside that wants a name?", path, n)
		}
		for _, decl := range f.Decls {
			if d, ok := decl.(*ast.FuncDecl); ok {
				if n := fset.Position(d.End()).Line - fset.Position(d.Pos()).Line + 1; n > maxFunction {
					t.Errorf("%s: %s has %d lines", fset.Position(d.Pos()), d.Name.Name, n)
				}
			}
		}
	})
}

func TestVerbTableIsSorted(t *testing.T) {
	f, err := os.Open("../../daemon/serve.go")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var patterns []string
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), "\t{\""); ok {
			pattern, _, _ := strings.Cut(rest, "\"")
			pattern, _, _ = strings.Cut(pattern, "?") // the parameters that it knows
			patterns = append(patterns, pattern)
		}
	}
	if len(patterns) < 15 || !slices.IsSorted(patterns) {
		t.Errorf("the verb table is not sorted: %q", patterns)
	}
}

func TestModule(t *testing.T) {
	data, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(data), "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "replace") {
			t.Errorf("go.mod replaces: %s", line)
		}
		// CVE-2023-50658 and CVE-2025-63811 are in what the keyring library asks for by itself.
		if version, ok := strings.CutPrefix(strings.TrimSpace(line), "github.com/dvsekhvalnov/jose2go "); ok && !strings.HasPrefix(version, "v1.11.") {
			t.Errorf("jose2go is %s", version)
		}
	}
	// The guard against a stray dbus-daemon runs before the keyring library only
	// while our module sorts before golang.org.
	if !strings.HasPrefix(string(data), "module github.com/") {
		t.Error("the module's path must sort before golang.org")
	}
}
