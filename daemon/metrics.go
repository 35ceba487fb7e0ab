package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"

	"github.com/cloud-ca/ccad/daemon/gateway"
	"github.com/cloud-ca/ccad/daemon/rotate"
	"github.com/cloud-ca/ccad/daemon/session"
)

// metrics is every series of ours. Labels are words of this code, never names
// of users, environments, keys or programs.
type metrics struct {
	registry      *prometheus.Registry
	requests      *prometheus.CounterVec
	duration      *prometheus.HistogramVec
	served        *prometheus.CounterVec
	checks        *prometheus.CounterVec
	auditFailures prometheus.Counter
	probes        *prometheus.CounterVec
	portalReads   *prometheus.CounterVec
	incidents     *prometheus.CounterVec

	s3Requests *prometheus.CounterVec
	s3Duration *prometheus.HistogramVec
	s3Bytes    *prometheus.CounterVec
	s3Resent   prometheus.Counter
}

func newMetrics(d *Daemon) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ccad_requests_total", Help: "Requests on the socket, by verb and outcome."}, []string{"verb", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ccad_request_duration_seconds", Help: "Time from a request's header to its answer.",
			Buckets:                     []float64{50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 5e-3, 25e-3, 100e-3, 0.5, 1, 5},
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour}, []string{"verb"}),
		served: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ccad_secrets_served_total", Help: "Views with secrets handed out."}, []string{"view"}),
		checks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ccad_checks_total", Help: "Values that ccad asked the cloud about by itself, by outcome."}, []string{"outcome"}),
		probes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ccad_probes_total", Help: "Environments in use that the cloud was asked about, by outcome."}, []string{"outcome"}),
		portalReads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ccad_portal_reads_total", Help: "Times that the portal's API was read, by outcome."}, []string{"outcome"}),
		incidents: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ccad_incidents_total", Help: "Values that the cloud began to refuse, that it accepts again, and that were noticed to be new."}, []string{"kind", "state"}),
		auditFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ccad_audit_failures_total", Help: "Lines that could not be written to the audit trail."}),
	}
	for _, outcome := range []string{"accepted", "refused", "unreachable", "failed"} { // there from the start: a rule sees the first one rise
		m.checks.WithLabelValues(outcome)
		m.probes.WithLabelValues(outcome)
	}
	m.s3Requests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ccad_gateway_requests_total", Help: "Requests to the S3 gateway, by class of operation and status."}, []string{"class", "status"})
	m.s3Duration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "ccad_gateway_request_duration_seconds", Help: "Time of requests to the S3 gateway, bodies and the cloud's own time included.",
		Buckets: []float64{1e-3, 5e-3, 25e-3, 0.1, 0.5, 1, 5, 30, 120}}, []string{"class"})
	m.s3Bytes = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ccad_gateway_bytes_total", Help: "Payload through the S3 gateway, by direction."}, []string{"direction"})
	m.s3Resent = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "ccad_gateway_resent_total", Help: "Requests that were sent again with a newer key."})
	m.registry.MustRegister(m.s3Requests, m.s3Duration, m.s3Bytes, m.s3Resent)
	m.registry.MustRegister(m.requests, m.duration, m.served, m.checks, m.auditFailures, m.probes, m.portalReads, m.incidents,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), state{d})
	return m
}

// gateway counts a request to the S3 gateway.
func (m *metrics) gateway(r gateway.Record) {
	m.s3Requests.WithLabelValues(r.Class, strconv.Itoa(r.Status)).Inc()
	m.s3Duration.WithLabelValues(r.Class).Observe(r.Duration.Seconds())
	m.s3Bytes.WithLabelValues("in").Add(float64(r.In))
	m.s3Bytes.WithLabelValues("out").Add(float64(r.Out))
	if r.Resent {
		m.s3Resent.Inc()
	}
}

// state reads at scrape time what need not be counted.
type state struct{ d *Daemon }

var (
	lockedDesc       = prometheus.NewDesc("ccad_locked", "1 while the keyring is locked.", nil, nil)
	buildDesc        = prometheus.NewDesc("ccad_build_info", "1, with the version.", []string{"version"}, nil)
	usersDesc        = prometheus.NewDesc("ccad_users", "Users by state.", []string{"state"}, nil)
	environmentsDesc = prometheus.NewDesc("ccad_environments", "Environments by state.", []string{"state"}, nil)
	leasesDesc       = prometheus.NewDesc("ccad_leases", "Leases that have not ended.", nil, nil)
	portalDesc       = prometheus.NewDesc("ccad_portal_refused", "1 while the portal refuses its API key; absent where none is stored.", nil, nil)
	storeDesc        = prometheus.NewDesc("ccad_store_sequence", "Number of the store's last commit.", nil, nil)
)

// Describe implements prometheus.Collector.
func (state) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{lockedDesc, buildDesc, usersDesc, environmentsDesc, leasesDesc, storeDesc, portalDesc, rotationsDesc, stalledDesc, rotatingDesc, retiringDesc, dueDesc, oldestDesc} {
		c <- d
	}
}

// Collect implements prometheus.Collector.
func (s state) Collect(c chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(buildDesc, 1, s.d.Version)
	o := s.d.open.Load()
	if o == nil {
		gauge(lockedDesc, 1)
		return
	}
	gauge(lockedDesc, 0)
	contents, now := o.vault.Contents(), s.d.now()
	users, environments := map[string]float64{}, map[string]float64{}
	for _, u := range contents.Users {
		users[rotate.UserState(contents, u, now)]++
	}
	for _, e := range contents.Environments {
		environments[rotate.EnvironmentState(contents, e, now)]++
	}
	for _, st := range []string{rotate.StateOK, rotate.StateUnverified, rotate.StateRefused, rotate.StateLockedOut, rotate.StateExpiring} {
		gauge(usersDesc, users[st], st)
		gauge(environmentsDesc, environments[st], st)
	}
	gauge(environmentsDesc, environments[rotate.StateNone], rotate.StateNone)
	leases := 0
	for _, n := range o.ledger.Counts() {
		leases += n
	}
	gauge(leasesDesc, float64(leases))
	gauge(storeDesc, float64(contents.Sequence))
	if p := contents.Portal; p != nil && p.Refused != nil {
		gauge(portalDesc, 1)
	} else if p != nil {
		gauge(portalDesc, 0)
	}
	s.collectRotations(o, gauge)
}

// prometheus answers a scrape over the socket, as every other request.
func (d *Daemon) prometheus(*request) (any, error) {
	families, err := d.metrics.registry.Gather()
	if err != nil {
		return nil, fmt.Errorf("gather the metrics: %w", err)
	}
	format := expfmt.NewFormat(expfmt.TypeTextPlain)
	var body bytes.Buffer
	enc := expfmt.NewEncoder(&body, format)
	for _, f := range families {
		if err := enc.Encode(f); err != nil {
			return nil, fmt.Errorf("write the metrics: %w", err)
		}
	}
	return reply{contentType: string(format), body: body.Bytes()}, nil
}

// metricsPort is the loopback port of the config, for scrapes that can't use
// the socket.
type metricsPort struct {
	gate *session.Gate // nil: none is configured, or it is not ours
	lost string        // why it is not ours, for status
}

// metricsConnections is more than there are scrapers; the port is open to every
// user of the machine.
const metricsConnections = 64

// listenMetrics takes the port: inherited, so that nobody can take it during a
// lock, or where the config has it. Without it ccad serves everything else.
func (d *Daemon) listenMetrics() (p metricsPort) {
	l, err := d.metricsListener()
	if err != nil {
		d.Log.Error("metrics have no port", "error", err)
		p.lost = "metrics have no port: " + err.Error()
	} else if l != nil {
		p.gate = session.NewGate(l)
		p.gate.Limit = metricsConnections
	}
	return p
}

func (d *Daemon) metricsListener() (net.Listener, error) {
	f, address := d.Inherited.Metrics, d.Config.Metrics.Listen
	if f != nil {
		l, err := net.FileListener(f)
		_ = f.Close()
		if err != nil {
			return nil, fmt.Errorf("take over the metrics port: %w", err)
		}
		if _, port, _ := net.SplitHostPort(address); l.Addr().String() == address || port == "0" {
			return l, nil
		}
		_ = l.Close() // the config has changed since
	}
	if address == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("metrics.listen: %w", err)
	}
	return l, nil
}

// serveMetrics answers scrapes on the port, and nothing else there.
func (d *Daemon) serveMetrics(failed chan<- error) (stop func()) {
	gate := d.metricsPort.gate
	if gate == nil {
		return func() {}
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(d.metrics.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 2, Timeout: 5 * time.Second}))
	server := &http.Server{Handler: withoutPages(mux), ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, ConnState: gate.ConnState}
	go func() {
		if err := server.Serve(gate); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("metrics: %w", err)
		}
	}()
	return func() {
		_ = server.Close()
		_ = gate.Close() // which it does not know of before it serves
	}
}

// withoutPages refuses web pages: they name themselves, and one whose name leads
// to this machine (DNS rebinding) names that as the host.
func withoutPages(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := (&url.URL{Host: r.Host}).Hostname()
		if r.Header.Get("Origin") != "" || net.ParseIP(host) == nil && !strings.EqualFold(host, "localhost") {
			http.Error(w, "metrics are not for web pages: ask by an address or localhost", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}
