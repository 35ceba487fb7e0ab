package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

// logind's names (org.freedesktop.login1(5)).
const (
	login1        = "org.freedesktop.login1"
	login1Manager = login1 + ".Manager"
	login1Session = login1 + ".Session"
	login1Path    = dbus.ObjectPath("/org/freedesktop/login1")
)

// logindTimeout bounds the connection and each call.
const logindTimeout = 2 * time.Second

// Moments are what FollowLogind calls; nil: not wanted.
type Moments struct {
	Ready func(undelayed error) // logind is followed from now on; the error says why the machine's sleep does not wait for Sleep
	Sleep func()                // the machine is about to sleep, and waits until this returns or the process is replaced (5 s, logind's InhibitDelayMaxSec)
	Lock  func()                // a session of this user is locked, or told to lock
}

// FollowLogind follows logind on a connection of its own to the system bus, and
// returns why it can't any more. Only logind itself is believed: anybody may
// send signals on that bus.
func FollowLogind(ctx context.Context, m Moments) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tooSlow := time.AfterFunc(logindTimeout, cancel)
	conn, err := dbus.ConnectSystemBus(dbus.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("reach the system bus: %w", err)
	}
	defer conn.Close()
	if !tooSlow.Stop() {
		return errors.New("reach the system bus: it takes too long")
	}
	l := &logind{ctx: ctx, conn: conn, Moments: m}
	defer l.letSleep()
	signals := make(chan *dbus.Signal, 64)
	conn.Signal(signals)
	if err := l.subscribe(); err != nil {
		return fmt.Errorf("follow logind: %w", err)
	}
	m.Ready(l.delaySleep())
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case s, ok := <-signals:
			if !ok {
				return errors.New("the connection to the system bus is lost")
			}
			if s.Name == "org.freedesktop.DBus.NameOwnerChanged" && s.Sender == "org.freedesktop.DBus" {
				return errors.New("follow logind: it was restarted")
			}
			if s.Sender == l.owner {
				l.heard(s)
			}
		}
	}
}

// logind is one connection's view of it.
type logind struct {
	Moments
	ctx   context.Context
	conn  *dbus.Conn
	owner string // logind's unique name: who may tell us anything
	delay int    // the descriptor that makes the machine's sleep wait for us; 0: none
}

func (l *logind) call(path dbus.ObjectPath, method string, out any, args ...any) error {
	ctx, cancel := context.WithTimeout(l.ctx, logindTimeout)
	defer cancel()
	return l.conn.Object(login1, path).CallWithContext(ctx, method, 0, args...).Store(out)
}

func (l *logind) subscribe() error {
	const bus = "org.freedesktop.DBus"
	rules := [][]dbus.MatchOption{{dbus.WithMatchSender(bus), dbus.WithMatchInterface(bus), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, login1)}}
	if l.Sleep != nil {
		rules = append(rules, []dbus.MatchOption{dbus.WithMatchSender(login1), dbus.WithMatchInterface(login1Manager), dbus.WithMatchMember("PrepareForSleep")})
	}
	if l.Lock != nil {
		rules = append(rules,
			[]dbus.MatchOption{dbus.WithMatchSender(login1), dbus.WithMatchInterface(login1Session), dbus.WithMatchMember("Lock")},
			[]dbus.MatchOption{dbus.WithMatchSender(login1), dbus.WithMatchInterface("org.freedesktop.DBus.Properties"), dbus.WithMatchMember("PropertiesChanged"), dbus.WithMatchArg(0, login1Session)})
	}
	ctx, cancel := context.WithTimeout(l.ctx, logindTimeout)
	defer cancel()
	for _, rule := range rules {
		if err := l.conn.AddMatchSignalContext(ctx, rule...); err != nil {
			return err
		}
	}
	return l.conn.BusObject().CallWithContext(ctx, bus+".GetNameOwner", 0, login1).Store(&l.owner)
}

// heard acts on a signal of logind.
func (l *logind) heard(s *dbus.Signal) {
	switch s.Name {
	case login1Manager + ".PrepareForSleep":
		if begins, _ := first[bool](s.Body); begins {
			l.Sleep()
			l.letSleep()
		} else {
			l.Ready(l.delaySleep())
		}
	case login1Session + ".Lock":
		if l.ours(s.Path) {
			l.Lock()
		}
	case "org.freedesktop.DBus.Properties.PropertiesChanged":
		if of, _ := first[string](s.Body); of != login1Session || len(s.Body) < 2 {
			return
		}
		changed, _ := s.Body[1].(map[string]dbus.Variant)
		if locked, _ := changed["LockedHint"].Value().(bool); locked && l.ours(s.Path) {
			l.Lock()
		}
	}
}

func first[T any](body []any) (v T, ok bool) {
	if len(body) > 0 {
		v, ok = body[0].(T)
	}
	return v, ok
}

// ours reports whether a session belongs to this user. In doubt it does.
func (l *logind) ours(session dbus.ObjectPath) bool {
	var user dbus.Variant
	err := l.call(session, "org.freedesktop.DBus.Properties.Get", &user, login1Session, "User")
	pair, _ := user.Value().([]any)
	uid, ok := first[uint32](pair)
	return err != nil || !ok || int(uid) == os.Getuid()
}

// delaySleep makes logind wait for us before it lets the machine sleep. While
// the machine is about to, nobody may any more; the next wake is in time.
func (l *logind) delaySleep() error {
	if l.Sleep == nil || l.delay != 0 {
		return nil
	}
	var fd dbus.UnixFD
	err := l.call(login1Path, login1Manager+".Inhibit", &fd, "sleep", "ccad", "ccad locks first", "delay")
	var refused dbus.Error
	if errors.As(err, &refused) && refused.Name == login1+".OperationInProgress" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delay the machine's sleep: %w", err) // without polkit only root may
	}
	l.delay = int(fd)
	unix.CloseOnExec(l.delay) // a lock replaces the process, and that lets the machine sleep
	return nil
}

func (l *logind) letSleep() {
	if l.delay != 0 {
		_ = unix.Close(l.delay)
		l.delay = 0
	}
}
