package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloud-ca/ccad/daemon"
	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/packaging"
)

// The units.
const (
	serviceUnit = "ccad.service"
	socketUnit  = "ccad.socket"
	gatewayUnit = "ccad-gateway.socket"
	renderUnit  = "ccad-render.service"             // where the config has files to keep written
	environment = "ccad.service.d/environment.conf" // a drop-in
)

// packaged is where distributions' packages put units.
const packaged = "/usr/lib/systemd/user"

// systemctlTimeout bounds what systemctl may take: a start waits for the daemon.
const systemctlTimeout = 100 * time.Second

// systemd is the user manager of systemd.
type systemd struct {
	w       io.Writer
	folder  string // of the user's own units
	usual   bool   // it is where the library puts units, ~/.config/systemd/user
	runtime string // the manager's XDG_RUNTIME_DIR
	program string // us
	byUs    bool   // the service's unit is in folder, not a package's
	renders bool   // the config has files to keep written
}

func newSystemd(w io.Writer, home, program string) (*systemd, error) {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return nil, unmanaged()
	}
	if os.Getenv("XDG_RUNTIME_DIR") == "" { // su, cron and ssh's commands may have none
		_ = os.Setenv("XDG_RUNTIME_DIR", "/run/user/"+strconv.Itoa(os.Getuid()))
	}
	paths, err := systemctl("show", "--property=UnitPath", "--value")
	if err != nil {
		return nil, fmt.Errorf("your user manager does not answer (%w): log in as yourself, not by su or sudo, or let root run: loginctl enable-linger %s", err, os.Getenv("USER"))
	}
	variables, err := systemctl("show-environment")
	if err != nil {
		return nil, fmt.Errorf("ask your user manager for its environment: %w", err)
	}
	// The manager's own variables count, not the shell's.
	usual := filepath.Join(home, ".config/systemd/user")
	s := &systemd{w: w, program: program, folder: usual, byUs: !runs(filepath.Join(packaged, serviceUnit), program)}
	for line := range strings.Lines(variables) {
		switch variable, value, _ := strings.Cut(strings.TrimSpace(line), "="); {
		case variable == "XDG_RUNTIME_DIR":
			s.runtime = value
		case variable == "XDG_CONFIG_HOME" && filepath.IsAbs(value):
			s.folder = filepath.Join(value, "systemd/user")
		}
	}
	if s.usual = s.folder == usual; !slices.Contains(strings.Fields(paths), s.folder) {
		return nil, fmt.Errorf("your user manager does not read %s: it was started with another HOME or XDG_CONFIG_HOME", s.folder)
	}
	return s, nil
}

// unmanaged is why there is no service, and what there is in its place.
func unmanaged() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	instead := "ccad run serves without one"
	var st ipc.Status
	if _, err := ipc.Do(ctx, "GET", "/v1/status", nil, &st); err == nil {
		instead = fmt.Sprintf("it runs by itself, kill %d ends it and ccactl setup starts it", st.Daemon.PID)
	}
	return errors.New("no systemd runs here, and ccad is no service of anything else: " + instead)
}

// runs reports whether a unit is there whose program is this one.
func runs(unit, program string) bool {
	data, err := os.ReadFile(unit)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(data)) {
		if command, ok := strings.CutPrefix(line, "ExecStart="); ok {
			word, _, _ := strings.Cut(strings.TrimSpace(command), " ")
			return sameFile(word, program)
		}
	}
	return false
}

// systemctl asks the user manager, and returns what it prints.
func systemctl(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), systemctlTimeout)
	defer cancel()
	var said strings.Builder
	cmd := exec.CommandContext(ctx, "systemctl", append([]string{"--user"}, args...)...)
	cmd.Stderr = &said
	out, err := cmd.Output()
	if line, _, _ := strings.Cut(strings.TrimSpace(said.String()), "\n"); err != nil && line != "" {
		err = errors.New(line)
	}
	return strings.TrimSpace(string(out)), err
}

// say tells what was done.
func (s *systemd) say(format string, args ...any) { _, _ = fmt.Fprintf(s.w, format+"\n", args...) }

func (s *systemd) path(unit string) string { return filepath.Join(s.folder, unit) }

// plan returns the files that are to be there, and the paths of those that are
// not. All that could be wrong with the rest is found out before it returns.
func (s *systemd) plan() (want []file, unwanted []string, err error) {
	if err := checkProgram(s.program); err != nil {
		return nil, nil, err
	}
	if at := filepath.Join(s.runtime, "ccad/ccad.sock"); ipc.SocketPath() != at {
		return nil, nil, fmt.Errorf("the service listens at %s, and here clients go to %s: see to CCAD_SOCKET and XDG_RUNTIME_DIR", at, ipc.SocketPath())
	}
	for _, unit := range []string{serviceUnit, socketUnit, gatewayUnit, renderUnit, environment} {
		if _, _, err := current(s.path(unit), packaging.UnitMark); err != nil {
			return nil, nil, err
		}
	}
	config, err := daemon.LoadConfig(ipc.ConfigPath(), false)
	if err != nil {
		return nil, nil, err
	}
	address, err := gatewayAddress(config)
	if err != nil {
		return nil, nil, err
	}
	want = append(want, file{s.path(gatewayUnit), strings.Replace(packaging.GatewaySocket, "@ADDRESS@", address, 1)})
	if s.byUs {
		want = append(want, file{s.path(socketUnit), packaging.Socket}, file{s.path(serviceUnit), serviceText(packaging.Service, packaging.Program, s.program)})
	} else {
		unwanted = append(unwanted, s.path(socketUnit), s.path(serviceUnit))
	}
	if s.renders = len(config.Render) > 0; s.renders && s.byUs {
		cli := filepath.Join(filepath.Dir(s.program), "ccactl")
		if _, err := os.Stat(cli); err != nil {
			return nil, nil, fmt.Errorf("the config has files to keep written, and ccactl is not beside ccad: %w", err)
		}
		want = append(want, file{s.path(renderUnit), serviceText(packaging.Render, packaging.CLI, cli)})
	} else {
		unwanted = append(unwanted, s.path(renderUnit))
	}
	if text := environmentText(); text != "" {
		want = append(want, file{s.path(environment), text})
	} else {
		unwanted = append(unwanted, s.path(environment))
	}
	return want, unwanted, nil
}

// gatewayAddress is where the gateway's socket is to listen: the daemon's own
// choice, so that both are of one mind. It makes the daemon's folders.
func gatewayAddress(config daemon.Config) (string, error) {
	for _, folder := range []string{ipc.DataDir(), ipc.StateDir()} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return "", err
		}
	}
	return daemon.GatewayAddress(config, ipc.DataDir())
}

// serviceText is a service's unit with our program in place of the packaged one.
// The colon keeps systemd from looking for variables in its path.
func serviceText(unit, packaged, program string) string {
	return strings.Replace(unit, "ExecStart="+packaged+" ", "ExecStart=:"+quoted(program)+" ", 1)
}

// quoted is a word as a unit's line takes it (systemd.syntax(7), specifiers of
// systemd.unit(5)).
func quoted(word string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `%`, `%%`).Replace(word) + `"`
}

// passedOn are variables that decide where the daemon and its keyring look for
// their files: the user manager does not know what a shell has.
var passedOn = []string{"XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "GNUPGHOME", "PASSWORD_STORE_DIR"}

// environmentText is the drop-in with them; "" where none is set.
func environmentText() string {
	var lines string
	for _, variable := range passedOn {
		if value := os.Getenv(variable); filepath.IsAbs(value) && !hasControl(value) {
			lines += "Environment=" + quoted(variable+"="+value) + "\n"
		}
	}
	if lines == "" {
		return ""
	}
	return packaging.UnitMark + "ccad install replaces this file by what it finds\n# in its environment.\n[Service]\n" + lines
}
