package vault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"

	"github.com/cloud-ca/ccad/daemon/account"
)

func TestOpenCreatesOnlyWhatNeverWas(t *testing.T) {
	dir, m := t.TempDir(), testMaster(t)
	old := m
	old.fresh = false
	if _, err := Open(dir, old, 0); !errors.Is(err, ErrMissing) {
		t.Errorf("a keyring that has sealed a store, and none there: %v", err)
	}
	if _, err := Open(dir, Master{}, 0); err == nil {
		t.Error("opened without a master key")
	}
	if got := names(t, dir); got != "" {
		t.Errorf("a refusal left: %s", got)
	}
	if err := WriteFile(filepath.Join(dir, freshMarker), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	v, err := Open(dir, old, 6)
	if err != nil {
		t.Fatalf("the marker says that none ever was: %v", err)
	}
	c := v.Contents()
	if c.Sequence != 7 || len(c.AuditKey) != 32 || len(c.GatewayKey) != 32 || c.Users == nil || c.Environments == nil {
		t.Errorf("an empty store has sequence %d: %+v", c.Sequence, opened(*c))
	}
	if got := names(t, dir); got != storeName {
		t.Errorf("the folder has: %s", got)
	}
	if info, err := os.Stat(filepath.Join(dir, storeName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the store: %v, %v", info.Mode(), err)
	}
}

func TestChangeAndReopen(t *testing.T) {
	dir, m, v := testVault(t)
	before := v.Contents()
	err := v.Change(func(c *Contents) error {
		filled := filled()
		filled.Sequence, filled.Generation = 99, 0 // neither is for fn to lower or choose
		*c = *filled
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := before.Environments["dev"]; !ok || len(before.Environments) != 1 {
		t.Error("an old snapshot changed")
	}
	c := v.Contents()
	if c.Sequence != before.Sequence+1 || c.Generation != before.Generation {
		t.Errorf("sequence %d after %d, generation %d after %d", c.Sequence, before.Sequence, c.Generation, before.Generation)
	}
	again, err := Open(dir, m, c.Sequence)
	if err != nil {
		t.Fatal(err)
	}
	if d := diff(c, again.Contents()); d != "" {
		t.Error(d)
	}
}

func TestChangeThatFails(t *testing.T) {
	dir, m, v := testVault(t)
	before := v.Contents()
	no := errors.New("no")
	err := v.Change(func(c *Contents) error {
		delete(c.Environments, "dev")
		c.Users["u"] = User{}
		c.NextGeneration()
		return no
	})
	if err != no || v.Contents() != before || len(before.Environments) != 1 || len(before.Users) != 0 {
		t.Errorf("%v: %v", err, v.Contents())
	}
	func() {
		defer func() { _ = recover() }()
		_ = v.Change(func(c *Contents) error { panic("in fn") })
	}()
	if err := v.Change(addEnvironment("prod")); err != nil {
		t.Fatal(err)
	}
	again, err := Open(dir, m, before.Sequence+1)
	if err != nil || again.Contents().Generation != 2 {
		t.Errorf("reopened: %v", err)
	}
}

// Every step of the write fails once, with a full disk. Nothing changes in
// memory; on disk nothing but, after the last one, what the next change will
// supersede. The next change works, and no predecessor is lost.
func TestChangeOnAFullDisk(t *testing.T) {
	for n := 0; ; n++ {
		dir, m, v := testVault(t)
		for i := range kept {
			if err := v.Change(addEnvironment(fmt.Sprint("e", i))); err != nil {
				t.Fatal(err)
			}
		}
		before := v.Contents()
		var step *string
		v.disk, step = failing(n)
		err := v.Change(addEnvironment("new"))
		if *step == "" {
			if n < 7+kept || err != nil {
				t.Fatalf("only %d steps, %v", n, err)
			}
			return
		}
		if err == nil || v.Contents() != before {
			t.Errorf("%s failed: %v, and the contents changed: %v", *step, err, v.Contents() != before)
		}
		if told := v.Trouble(); !errors.Is(told, err) {
			t.Errorf("%s failed: the trouble is %v", *step, told)
		}
		again, err := Open(dir, m, before.Sequence)
		if err != nil {
			t.Fatalf("after %s failed: %v", *step, err)
		}
		if _, ok := again.Contents().Environments["new"]; ok != (*step == "sync folder") {
			t.Errorf("after %s failed, on disk: %v", *step, ok)
		}
		v.disk = disk{}
		if err := v.Change(addEnvironment("next")); err != nil {
			t.Fatal(err)
		}
		if told := v.Trouble(); told != nil {
			t.Errorf("all is well again, and yet: %v", told)
		}
		if got, want := v.Contents().Sequence, again.Contents().Sequence; got <= want {
			t.Errorf("after %s failed, sequence %d was used twice", *step, want)
		}
		checkPredecessors(t, dir, m, *step)
	}
}

// checkPredecessors wants all five, of falling numbers below the store's.
func checkPredecessors(t *testing.T, dir string, m Master, when string) {
	t.Helper()
	if got, err := Predecessors(dir); err != nil || len(got) != kept {
		t.Errorf("%s: predecessors %v, %v", when, got, err)
	}
	last := ^uint64(0)
	for n := range kept + 1 {
		path := filepath.Join(dir, storeName)
		if n > 0 {
			path = predecessor(path, n)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		c, err := m.unseal(f)
		_ = f.Close()
		if err != nil || c.Sequence >= last {
			t.Errorf("%s: %s has number %v after %d, %v", when, path, c, last, err)
			continue
		}
		last = c.Sequence
	}
	if got := names(t, dir); strings.Contains(got, ".tmp") {
		t.Errorf("%s: %s", when, got)
	}
}

// A store that somebody removed is told of though nothing is written.
func TestStoreThatIsGone(t *testing.T) {
	dir, _, v := testVault(t)
	if err := os.Remove(filepath.Join(dir, storeName)); err != nil {
		t.Fatal(err)
	}
	if told := v.Trouble(); !errors.Is(told, ErrMissing) {
		t.Errorf("the trouble is %v", told)
	}
	if err := v.Change(addEnvironment("next")); err != nil || v.Trouble() != nil {
		t.Errorf("%v, and then %v", err, v.Trouble())
	}
}

func TestPredecessors(t *testing.T) {
	dir, m, v := testVault(t)
	for i := range 2 * kept {
		if err := v.Change(addEnvironment(fmt.Sprint("e", i))); err != nil {
			t.Fatal(err)
		}
	}
	checkPredecessors(t, dir, m, "after many changes")

	// The deleted store is not an empty one.
	if err := os.Remove(filepath.Join(dir, storeName)); err != nil {
		t.Fatal(err)
	}
	m.fresh = true
	_, err := Open(dir, m, 0)
	if !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "store.age.1, store.age.2") {
		t.Errorf("a deleted store: %v", err)
	}

	// A person puts a predecessor in its place.
	if err := os.Rename(filepath.Join(dir, "store.age.1"), filepath.Join(dir, storeName)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, m, v.Contents().Sequence); !errors.Is(err, ErrOlder) {
		t.Errorf("an older store: %v", err)
	}
	v, err = Open(dir, m, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Change(addEnvironment("new")); err != nil {
		t.Fatal(err)
	}
	if err := v.PrunePredecessors(); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); got != storeName {
		t.Errorf("after pruning: %s", got)
	}
	d, _ := failing(0)
	v.disk = d
	if err := errors.Join(v.PrunePredecessors()); err == nil {
		t.Error("pruning failed and said nothing")
	}
}

// Cut anywhere, the store is damaged and stays as it is.
func TestTornStore(t *testing.T) {
	t.Parallel()
	dir, m, _ := testVault(t)
	path := filepath.Join(dir, storeName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, data []byte, want ...error) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(dir, m, 0)
		if !slices.ContainsFunc(want, func(w error) bool { return errors.Is(err, w) }) {
			t.Fatalf("%s: %v", what, err)
		}
		if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "store.age.1") {
			t.Fatalf("%s: the error names neither the store nor its predecessors: %v", what, err)
		}
		if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, data) {
			t.Fatalf("%s: it was not kept as it is", what)
		}
	}
	for n := range whole {
		refused(fmt.Sprintf("cut to %d bytes", n), whole[:n], ErrCorrupt)
	}
	for n := range whole {
		bent := bytes.Clone(whole)
		bent[n] ^= 0x04
		// A bent stanza looks like somebody else's.
		refused(fmt.Sprintf("byte %d bent", n), bent, ErrCorrupt, ErrForeign)
	}
	refused("bytes appended", append(bytes.Clone(whole), 'x'), ErrCorrupt)
	refused("noise", bytes.Repeat([]byte{0, 0xff}, 500), ErrCorrupt)
}

func TestForeignStore(t *testing.T) {
	dir, m, v := testVault(t)
	path := filepath.Join(dir, storeName)
	contents := encoded(t, v.Contents())
	write := func(h header, contents, mac []byte) {
		t.Helper()
		var out bytes.Buffer
		if err := writeSealed(&out, m.identity.Recipient(), h, as(contents, mac)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mac := func(m Master, h header, contents []byte) []byte {
		sum := m.authenticator(h)
		sum.Write(contents)
		return sum.Sum(nil)
	}

	h := header{schema, 3}
	good := mac(m, h, contents)
	write(h, contents, good)
	if _, err := Open(dir, m, 3); err != nil {
		t.Fatalf("as we write it: %v", err)
	}
	spaced, broken := append(bytes.Clone(contents), ' '), []byte(`{"users":7}`)
	for what, c := range map[string]struct {
		header
		contents, mac []byte
		want          error
	}{
		"no MAC":            {h, contents, nil, ErrForeign},
		"another number":    {header{schema, 4}, contents, good, ErrForeign},
		"another schema":    {h, contents, mac(m, header{schema + 1, 3}, contents), ErrForeign},
		"another's MAC key": {h, contents, mac(testMaster(t), h, contents), ErrForeign},
		"a space more":      {h, spaced, good, ErrForeign},
		"of another form":   {h, broken, mac(m, h, broken), ErrCorrupt},
	} {
		if write(c.header, c.contents, c.mac); !errorIs(Open(dir, m, 0))(c.want) {
			t.Errorf("contents with %s were believed", what)
		}
	}
	newer := header{schema + 1, 3}
	write(newer, contents, mac(m, newer, contents))
	if _, err := Open(dir, m, 0); err == nil || !strings.Contains(err.Error(), "a newer ccad wrote it") {
		t.Errorf("a newer schema: %v", err)
	}
	write(h, contents, good)
	if !errorIs(Open(dir, testMaster(t), 0))(ErrForeign) {
		t.Error("another keyring's store was opened")
	}
}

// as writes given contents and MAC into a sealed document.
func as(contents, mac []byte) func(io.Writer) ([]byte, error) {
	return func(w io.Writer) ([]byte, error) { _, err := w.Write(contents); return mac, err }
}

func errorIs(_ *Vault, err error) func(error) bool {
	return func(want error) bool { return errors.Is(err, want) }
}

func TestLeftoversOfACrashGo(t *testing.T) {
	dir, m, _ := testVault(t)
	for _, name := range []string{".store.age.123.tmp", ".keyring.json.4.tmp"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// A lock writes its marker while a store may be opened: that is nobody's leftover.
	if _, err := Open(dir, m, 0); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); got != ".keyring.json.4.tmp store.age store.age.1" {
		t.Errorf("the folder has: %s", got)
	}
	if _, err := OpenKeyring(dir, fileBackend); err != nil { // what starts first, and alone
		t.Fatal(err)
	}
	if got := names(t, dir); got != "store.age store.age.1" {
		t.Errorf("the folder has: %s", got)
	}
}

// Readers never wait and never see a half-made change; writers take turns.
func TestReadersAndWriters(t *testing.T) {
	_, _, v := testVault(t)
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		readers.Go(func() {
			for last := uint64(0); ; {
				c := v.Contents()
				if c.Sequence < last || uint64(len(c.Environments)) != c.Generation {
					t.Errorf("sequence %d after %d, %d environments at generation %d", c.Sequence, last, len(c.Environments), c.Generation)
					return
				}
				last = c.Sequence
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for w := range 3 {
		writers.Go(func() {
			for i := range 5 {
				if err := v.Change(addEnvironment(fmt.Sprint("e", w, i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
	if n := len(v.Contents().Environments); n != 16 {
		t.Errorf("%d environments", n)
	}
}

func TestGenerationsNeverRepeat(t *testing.T) {
	dir, m, v := testVault(t)
	var last uint64
	for i := range 3 {
		err := v.Change(func(c *Contents) error {
			g := c.NextGeneration()
			if g <= last {
				t.Errorf("generation %d after %d", g, last)
			}
			last = g
			clear(c.Environments)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			if v, err = Open(dir, m, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestEnvironmentsOf(t *testing.T) {
	c := newContents()
	for name, user := range map[string]string{"c": "u", "a": "u", "b": "other", "d": ""} {
		c.Environments[name] = Environment{Environment: account.Environment{Name: name, UserID: user}}
	}
	var got []string
	for _, e := range c.EnvironmentsOf("u") {
		got = append(got, e.Name)
	}
	if !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("environments of u: %v", got)
	}
	if c.EnvironmentsOf("nobody") != nil {
		t.Error("environments of nobody")
	}
}

// Should ccad be gone, the age tool opens the store.
func TestAgeOpensTheStore(t *testing.T) {
	need(t, "age")
	dir, m, _ := testVault(t)
	identity := filepath.Join(t.TempDir(), "identity")
	if err := os.WriteFile(identity, []byte(m.identity.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "age", "-d", "-i", identity, filepath.Join(dir, storeName)).Output()
	if err != nil || !bytes.HasPrefix(out, []byte(fmt.Sprintf(`{"schema":%d,"sequence":2,"contents":{`, schema))) || !json.Valid(out) || !bytes.Contains(out, []byte(`"name":"dev"`)) {
		t.Errorf("age: %v: %s", err, out)
	}
	data, err := os.ReadFile(filepath.Join(dir, storeName))
	if err != nil || bytes.Contains(data, []byte(m.identity.Recipient().String())) {
		t.Errorf("the store shows its recipient, %v", err)
	}
	if _, err := age.Decrypt(bytes.NewReader(data), testMaster(t).identity); err == nil {
		t.Error("anyone opens it")
	}
}
