// Package busguard keeps a session bus from being started by accident.
//
// The keyring library connects to D-Bus in its package init. Where no session
// bus is known, its D-Bus library runs dbus-launch, whose dbus-daemon outlives
// us: one leaked process at every start. So this package's init names the bus
// before that one looks: the one in the runtime folder, else a dead address,
// which fails at once.
//
// It has to run first. Go initialises, of the packages whose imports are ready,
// the one whose path sorts first; this one imports only os and sorts before
// every D-Bus library, so whoever links both is guarded. It imports nothing
// else, ever, and a test holds the order.
package busguard

import "os"

// dead is an address on which nothing listens and which is not "unset".
const dead = "unix:path=/nonexistent/no-session-bus"

func init() {
	const variable = "DBUS_SESSION_BUS_ADDRESS"
	// "autolaunch:" asks for exactly what must not happen.
	if address := os.Getenv(variable); address == "" || address == "autolaunch:" {
		_ = os.Setenv(variable, bus(os.Getenv("XDG_RUNTIME_DIR"), "/run/user/"+decimal(os.Getuid())))
	}
}

// bus returns the address of the bus in the first of the folders that has one.
func bus(folders ...string) string {
	for _, folder := range folders {
		if _, err := os.Stat(folder + "/bus"); err == nil && folder != "" {
			return "unix:path=" + folder + "/bus"
		}
	}
	return dead
}

// decimal is strconv.Itoa, which this package must not import.
func decimal(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return decimal(n/10) + string(rune('0'+n%10))
}
