package vault

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
)

// many has n environments as they are in life: each of a user of twenty, with
// ids that the cloud told and one S3 key pair.
func many(n int) func(*Contents) error {
	return func(c *Contents) error {
		auth := account.Endpoint{URL: "https://auth.cloud.ca"}
		at := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
		var user string
		for i := range n {
			if i%20 == 0 {
				user = account.NewID()
				u := User{User: account.User{ID: user, Name: fmt.Sprint("system-user-", i), DomainID: "default", Auth: auth, IdentityAPI: "3", KeystoneID: account.NewID()}}
				var v Version[account.Secret]
				u.Passwords, v = u.Passwords.Stage(account.NewSecret(account.NewID()), "import", at)
				v.Checked, v.Accepted = at, true
				u.Passwords = u.Passwords.With(v).Activate(v.ID)
				c.Users[user] = u
			}
			e := Environment{Generation: c.NextGeneration(), Environment: account.Environment{
				ID: account.NewID(), Name: fmt.Sprint("environment-", i), UserID: user,
				Project: fmt.Sprint("system-project-", i), ProjectID: account.NewID(), ProjectDomainID: "default",
				StorageURL: "https://objects.cloud.ca/v1/AUTH_" + account.NewID(),
				S3:         account.S3{Endpoint: account.Endpoint{URL: "https://objects.cloud.ca"}, Region: "cloud.ca"},
			}, Sources: []Source{{Path: fmt.Sprint("/home/user/openrc-", i), Format: "openrc", Watched: true}}}
			var v Version[account.KeyPair]
			e.Keys, v = e.Keys.Stage(account.KeyPair{AccessKeyID: account.NewID(), Secret: account.NewSecret(account.NewID())}, "cloud", at)
			v.Checked, v.Accepted = at, true
			e.Keys = e.Keys.With(v).Activate(v.ID)
			c.Environments[e.Name] = e
		}
		return nil
	}
}

// BenchmarkUnlock10000 is what an unlock costs: the passphrase stretched, the
// master read, 10,000 environments opened. It reports what stays on the heap,
// and how much of a process that does nothing else is resident at most and in
// the end.
func BenchmarkUnlock10000(b *testing.B) {
	dir := b.TempDir()
	setUp(b, dir)
	debug.FreeOSMemory()
	before := heap()
	for b.Loop() {
		v, err := unlock(b.Context(), dir)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		b.ReportMetric(float64(heap()-before)/1e6, "heap-MB")
		if n := len(v.Contents().Environments); n != 10_000 {
			b.Fatal(n)
		}
		b.StartTimer()
	}
	out, err := child(b, "unlock", dir).Output()
	if err != nil {
		b.Fatal(err)
	}
	var peak, end, changed float64
	if _, err := fmt.Sscan(string(out), &peak, &end, &changed); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(peak, "peak-MB")
	b.ReportMetric(end, "resident-MB")
	b.ReportMetric(changed, "peak-after-20-changes-MB")
}

func unlock(ctx context.Context, dir string) (*Vault, error) {
	k, err := OpenKeyring(dir, fileBackend)
	if err != nil {
		return nil, err
	}
	m, err := k.Master(ctx, right)
	if err != nil {
		return nil, err
	}
	return Open(dir, m, 0)
}

// childUnlock unlocks, and prints the sizes of its process then and after some
// changes.
func childUnlock(args []string) error {
	v, err := unlock(context.Background(), args[0])
	if err != nil {
		return err
	}
	fmt.Println(resident("VmHWM"), resident("VmRSS"))
	for range 20 {
		if err := v.Change(func(c *Contents) error { c.NextGeneration(); return nil }); err != nil {
			return err
		}
	}
	fmt.Println(resident("VmHWM"))
	return nil
}

func setUp(b *testing.B, dir string) {
	v, err := unlock(b.Context(), dir)
	if err != nil {
		b.Fatal(err)
	}
	if err := v.Change(many(10_000)); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkChange10000 is what one commit costs beside 10,000 environments.
func BenchmarkChange10000(b *testing.B) {
	v, err := Open(b.TempDir(), testMaster(b), 0)
	if err != nil {
		b.Fatal(err)
	}
	if err := v.Change(many(10_000)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := v.Change(func(c *Contents) error { c.NextGeneration(); return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkContents is what a reader pays.
func BenchmarkContents(b *testing.B) {
	v, err := Open(b.TempDir(), testMaster(b), 0)
	if err != nil {
		b.Fatal(err)
	}
	if err := v.Change(many(10_000)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, ok := v.Contents().Environments["environment-5000"].Keys.Active(); !ok {
			b.Fatal("not there")
		}
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// resident reads a size of this process, in MB, where the kernel tells it.
func resident(which string) float64 {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	var kb float64
	_, rest, _ := strings.Cut(string(data), which+":")
	_, _ = fmt.Sscan(rest, &kb)
	return kb / 1e3
}
