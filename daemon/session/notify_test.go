package session_test

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"

	"github.com/cloud-ca/ccad/daemon/session"
)

// desktop is somebody who shows notifications.
type desktop struct{ shown chan string }

// Notify is the specification's method.
func (d desktop) Notify(app string, replaces uint32, icon, summary, body string, actions []string, _ map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	d.shown <- fmt.Sprint(app, "|", summary, "|", body)
	return 1, nil
}

// newBus starts a session bus of the test's own and makes it the process's.
func newBus(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("dbus-daemon", "--session", "--nofork", "--print-address")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatalf("dbus-daemon (make test installs it): %v", err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", strings.TrimSpace(address))
	return strings.TrimSpace(address)
}

func TestNotify(t *testing.T) {
	address := newBus(t)
	if err := session.Notify(t.Context(), "a", "b"); err == nil {
		t.Error("nobody shows notifications, and that is no error")
	}
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	d := desktop{make(chan string, 1)}
	if err := conn.Export(d, "/org/freedesktop/Notifications", "org.freedesktop.Notifications"); err != nil {
		t.Fatal(err)
	}
	if reply, err := conn.RequestName("org.freedesktop.Notifications", dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(reply, err)
	}
	if err := session.Notify(t.Context(), "the cloud refuses u", "run <ccactl> & see"); err != nil {
		t.Fatal(err)
	}
	if got := <-d.shown; got != "ccad|the cloud refuses u|run &lt;ccactl&gt; &amp; see" {
		t.Error(got)
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
	if err := session.Notify(context.Background(), "a", "b"); err == nil {
		t.Error("no bus, and that is no error")
	}
}
