package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/cloud-ca/ccad/daemon/vault"
)

// gatewayListener returns a listener at the one address of the gateway. What
// systemd or an earlier image holds for us is it, unless the config names
// another one; then that socket is another's business from here on.
func (d *Daemon) gatewayListener() (net.Listener, error) {
	if f := d.Inherited.Gateway; f != nil {
		l, err := net.FileListener(f)
		_ = f.Close()
		if err != nil {
			return nil, fmt.Errorf("take over the gateway's port: %w", err)
		}
		at := l.Addr().String()
		if err := checkLoopback(at); err != nil {
			_ = l.Close()
			return nil, fmt.Errorf("the gateway's socket is at %s: %w", at, err)
		}
		if want := d.Config.Gateway.Listen; want == "" || want == at || anyPort(want) {
			return l, nil
		}
		_ = l.Close()
		d.Log.Warn("the gateway's socket is not where the config has it: ccad install writes its unit anew", "socket", at, "config", d.Config.Gateway.Listen)
	}
	address, err := gatewayAddress(d.Config, d.DataDir)
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(gatewayFile(d.DataDir)); err == nil && d.Config.Gateway.Listen == "" && anyPort(address) {
		d.Log.Warn("the gateway's address on record is damaged: another port is taken, and clients that know the former one need ccactl configure again")
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", address, err)
	}
	if err := keepGatewayAddress(d.Config, d.DataDir, l.Addr().String()); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// GatewayAddress chooses where the gateway listens, for a socket unit that is to
// hold the port: where the config or an earlier start has it, or a free port of
// 127.0.0.1 that is kept from then on. dataDir must exist.
func GatewayAddress(c Config, dataDir string) (string, error) {
	address, err := gatewayAddress(c, dataDir)
	if err != nil || !anyPort(address) {
		return address, err
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "", fmt.Errorf("find a free port for the gateway: %w", err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), keepGatewayAddress(c, dataDir, l.Addr().String())
}

// gatewayAddress is where to listen; its port is 0 where any free one will do.
func gatewayAddress(c Config, dataDir string) (string, error) {
	if c.Gateway.Listen != "" {
		return c.Gateway.Listen, nil
	}
	data, err := os.ReadFile(gatewayFile(dataDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the gateway's address: %w", err)
	}
	if kept, err := netip.ParseAddrPort(strings.TrimSpace(string(data))); err == nil && kept.Addr().IsLoopback() {
		return kept.String(), nil
	}
	return "127.0.0.1:0", nil
}

// anyPort reports whether an address leaves the port open.
func anyPort(address string) bool { return strings.HasSuffix(address, ":0") }

// keepGatewayAddress remembers an address, where the config has none.
func keepGatewayAddress(c Config, dataDir, address string) error {
	if c.Gateway.Listen != "" {
		return nil
	}
	if kept, err := gatewayAddress(c, dataDir); err == nil && kept == address {
		return nil
	}
	if err := vault.WriteFile(gatewayFile(dataDir), []byte(address+"\n"), 0o600); err != nil {
		return fmt.Errorf("keep the gateway's address: %w", err)
	}
	return nil
}

func gatewayFile(dataDir string) string { return filepath.Join(dataDir, "gateway") }
