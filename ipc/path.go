package ipc

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// SocketPath returns where the daemon listens: $CCAD_SOCKET, else
// ccad/ccad.sock in $XDG_RUNTIME_DIR or /run/user/UID, else ccad/run/ccad.sock
// in the state home. It need not exist.
func SocketPath() string {
	if path := os.Getenv("CCAD_SOCKET"); path != "" {
		return absolute(path)
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "ccad", "ccad.sock")
	}
	if dir := "/run/user/" + strconv.Itoa(os.Getuid()); isFolder(dir) {
		return filepath.Join(dir, "ccad", "ccad.sock")
	}
	return filepath.Join(StateDir(), "run", "ccad.sock")
}

// CredentialsName is the name of the socket, beside the other, where the daemon
// answers systemd's LoadCredential=.
const CredentialsName = "credentials.sock"

// Companions returns the files beside path that are read together with it, which
// may not exist.
func Companions(path string) (beside []string) {
	dir, name := filepath.Split(path)
	for _, other := range completing(name) {
		beside = append(beside, filepath.Join(dir, other))
	}
	return beside
}

// completing are the names of files that complete one of that name.
func completing(name string) []string {
	switch name {
	case "clouds.yaml", "clouds.yml":
		return []string{"secure.yaml", "secure.yml"}
	case "secure.yaml", "secure.yml":
		return []string{"clouds.yaml", "clouds.yml"}
	case "credentials": // of ~/.aws, as the next
		return []string{"config"}
	case "config":
		return []string{"credentials"}
	}
	return nil
}

// GenerationFolder returns the folder with one file per environment that holds
// its generation; shells read it at every prompt. It lies beside the socket.
func GenerationFolder() string { return filepath.Join(filepath.Dir(SocketPath()), "gen") }

// ConfigPath returns where the optional configuration is.
func ConfigPath() string { return filepath.Join(configDir(), "config.toml") }

// DefaultPath returns the file that names the environment new shells start with.
func DefaultPath() string { return filepath.Join(configDir(), "default") }

func configDir() string { return home("XDG_CONFIG_HOME", ".config") }

// DataDir returns the folder of the sealed store and what the keyring needs.
func DataDir() string { return home("XDG_DATA_HOME", ".local/share") }

// StateDir returns the folder of the audit trail.
func StateDir() string { return home("XDG_STATE_HOME", ".local/state") }

// home returns our folder in one of the XDG base folders, on macOS in
// ~/Library/Application Support where the variable isn't set. A relative value
// is ignored, as the XDG specification says. Without a home the result is a
// folder that does not exist, never one that depends on where we were started;
// CheckHome says so before anything is made there.
func home(variable, base string) string {
	if dir := os.Getenv(variable); filepath.IsAbs(dir) {
		return filepath.Join(dir, "ccad")
	}
	if runtime.GOOS == "darwin" {
		base = "Library/Application Support"
	}
	return filepath.Join(Home(), base, "ccad")
}

// nowhere is the home of those who have none.
const nowhere = "/nonexistent"

// Home returns the user's home folder: $HOME, else what /etc/passwd says, which
// is read by hand since package os/user would cost every start.
func Home() string {
	if dir := os.Getenv("HOME"); filepath.IsAbs(dir) {
		return dir
	}
	data, _ := os.ReadFile("/etc/passwd")
	uid := strconv.Itoa(os.Getuid())
	for line := range strings.Lines(string(data)) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) == 7 && fields[2] == uid && filepath.IsAbs(fields[5]) {
			return fields[5]
		}
	}
	return nowhere
}

// CheckHome refuses to go on without a home folder, before anything is made.
func CheckHome() error {
	if dir := Home(); !isFolder(dir) {
		return fmt.Errorf("there is no home folder: HOME is %q, and %s is none", os.Getenv("HOME"), dir)
	}
	return nil
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// checkFolder refuses a folder that somebody else owns or can enter: a socket
// is listened on nowhere else.
func checkFolder(path string) error { return ownFolder(path, os.Getuid(), 0o077) }

// ownFolder refuses what is no folder of uid, or grants others a permission
// that is forbidden. A symbolic link is no folder.
func ownFolder(path string, uid int, forbidden fs.FileMode) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if info.Mode().Type() == fs.ModeSymlink {
		return fmt.Errorf("%s is a symbolic link and no folder", path)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is no folder", path)
	}
	if owner(info) != uid {
		return fmt.Errorf("the folder %s belongs to another user (uid %d)", path, owner(info))
	}
	if info.Mode().Perm()&forbidden != 0 {
		return fmt.Errorf("the folder %s is open to other users (mode %04o; chmod 700 closes it)", path, info.Mode().Perm())
	}
	return nil
}

// ownSocket refuses what is no socket of uid.
func ownSocket(path string, uid int) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is no socket", path)
	}
	if owner(info) != uid {
		return fmt.Errorf("the socket %s belongs to another user (uid %d)", path, owner(info))
	}
	return nil
}

// owner returns the uid that a file belongs to, -1 where the system tells none.
func owner(info fs.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return -1
}
