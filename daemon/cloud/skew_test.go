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
		none bool
	}{
		{now.Format(http.TimeFormat), 0, false},
		{now.Add(20 * time.Minute).Format(http.TimeFormat), 20*time.Minute - 400*time.Millisecond, false},
		{now.Add(-20 * time.Minute).Format(http.TimeFormat), -20*time.Minute - 400*time.Millisecond, false},
		{"yesterday", 0, true},
	} {
		f := newFar(t, reply{401, map[string]string{"Date": c.date}, "{}"})
		far := cloud.New(cloud.Options{Now: func() time.Time { return now }})
		if got, known := far.Skew(); known {
			t.Errorf("before any answer: %v", got)
		}
		_, _ = far.TokenLives(t.Context(), f.user().Auth, secret)
		if got, known := far.Skew(); got != c.want || known == c.none {
			t.Errorf("%s: %v, %v, want %v", c.date, got, known, c.want)
		}
	}
}
