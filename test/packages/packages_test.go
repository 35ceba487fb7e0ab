// Package packages builds what people install, and looks at it as they and
// their distributions do: twice the same bytes, no error of lintian's, an rpm
// that rpm takes, a formula whose commands work.
package packages

import (
	"bytes"
	"debug/elf"
	"debug/macho"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// run runs a command from the root of the project.
func run(t testing.TB, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = "../..", append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// built are the packages for amd64, which every test of this process looks at.
var built = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("/var/tmp", "ccad-packages.")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("packaging/package.sh", folder, "amd64")
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		return folder, fmt.Errorf("%w\n%s", err, out)
	}
	return folder, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if folder, _ := built(); folder != "" {
		_ = os.RemoveAll(folder)
	}
	os.Exit(code)
}

// file returns the built package of a format: deb or rpm.
func file(t testing.TB, format string) string {
	t.Helper()
	folder, err := built()
	if err != nil {
		t.Fatalf("build the packages: %v", err)
	}
	found, err := filepath.Glob(filepath.Join(folder, "*."+format))
	if err != nil || len(found) != 1 {
		t.Fatalf("packages: %v, %v", found, err)
	}
	return found[0]
}

// The same commit makes the same bytes, whatever the folder, the umask, the
// time zone and the hour.
func TestReproducible(t *testing.T) {
	again := t.TempDir()
	run(t, []string{"TZ=Asia/Tokyo", "LC_ALL=C.UTF-8"}, "sh", "-c", `umask 077; exec packaging/package.sh "$1" amd64`, "sh", again)
	for _, format := range []string{"deb", "rpm"} {
		first := file(t, format)
		a, err := os.ReadFile(first)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(again, filepath.Base(first)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("two builds of the %s differ", format)
		}
	}
}

func TestLintian(t *testing.T) {
	out := run(t, nil, "lintian", "--allow-root", "--fail-on", "error,warning", file(t, "deb"))
	if strings.Contains(out, "W: ") || strings.Contains(out, "E: ") {
		t.Error(out)
	}
}

// ours are the files that a package may not lack, with their modes.
var ours = map[string]string{
	"/usr/bin/ccad":                                    "-rwx--x--x",
	"/usr/bin/ccactl":                                  "-rwxr-xr-x",
	"/usr/lib/systemd/user/ccad.service":               "-rw-r--r--",
	"/usr/lib/systemd/user/ccad.socket":                "-rw-r--r--",
	"/usr/share/man/man1/ccad.1.gz":                    "-rw-r--r--",
	"/usr/share/man/man1/ccactl-rotate.1.gz":           "-rw-r--r--",
	"/usr/share/bash-completion/completions/ccactl":    "-rw-r--r--",
	"/usr/share/fish/vendor_completions.d/ccactl.fish": "-rw-r--r--",
	"/usr/share/doc/ccad/config.toml":                  "-rw-r--r--",
	"/usr/share/doc/ccad/copyright":                    "-rw-r--r--",
	"/usr/share/doc/ccad/licences-of-modules.gz":       "-rw-r--r--",
}

func TestContents(t *testing.T) {
	for format, list := range map[string]string{
		"deb": run(t, nil, "dpkg-deb", "-c", file(t, "deb")),
		"rpm": run(t, nil, "rpm", "-qlvp", file(t, "rpm")),
	} {
		zsh := map[string]string{"deb": "/usr/share/zsh/vendor-completions/_ccactl", "rpm": "/usr/share/zsh/site-functions/_ccactl"}[format]
		want := map[string]string{zsh: "-rw-r--r--"}
		for path, mode := range ours {
			want[path] = mode
		}
		for line := range strings.Lines(list) {
			fields := strings.Fields(line)
			path := strings.TrimPrefix(fields[len(fields)-1], ".")
			owner := strings.ReplaceAll(strings.Join(fields[1:], " "), "/", " ")
			if !strings.Contains(" "+owner, " root root ") {
				t.Errorf("%s: %s is not root's: %s", format, path, line)
			}
			if mode, ok := want[path]; ok && mode != fields[0] {
				t.Errorf("%s: %s has mode %s, want %s", format, path, fields[0], mode)
			}
			if strings.HasPrefix(path, "/etc") || strings.Contains(path, "ccad-gateway") {
				t.Errorf("%s holds %s", format, path)
			}
			delete(want, path)
		}
		for path := range want {
			t.Errorf("%s lacks %s", format, path)
		}
	}
}

// rpm takes the package into a root of its own; it needs nothing of the machine.
func TestRPM(t *testing.T) {
	root := t.TempDir()
	run(t, nil, "rpm", "--root", root, "--initdb")
	run(t, nil, "rpm", "--root", root, "-i", "--noscripts", "--nodeps", "--ignoreos", file(t, "rpm"))
	if out := run(t, nil, "rpm", "--root", root, "-V", "--noscripts", "--nodeps", "ccad"); strings.TrimSpace(out) != "" {
		t.Error(out)
	}
	if out := run(t, nil, filepath.Join(root, "usr/bin/ccactl"), "version"); !strings.Contains(out, "ccactl") {
		t.Error(out)
	}
	for line := range strings.Lines(run(t, nil, "rpm", "-qRp", file(t, "rpm"))) {
		if !strings.HasPrefix(line, "rpmlib(") && !strings.HasPrefix(line, "/bin/sh") {
			t.Errorf("the rpm requires %s", line)
		}
	}
}

// The programs need no library: they run on any Linux of their architecture.
func TestStatic(t *testing.T) {
	root := t.TempDir()
	run(t, nil, "dpkg-deb", "-x", file(t, "deb"), root)
	for _, name := range []string{"ccad", "ccactl"} {
		f, err := elf.Open(filepath.Join(root, "usr/bin", name))
		if err != nil {
			t.Fatal(err)
		}
		if libraries, err := f.ImportedLibraries(); err != nil || len(libraries) > 0 || f.Type != elf.ET_EXEC {
			t.Errorf("%s: type %v, libraries %v, %v", name, f.Type, libraries, err)
		}
		_ = f.Close()
	}
}

// What `make check` vets for macOS links, too.
func TestDistribution(t *testing.T) {
	folder := t.TempDir()
	run(t, nil, "packaging/dist.sh", folder, "darwin/arm64")
	found, err := filepath.Glob(filepath.Join(folder, "*-darwin-arm64.tar.gz"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	run(t, nil, "tar", "-xzf", found[0], "-C", folder, "--strip-components=1")
	for _, name := range []string{"ccad", "ccactl"} {
		f, err := macho.Open(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if f.Cpu != macho.CpuArm64 || f.Type != macho.TypeExec {
			t.Errorf("%s: %v %v", name, f.Cpu, f.Type)
		}
		_ = f.Close()
	}
	for _, path := range []string{"LICENSE", "README.md", "config.toml", "share/man/man1/ccad.1"} {
		if _, err := os.Stat(filepath.Join(folder, path)); err != nil {
			t.Error(err)
		}
	}
}

// The formula's install and test are run as Ruby code with the few words of
// Homebrew that they use. Homebrew itself is not here.
func TestFormula(t *testing.T) {
	prefix := t.TempDir()
	out := run(t, []string{"PREFIX=" + prefix}, "ruby", "test/packages/testdata/brew.rb", "packaging/homebrew/ccad.rb")
	var files []string
	err := filepath.WalkDir(prefix, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, strings.TrimPrefix(path, prefix+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"bin/ccad", "bin/ccactl", "share/man/man1/ccad.1", "share/man/man1/ccactl.1", "completions/bash", "completions/pwsh", "share/doc/ccad/config.toml"} {
		if !slices.Contains(files, path) {
			t.Errorf("the formula does not install %s; it does %v\n%s", path, files, out)
		}
	}
}
