package vault

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/creack/pty"

	"github.com/cloud-ca/ccad/daemon/account"
)

// rich has one of everything that a backup must and must not bring.
func rich() *Contents {
	c := filled()
	for id, u := range c.Users {
		u.Passwords.List[0].Value = account.NewSecret("hunter2")
		u.Passwords, _ = u.Passwords.Stage(account.NewSecret("intended"), "rotation", time.Unix(1, 0))
		u.Auth.URL = "https://auth.example"
		c.Users[id] = u
	}
	for name, e := range maps.Clone(c.Environments) {
		delete(c.Environments, name)
		name = strings.ToLower(name)
		for id := range c.Users {
			e.UserID = id
		}
		e.Name, e.S3.Endpoint.URL, e.StorageURL = name, "https://s3.example", "https://swift.example/v1"
		former := e.Keys.List[0]
		former.ID, former.N, former.State, former.Value.Secret = "former", 1, Retiring, account.NewSecret("formerly")
		e.Keys.List = append(e.Keys.List, former)
		c.Environments[name] = e
	}
	return c
}

func TestBackupBringsBindingsAndValues(t *testing.T) {
	t.Parallel()
	dir, m, v := testVault(t)
	if err := v.Change(func(c *Contents) error { *c = *rich(); return nil }); err != nil {
		t.Fatal(err)
	}
	data, err := v.Backup(right)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ReadBackup(data, right)
	if err != nil {
		t.Fatal(err)
	}
	want := rich()
	want.Generation, want.AuditKey, want.GatewayKey, want.AuditHead = 0, nil, nil, AuditHead{}
	want.FingerprintKey, want.Attempts, want.Retired, want.Portal, want.Kept = nil, nil, nil, nil, nil
	want.Lease, want.LeasesEnd = 0, time.Time{}
	for id, u := range want.Users {
		u.Passwords = unverified(u.Passwords)
		u.PasswordExpires, u.Refused, u.Rotation, u.Failures, u.Unhealed = time.Time{}, nil, nil, 0, false
		want.Users[id] = u
	}
	for name, e := range want.Environments {
		e.Keys, e.AppCreds = unverified(e.Keys), unverified(e.AppCreds)
		e.Generation, e.Epoch, e.KeysRefused, e.KeysOwed, e.KeysListed, e.Sources[0].Watched, e.Sources[0].Emptied = 0, 0, nil, false, nil, false, false
		e.KeyRotation, e.CredRotation, e.Binding, e.KeysUnhealed, e.AppCredUnhealed = nil, nil, Binding{}, false, false
		e.KeysDeleted, e.AppCredsDeleted, e.StorageURL = nil, nil, ""
		want.Environments[name] = e
	}
	if d := diff(want, c); d != "" {
		t.Error(d)
	}
	if v, err := Open(dir, m, 0); err != nil || len(v.Contents().AuditKey) == 0 || !watched(v.Contents()) {
		t.Errorf("the backup changed the store: %v", err)
	}
	clear, err := age.Decrypt(bytes.NewReader(data), scryptIdentity(t, right))
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if _, err := text.ReadFrom(clear); err != nil || !strings.Contains(text.String(), "hunter2") {
		t.Errorf("no value inside: %v", err)
	}
	for _, never := range []string{"intended", "formerly", "audit", "gateway", "watched", "emptied", "kept", "refused"} {
		if strings.Contains(text.String(), never) {
			t.Errorf("the backup holds: %s", never)
		}
	}
}

// unverified is the first one alone, as nobody has checked it.
func unverified[T Value](vs Versions[T]) Versions[T] {
	v := vs.List[0]
	v.Checked, v.Accepted = time.Time{}, false
	return Versions[T]{List: []Version[T]{v}, Next: vs.Next}
}

func scryptIdentity(t *testing.T, passphrase account.Secret) age.Identity {
	t.Helper()
	i, err := age.NewScryptIdentity(passphrase.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestProven(t *testing.T) {
	secret := account.NewSecret
	version := func(n int, s State, accepted bool) Version[account.Secret] {
		return Version[account.Secret]{ID: account.NewID(), N: n, State: s, Accepted: accepted, HandsOff: true, Value: secret(string(rune('0' + n)))}
	}
	for what, c := range map[string]struct {
		list []Version[account.Secret]
		want string
	}{
		"none":              {nil, ""},
		"an unverified one": {[]Version[account.Secret]{version(1, Active, false), version(2, Pending, false)}, "1"},
		"one locked out":    {[]Version[account.Secret]{version(1, Retiring, true), version(2, Refused, true), version(3, Pending, false)}, "2"},
		"only intended":     {[]Version[account.Secret]{version(1, Pending, false)}, ""},
	} {
		vs := proven(Versions[account.Secret]{List: c.list, Next: 9})
		got := ""
		for _, v := range vs.List {
			got += v.Value.Reveal()
			if v.State != Active || v.Accepted || !v.HandsOff || vs.Next != 9 {
				t.Errorf("%s: %+v", what, v)
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", what, got, c.want)
		}
	}
}

// Whatever somebody put into a backup, only bindings and values come out.
func TestReadBackupBelievesLittle(t *testing.T) {
	t.Parallel()
	contents := encoded(t, rich())
	sealed := func(h header, contents []byte, work int) []byte {
		t.Helper()
		to, err := age.NewScryptRecipient(right.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		to.SetWorkFactor(work)
		var out bytes.Buffer
		if err := writeSealed(&out, to, h, as(contents, nil)); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	c, err := ReadBackup(sealed(header{Schema: schema, Sequence: 9}, contents, 10), right)
	if err != nil {
		t.Fatal(err)
	}
	if c.Sequence != 0 || c.Generation != 0 || c.AuditKey != nil || c.GatewayKey != nil || c.AuditHead.Line != 0 {
		t.Errorf("it brought: %+v", opened(*c))
	}
	for _, e := range c.Environments {
		if e.Sources[0].Watched || e.StorageURL != "" || e.Epoch != 0 || e.Keys.List[0].Accepted || len(e.Keys.List) != 1 {
			t.Errorf("it brought: %+v", e)
		}
	}

	good := sealed(header{Schema: schema}, contents, 10)
	for what, c := range map[string]struct {
		data       []byte
		passphrase account.Secret
		want       error
	}{
		"wrong passphrase": {good, wrong, ErrPassphrase},
		"no passphrase":    {good, account.Secret{}, ErrNoPassphrase},
		"cut":              {good[:len(good)-1], right, ErrCorrupt},
		"empty":            {nil, right, ErrCorrupt},
		"noise":            {bytes.Repeat([]byte{0xff}, 99), right, ErrCorrupt},
		"an openrc":        {[]byte("hunter2\nexport OS_PASSWORD=hunter2\n"), right, ErrCorrupt},
		"armour":           {[]byte("-----BEGIN AGE ENCRYPTED FILE-----\nhunter2\n"), right, ErrCorrupt},
		"half an age file": {[]byte("age-encryption.org/v1\n-> hunter2 hunter2\nhunter2\n"), right, ErrCorrupt},
		"other contents":   {sealed(header{Schema: schema}, []byte(`{"users":7}`), 10), right, ErrCorrupt},
		"a word in it":     {sealed(header{Schema: schema}, []byte(`{"generation":hunter2}`), 10), right, ErrCorrupt},
		"a number in it":   {sealed(header{Schema: schema}, []byte(`{"users":[{"id":8675309}]}`), 10), right, ErrCorrupt},
		"too much work":    {sealed(header{Schema: schema}, contents, backupWork+1), right, ErrCorrupt},
		"a store":          {storeBytes(t), right, ErrCorrupt},
	} {
		_, err := ReadBackup(c.data, c.passphrase)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
		if said := fmt.Sprint(err); strings.Contains(said, "hunter") || strings.Contains(said, "8675309") || strings.Contains(said, "'h'") {
			t.Errorf("%s: the error shows what is in the file: %s", what, said)
		}
	}
	if _, err := ReadBackup(sealed(header{Schema: schema + 1}, contents, 10), right); err == nil {
		t.Error("a newer backup was read")
	}
	_, _, v := testVault(t)
	if _, err := v.Backup(account.Secret{}); !errors.Is(err, ErrNoPassphrase) {
		t.Errorf("a backup without a passphrase: %v", err)
	}
}

func storeBytes(t *testing.T) []byte {
	dir, _, _ := testVault(t)
	data, err := os.ReadFile(filepath.Join(dir, storeName))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The age tool opens a backup; it asks for the passphrase on a terminal.
func TestAgeOpensABackup(t *testing.T) {
	need(t, "age")
	_, _, v := testVault(t)
	data, err := v.Backup(right)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "b.age"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "age", "-d", "-o", "b.json", "b.age")
	cmd.Dir = dir
	terminal, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	var said bytes.Buffer
	for !strings.Contains(said.String(), "passphrase:") {
		buf := make([]byte, 256)
		n, err := terminal.Read(buf)
		if err != nil {
			t.Fatalf("age said %q, %v", said.String(), err)
		}
		said.Write(buf[:n])
	}
	if _, err := terminal.WriteString(right.Reveal() + "\n"); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = said.ReadFrom(terminal) }()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	clear, err := os.ReadFile(filepath.Join(dir, "b.json"))
	if err != nil || !bytes.Contains(clear, []byte(`"name":"dev"`)) {
		t.Errorf("age: %v: %s", err, clear)
	}
}

// watched reports whether all environments are what rich made them.
func watched(c *Contents) bool {
	for _, e := range c.Environments {
		if len(e.Sources) == 0 || !e.Sources[0].Watched {
			return false
		}
	}
	return len(c.Environments) > 0
}

// A backup has no MAC: what it holds is checked as any input is.
func TestBackupOfSomebodyElse(t *testing.T) {
	t.Parallel()
	good := account.Endpoint{URL: "https://auth.example"}
	user := func(auth account.Endpoint) User { return User{User: account.User{ID: "u", Name: "u", Auth: auth}} }
	environment := func(name string, change func(*Environment)) Environment {
		e := Environment{Environment: account.Environment{ID: "e", Name: name, UserID: "u"}}
		if change != nil {
			change(&e)
		}
		return e
	}
	for name, c := range map[string]struct {
		user User
		e    Environment
		ok   bool
	}{
		"right":            {user(good), environment("dev", nil), true},
		"allowed http":     {user(account.Endpoint{URL: "http://auth.example", InsecureHTTP: true}), environment("dev", nil), true},
		"path":             {user(good), environment("../../bus", nil), false},
		"upper case":       {user(good), environment("UPPER name\nx", nil), false},
		"no name":          {user(good), environment("", nil), false},
		"no id":            {user(good), environment("dev", func(e *Environment) { e.ID = "" }), false},
		"nobody's":         {user(good), environment("dev", func(e *Environment) { e.UserID = "v" }), false},
		"plain http":       {user(account.Endpoint{URL: "http://auth.example"}), environment("dev", nil), false},
		"no auth URL":      {user(account.Endpoint{}), environment("dev", nil), false},
		"file":             {user(account.Endpoint{URL: "file:///etc"}), environment("dev", nil), false},
		"S3 by plain http": {user(good), environment("dev", func(e *Environment) { e.S3.Endpoint.URL = "http://s3.example" }), false},
	} {
		t.Run(name, func(t *testing.T) {
			contents := &Contents{Users: map[string]User{"u": c.user}, Environments: map[string]Environment{c.e.Name: c.e}}
			var data bytes.Buffer
			to, err := age.NewScryptRecipient(right.Reveal())
			if err != nil {
				t.Fatal(err)
			}
			to.SetWorkFactor(10)
			if err := writeSealed(&data, to, header{Schema: schema}, func(w io.Writer) ([]byte, error) { return nil, encodeContents(w, contents) }); err != nil {
				t.Fatal(err)
			}
			_, err = ReadBackup(data.Bytes(), right)
			if c.ok && err != nil || !c.ok && !errors.Is(err, ErrCorrupt) {
				t.Errorf("ReadBackup: %v", err)
			}
			_, _, v := testVault(t)
			if err := v.Change(func(to *Contents) error {
				to.Users, to.Environments = contents.Users, contents.Environments
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if _, err := v.Backup(right); (err == nil) != c.ok {
				t.Errorf("Backup: %v", err)
			}
		})
	}
}
