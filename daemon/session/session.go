// Package session is about the process that ccad is: who may look into it, what
// it inherits, and how it is replaced by a fresh image of itself.
//
// Locking is done by that replacement: Go leaves copies of secrets all over its
// heap and in net/http's pooled buffers, and no wiping gets them all. A new
// address space has none. The listening socket, the locks on our folders and
// the connection that asked for the lock pass through, so no request is refused
// and the answer to "lock" comes from the new image: it proves that the old
// memory is gone. The Gate drains the listener first; http.Server.Shutdown
// would drop requests that it has read but not yet begun.
//
// What stays: freed pages are not zeroed before their reuse unless the kernel
// runs with init_on_free=1, and whatever clients were given is theirs.
package session

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

func noCore() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core files: %w", err)
	}
	return nil
}

// kept is what the daemon may find in its environment. Proxies, credentials and
// library switches of whoever started it have no say in where a secret goes.
var kept = []string{
	"HOME", "USER", "LOGNAME", "PATH", "LANG", "LC_ALL", "TZ", "TMPDIR",
	"XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME",
	"DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS", "GNUPGHOME", "GPG_TTY", "PASSWORD_STORE_DIR",
	"CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
	"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "INVOCATION_ID", "JOURNAL_STREAM",
	"GOMAXPROCS", "GOMEMLIMIT", "GORACE", "GOCOVERDIR", // not GODEBUG, which weakens TLS
}

// ScrubEnvironment drops every variable that is not kept, but for ours (CCAD_).
// Nor does SSL_CERT_FILE name who is trusted: the system does, or the authority
// that a person gave.
func ScrubEnvironment() {
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if !slices.Contains(kept, name) && !strings.HasPrefix(name, "CCAD_") {
			_ = os.Unsetenv(name)
		}
	}
}
