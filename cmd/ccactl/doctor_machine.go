package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/cloud-ca/ccad/ipc"
)

func now() time.Time { return time.Now() }

// checkKeyring: it exists, is open, and its store can be read.
func checkKeyring(x examination) []finding {
	const check = "keyring"
	d := x.status.Daemon
	switch {
	case x.err != nil:
		return nil
	case strings.HasPrefix(d.Unreadable, "ccad has to be restarted"):
		return []finding{wrong(check, restartAdvice(d.PID), "%s", d.Unreadable)}
	case strings.HasPrefix(d.Unreadable, "unlock the keyring"):
		return []finding{wrong(check, keyringAdvice(d), "%s", d.Unreadable)}
	case d.Older:
		return []finding{wrong(check, "ccactl unlock --accept-older", "%s", d.Unreadable)}
	case d.Unreadable != "":
		return []finding{wrong(check, restoreAdvice(ipc.DataDir()), "%s", d.Unreadable)}
	case d.Fresh:
		return []finding{wrong(check, "ccactl unlock", "there is none yet, the first passphrase makes it")}
	case d.Locked:
		return []finding{wrong(check, "ccactl unlock", "the %s keyring is locked", d.Keyring)}
	case d.Keyring == "keyctl":
		return []finding{wrong(check, "ccactl backup FILE now; a lasting keyring is chosen in config.toml before the first use", "keyctl forgets everything at the next restart of this machine")}
	}
	return fine(check, "the %s keyring is open", d.Keyring)
}

// keyringAdvice says what opens the store of a keyring that is damaged: nothing but
// that keyring does. A copy of the folder has it.
func keyringAdvice(d ipc.Daemon) string {
	dir, again := ipc.DataDir(), restartAdvice(d.PID)
	anew := fmt.Sprintf("begin anew: mv %[1]s %[1]s.unreadable; %[2]s; ccactl restore FILE", shellWord(dir), again)
	if d.Keyring != "file" {
		return anew
	}
	return fmt.Sprintf("put keyring.json and keyring/ back into %s from a copy of that folder; or %s", dir, anew)
}

// restoreAdvice says how the youngest predecessor takes the place of a store
// that can't be read. The store itself is kept beside.
func restoreAdvice(dir string) string {
	store := filepath.Join(dir, "store.age")
	for n := 1; n <= 5; n++ {
		before := fmt.Sprintf("%s.%d", store, n)
		if info, err := os.Lstat(before); err == nil && info.Mode().IsRegular() {
			return fmt.Sprintf("stop ccad; mv %[1]s %[1]s.unreadable; cp -p %[2]s %[1]s; start ccad; ccactl unlock --accept-older (the copy is of %[3]s)",
				store, before, info.ModTime().Format(time.DateTime))
		}
	}
	return "ccactl restore FILE brings back a backup, into a new keyring; no predecessor of the store is left"
}

// checkBus: keyrings of the desktop are asked over D-Bus, which a service at
// boot or a shell over SSH may not have.
func checkBus(x examination) []finding {
	const check = "D-Bus"
	if k := x.status.Daemon.Keyring; x.err != nil || k != "secret-service" && k != "kwallet" {
		return nil
	}
	address := os.Getenv("DBUS_SESSION_BUS_ADDRESS")
	if address == "" {
		address = "unix:path=" + filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "bus")
	}
	path, isPath := strings.CutPrefix(strings.Split(address, ",")[0], "unix:path=")
	if info, err := os.Stat(path); isPath && (err != nil || info.Mode().Type() != fs.ModeSocket) {
		return []finding{wrong(check, "log in on the desktop, or loginctl enable-linger and a D-Bus user session (package dbus-user-session)",
			"the %s keyring needs a session bus, and none listens at %s", x.status.Daemon.Keyring, path)}
	}
	return fine(check, "a session bus is there for the %s keyring", x.status.Daemon.Keyring)
}

// A clock that is off by more than this will soon be off by too much: S3
// refuses signatures at 15 minutes.
const skewLimit = time.Minute

func checkClock(x examination) []finding {
	if !x.open() {
		return nil
	}
	if x.status.Daemon.ClockSkew == nil {
		return fine("clock", "not compared yet: no cloud has answered since ccad was started or unlocked")
	}
	skew := time.Duration(*x.status.Daemon.ClockSkew) * time.Second
	way := "behind"
	if skew < 0 {
		way, skew = "ahead of", -skew
	}
	if skew > skewLimit {
		return []finding{wrong("clock", "sudo timedatectl set-ntp true", "this machine's clock is %s %s the cloud's; S3 refuses requests at 15 minutes", span(skew), way)}
	}
	return fine("clock", "it goes with the cloud's")
}

// checkFolders: what holds sealed secrets, or the socket, is open to nobody
// else, and nobody else can write what we believe.
func checkFolders(examination) (found []finding) {
	const check = "permissions"
	folders := []string{filepath.Dir(ipc.SocketPath()), ipc.DataDir(), ipc.StateDir()}
	for _, folder := range folders {
		found = append(found, loose(check, folder, true)...)
		entries, _ := os.ReadDir(folder)
		for _, e := range entries {
			found = append(found, loose(check, filepath.Join(folder, e.Name()), true)...)
		}
	}
	for _, path := range []string{filepath.Dir(ipc.ConfigPath()), ipc.ConfigPath(), ipc.DefaultPath()} {
		found = append(found, loose(check, path, false)...)
	}
	if len(found) == 0 {
		return fine(check, "nobody else can enter %s", strings.Join(slices.Compact(folders), ", "))
	}
	return found
}

// loose finds a path that others can write, or a private one that is open to them
// at all, or one that is not ours. What is not there is fine.
func loose(check, path string, private bool) []finding {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() == fs.ModeSymlink {
		return nil
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Getuid() {
		return []finding{wrong(check, "sudo chown $(id -u) "+shellWord(path), "%s belongs to another user (uid %d)", path, stat.Uid)}
	}
	open, mend := ipc.OthersMayWrite(path, info), "chmod go-w "
	if private {
		open, mend = info.Mode().Perm()&0o077 != 0, "chmod go-rwx "
	}
	if !open {
		return nil
	}
	return []finding{wrong(check, mend+shellWord(path), "%s is open to others (mode %04o)", path, info.Mode().Perm())}
}

// checkProgram: shells and people find ccactl by its name.
func checkProgram(examination) []finding {
	self, err := os.Executable()
	if err != nil {
		return nil
	}
	found, err := exec.LookPath("ccactl")
	if err != nil {
		return []finding{wrong("program", `export PATH="$PATH:`+filepath.Dir(self)+`" in your shell's rc file`, "ccactl is in no folder of PATH")}
	}
	if real(found) != real(self) {
		return []finding{wrong("program", "remove the one that you do not want", "PATH finds %s, and this is %s", found, self)}
	}
	return fine("program", "PATH finds %s", found)
}

func real(path string) string {
	if to, err := filepath.EvalSymlinks(path); err == nil {
		return to
	}
	return path
}

// shellWord quotes what a shell would not take as one word.
func shellWord(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_./-+=:@%,", r)
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
