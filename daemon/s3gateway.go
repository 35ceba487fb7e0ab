package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/audit"
	"github.com/cloud-ca/ccad/daemon/gateway"
	"github.com/cloud-ca/ccad/daemon/rotate"
	"github.com/cloud-ca/ccad/daemon/session"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// s3Gateway is the daemon's end of the S3 gateway: the port it holds, what each
// environment's requests amount to, and the lines in the audit trail.
//
// A loopback port belongs to whoever binds it first. So the address is chosen
// once and kept, a lock hands the listener over, and while somebody else holds
// the port no gateway key is given out; it is tried again until it is free.
type s3Gateway struct {
	port   atomic.Pointer[gatewayPort]
	server atomic.Pointer[gateway.Gateway] // what answers there; nil: nothing yet
	asking asking                          // Keystone about refused keys

	mu      sync.Mutex
	traffic map[string]traffic   // by account.Environment.ID
	told    map[string]time.Time // when a gateway key's use was last put in the audit trail, by its nonce
}

// A gatewayPort is the one that we hold, or why we hold none.
type gatewayPort struct {
	address string // 127.0.0.1:PORT
	gate    *session.Gate
	lost    error
}

// traffic is what went through the gateway for one environment since start.
type traffic struct {
	requests uint64
	in, out  int64
}

const (
	// auditPeriod is how long one line stands for a gateway key's use.
	auditPeriod = time.Hour
	// gatewayConnections is more than the programs of one user make. Each costs up
	// to 50 KiB, and other users of the machine may make some too; so they get half
	// of our descriptors at most.
	gatewayConnections = 1024
	// profileRegion is what profiles let clients sign for; any would do.
	profileRegion = "us-east-1"
	// viewRegion is that of variables and files, which can't name the signature's
	// version to botocore: for a region of Amazon's it would presign by the second.
	viewRegion = "cloud-ca"
)

// How long it takes until a port that somebody else has is tried again.
const (
	firstListen = time.Second
	lastListen  = 30 * time.Second
)

// listenGateway takes the gateway's port: inherited, or where the config or an
// earlier start has it, or a free one that is kept from then on. Without the
// port ccad serves everything else.
func (d *Daemon) listenGateway() *s3Gateway {
	g := &s3Gateway{traffic: map[string]traffic{}, told: map[string]time.Time{}}
	g.port.Store(d.takePort())
	if err := g.lost(); err != nil {
		d.Log.Error(err.Error())
	}
	return g
}

func (d *Daemon) takePort() *gatewayPort {
	l, err := d.gatewayListener()
	d.Inherited.Gateway = nil // it is the listener's now
	if err != nil {
		return &gatewayPort{lost: err}
	}
	gate := session.NewGate(l)
	gate.Limit = gatewayConnections
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err == nil {
		gate.Limit = int(min(gatewayConnections, files.Cur/2))
	}
	return &gatewayPort{address: l.Addr().String(), gate: gate}
}

// serveGateway answers S3 requests until it is stopped, from when the port is ours.
func (d *Daemon) serveGateway(failed chan<- error) (stop func()) {
	ctx, cancel := context.WithCancel(d.ctx)
	var serving sync.WaitGroup
	serving.Go(func() {
		for pause := firstListen; d.s3.gate() == nil; pause = min(2*pause, lastListen) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
				d.s3.port.Store(d.takePort())
			}
		}
		if err := d.answerS3(ctx); err != nil {
			failed <- fmt.Errorf("gateway: %w", err)
		}
	})
	return func() { cancel(); serving.Wait() }
}

func (d *Daemon) answerS3(ctx context.Context) error {
	handler := gateway.New(gateway.Options{
		Hosts:    gatewayHosts(d.s3.port.Load().address),
		Key:      d.gatewayKey,
		Bind:     d.bind,
		Rejected: d.keyRejected,
		Alive:    func(h gateway.Holder) bool { return alive(rotate.Process{PID: h.PID, Started: h.Started}) },
		Own:      own,
		Proven:   d.s3.gate().Proven,
		Done:     d.gatewayDone,
		Proxy:    d.Config.proxy,
		Now:      d.now,
	})
	defer handler.Close()
	d.s3.server.Store(handler)
	server := handler.Server()
	server.ConnState, server.ConnContext = d.s3.gate().ConnState, d.s3.gate().ConnContext
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(d.s3.gate()); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// gatewayHosts are the names by which clients ask at an address. HTTP's own port
// they leave out.
func gatewayHosts(address string) []string {
	_, port, _ := net.SplitHostPort(address)
	hosts := []string{address, "localhost:" + port}
	if host, ok := strings.CutSuffix(address, ":80"); ok {
		hosts = append(hosts, host, "localhost")
	}
	return hosts
}

// gate is what the port is handed over by; nil while it is not ours.
func (g *s3Gateway) gate() *session.Gate { return g.port.Load().gate }

// busy reports whether a program's request is under way.
func (g *s3Gateway) busy() bool {
	server := g.server.Load()
	return server != nil && server.Busy()
}

// url is where clients find the gateway; "" while the port is not ours.
func (g *s3Gateway) url() string {
	if g.gate() == nil {
		return ""
	}
	return "http://" + g.port.Load().address
}

// lost says why there is no gateway; nil: there is.
func (g *s3Gateway) lost() error {
	if err := g.port.Load().lost; err != nil {
		return fmt.Errorf("the S3 gateway has no port: %w", err)
	}
	return nil
}

// warning is lost, for status.
func (g *s3Gateway) warning() string {
	if err := g.lost(); err != nil {
		return err.Error() + ", which is tried again"
	}
	return ""
}

// gatewayKey is the vault's; nil while locked.
func (d *Daemon) gatewayKey() []byte {
	if o := d.open.Load(); o != nil {
		return o.vault.Contents().GatewayKey
	}
	return nil
}

// bind tells the gateway where an environment's requests go.
func (d *Daemon) bind(id string) (gateway.Binding, error) {
	o := d.open.Load()
	if o == nil {
		return gateway.Binding{}, gateway.ErrLocked
	}
	e, ok := o.keeper.EnvironmentByID(id)
	if !ok {
		return gateway.Binding{}, gateway.ErrUnknown
	}
	keys, _ := e.Keys.Active()
	b := gateway.Binding{ID: id, Epoch: e.Epoch, S3: e.S3, Keys: keys.Value, Version: keys.N}
	if err := rotate.MayServeKeys(e); err != nil {
		b.Refused = &gateway.Refusal{Message: err.Error()}
	}
	if rotate.BetweenKeys(e, d.now()) {
		b.Refused = &gateway.Refusal{Message: "Keystone lists no S3 key of " + e.Name + " just now, which is being looked into: ccactl status", Passing: true}
	}
	return b, nil
}

// gatewayDone counts a request, and puts a line into the audit trail once a
// period for each gateway key. Buckets and objects are nobody's business here.
func (d *Daemon) gatewayDone(r gateway.Record) {
	d.metrics.gateway(r)
	if r.Environment == "" {
		return // anybody may ask, web pages too: that keeps nothing open
	}
	d.asked.note(d.now())
	d.used.note(r.Environment)
	g := d.s3
	g.mu.Lock()
	t := g.traffic[r.Environment]
	t.requests, t.in, t.out = t.requests+1, t.in+r.In, t.out+r.Out
	g.traffic[r.Environment] = t
	now := d.now()
	tell := now.Sub(g.told[r.Key]) >= auditPeriod
	if tell {
		for nonce, at := range g.told {
			if now.Sub(at) >= auditPeriod {
				delete(g.told, nonce)
			}
		}
		g.told[r.Key] = now
	}
	g.mu.Unlock()
	if o := d.open.Load(); o != nil && tell {
		e, _ := o.keeper.EnvironmentByID(r.Environment)
		d.record(o, audit.Entry{Event: "gateway-used", Environment: e.Name, View: r.Class, Note: "key " + r.Key})
	}
}

// trafficOf is what went through for an environment.
func (g *s3Gateway) trafficOf(id string) traffic {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.traffic[id]
}

// mint makes a gateway key and says where it is good. A holder, if one is
// named, gets the same key as before. Between two S3 keys it makes one too: who
// comes now needs it for the next.
func (d *Daemon) mint(e vault.Environment, until time.Time, holder string) (account.KeyPair, account.S3, error) {
	if err := d.s3.lost(); err != nil {
		return account.KeyPair{}, account.S3{}, err
	}
	if err := rotate.MayServeKeys(e); err != nil && !rotate.BetweenKeys(e, d.now()) {
		return account.KeyPair{}, account.S3{}, err
	}
	if _, ok := e.Keys.Active(); !ok {
		return account.KeyPair{}, account.S3{}, fmt.Errorf("environment %s has no S3 key", e.Name)
	}
	endpoint, err := account.ParseEndpoint(d.s3.url(), false)
	if err != nil {
		return account.KeyPair{}, account.S3{}, fmt.Errorf("the S3 gateway's address: %w", err)
	}
	s3 := account.S3{Endpoint: endpoint, Region: viewRegion}
	if holder != "" {
		return gateway.MintKeyFor(holder, d.gatewayKey(), e.ID, e.Epoch, until), s3, nil
	}
	return gateway.MintKey(d.gatewayKey(), e.ID, e.Epoch, until), s3, nil
}
