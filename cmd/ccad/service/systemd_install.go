package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/packaging"
)

// sockets in the order in which they are started.
var sockets = []string{socketUnit, gatewayUnit}

// install puts the units in place, enables them, and lets the sockets listen:
// the first request starts the daemon, and so does the next login.
func (s *systemd) install() error {
	want, unwanted, err := s.plan()
	if err == nil {
		err = s.alone()
	}
	if err != nil {
		return err
	}
	var changed []string
	for _, path := range unwanted {
		if err := os.Remove(path); err == nil {
			s.say("removed %s", path)
			changed = append(changed, filepath.Base(path))
		}
	}
	for _, f := range want {
		did, err := s.put(f)
		if err != nil {
			return err
		}
		if did {
			s.say("wrote %s", f.path)
			changed = append(changed, filepath.Base(f.path))
		}
	}
	if len(changed) > 0 {
		if _, err := systemctl("daemon-reload"); err != nil {
			return fmt.Errorf("let the user manager read its units: %w", err)
		}
	}
	if err := s.enable(); err != nil {
		return err
	}
	if err := s.listen(changed); err != nil {
		return err
	}
	return s.render(changed)
}

// alone refuses to install beside a daemon that was started by hand: both can't
// have the socket.
func (s *systemd) alone() error {
	if s.active(socketUnit) || s.active(serviceUnit) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var st ipc.Status
	if _, err := ipc.Do(ctx, "GET", "/v1/status", nil, &st); err == nil {
		return fmt.Errorf("a ccad that is no service answers at %s (process %d): end it first", ipc.SocketPath(), st.Daemon.PID)
	}
	return nil
}

// put writes a file that is not as it should be. The service's own unit is put
// in place by the library, which writes no file over another: a former one of
// ours goes first, and comes back if that fails.
func (s *systemd) put(f file) (did bool, err error) {
	was, there, err := current(f.path, packaging.UnitMark)
	if err != nil || was == f.text {
		return false, err
	}
	if f.path != s.path(serviceUnit) || !s.usual {
		return true, f.write(0o644) // enable does the rest
	}
	lib, err := library("SystemdScript", f.text)
	if err != nil {
		return false, err
	}
	if err := os.MkdirAll(s.folder, 0o755); err != nil {
		return false, err
	}
	s.unlink()
	if there {
		if err := os.Remove(f.path); err != nil {
			return false, err
		}
	}
	if err := lib.Install(); err != nil {
		_ = os.Remove(f.path)
		if there {
			_ = file{f.path, was}.write(0o644)
		}
		return false, fmt.Errorf("install %s: %w", f.path, err)
	}
	return true, nil
}

// links are what enabling makes.
func (s *systemd) links() []string {
	return []string{s.path("default.target.wants/" + serviceUnit), s.path("default.target.wants/" + renderUnit),
		s.path("sockets.target.wants/" + socketUnit), s.path("sockets.target.wants/" + gatewayUnit)}
}

func dangling(link string) bool {
	_, is := os.Readlink(link)
	_, leads := os.Stat(link)
	return is == nil && leads != nil
}

// unlink removes them: one that leads elsewhere would be in the way.
func (s *systemd) unlink() {
	for _, link := range s.links() {
		if _, err := os.Readlink(link); err == nil {
			_ = os.Remove(link)
		}
	}
}

func (s *systemd) enable() error {
	units := append([]string{serviceUnit}, sockets...)
	if s.renders {
		units = append(units, renderUnit)
	}
	out, err := systemctl(append([]string{"is-enabled"}, units...)...)
	if err == nil && out == strings.Repeat("\nenabled", len(units))[1:] && !slices.ContainsFunc(s.links(), dangling) {
		return nil
	}
	s.unlink()
	if _, err := systemctl(append([]string{"enable"}, units...)...); err != nil {
		return fmt.Errorf("enable ccad: %w", err)
	}
	s.say("enabled %s", strings.Join(units, ", "))
	return nil
}

// render has the files of the config kept written, and stops that where it has
// none.
func (s *systemd) render(changed []string) error {
	link := s.path("default.target.wants/" + renderUnit)
	if !s.renders {
		if _, err := os.Readlink(link); err != nil && !s.active(renderUnit) {
			return nil
		}
		_ = os.Remove(link)
		if _, err := systemctl("stop", renderUnit); err != nil {
			return fmt.Errorf("stop %s: %w", renderUnit, err)
		}
		s.say("disabled %s: the config has no file to keep written", renderUnit)
		return nil
	}
	verb := "start"
	if slices.Contains(changed, renderUnit) {
		verb = "restart"
	}
	if _, err := systemctl(verb, renderUnit); err != nil {
		return fmt.Errorf("%s %s: %w", verb, renderUnit, err)
	}
	return nil
}

// listen lets the sockets listen. systemd starts none while its service runs,
// so the service has to go for one that is new.
func (s *systemd) listen(changed []string) error {
	running := s.active(serviceUnit)
	moved := slices.ContainsFunc(sockets, func(unit string) bool { return slices.Contains(changed, unit) || !s.active(unit) })
	switch {
	case moved:
		_, _ = systemctl(append([]string{"reset-failed", serviceUnit}, sockets...)...) // nothing may have failed
		if _, err := systemctl("stop", serviceUnit); err != nil {
			return fmt.Errorf("stop ccad: %w", err)
		}
		for _, unit := range sockets {
			if _, err := systemctl("restart", unit); err != nil {
				return fmt.Errorf("%s: %w (another program may have its address; journalctl --user -u %s says more)", unit, err, unit)
			}
		}
		s.say("ccad listens at %s: the first request starts it, and so does your login", ipc.SocketPath())
		if running {
			if _, err := systemctl("start", serviceUnit); err != nil {
				return fmt.Errorf("start ccad: %w", err)
			}
			s.say("ccad was started anew, since a socket of it changed: ccactl unlock")
		}
	case running && (slices.Contains(changed, serviceUnit) || slices.Contains(changed, filepath.Base(environment))):
		s.say("the daemon that runs is of the former unit: ccad restart")
	case len(changed) == 0:
		s.say("ccad is installed, and listens at %s", ipc.SocketPath())
	}
	if _, err := os.Stat(filepath.Join("/var/lib/systemd/linger", os.Getenv("USER"))); err != nil {
		s.say("it ends when you log out; loginctl enable-linger keeps it")
	}
	return nil
}

// uninstall takes all away that install put there. The store, the keyring and
// the config stay.
func (s *systemd) uninstall() error {
	var ours []string
	for _, unit := range []string{serviceUnit, socketUnit, gatewayUnit, renderUnit, environment} {
		_, there, err := current(s.path(unit), packaging.UnitMark)
		if err != nil {
			return err
		}
		if there {
			ours = append(ours, s.path(unit))
		}
	}
	if len(ours) == 0 { // the gateway's socket is always ours
		s.say("ccad is not installed")
		return sealedFor(s.w)
	}
	if err := s.stop(); err != nil {
		return err
	}
	_, _ = systemctl("stop", renderUnit)
	if slices.Contains(ours, s.path(serviceUnit)) {
		if lib, err := library("SystemdScript", ""); err == nil {
			_ = lib.Uninstall() // what it can't do to a broken unit is done below
		}
	} else if _, err := systemctl(append([]string{"disable", serviceUnit}, sockets...)...); err != nil && !s.byUs {
		return fmt.Errorf("disable ccad: %w", err)
	}
	s.unlink() // the other units', too
	for _, path := range ours {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		s.say("removed %s", path)
	}
	removeEmpty(s.path("default.target.wants"), s.path("sockets.target.wants"), s.path("ccad.service.d"), s.folder, filepath.Dir(s.folder), filepath.Dir(ipc.SocketPath()))
	if _, err := systemctl("daemon-reload"); err != nil {
		return fmt.Errorf("let the user manager read its units: %w", err)
	}
	_, _ = systemctl(append([]string{"reset-failed", serviceUnit}, sockets...)...)
	if !s.byUs {
		s.say("ccad is disabled; its units in %s are a package's", packaged)
	}
	s.say("the credentials stay: %s and %s", ipc.DataDir(), ipc.StateDir())
	return sealedFor(s.w)
}
