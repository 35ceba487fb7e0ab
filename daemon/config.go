package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/source"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/daemon/watch"
)

// Config is the shape of config.toml. The zero value of each field stands for
// the default that the comment names; an unknown key is an error.
type Config struct {
	Keyring struct {
		Backend string `toml:"backend"` // file; the keyring remembers what it was made with
	} `toml:"keyring"`
	Serve struct {
		Lease Duration `toml:"lease"` // 20m; 16m to 12h
	} `toml:"serve"`
	Gateway struct {
		Listen string `toml:"listen"` // 127.0.0.1 and a port chosen free at first use and kept from then on
	} `toml:"gateway"`
	Lock struct {
		Idle          Duration `toml:"idle"`            // 0: never; locks once no client has asked for so long
		OnSuspend     bool     `toml:"on_suspend"`      // false; locks before the machine sleeps (logind)
		OnSessionLock bool     `toml:"on_session_lock"` // false; locks with the user's session (logind)
	} `toml:"lock"`
	Cloud struct {
		Proxy string `toml:"proxy"` // none; the environment has no say in it
	} `toml:"cloud"`
	proxy  *url.URL     // Cloud.Proxy
	Rotate RotateConfig `toml:"rotate"`
	Watch  struct {
		Rescan Duration  `toml:"rescan"` // 60s: how often watched files are looked at where no event tells of a change
		Probe  *Duration `toml:"probe"`  // 10m; how often the cloud is asked about what is in use; 0: never
	} `toml:"watch"`
	Portal struct {
		URL    string            `toml:"url"`    // none: base URL of the portal's API, with its version
		Poll   Duration          `toml:"poll"`   // 5m; how often it is read once a key is stored
		Fields map[string]string `toml:"fields"` // none: which of the portal's keys has a meaning (user, project, password, …)
	} `toml:"portal"`
	Metrics struct {
		Listen string `toml:"listen"` // none: on the socket only; a loopback address otherwise
	} `toml:"metrics"`
	Render []Render `toml:"render"` // none
}

// A Render is a file that ccactl render keeps written: a view of an environment
// for a program that can only read files.
type Render struct {
	Environment string   `toml:"environment"` // it need not exist yet
	View        string   `toml:"view"`        // a format of ccactl env
	Path        string   `toml:"path"`        // absolute or below ~/; absolute once the config is read
	Reload      []string `toml:"reload"`      // argv of what makes the program read the file again, without a shell
}

// How long AWS SDKs keep what they are given; minLease is in floor.go.
const (
	defaultLease = 20 * time.Minute
	maxLease     = 12 * time.Hour
)

// Watched files are looked at now and then, events or not, and what is in use
// is probed.
const (
	defaultProbe  = 10 * time.Minute
	minProbe      = time.Second
	defaultRescan = time.Minute
	minRescan     = time.Second
)

// minIdle is shorter than any pause between requests that anybody would want.
const minIdle = time.Second

// A Duration is a time.Duration as people write it: "20m", "90d", and nothing for
// none.
type Duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	*d = 0
	if len(text) == 0 {
		return nil
	}
	if days, is := strings.CutSuffix(string(text), "d"); is {
		n, err := strconv.ParseUint(days, 10, 16) // 179 years at most
		if err != nil {
			return fmt.Errorf("%q is no number of days", text)
		}
		*d = Duration(time.Duration(n) * 24 * time.Hour)
		return nil
	}
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}

// LoadConfig reads the file at path; one that does not exist is the empty one,
// unless required. It names programs that are run, so it is the user's or root's,
// and nobody else may write it. Errors of syntax hold the line and a caret.
func LoadConfig(path string, required bool) (Config, error) {
	var c Config
	data, err := watch.ReadOf(path, 0, os.Getuid())
	switch {
	case errors.Is(err, fs.ErrNotExist) && !required:
		data = nil
	case errors.Is(err, watch.ErrUnsafe), errors.Is(err, watch.ErrUnfit):
		return c, fmt.Errorf("config %s: %w", path, err)
	case err != nil:
		return c, fmt.Errorf("read the config: %w", err)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // editors of other systems begin so
	dec := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		var strict *toml.StrictMissingError
		var decode *toml.DecodeError
		switch {
		case errors.As(err, &strict) && len(strict.Errors) > 0:
			return c, pointed(path, data, &strict.Errors[0], "unknown key "+strings.Join(strict.Errors[0].Key(), "."))
		case errors.As(err, &decode):
			return c, pointed(path, data, decode, strings.TrimPrefix(err.Error(), "toml: "))
		}
		return c, fmt.Errorf("config %s: %w", path, err)
	}
	if err := c.check(path); err != nil {
		return c, err
	}
	return c, c.checkRender(path, data)
}

// pointed is an error of one place: the line in full, and a caret below the word.
func pointed(path string, data []byte, at *toml.DecodeError, what string) error {
	row, column := at.Position()
	lines := strings.Split(string(data), "\n")
	if row < 1 || row > len(lines) {
		return fmt.Errorf("config %s: %s", path, what)
	}
	line := strings.TrimRight(lines[row-1], "\r")
	if strings.HasPrefix(strings.TrimSpace(line), "[") {
		what = strings.Replace(what, "unknown key", "unknown section", 1)
	}
	if strings.Contains(what, "into struct field") { // a name of ours, not the file's
		what = "this takes another kind of value"
	}
	before := line[:min(max(column-1, 0), len(line))]
	indent := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, before)
	return fmt.Errorf("config %s:%d:%d: %s\n  %s\n  %s^", path, row, column, what, line, indent)
}

// check fills in the defaults and refuses values out of bounds.
func (c *Config) check(path string) error {
	if c.Keyring.Backend == "" {
		c.Keyring.Backend = "file"
	}
	if err := vault.CheckBackend(c.Keyring.Backend); err != nil {
		return fmt.Errorf("config %s: keyring.backend: %w", path, err)
	}
	if c.Serve.Lease == 0 {
		c.Serve.Lease = Duration(defaultLease)
	}
	if l := time.Duration(c.Serve.Lease); l < minLease || l > maxLease {
		return fmt.Errorf("config %s: serve.lease is %v, not within %v and %v", path, l, minLease, maxLease)
	}
	if err := c.Rotate.check(); err != nil {
		return fmt.Errorf("config %s: %w", path, err)
	}
	if i := time.Duration(c.Lock.Idle); i != 0 && i < minIdle {
		return fmt.Errorf("config %s: lock.idle is less than %v (0s: never)", path, minIdle)
	}
	if c.Watch.Rescan == 0 {
		c.Watch.Rescan = Duration(defaultRescan)
	}
	if c.Watch.Probe == nil {
		every := Duration(defaultProbe)
		c.Watch.Probe = &every
	}
	if p := time.Duration(*c.Watch.Probe); p != 0 && p < minProbe {
		return fmt.Errorf("config %s: watch.probe is less than %v (0: never)", path, minProbe)
	}
	if time.Duration(c.Watch.Rescan) < minRescan {
		return fmt.Errorf("config %s: watch.rescan is less than %v", path, minRescan)
	}
	if err := c.checkPortal(); err != nil {
		return fmt.Errorf("config %s: %w", path, err)
	}
	if err := c.checkProxy(); err != nil {
		return fmt.Errorf("config %s: %w", path, err)
	}
	for key, address := range map[string]string{"metrics.listen": c.Metrics.Listen, "gateway.listen": c.Gateway.Listen} {
		if err := checkLoopback(address); address != "" && err != nil {
			return fmt.Errorf("config %s: %s: %w", path, key, err)
		}
	}
	return nil
}

// The portal is read now and then: a floor, since it is not ours alone.
const (
	defaultPoll = 5 * time.Minute
	minPoll     = 5 * time.Second
)

func (c *Config) checkPortal() error {
	if c.Portal.Poll == 0 {
		c.Portal.Poll = Duration(defaultPoll)
	}
	if time.Duration(c.Portal.Poll) < minPoll {
		return fmt.Errorf("portal.poll is less than %v", minPoll)
	}
	if _, err := account.ParseEndpoint(c.Portal.URL, false); c.Portal.URL != "" && err != nil {
		return fmt.Errorf("portal.url: %w", err)
	}
	for meaning := range c.Portal.Fields {
		if !slices.Contains(source.PortalMeanings(), meaning) {
			return fmt.Errorf("portal.fields: %q is none of %s", meaning, strings.Join(source.PortalMeanings(), ", "))
		}
	}
	return nil
}

// checkProxy quotes nothing: there may be a password inside the URL.
func (c *Config) checkProxy() error {
	if c.Cloud.Proxy == "" {
		return nil
	}
	u, err := url.Parse(c.Cloud.Proxy)
	if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) {
		return errors.New("cloud.proxy is no URL of a proxy, such as http://proxy.example.com:3128")
	}
	c.proxy = u
	return nil
}

// checkLoopback refuses an address that somebody else's machine could reach.
func checkLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return errors.New("no loopback address with a port")
	}
	return nil
}
