package main

import (
	"testing"
	"time"

	"github.com/cloud-ca/ccad/ipc"
)

// A password that was right once may be so again: status says from when on verify
// sends it once more, and of any other nothing of the kind.
func TestRefusedOnceRight(t *testing.T) {
	from := time.Date(2026, 1, 2, 15, 4, 0, 0, time.Local)
	for want, u := range map[string]ipc.User{
		"ccactl update --user u": {Name: "u", State: "refused"},
		"ccactl update --user u; or, if the account was disabled or locked out: ccactl verify after 15:04": {Name: "u", State: "refused", AgainFrom: &from},
	} {
		if got, _ := userTrouble(u, from.Add(-time.Minute)); got.mend != want {
			t.Errorf("%q, want %q", got.mend, want)
		}
	}
}
