package cloud_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/cloud"
)

// The clock of the far end is known from each answer, cut seconds apart.
func TestSkew(t *testing.T) {
	now := time.Date(2026, 11, 23, 3, 0, 0, 400e6, time.UTC)
	for _, c := range []struct {
		date string
		want time.Duration
	}{
		{now.Format(http.TimeFormat), 0},
		{now.Add(20 * time.Minute).Format(http.TimeFormat), 20*time.Minute - 400*time.Millisecond},
		{now.Add(-20 * time.Minute).Format(http.TimeFormat), -20*time.Minute - 400*time.Millisecond},
		{"yesterday", 0},
	} {
		f := newFar(t, reply{401, map[string]string{"Date": c.date}, "{}"})
		far := cloud.New(cloud.Options{Now: func() time.Time { return now }})
		_, _ = far.TokenLives(t.Context(), f.user().Auth, secret)
		if got := far.Skew(); got != c.want {
			t.Errorf("%s: %v, want %v", c.date, got, c.want)
		}
	}
}
