package session_test

import (
	"context"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/cloud-ca/ccad/daemon/session"
)

const (
	login1        = "org.freedesktop.login1"
	login1Manager = login1 + ".Manager"
	login1Session = login1 + ".Session"
)

// A fakeLogind answers on a bus of the test's own. The real one is followed in
// test/systemd; here are the moments that it has once a year.
type fakeLogind struct {
	*testing.T
	conn *dbus.Conn

	mu    sync.Mutex
	busy  bool             // the machine is about to sleep: nobody may delay that any more
	stern bool             // nobody may ever: there is no polkit
	taken chan [2]*os.File // the pipes that Inhibit handed out an end of
}

// Inhibit is the method of the manager; what it hands out is the end of a pipe.
func (f *fakeLogind) Inhibit(what, who, why, mode string) (dbus.UnixFD, *dbus.Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.busy {
		return 0, dbus.NewError(login1+".OperationInProgress", []any{"it is about to sleep"})
	}
	if f.stern {
		return 0, dbus.NewError("org.freedesktop.DBus.Error.AccessDenied", []any{"Permission denied"})
	}
	if what != "sleep" || who != "ccad" || mode != "delay" || why == "" {
		f.Errorf("Inhibit(%q, %q, %q, %q)", what, who, why, mode)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return 0, dbus.MakeFailedError(err)
	}
	fd := w.Fd()
	f.taken <- [2]*os.File{r, w}
	return dbus.UnixFD(fd), nil
}

// delayed waits until somebody delays the machine's sleep.
func (f *fakeLogind) delayed() [2]*os.File {
	f.Helper()
	select {
	case pipe := <-f.taken:
		return pipe
	case <-time.After(time.Minute):
		f.Fatal("nobody delays the machine's sleep")
	}
	panic("not reached")
}

func (f *fakeLogind) setBusy(busy bool) { f.mu.Lock(); f.busy = busy; f.mu.Unlock() }

// A fakeSession has the one property that is asked for.
type fakeSession struct{ uid uint32 }

// Get is that of org.freedesktop.DBus.Properties.
func (s fakeSession) Get(of, name string) (dbus.Variant, *dbus.Error) {
	if of != login1Session || name != "User" {
		return dbus.Variant{}, dbus.MakeFailedError(os.ErrNotExist)
	}
	return dbus.MakeVariant(struct {
		UID  uint32
		Path dbus.ObjectPath
	}{s.uid, "/org/freedesktop/login1/user/_1"}), nil
}

func newFakeLogind(t *testing.T) *fakeLogind {
	t.Helper()
	address := newBus(t)
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
	f := &fakeLogind{T: t, taken: make(chan [2]*os.File, 8)}
	f.start()
	return f
}

func (f *fakeLogind) start() {
	f.Helper()
	conn, err := dbus.Connect(os.Getenv("DBUS_SYSTEM_BUS_ADDRESS"))
	if err != nil {
		f.Fatal(err)
	}
	f.conn = conn
	f.Cleanup(func() { _ = conn.Close() })
	me := uint32(os.Getuid())
	for path, uid := range map[dbus.ObjectPath]uint32{"/org/freedesktop/login1/session/mine": me, "/org/freedesktop/login1/session/others": me + 1} {
		if err := conn.Export(fakeSession{uid}, path, "org.freedesktop.DBus.Properties"); err != nil {
			f.Fatal(err)
		}
	}
	if err := conn.Export(f, "/org/freedesktop/login1", login1Manager); err != nil {
		f.Fatal(err)
	}
	if reply, err := conn.RequestName(login1, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		f.Fatal(reply, err)
	}
}

func emit(t *testing.T, conn *dbus.Conn, path dbus.ObjectPath, name string, values ...any) {
	t.Helper()
	if err := conn.Emit(path, name, values...); err != nil {
		t.Fatal(err)
	}
}

// follow follows until the test ends; what is called goes into the channel.
func follow(t *testing.T, sleep func()) (called chan string, ended chan error) {
	t.Helper()
	called, ended = make(chan string, 16), make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	m := session.Moments{Ready: func(err error) {
		if err != nil {
			called <- err.Error()
		} else {
			called <- "ready"
		}
	}, Lock: func() { called <- "lock" }}
	if sleep != nil {
		m.Sleep = func() { sleep(); called <- "sleep" }
	}
	go func() { ended <- session.FollowLogind(ctx, m) }()
	t.Cleanup(cancel)
	return called, ended
}

func expect(t *testing.T, called chan string, want string) {
	t.Helper()
	select {
	case got := <-called:
		if got != want {
			t.Fatalf("called %q, want %q", got, want)
		}
	case <-time.After(time.Minute):
		t.Fatalf("%q was not called", want)
	}
}

// The machine's sleep waits for the lock, and no longer; after the wake it
// waits again.
func TestSleepWaits(t *testing.T) {
	f := newFakeLogind(t)
	var waits atomic.Pointer[os.File]
	released := func(within time.Duration) bool {
		_ = waits.Load().SetReadDeadline(time.Now().Add(within))
		_, err := waits.Load().Read(make([]byte, 1))
		return err != nil && !os.IsTimeout(err)
	}
	called, _ := follow(t, func() {
		if released(100 * time.Millisecond) {
			t.Error("the machine may sleep before it is locked")
		}
	})
	for range 2 {
		expect(t, called, "ready")
		pipe := f.delayed()
		_ = pipe[1].Close() // the other side has its own by now
		waits.Store(pipe[0])
		f.setBusy(true)
		emit(t, f.conn, "/org/freedesktop/login1", login1Manager+".PrepareForSleep", true)
		expect(t, called, "sleep")
		if !released(10 * time.Second) {
			t.Error("the machine is kept from its sleep")
		}
		f.setBusy(false)
		emit(t, f.conn, "/org/freedesktop/login1", login1Manager+".PrepareForSleep", false)
	}
}

// A new image that comes up while the machine is about to sleep follows all the
// same, and delays the next one.
func TestFollowedWhileGoingToSleep(t *testing.T) {
	f := newFakeLogind(t)
	f.setBusy(true)
	called, _ := follow(t, func() {})
	expect(t, called, "ready")
	f.setBusy(false)
	emit(t, f.conn, "/org/freedesktop/login1", login1Manager+".PrepareForSleep", false)
	expect(t, called, "ready")
	f.delayed()
	emit(t, f.conn, "/org/freedesktop/login1", login1Manager+".PrepareForSleep", true)
	expect(t, called, "sleep")
}

// Where nobody may delay the sleep, that is told, and the lock comes all the same.
func TestSleepDoesNotWait(t *testing.T) {
	f := newFakeLogind(t)
	f.mu.Lock()
	f.stern = true
	f.mu.Unlock()
	called, _ := follow(t, func() {})
	expect(t, called, "delay the machine's sleep: Permission denied")
	emit(t, f.conn, "/org/freedesktop/login1", login1Manager+".PrepareForSleep", true)
	expect(t, called, "sleep")
}

func TestSessionLocks(t *testing.T) {
	f := newFakeLogind(t)
	called, _ := follow(t, nil)
	expect(t, called, "ready")
	hint := func(path dbus.ObjectPath, of string, locked bool) {
		emit(t, f.conn, path, "org.freedesktop.DBus.Properties.PropertiesChanged", of, map[string]dbus.Variant{"LockedHint": dbus.MakeVariant(locked)}, []string{})
	}
	// Another user's session, an unlock, another interface, and a stranger who
	// says what logind would: none of them locks.
	stranger, err := dbus.Connect(os.Getenv("DBUS_SYSTEM_BUS_ADDRESS"))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	emit(t, f.conn, "/org/freedesktop/login1/session/others", login1Session+".Lock")
	hint("/org/freedesktop/login1/session/others", login1Session, true)
	hint("/org/freedesktop/login1/session/mine", login1Session, false)
	hint("/org/freedesktop/login1/session/mine", "org.example.Other", true)
	emit(t, f.conn, "/org/freedesktop/login1/session/mine", login1Session+".Unlock")
	emit(t, stranger, "/org/freedesktop/login1/session/mine", login1Session+".Lock")
	unicast(t, stranger, f.followers(), "/org/freedesktop/login1/session/mine")
	select {
	case got := <-called:
		t.Fatalf("called %q", got)
	case <-time.After(300 * time.Millisecond):
	}
	emit(t, f.conn, "/org/freedesktop/login1/session/mine", login1Session+".Lock")
	expect(t, called, "lock")
	hint("/org/freedesktop/login1/session/mine", login1Session, true)
	expect(t, called, "lock")
	emit(t, f.conn, "/org/freedesktop/login1/session/nobody", login1Session+".Lock")
	expect(t, called, "lock")
}

// followers are the unique names on the bus: a signal may be sent to one alone,
// whatever it asked to hear.
func (f *fakeLogind) followers() (names []string) {
	f.Helper()
	var all []string
	if err := f.conn.BusObject().Call("org.freedesktop.DBus.ListNames", 0).Store(&all); err != nil {
		f.Fatal(err)
	}
	for _, name := range all {
		if strings.HasPrefix(name, ":") {
			names = append(names, name)
		}
	}
	return names
}

func unicast(t *testing.T, conn *dbus.Conn, to []string, path dbus.ObjectPath) {
	t.Helper()
	for _, name := range to {
		msg := &dbus.Message{Type: dbus.TypeSignal, Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldDestination: dbus.MakeVariant(name), dbus.FieldPath: dbus.MakeVariant(path),
			dbus.FieldInterface: dbus.MakeVariant(login1Session), dbus.FieldMember: dbus.MakeVariant("Lock"),
		}}
		if call := conn.Send(msg, nil); call != nil && call.Err != nil {
			t.Fatal(call.Err)
		}
	}
}

// When logind or the bus goes, that is told, and following begins anew.
func TestLogindIsLost(t *testing.T) {
	f := newFakeLogind(t)
	called, ended := follow(t, nil)
	expect(t, called, "ready")
	_ = f.conn.Close()
	wait := func(what string) {
		t.Helper()
		select {
		case err := <-ended:
			if err == nil || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v", what, err)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s, and nothing is said", what)
		}
	}
	wait("logind is gone")
	f.start()
	called, ended = follow(t, nil)
	expect(t, called, "ready")
	emit(t, f.conn, "/org/freedesktop/login1/session/mine", login1Session+".Lock")
	expect(t, called, "lock")
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent")
	if err := session.FollowLogind(t.Context(), session.Moments{Ready: func(error) { t.Error("ready") }}); err == nil {
		t.Error("no bus, and that is no error")
	}
}
