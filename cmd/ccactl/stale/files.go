package stale

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// maxFile is the size of the largest file that is read: a long shell history.
const maxFile = 8 << 20

// usual are the files, relative to the home folder, in which people keep
// credentials or leave them behind.
var usual = []string{
	".aws/credentials", ".aws/config", ".s3cfg", ".boto", ".passwd-s3fs", ".config/rclone/rclone.conf", ".rclone.conf",
	".config/openstack/clouds.yaml", ".config/openstack/secure.yaml", "clouds.yaml", ".env",
	"*openrc*", "Downloads/*openrc*", "Downloads/clouds.yaml", ".config/openstack/*openrc*", ".config/restic/*", ".netrc",
	".profile", ".bash_profile", ".bashrc", ".zshenv", ".zshrc", ".zprofile", ".config/fish/config.fish", ".config/environment.d/*.conf",
	".bash_history", ".zsh_history", ".histfile", ".local/share/fish/fish_history", ".python_history", ".lesshst", ".viminfo",
}

// named are the variables that name another file, moved those that move a whole
// folder, for what is usually below it.
var (
	named = []string{"HISTFILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "RCLONE_CONFIG", "OS_CLIENT_CONFIG_FILE", "PYTHON_HISTORY"}
	moved = []struct{ variable, below string }{{"XDG_CONFIG_HOME", ".config/"}, {"XDG_DATA_HOME", ".local/share/"}, {"ZDOTDIR", ""}}
)

// places returns the usual files that there are, wherever variables have them.
func places(home string, getenv func(string) string) (paths []string) {
	for _, pattern := range usual {
		found, _ := filepath.Glob(filepath.Join(home, pattern))
		paths = append(paths, found...)
		for _, m := range moved {
			rest, below := strings.CutPrefix(pattern, m.below)
			if folder := getenv(m.variable); folder != "" && below && (m.below != "" || strings.HasPrefix(pattern, ".z")) {
				found, _ := filepath.Glob(filepath.Join(folder, rest))
				paths = append(paths, found...)
			}
		}
	}
	for _, variable := range named {
		if path := getenv(variable); filepath.IsAbs(path) {
			paths = append(paths, path)
		}
	}
	return paths
}

// Files returns the words of the usual files of a home folder and of more files.
// What is not there, or a folder, is no error; unread names what is there and is
// not a regular file of this user, or too large.
func Files(home string, getenv func(string) string, more []string) (words []Word, unread []string) {
	paths := append(places(home, getenv), more...)
	slices.Sort(paths)
	for _, path := range slices.Compact(paths) {
		text, err := read(path)
		switch {
		case errors.Is(err, os.ErrNotExist), errors.Is(err, errFolder):
		case err != nil:
			unread = append(unread, path)
		default:
			words = append(words, Lines(path, text)...)
		}
	}
	return words, unread
}

var (
	errNotOurs = errors.New("not a regular file of this user")
	errFolder  = errors.New("a folder")
)

// read reads a regular file of ours. It follows links (dotfiles often are), and
// never waits: a FIFO is opened without blocking, and refused.
func read(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if info.IsDir() {
		return "", errFolder
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !info.Mode().IsRegular() || info.Size() > maxFile || !ok || int(owner.Uid) != os.Getuid() {
		return "", errNotOurs
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile))
	return string(data), err
}
