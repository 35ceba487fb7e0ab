package stale

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// maxFile is the size of the largest file that is read: a long shell history.
const maxFile = 8 << 20

// usual are the files, relative to the home folder, in which people keep
// credentials or leave them behind.
var usual = []string{
	".aws/credentials", ".aws/config", ".s3cfg", ".boto", ".passwd-s3fs", ".config/rclone/rclone.conf", ".rclone.conf",
	".config/openstack/clouds.yaml", ".config/openstack/secure.yaml", "clouds.yaml", ".env",
	"*openrc*", "*.openrc", ".config/openstack/*openrc*", ".config/restic/*", ".netrc",
	".profile", ".bash_profile", ".bashrc", ".zshenv", ".zshrc", ".zprofile", ".config/fish/config.fish", ".config/environment.d/*.conf",
	".bash_history", ".zsh_history", ".histfile", ".local/share/fish/fish_history", ".python_history", ".lesshst", ".viminfo",
}

// Files returns the words of the usual files of a home folder and of more files.
// What is not there is no error; unread names what is there and is not a regular
// file of this user, or too large.
func Files(home string, more []string) (words []Word, unread []string) {
	var paths []string
	for _, pattern := range usual {
		found, _ := filepath.Glob(filepath.Join(home, pattern))
		paths = append(paths, found...)
	}
	paths = append(paths, more...)
	slices.Sort(paths)
	for _, path := range slices.Compact(paths) {
		text, err := read(path)
		switch {
		case errors.Is(err, os.ErrNotExist):
		case err != nil:
			unread = append(unread, path)
		default:
			words = append(words, lines(path, text)...)
		}
	}
	return words, unread
}

var errNotOurs = errors.New("not a regular file of this user")

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
	if owner, ok := info.Sys().(*syscall.Stat_t); !info.Mode().IsRegular() || info.Size() > maxFile || !ok || int(owner.Uid) != os.Getuid() {
		return "", errNotOurs
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile))
	return string(data), err
}
