package service

import (
	"errors"
	"fmt"
	"strings"
)

func (s *systemd) active(unit string) bool {
	out, _ := systemctl("show", "--property=ActiveState", "--value", unit)
	return out == "active" || out == "reloading" || out == "activating"
}

// installed refuses where there is no service to speak of.
func (s *systemd) installed() error {
	if !known(serviceUnit) {
		return errors.New("ccad is not installed: ccad install")
	}
	return nil
}

func known(unit string) bool {
	out, err := systemctl("show", "--property=LoadState", "--value", unit)
	return err == nil && out != "not-found"
}

func (s *systemd) start() error {
	if err := s.installed(); err != nil {
		return err
	}
	_, _ = systemctl(append([]string{"reset-failed", serviceUnit}, sockets...)...)
	for _, unit := range sockets {
		if s.active(serviceUnit) || !known(unit) {
			continue // systemd starts no socket of a service that runs
		}
		if _, err := systemctl("start", unit); err != nil {
			return fmt.Errorf("let ccad listen: %w", err)
		}
	}
	lib, err := library("SystemdScript", "")
	if err == nil {
		err = lib.Start()
	}
	if err != nil {
		return fmt.Errorf("ccad does not start (%w): journalctl --user -u ccad says why", err)
	}
	s.say("ccad runs")
	return nil
}

// stop ends the sockets too: the next prompt would start the daemon again.
func (s *systemd) stop() error {
	if err := s.installed(); err != nil {
		return err
	}
	if _, err := systemctl(append([]string{"stop"}, sockets...)...); err != nil && s.active(socketUnit) {
		return fmt.Errorf("stop listening: %w", err)
	}
	lib, err := library("SystemdScript", "")
	if err == nil {
		err = lib.Stop()
	}
	if err != nil && s.active(serviceUnit) {
		return fmt.Errorf("stop ccad: %w", err)
	}
	s.say("ccad is stopped")
	return nil
}

func (s *systemd) restart() error {
	if err := s.installed(); err != nil {
		return err
	}
	lib, err := library("SystemdScript", "")
	if err == nil {
		err = lib.Stop() // the sockets go on: clients wait
	}
	if err != nil {
		return fmt.Errorf("stop ccad: %w", err)
	}
	return s.start()
}

// status tells how the service stands; what is not as it should be is an error.
func (s *systemd) status() error {
	if err := s.installed(); err != nil {
		return err
	}
	units := append([]string{serviceUnit}, sockets...)
	if out, _ := systemctl("is-enabled", renderUnit); out == "enabled" {
		units = append(units, renderUnit)
	}
	wrong := ""
	for _, unit := range units {
		out, err := systemctl("show", "--property=ActiveState,SubState,MainPID,NRestarts,UnitFileState,Listen,Result", unit)
		if err != nil {
			return fmt.Errorf("ask for %s: %w", unit, err)
		}
		p := map[string]string{}
		for line := range strings.Lines(out) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			p[key] = value
		}
		line := fmt.Sprintf("%-19s  %s (%s), %s", unit, p["ActiveState"], p["SubState"], p["UnitFileState"])
		if p["MainPID"] != "" && p["MainPID"] != "0" {
			line += ", process " + p["MainPID"] + ", restarts " + p["NRestarts"]
		}
		if listen, _, _ := strings.Cut(p["Listen"], " "); listen != "" {
			line += ", " + listen
		}
		s.say("%s", line)
		if p["ActiveState"] == "failed" || unit != serviceUnit && p["ActiveState"] != "active" {
			wrong += fmt.Sprintf("%s is %s (%s); ", unit, p["ActiveState"], p["Result"])
		}
	}
	if wrong != "" {
		return errors.New(strings.TrimSuffix(wrong, "; ") + ": ccad start; journalctl --user -u ccad says more")
	}
	return nil
}
