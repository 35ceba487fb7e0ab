package daemon

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cloud-ca/ccad/daemon/rotate"
	"github.com/cloud-ca/ccad/daemon/vault"
)

var (
	rotationsDesc = prometheus.NewDesc("ccad_rotations", "Rotations under way.", []string{"kind"}, nil)
	stalledDesc   = prometheus.NewDesc("ccad_rotations_stalled", "Rotations under way whose last step failed.", nil, nil)
	rotatingDesc  = prometheus.NewDesc("ccad_rotation_oldest_seconds", "Time since the oldest rotation under way began; 0 without one.", nil, nil)
	retiringDesc  = prometheus.NewDesc("ccad_retiring_leases", "Leases on keys and application credentials that are being replaced.", nil, nil)
	dueDesc       = prometheus.NewDesc("ccad_rotation_due_seconds", "Time until the schedule replaces the first value of a kind; negative: it is overdue.", []string{"kind"}, nil)
	oldestDesc    = prometheus.NewDesc("ccad_oldest_secret_seconds", "Age of the oldest value that is served.", []string{"kind"}, nil)
)

// The kinds of secrets, as labels.
const (
	kindPassword = string(rotate.KindPassword)
	kindKey      = string(rotate.KindKey)
	kindAppCred  = string(rotate.KindAppCred)
)

// collectRotations tells how rotations stand and how old the secrets are, for
// rules that call a rotation overdue or stuck.
func (s state) collectRotations(o *opened, gauge func(d *prometheus.Desc, v float64, labels ...string)) {
	contents, now := o.vault.Contents(), s.d.now()
	under, oldest := map[string]float64{}, map[string]time.Duration{}
	var longest time.Duration
	stalled, retiring := 0, 0
	due := map[string]time.Time{}
	scheduled := func(kind string, at time.Time) {
		if first, any := due[kind]; !at.IsZero() && (!any || at.Before(first)) {
			due[kind] = at
		}
	}
	rotation := func(kind string, r *vault.Rotation) {
		if rotate.UnderWay(r) {
			under[kind]++
			longest = max(longest, now.Sub(r.Begun))
		}
	}
	for _, u := range contents.Users {
		rotation(kindPassword, u.Rotation)
		scheduled(kindPassword, s.d.schedule.PasswordDue(u))
		if r, ok := o.keeper.RetiringPassword(u); ok && r.Trouble != "" {
			stalled++
		}
		if v, ok := u.Passwords.Active(); ok {
			oldest[kindPassword] = max(oldest[kindPassword], now.Sub(v.Created))
		}
	}
	for _, e := range contents.Environments {
		rotation(kindKey, e.KeyRotation)
		scheduled(kindKey, s.d.schedule.KeyDue(e, contents.Users[e.UserID]))
		rotation(kindAppCred, e.CredRotation)
		scheduled(kindAppCred, s.d.schedule.CredentialDue(e, contents.Users[e.UserID]))
		if v, ok := e.Keys.Active(); ok {
			oldest[kindKey] = max(oldest[kindKey], now.Sub(v.Created))
		}
		if v, ok := e.AppCreds.Active(); ok {
			oldest[kindAppCred] = max(oldest[kindAppCred], now.Sub(v.Created))
		}
		for _, kind := range []rotate.Kind{rotate.KindKey, rotate.KindAppCred} {
			if r, ok := o.keeper.Retiring(kind, e); ok {
				retiring += len(r.Holders)
				if r.Trouble != "" {
					stalled++
				}
			}
		}
	}
	for _, kind := range []string{kindPassword, kindKey, kindAppCred} {
		gauge(rotationsDesc, under[kind], kind)
		gauge(oldestDesc, oldest[kind].Seconds(), kind)
	}
	for kind, at := range due {
		gauge(dueDesc, at.Sub(now).Seconds(), kind)
	}
	gauge(stalledDesc, float64(stalled))
	gauge(rotatingDesc, longest.Seconds())
	gauge(retiringDesc, float64(retiring))
}
