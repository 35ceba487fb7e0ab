// Package daemon is ccad: it builds the rooms below it, serves them over a Unix
// socket, and holds the lifetimes.
//
//	sources                     the daemon                              clients
//	openrc, aws,      source ─▶ rotate ─▶ cloud ─▶ vault ─▶ view ─▶ socket ─▶ AWS SDKs, exec, env
//	clouds.yaml, paste          (adopt)   (ask)      │
//	                                                 └▶ generation files ─▶ shells
//
// It is locked or open. Locked, it knows nothing: no key, no name. Opening
// (unlock.go) reads the store with the keyring's master key; locking (lock.go)
// replaces the whole process by a fresh image, since only a new address space
// has no secrets in it (package session).
//
// Every request passes one wrapper (serve.go): the peer's uid (ipc.Listener),
// the protocol number, a strict decode, the act, the error's code, the count.
// Only this package and the commands log, and no room below it can; none of
// what is logged or counted holds a secret, a key id or a name of a user.
package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/rotate"
	"github.com/cloud-ca/ccad/daemon/session"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/ipc"
)

// Options say what one daemon is run with. All paths are absolute.
type Options struct {
	Version        string
	Binary         string // what a lock re-executes
	Socket         string
	DataDir        string
	StateDir       string
	PassphraseFile string       // --passphrase-file; "" where none was given
	Ready          io.Writer    // the one ready line
	Log            *slog.Logger // stderr
	Inherited      session.Handover
	Signals        *session.Signals // what ends Run's context; nil: no signal does
	Config         Config
	Unfit          error            // why this ccad is never to be unlocked; nil: it may be
	Now            func() time.Time // nil: time.Now
}

// Unfit is about what a new image found that a lock made: it goes on, since a lock
// must not end in no daemon, and stays locked. A configuration's own line, which
// may hold a proxy's password, is left out.
func Unfit(err error) error {
	first, _, _ := strings.Cut(err.Error(), "\n")
	return errors.New("ccad has to be restarted before it can be unlocked, once this is mended: " + first)
}

// A Daemon is one running ccad.
type Daemon struct {
	Options
	keyring  *vault.Keyring
	schedule rotate.Schedule
	gens     *generations
	leases   *leaseFile
	feed     *feed
	metrics  *metrics
	locks    []*os.File

	ctx     context.Context        // Run's: ccad is to end when it does
	opening sync.Mutex             // one unlock, or change of passphrase, at a time
	open    atomic.Pointer[opened] // nil: locked

	unreadable atomic.Pointer[error] // why the store could not be opened; nil once it could

	marking  sync.Mutex      // held while the marker of a lock and open change, together
	touched  bool            // this image has held secrets: a lock has to replace it
	image    context.Context // ends when a lock is replacing this image
	endImage context.CancelFunc
	unlocks  sync.WaitGroup // under way

	closing     chan struct{} // closed by endStreams
	endStreams  func()
	made        bool // the socket's file is ours to remove
	gate        *session.Gate
	s3          *s3Gateway
	metricsPort metricsPort
	credentials credentialSocket
	kick        chan struct{} // cap 1: look again at the rotations
	askOwed     chan struct{} // cap 1: look again at what is owed
	askPortal   chan struct{} // cap 1: read the portal now
	askCloud    chan struct{} // cap 1: probe now

	asked      attention    // when a client last asked
	logindLost atomic.Value // string: why logind can't be followed, "" once it is
	told       told         // what shells are to hear
	watched    watched      // files that import has read
	used       used         // what probes are to ask about
	rejected   rejected     // what programs report
	silence    silence      // of the cloud
	portalSay  portalSay    // what the portal shows that is not taken
	rendered   sync.Map     // path of a [[render]] table to the time.Time when its view was last given
}

// Run serves until ctx ends or something fails that can't be mended. Locking
// does not return: it replaces the process.
func Run(ctx context.Context, o Options) error {
	d := &Daemon{
		Options:  o,
		schedule: o.Config.Rotate.schedule(),
		ctx:      ctx,
		gens:     &generations{folder: filepath.Join(filepath.Dir(o.Socket), "gen")},
		leases:   &leaseFile{path: filepath.Join(filepath.Dir(o.Socket), "leases"), log: o.Log},
		feed:     newFeed(),
		closing:  make(chan struct{}),
		kick:     make(chan struct{}, 1),

		askOwed:   make(chan struct{}, 1),
		askPortal: make(chan struct{}, 1),
		askCloud:  make(chan struct{}, 1),
		rejected:  newRejected(),
	}
	d.asked.note(d.now())
	d.endStreams = sync.OnceFunc(func() { close(d.closing) })
	d.image, d.endImage = context.WithCancel(context.Background())
	defer d.endImage()
	d.metrics = newMetrics(d)
	d.watched.files, d.watched.wanted, d.watched.watcher = map[watchedKey]ipc.WatchedFile{}, map[string]string{}, d.newWatcher(ctx)
	listener, err := d.own()
	defer func() {
		for _, lock := range d.locks {
			vault.UnlockFolder(lock)
		}
	}()
	if err != nil {
		return err
	}
	defer d.gens.clear()
	defer d.leases.clear()
	if d.keyring, err = vault.OpenKeyring(o.DataDir, o.Config.Keyring.Backend); err != nil {
		err = fmt.Errorf("keyring: %w", err)
		if !d.Inherited.Relocked() {
			return err
		}
		o.Log.Error("start", "error", err)
		d.Unfit = cmp.Or(d.Unfit, Unfit(err))
	}
	d.s3, d.metricsPort, d.credentials = d.listenGateway(), d.listenMetrics(), d.listenCredentials()
	if err := d.openAtStart(ctx); err != nil {
		o.Log.Warn("start locked", "reason", err)
	}
	return d.serve(ctx, listener)
}

// own proves that this is the only daemon of the user, and takes the socket.
func (d *Daemon) own() (*ipc.Listener, error) {
	d.locks = d.Inherited.Locks
	if len(d.locks) == 0 {
		for _, folder := range []string{d.DataDir, filepath.Dir(d.Socket)} {
			lock, err := vault.LockFolder(folder)
			if err != nil {
				return nil, fmt.Errorf("own %s: %w", folder, err)
			}
			d.locks = append(d.locks, lock)
		}
	}
	err := d.gens.claim()
	if err != nil && !d.Inherited.Relocked() {
		return nil, err
	} else if err != nil { // a lock must not end in no daemon
		d.Log.Error("generations", "error", err)
	}
	if d.Inherited.Listener == nil {
		d.made = true
		return ipc.Listen(d.Socket)
	}
	listener, err := ipc.Inherit(d.Inherited.Listener)
	if err != nil {
		return nil, err
	}
	d.made = d.Inherited.Made
	listener.SetUnlinkOnClose(d.made)
	return listener, nil
}

// serve answers until ctx ends.
func (d *Daemon) serve(ctx context.Context, listener *ipc.Listener) (err error) {
	d.gate = session.NewGate(listener)
	server := &http.Server{
		Handler:           d.handler(),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ConnContext:       withPeer,
		ConnState:         d.gate.ConnState,
		ErrorLog:          slog.NewLogLogger(d.Log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 3)
	go func() { failed <- server.Serve(d.gate) }()
	defer d.serveMetrics(failed)()
	defer d.serveGateway(failed)()
	defer d.serveCredentials()()
	checking, cancelChecks := context.WithCancel(ctx)
	defer cancelChecks()
	checked := make(chan struct{})
	go func() {
		defer close(checked)
		var loops sync.WaitGroup
		loops.Go(func() { d.checkOwed(checking) })
		loops.Go(func() { d.goOn(checking) })
		loops.Go(func() { d.keepPublished(checking) })
		loops.Go(func() { d.pollPortal(checking) })
		loops.Go(func() { d.watchFiles(checking) })
		loops.Go(func() { d.probeUsed(checking) })
		loops.Go(func() { d.followReports(checking) })
		loops.Go(func() { d.feedWatchdog(checking) })
		loops.Go(func() { d.lockWhenIdle(checking) })
		loops.Go(func() { d.followLogind(checking) })
		loops.Go(func() { d.noticeSleep(checking, time.Tick(sleepEvery), slept) })
		loops.Go(func() { d.stayReachable(checking, time.Tick(reachableEvery)) })
		loops.Wait()
	}()
	d.announce()
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	cancelChecks()
	_, _ = sd.SdNotify(false, sd.SdNotifyStopping)
	d.endStreams()
	grace, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = server.Shutdown(grace)
	_ = d.gate.Close() // which a Serve that has not begun yet would do after the end
	select {
	case <-checked:
	case <-grace.Done():
	}
	if o := d.open.Load(); o != nil {
		d.checkpoint(o, false)
		_ = o.trail.Close()
	}
	return err
}

// announce says that requests are answered: to who started us, to systemd, and
// to the client whose lock request this image was made by.
func (d *Daemon) announce() {
	state := "open"
	if d.open.Load() == nil {
		state = "locked"
	}
	_, _ = sd.SdNotify(false, sd.SdNotifyReady)
	d.Log.Info("ready", "version", d.Version, "socket", d.Socket, "state", state)
	if d.Inherited.Reply != nil {
		d.answerLock(d.Inherited.Reply)
	}
	if d.Inherited.Relocked() {
		return
	}
	fmt.Fprintf(d.Ready, "ccad %s ready at %s (%s)\n", d.Version, d.Socket, state)
}

// Keyrings returns the keyrings that work on this machine, the usual one first.
func Keyrings() []string { return vault.Usable(context.Background()) }

// now is the daemon's clock.
func (d *Daemon) now() time.Time {
	if d.Now != nil {
		return d.Now()
	}
	return time.Now()
}

// newCloud makes the client of the far end.
func (d *Daemon) newCloud() *cloud.Cloud {
	return cloud.New(cloud.Options{Proxy: d.Config.proxy, Now: d.now})
}

// passphraseAtStart finds the passphrase that needs no person, if there is one.
func (d *Daemon) passphraseAtStart() (passphrase account.Secret, explicit bool, err error) {
	if d.PassphraseFile != "" {
		passphrase, err = readPassphrase(d.PassphraseFile)
		return passphrase, true, err
	}
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); dir != "" {
		passphrase, err = readPassphrase(filepath.Join(dir, "ccad"))
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
	}
	return passphrase, false, err
}
