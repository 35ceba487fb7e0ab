package vault

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"filippo.io/age"

	"github.com/cloud-ca/ccad/daemon/account"
)

// backupWork is scrypt's work factor: 2^15, which takes 32 MB. age's own
// default takes 256 MB, more than the daemon may use. It is also the most that
// ReadBackup spends on what it is given.
const backupWork = 15

// Backup returns what ReadBackup brings back, sealed with the passphrase:
// `age -d` opens it.
func (v *Vault) Backup(passphrase account.Secret) ([]byte, error) {
	if passphrase.Empty() {
		return nil, fmt.Errorf("back up: %w", ErrNoPassphrase)
	}
	c := v.Contents()
	if err := check(c); err != nil { // better now than when it is needed
		return nil, fmt.Errorf("back up: %w", err)
	}
	to, err := age.NewScryptRecipient(passphrase.Reveal())
	if err != nil {
		return nil, fmt.Errorf("back up: %w", err)
	}
	to.SetWorkFactor(backupWork)
	var out bytes.Buffer
	debug.FreeOSMemory()       // for scrypt
	defer debug.FreeOSMemory() // scrypt's
	fill := func(w io.Writer) ([]byte, error) {
		debug.FreeOSMemory() // scrypt's, for what follows
		if info, err := os.Stat(v.path); err == nil {
			out.Grow(int(info.Size())) // the store is somewhat larger than its backup
		}
		return nil, encode(w, contentsRecord{}, c, boundUser, boundEnvironment)
	}
	if err := writeSealed(&out, to, header{Schema: schema}, fill); err != nil {
		return nil, fmt.Errorf("back up: %w", err)
	}
	return out.Bytes(), nil
}

// ReadBackup opens a backup: bindings and values only, whatever else it holds,
// and every value unverified. ErrPassphrase and ErrCorrupt are what they say.
func ReadBackup(data []byte, passphrase account.Secret) (*Contents, error) {
	if passphrase.Empty() {
		return nil, fmt.Errorf("read backup: %w", ErrNoPassphrase)
	}
	defer debug.FreeOSMemory() // scrypt's
	by, err := age.NewScryptIdentity(passphrase.Reveal())
	if err != nil {
		return nil, fmt.Errorf("read backup: %w", err)
	}
	by.SetMaxWorkFactor(backupWork)
	d, err := readSealed(bytes.NewReader(data), by, int64(len(data)))
	if stranger, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
		if slices.Equal(stranger.StanzaTypes, []string{"scrypt"}) {
			return nil, fmt.Errorf("read backup: %w", ErrPassphrase)
		}
		return nil, fmt.Errorf("read backup: %w: it is not sealed with a passphrase", ErrCorrupt)
	}
	if err != nil {
		return nil, fmt.Errorf("read backup: %w", err)
	}
	c, err := decodeContents(d.contents)
	if err != nil {
		return nil, fmt.Errorf("read backup: %w: %w", ErrCorrupt, err)
	}
	if err := check(c); err != nil {
		return nil, fmt.Errorf("read backup: %w: %w", ErrCorrupt, err)
	}
	return bindings(c), nil
}

// check refuses what no ccad would have stored: a backup has no MAC, so whoever
// knows its passphrase may have written it, and a name becomes a file, an
// endpoint is where secrets go. The store itself is not checked: its MAC says
// who wrote it, and one oddity must not shut out everything.
func check(c *Contents) error {
	for id, u := range c.Users {
		if id == "" {
			return errors.New("a user has no id")
		}
		if err := checkEndpoint(u.Auth); err != nil {
			return fmt.Errorf("user %q: auth URL: %w", u.Name, err)
		}
	}
	for name, e := range c.Environments {
		if !account.ValidName(name) || e.Name != name || e.ID == "" {
			return fmt.Errorf("%q is no environment's name", name)
		}
		if _, ok := c.Users[e.UserID]; !ok && e.UserID != "" {
			return fmt.Errorf("environment %s: its user is missing", name)
		}
		if err := checkEndpoint(e.S3.Endpoint); err != nil && !e.S3.Endpoint.IsZero() {
			return fmt.Errorf("environment %s: S3 endpoint: %w", name, err)
		}
	}
	return nil
}

func checkEndpoint(e account.Endpoint) error {
	_, err := account.ParseEndpoint(e.URL, e.InsecureHTTP)
	return err
}

// bindings returns who is where with which value, and nothing that belongs to
// one daemon's life: no numbers, no keys of its own, no attempts, refusals,
// rotations under way or watches.
func bindings(c *Contents) *Contents {
	b := &Contents{
		Users:        make(map[string]User, len(c.Users)),
		Environments: make(map[string]Environment, len(c.Environments)),
	}
	for id, u := range c.Users {
		b.Users[id] = boundUser(u)
	}
	for name, e := range c.Environments {
		b.Environments[name] = boundEnvironment(e)
	}
	return b
}

func boundUser(u User) User { return User{User: u.User, Passwords: proven(u.Passwords)} }

func boundEnvironment(e Environment) Environment {
	sources := slices.Clone(e.Sources)
	for i := range sources {
		sources[i].Watched, sources[i].Emptied = false, false
	}
	e.StorageURL = "" // tokens go there: it is the cloud's to say, and it says it again
	return Environment{
		Environment: e.Environment,
		Keys:        proven(e.Keys),
		AppCreds:    proven(e.AppCreds),
		KeyWanted:   e.KeyWanted,
		Sources:     sources,

		ByCredential: e.ByCredential,
	}
}

// proven keeps one value: the active one, or where none is active the newest
// that the cloud once accepted. Pending ones are a journal, the others are dead.
func proven[T Value](vs Versions[T]) Versions[T] {
	one, ok := vs.Active()
	for _, v := range vs.List {
		if !ok && v.Accepted && v.N > one.N {
			one = v
		}
	}
	if one.ID == "" {
		return Versions[T]{}
	}
	one.State, one.Checked, one.Accepted = Active, time.Time{}, false
	return Versions[T]{List: []Version[T]{one}, Next: vs.Next}
}
