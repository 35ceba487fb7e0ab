package daemon

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/gateway"
)

// TestLockedMeanwhile: a lock that overtakes a request says that ccad is locked,
// not that the environment is gone.
func TestLockedMeanwhile(t *testing.T) {
	if _, err := new(Daemon).bind("any"); !errors.Is(err, gateway.ErrLocked) {
		t.Errorf("the binding is %v", err)
	}
}

// TestGatewayHosts: at HTTP's own port clients leave the port out, at none else.
func TestGatewayHosts(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.77:80":  "127.0.0.77:80 localhost:80 127.0.0.77 localhost",
		"[::1]:80":       "[::1]:80 localhost:80 [::1] localhost",
		"127.0.0.1:8080": "127.0.0.1:8080 localhost:8080",
		"[::80]:9000":    "[::80]:9000 localhost:9000",
	} {
		if got := strings.Join(gatewayHosts(address), " "); got != want {
			t.Errorf("at %s: %s", address, got)
		}
	}
}

func keyPairOf(access string) account.KeyPair {
	return account.KeyPair{AccessKeyID: access, Secret: account.NewSecret("s")}
}

// TestAskingPauses: the same refused key is asked about less and less often,
// another one at once, and the first again when that was long ago.
func TestAskingPauses(t *testing.T) {
	var a asking
	now := time.Unix(1e9, 0)
	asked := 0
	about := func(id, access string) bool {
		before := asked
		a.about(t.Context(), id, keyPairOf(access), func() time.Time { return now }, func() { asked++ })
		return asked > before
	}
	for _, c := range []struct {
		after      time.Duration
		id, access string
		asks       bool
	}{
		{0, "e", "a", true},
		{0, "e", "a", false},
		{firstPause - 1, "e", "a", false},
		{1, "e", "a", true},
		{firstPause, "e", "a", false},
		{firstPause, "e", "a", true},
		{0, "other", "a", true},
		{0, "e", "b", true},
		{0, "e", "b", false},
		{firstPause, "e", "b", true},
		{lastPause, "e", "b", true},
		{lastPause, "e", "b", true},
		{lastPause, "e", "b", true},
		{lastPause, "e", "b", true},
		{lastPause - 1, "e", "b", false},
		{forgotten, "e", "b", true},
		{firstPause, "e", "b", true},
	} {
		now = now.Add(c.after)
		if got := about(c.id, c.access); got != c.asks {
			t.Fatalf("at %s, %s of %s: asked %v", now.Sub(time.Unix(1e9, 0)), c.access, c.id, got)
		}
	}
}

// TestAskingTogether: who comes while a question is under way waits for its
// answer, and no longer than his request lives; a question that fails ends too.
func TestAskingTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a asking
		answer := make(chan struct{})
		answered, others := false, 0
		go a.about(t.Context(), "e", keyPairOf("a"), time.Now, func() { <-answer; answered = true })
		synctest.Wait()
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		a.about(gone, "e", keyPairOf("a"), time.Now, func() { t.Error("asked for one who was gone") })
		var clients sync.WaitGroup
		for range 8 {
			clients.Go(func() {
				a.about(t.Context(), "e", keyPairOf("a"), time.Now, func() { t.Error("asked again") })
				if !answered {
					t.Error("it did not wait for the answer")
				}
			})
		}
		synctest.Wait()
		clients.Go(func() { a.about(t.Context(), "e", keyPairOf("b"), time.Now, func() { others++ }) })
		synctest.Wait()
		close(answer)
		clients.Wait()
		if others != 1 {
			t.Errorf("asked %d times about the other key", others)
		}
		func() {
			defer func() { _ = recover() }()
			a.about(t.Context(), "p", keyPairOf("a"), time.Now, func() { panic("what") })
		}()
		a.about(t.Context(), "p", keyPairOf("a"), time.Now, func() { t.Error("asked at once") })
	})
}
