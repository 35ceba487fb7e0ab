package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/99designs/keyring"
	jose "github.com/dvsekhvalnov/jose2go"

	"github.com/cloud-ca/ccad/daemon/account"
)

var (
	right = account.NewSecret("correct horse")
	wrong = account.NewSecret("battery staple")
)

// testKeyring is a quick file keyring that has been created.
func testKeyring(t testing.TB) (dir string, k *Keyring, m Master) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "d")
	f, err := LockFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if k, err = quick(dir); err != nil {
		t.Fatal(err)
	}
	if m, err = k.Master(t.Context(), right); err != nil {
		t.Fatal(err)
	}
	return dir, k, m
}

func sameMaster(a, b Master) bool {
	return a.identity != nil && b.identity != nil && a.identity.String() == b.identity.String() && bytes.Equal(a.mac, b.mac)
}

func TestKeyringFromFirstUse(t *testing.T) {
	dir := t.TempDir()
	k, err := OpenKeyring(dir, "") // with the parameters that are used
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := k.Exists(); ok || err != nil || k.Backend() != "file" || !k.NeedsPassphrase() {
		t.Errorf("before first use: %v, %v", ok, err)
	}
	if _, err := k.Master(t.Context(), account.Secret{}); !errors.Is(err, ErrNoPassphrase) {
		t.Errorf("no passphrase: %v", err)
	}
	if got := names(t, dir); got != "" {
		t.Errorf("asking left: %s", got)
	}
	first, err := k.Master(t.Context(), right)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := k.Exists(); !ok || err != nil {
		t.Errorf("after first use: %v, %v", ok, err)
	}
	v, err := Open(dir, first, 0)
	if err != nil {
		t.Fatal(err)
	}
	k, err = OpenKeyring(dir, "file")
	if err != nil {
		t.Fatal(err)
	}
	again, err := k.Master(t.Context(), right)
	if err != nil || !sameMaster(first, again) {
		t.Fatalf("not the same master: %v", err)
	}
	if again, err := Open(dir, again, v.Contents().Sequence); err != nil || diff(v.Contents(), again.Contents()) != "" {
		t.Errorf("reopened: %v", err)
	}
	for range 2 {
		if _, err := k.Master(t.Context(), wrong); !errors.Is(err, ErrPassphrase) {
			t.Errorf("wrong passphrase: %v", err)
		}
	}
	if _, err := k.Master(t.Context(), right); err != nil {
		t.Errorf("the mistyped passphrase stayed: %v", err)
	}
	data, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil || !bytes.Contains(data, []byte(`"memory_kib": 19456`)) || !bytes.Contains(data, []byte(`"time": 3`)) {
		t.Errorf("the manifest, %v:\n%s", err, data)
	}
}

func TestKeyringLeavesNothingLoose(t *testing.T) {
	dir, k, _ := testKeyring(t)
	for path, want := range map[string]os.FileMode{manifestName: 0o600, "keyring": os.ModeDir | 0o700, freshMarker: 0o600} {
		if info, err := os.Stat(filepath.Join(dir, path)); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	if err := os.Chmod(k.items(), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Master(t.Context(), right); !errors.Is(err, ErrLoose) || !strings.Contains(err.Error(), k.items()) {
		t.Errorf("a loose folder: %v", err)
	}
}

func TestBackendNeverChangesSilently(t *testing.T) {
	dir, _, _ := testKeyring(t)
	_, err := OpenKeyring(dir, "pass")
	if err == nil || !strings.Contains(err.Error(), "pass is asked for") || !strings.Contains(err.Error(), "is in file") {
		t.Errorf("another backend: %v", err)
	}
	if k, err := OpenKeyring(dir, ""); err != nil || k.Backend() != "file" {
		t.Errorf("no wish: %v", err)
	}
	if _, err := OpenKeyring(t.TempDir(), "wincred"); err == nil || !strings.Contains(err.Error(), "unknown backend") {
		t.Errorf("an unknown backend: %v", err)
	}
	if _, err := OpenKeyring(t.TempDir(), "keychain"); available("keychain") != (err == nil) {
		t.Errorf("a backend that isn't here: %v", err)
	}
	for _, b := range backends {
		if got := (&Keyring{backend: b}).config(right).AllowedBackends; len(got) != 1 || string(got[0]) != b {
			t.Errorf("%s allows %v", b, got)
		}
	}
}

func TestChangePassphrase(t *testing.T) {
	dir, k, m := testKeyring(t)
	if err := k.ChangePassphrase(t.Context(), wrong, account.NewSecret("x")); !errors.Is(err, ErrPassphrase) {
		t.Errorf("wrong old one: %v", err)
	}
	if err := k.ChangePassphrase(t.Context(), right, account.Secret{}); !errors.Is(err, ErrNoPassphrase) {
		t.Errorf("no new one: %v", err)
	}
	before := names(t, k.items())
	if err := k.ChangePassphrase(t.Context(), right, wrong); err != nil {
		t.Fatal(err)
	}
	if after := names(t, k.items()); after == before || strings.Contains(after, " ") {
		t.Errorf("items %s became %s", before, after)
	}
	if _, err := k.Master(t.Context(), right); !errors.Is(err, ErrPassphrase) {
		t.Errorf("the old one: %v", err)
	}
	if got, err := k.Master(t.Context(), wrong); err != nil || !sameMaster(m, got) {
		t.Errorf("the new one: %v", err)
	}
	if err := (&Keyring{backend: "pass"}).ChangePassphrase(t.Context(), right, wrong); err == nil {
		t.Error("changed the passphrase of pass")
	}
	fresh, err := quick(filepath.Join(dir, "other"))
	if err != nil {
		t.Fatal(err)
	}
	if err := fresh.ChangePassphrase(t.Context(), right, wrong); !errors.Is(err, ErrMissing) {
		t.Errorf("a keyring that isn't there: %v", err)
	}
}

// The disk fails in each step: an error, and exactly one passphrase opens.
func TestChangePassphraseOnAFullDisk(t *testing.T) {
	t.Parallel()
	dir, _, m := testKeyring(t)
	for n := 0; ; n++ {
		k, err := quick(copyFolder(t, dir))
		if err != nil {
			t.Fatal(err)
		}
		var step *string
		k.disk, step = failing(n)
		err = k.ChangePassphrase(t.Context(), right, wrong)
		if (err != nil) != (*step != "") {
			t.Errorf("%s failed: %v", *step, err)
		}
		k.disk = disk{}
		var opened int
		for _, p := range []account.Secret{right, wrong} {
			if got, err := k.Master(t.Context(), p); err == nil && sameMaster(m, got) {
				opened++
			}
		}
		if opened != 1 || len(strings.Fields(names(t, k.items()))) != 1 {
			t.Errorf("%s failed: %d passphrases open, items %s", *step, opened, names(t, k.items()))
		}
		if *step == "" {
			return
		}
	}
}

func TestDamagedKeyring(t *testing.T) {
	manifestOf := func(k *Keyring) string { return filepath.Join(k.dir, manifestName) }
	item := func(k *Keyring) string { return filepath.Join(k.items(), names(t, k.items())) }
	edit := func(k *Keyring, old, new string) {
		t.Helper()
		data, err := os.ReadFile(manifestOf(k))
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.Replace(string(data), old, new, 1)
		if changed == string(data) {
			t.Fatalf("the manifest has no %s", old)
		}
		if err := os.WriteFile(manifestOf(k), []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tree := func(k *Keyring) []string {
		above, _ := filepath.Glob(filepath.Join(k.dir, "*"))
		items, _ := filepath.Glob(filepath.Join(k.items(), "*"))
		return append(above, items...)
	}
	for what, c := range map[string]struct {
		damage func(k *Keyring)
		want   error
	}{
		"item gone":           {func(k *Keyring) { _ = os.Remove(item(k)) }, ErrMissing},
		"items gone":          {func(k *Keyring) { _ = os.RemoveAll(k.items()) }, ErrMissing},
		"item empty":          {func(k *Keyring) { _ = os.Truncate(item(k), 0) }, ErrCorrupt},
		"item cut":            {func(k *Keyring) { _ = os.Truncate(item(k), 100) }, ErrCorrupt},
		"item grown":          {func(k *Keyring) { _ = os.WriteFile(item(k), []byte("x\n"), 0o600) }, ErrCorrupt},
		"manifest empty":      {func(k *Keyring) { _ = os.Truncate(manifestOf(k), 0) }, ErrCorrupt},
		"manifest cut":        {func(k *Keyring) { _ = os.Truncate(manifestOf(k), 20) }, ErrCorrupt},
		"no item named":       {func(k *Keyring) { edit(k, `"item"`, `"x"`) }, ErrCorrupt},
		"a path named":        {func(k *Keyring) { edit(k, itemPrefix, "../") }, ErrCorrupt},
		"another backend":     {func(k *Keyring) { edit(k, `"file"`, `"wincred"`) }, ErrCorrupt},
		"no time":             {func(k *Keyring) { edit(k, `"time": 1`, `"time": 0`) }, ErrCorrupt},
		"no threads":          {func(k *Keyring) { edit(k, `"threads": 1`, `"threads": 0`) }, ErrCorrupt},
		"memory for a server": {func(k *Keyring) { edit(k, `"memory_kib": 8`, `"memory_kib": 80000000`) }, ErrCorrupt},
		"manifest gone, store there": {func(k *Keyring) {
			_ = os.Remove(manifestOf(k))
			_ = os.WriteFile(filepath.Join(k.dir, "store.age"), nil, 0o600)
		}, ErrMissing},
		"manifest gone, predecessor there": {func(k *Keyring) {
			_ = os.Remove(manifestOf(k))
			_ = os.WriteFile(filepath.Join(k.dir, "store.age.3"), nil, 0o600)
		}, ErrMissing},
	} {
		_, k, _ := testKeyring(t)
		c.damage(k)
		before := tree(k)
		if made, err := k.Exists(); !errors.Is(err, c.want) {
			t.Errorf("%s: it exists: %v, %v", what, made, err)
		}
		if _, err := OpenKeyring(k.dir, fileBackend); err != nil {
			t.Errorf("%s: no daemon could say so: %v", what, err)
		}
		if _, err := k.Master(t.Context(), right); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
		if after := tree(k); !slices.Equal(before, after) {
			t.Errorf("%s: %s became %s", what, before, after)
		}
	}
}

// A stand-in for a backend that misbehaves; the rest is a real one in memory.
type strange struct {
	keyring.Keyring
	get func(key string) (keyring.Item, error)
	set func(keyring.Item) error
}

func (s strange) Get(key string) (keyring.Item, error) {
	if s.get != nil {
		return s.get(key)
	}
	return s.Keyring.Get(key)
}

func (s strange) Set(item keyring.Item) error {
	if s.set != nil {
		return s.set(item)
	}
	return s.Keyring.Set(item)
}

func strangeKeyring(t *testing.T, s strange) *Keyring {
	t.Helper()
	k, err := OpenKeyring(t.TempDir(), fileBackend)
	if err != nil {
		t.Fatal(err)
	}
	k.backend = "keychain"
	s.Keyring = keyring.NewArrayKeyring(nil)
	k.open = func(keyring.Config) (keyring.Keyring, error) { return s, nil }
	return k
}

func TestKeyringDeadline(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	entered := make(chan struct{}, 1)
	hang := func(keyring.Item) error { entered <- struct{}{}; <-release; return nil }
	k := strangeKeyring(t, strange{set: hang})
	ctx, cancel := context.WithCancel(t.Context())
	var first sync.WaitGroup
	first.Go(func() {
		if _, err := k.Master(ctx, account.Secret{}); !errors.Is(err, ErrKeyringTimeout) || !errors.Is(err, context.Canceled) {
			t.Errorf("a backend that hangs: %v", err)
		}
	})
	<-entered
	// Another caller has his own deadline while the first one waits.
	over, cancelOver := context.WithTimeout(t.Context(), 0)
	defer cancelOver()
	if _, err := k.Master(over, account.Secret{}); !errors.Is(err, ErrKeyringTimeout) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for a backend that hangs: %v", err)
	}
	cancel()
	first.Wait()
	if ok, err := k.Exists(); ok || err != nil {
		t.Errorf("a keyring came to be: %v, %v", ok, err)
	}

	k = strangeKeyring(t, strange{})
	k.open = func(keyring.Config) (keyring.Keyring, error) { <-release; return nil, nil }
	if _, err := k.Master(over, account.Secret{}); !errors.Is(err, ErrKeyringTimeout) {
		t.Errorf("a backend that doesn't open: %v", err)
	}
}

func TestStrangeBackends(t *testing.T) {
	broken := errors.New("broken")
	for what, c := range map[string]struct {
		s    strange
		want string
	}{
		"panics":            {strange{set: func(keyring.Item) error { panic("secret") }}, "unexpected answer"},
		"fails":             {strange{set: func(keyring.Item) error { return broken }}, "broken"},
		"loses":             {strange{set: func(keyring.Item) error { return nil }}, "missing"},
		"returns another":   {strange{get: func(string) (keyring.Item, error) { return keyring.Item{Key: "x"}, nil }}, "it was another"},
		"returns it bent":   {strange{get: func(k string) (keyring.Item, error) { return keyring.Item{Key: k, Data: []byte("x")}, nil }}, "reads back otherwise"},
		"fails to be read":  {strange{get: func(string) (keyring.Item, error) { return keyring.Item{}, broken }}, "broken"},
		"panics when asked": {strange{get: func(string) (keyring.Item, error) { panic("secret") }}, "unexpected answer"},
	} {
		k := strangeKeyring(t, c.s)
		_, err := k.Master(t.Context(), account.Secret{})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("a backend that %s: %v", what, err)
		}
		if ok, _ := k.Exists(); ok {
			t.Errorf("a backend that %s made a keyring", what)
		}
	}

	// Once made, an item of another content or none at all is said as such.
	ring := keyring.NewArrayKeyring(nil)
	k := strangeKeyring(t, strange{})
	k.open = func(keyring.Config) (keyring.Keyring, error) { return ring, nil }
	first, err := k.Master(t.Context(), account.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := k.Master(t.Context(), account.Secret{}); err != nil || !sameMaster(first, again) {
		t.Errorf("again: %v", err)
	}
	keys, _ := ring.Keys()
	for _, data := range []string{"", "{}", `{"identity":"AGE-SECRET-KEY-1XX","mac":"AAAA"}`} {
		_ = ring.Set(keyring.Item{Key: keys[0], Data: []byte(data)})
		if _, err := k.Master(t.Context(), account.Secret{}); !errors.Is(err, ErrCorrupt) || strings.Contains(err.Error(), "AGE") {
			t.Errorf("an item of %q: %v", data, err)
		}
	}
	_ = ring.Remove(keys[0])
	if _, err := k.Master(t.Context(), account.Secret{}); !errors.Is(err, ErrMissing) {
		t.Errorf("no item: %v", err)
	}
}

func TestUnlocksAtTheSameTime(t *testing.T) {
	k, err := quick(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	masters := make([]Master, 4)
	var all sync.WaitGroup
	for i := range masters {
		all.Go(func() {
			var err error
			if masters[i], err = k.Master(t.Context(), right); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, m := range masters[1:] {
		if !sameMaster(masters[0], m) {
			t.Error("two masters were made")
		}
	}
}

// A renamed item is not taken for the one it is named as.
func TestRenamedItem(t *testing.T) {
	_, k, _ := testKeyring(t)
	m, _, err := readManifest(k.dir)
	if err != nil {
		t.Fatal(err)
	}
	other := itemPrefix + "0000"
	if err := os.Rename(filepath.Join(k.items(), m.Item), filepath.Join(k.items(), other)); err != nil {
		t.Fatal(err)
	}
	m.Item = other
	if err := k.disk.writeManifest(k.dir, m); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Master(t.Context(), right); !errors.Is(err, ErrForeign) {
		t.Errorf("a renamed item: %v", err)
	}
}

// The algorithms that the file backend doesn't need are gone from the process.
func TestOnlyTheNeededAlgorithms(t *testing.T) {
	if _, err := jose.Encrypt("x", jose.PBES2_HS256_A128KW, jose.A256GCM, "pass"); err != nil {
		t.Errorf("the needed ones: %v", err)
	}
	for _, alg := range []string{jose.DIR, jose.A128KW, jose.RSA1_5, jose.PBES2_HS384_A192KW, jose.PBES2_HS512_A256KW, jose.ECDH_ES} {
		if _, err := jose.Encrypt("x", alg, jose.A256GCM, "pass"); err == nil || !strings.Contains(err.Error(), "Unknown") {
			t.Errorf("%s: %v", alg, err)
		}
	}
	for _, enc := range []string{jose.A128CBC_HS256, jose.A256CBC_HS512, jose.A128GCM} {
		if _, err := jose.Encrypt("x", jose.PBES2_HS256_A128KW, enc, "pass"); err == nil {
			t.Errorf("%s is there", enc)
		}
	}
	if _, err := jose.Encrypt("x", jose.PBES2_HS256_A128KW, jose.A256GCM, "pass", jose.Zip(jose.DEF)); err == nil {
		t.Error("compression is there")
	}
	for _, alg := range []string{jose.NONE, jose.HS256} {
		if _, err := jose.Sign("x", alg, []byte("k")); err == nil {
			t.Errorf("%s is there", alg)
		}
	}
}

// The master key is recoverable by hand: the item holds an identity for age.
func TestMasterEncoding(t *testing.T) {
	m := testMaster(t)
	data, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	var r struct{ Identity string }
	if err := json.Unmarshal(data, &r); err != nil || !strings.HasPrefix(r.Identity, "AGE-SECRET-KEY-1") {
		t.Errorf("no identity: %v", err)
	}
	if back, err := decodeMaster(data); err != nil || !sameMaster(m, back) || back.fresh {
		t.Errorf("decoded: %v", err)
	}
}
