package rotate

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// TestCommitsAreToldInOrder: however many write at once, each commit is told once,
// as what it was, after the one before it; and whoever is told may write to the
// store.
func TestCommitsAreToldInOrder(t *testing.T) {
	t.Parallel()
	const writers, each = 4, 25
	m, err := vault.NewMaster()
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(t.TempDir(), m, 0)
	if err != nil {
		t.Fatal(err)
	}
	name := func(i int) string { return fmt.Sprint("e", i) }
	err = v.Change(func(c *vault.Contents) error {
		for i := range writers {
			c.Environments[name(i)] = vault.Environment{Environment: account.Environment{ID: name(i), Name: name(i)}}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var being atomic.Int32
	var told int
	last := v.Contents().Generation
	k := New(v, cloud.New(cloud.Options{}), time.Now, func(before, after *vault.Contents, _ string) {
		if being.Add(1) != 1 {
			t.Error("told of two commits at a time")
		}
		defer being.Add(-1)
		if after.Sequence != before.Sequence+1 {
			t.Errorf("told of commits %d to %d as one", before.Sequence+1, after.Sequence)
		}
		if after.Generation != last+1 {
			t.Errorf("told of generation %d after %d", after.Generation, last)
		}
		last = after.Generation
		told++
		if told%10 == 0 { // as a checkpoint of the audit trail
			if err := v.Change(func(*vault.Contents) error { return nil }); err != nil {
				t.Error(err)
			}
		}
	})
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			for range each {
				if err := k.Revoke(name(i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if told != writers*each {
		t.Errorf("%d commits were told %d times", writers*each, told)
	}
}
