package session

import (
	"context"
	"fmt"
	"strings"

	"github.com/godbus/dbus/v5"
)

// Notify shows a notification on the user's desktop (the Desktop Notifications
// Specification), if he has one: without a session bus, or with nobody on it
// who shows any, that is the error. Neither text may hold a secret: desktops
// keep a history.
func Notify(ctx context.Context, summary, body string) error {
	bus, err := dbus.ConnectSessionBus(dbus.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("notify the desktop: %w", err)
	}
	defer bus.Close()
	hints := map[string]dbus.Variant{"desktop-entry": dbus.MakeVariant("ccad")}
	call := bus.Object("org.freedesktop.Notifications", "/org/freedesktop/Notifications").CallWithContext(ctx,
		"org.freedesktop.Notifications.Notify", 0, "ccad", uint32(0), "dialog-password", summary, escaped(body), []string{}, hints, int32(-1))
	if call.Err != nil {
		return fmt.Errorf("notify the desktop: %w", call.Err)
	}
	return nil
}

// escaped: a body may be markup.
func escaped(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
