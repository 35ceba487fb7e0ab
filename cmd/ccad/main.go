// Command ccad is the credentials daemon. It reads flags and paths, makes the
// process safe to hold secrets, and calls daemon.Run; or it makes itself a
// service (cmd/ccad/service).
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	_ "github.com/cloud-ca/ccad/daemon/vault/busguard" // before anything that talks to D-Bus

	"golang.org/x/sys/unix"

	"github.com/cloud-ca/ccad/cmd/ccad/service"
	"github.com/cloud-ca/ccad/daemon"
	"github.com/cloud-ca/ccad/daemon/session"
	"github.com/cloud-ca/ccad/ipc"
)

// version is set by the linker.
var version = "dev"

const usage = `usage:
  ccad run [--config F] [--passphrase-file F] [--log-level L]
                             serve in the foreground
  ccad install [--seal]      make it your service; as root: seal its passphrase
                             to this machine
  ccad uninstall [--seal]    take away what install made; the credentials stay
  ccad start | stop | restart | status
  ccad check [--config F]    read the configuration, say what is wrong with it
  ccad keyrings              the keyrings that work on this machine
  ccad version
`

func main() {
	if err := session.Harden(); err != nil {
		fail(err)
	}
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	switch os.Args[1] {
	case "run":
		if err := run(os.Args[2:]); err != nil {
			fail(err)
		}
	case "install", "uninstall", "start", "stop", "restart", "status":
		err := service.Run(os.Stdout, os.Args[1], os.Args[2:])
		if errors.Is(err, service.ErrUsage) {
			fmt.Fprint(os.Stderr, usage)
			os.Exit(2)
		} else if err != nil {
			fail(err)
		}
	case "check":
		if err := check(os.Stdout, os.Args[2:]); err != nil {
			fail(err)
		}
	case "keyrings":
		show(strings.Join(daemon.Keyrings(), "\n") + "\n")
	case "version", "--version":
		show("ccad " + version + "\n")
	case "help", "--help", "-h":
		show(usage)
	default:
		fail(misuse{fmt.Errorf("there is no verb %.80q", os.Args[1])})
	}
}

// show prints what was asked for: where that fails, so does ccad.
func show(text string) {
	if _, err := fmt.Print(text); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "ccad:", err)
	if errors.As(err, new(misuse)) {
		fmt.Fprintln(os.Stderr, "ccad: hint: ccad help")
		os.Exit(2)
	}
	os.Exit(1)
}

// misuse is an error of the words of a verb.
type misuse struct{ error }

// parse reads the words of a verb, and reports whether they only ask for help,
// which is given.
func parse(flags *flag.FlagSet, args []string) (helped bool, err error) {
	flags.SetOutput(io.Discard) // its words are not ours
	err = flags.Parse(args)
	flags.Visit(func(f *flag.Flag) {
		if f.Value.String() == "" { // as by "$UNSET"
			err = cmp.Or(err, fmt.Errorf("--%s is empty", f.Name))
		}
	})
	if errors.Is(err, flag.ErrHelp) {
		show(usage)
		return true, nil
	}
	if err == nil && flags.NArg() > 0 {
		err = errors.New("too many words") // none of them is shown: it could be a secret
	}
	if err != nil {
		return false, misuse{fmt.Errorf("%s: %w", flags.Name(), err)}
	}
	return false, nil
}

// loadConfig reads the configuration: the file that is named, which must be
// there, else the usual one.
func loadConfig(named string) (daemon.Config, error) {
	return daemon.LoadConfig(cmp.Or(named, ipc.ConfigPath()), named != "")
}

// check reads the configuration as run does.
func check(w io.Writer, args []string) error {
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	configPath := flags.String("config", "", "the configuration `file`")
	if helped, err := parse(flags, args); helped || err != nil {
		return err
	}
	if _, err := loadConfig(*configPath); err != nil {
		return err
	}
	path := cmp.Or(*configPath, ipc.ConfigPath())
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		_, err = fmt.Fprintf(w, "there is no %s: all has its default\n", path)
		return err
	}
	_, err := fmt.Fprintln(w, path, "is right")
	return err
}

func run(args []string) error {
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	configPath := flags.String("config", "", "the configuration `file`")
	passphrase := flags.String("passphrase-file", "", "unlock with the passphrase in this `file`")
	var level slog.Level
	flags.TextVar(&level, "log-level", slog.LevelInfo, "debug, info, warn or error")
	if helped, err := parse(flags, args); helped || err != nil {
		return err
	}
	inherited, err := session.Inherited()
	if err != nil {
		return err
	}
	if err := ipc.CheckHome(); err != nil && !inherited.Relocked() && (os.Getenv("XDG_DATA_HOME") == "" || os.Getenv("XDG_STATE_HOME") == "") {
		return err // a folder of root's would be made in the root of the disk
	}
	unix.Umask(0o077)
	o := daemon.Options{
		Version: version, Ready: os.Stdout, Inherited: inherited,
		Log:    newLog(level),
		Socket: ipc.SocketPath(), DataDir: ipc.DataDir(), StateDir: ipc.StateDir(),
	}
	if o.Binary, err = os.Executable(); err != nil {
		return fmt.Errorf("find our own binary: %w", err)
	}
	if *passphrase != "" {
		if o.PassphraseFile, err = filepath.Abs(*passphrase); err != nil {
			return err
		}
	}
	o.Config, err = loadConfig(*configPath)
	if err != nil && inherited.Relocked() { // a lock must not end in no daemon
		o.Unfit = daemon.Unfit(err)
		o.Log.Error("start", "error", o.Unfit)
		o.Config, err = daemon.LoadConfig("", false)
		o.Config.Keyring.Backend = "" // the one that there is
	}
	if err != nil {
		return err
	}
	session.ScrubEnvironment()
	log.SetOutput(io.Discard) // net/http writes there what an S3 server sends unasked
	ctx, signals := session.FollowSignals(context.Background())
	defer signals.Release()
	o.Signals = signals
	return daemon.Run(ctx, o)
}
