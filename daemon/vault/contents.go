package vault

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
)

// Contents is all that the store holds. What Vault.Contents returns is a
// snapshot for many readers: nobody writes into it, nor into a slice in it.
type Contents struct {
	Sequence     uint64                 // rises with each commit; the vault's own
	Generation   uint64                 // the last one given out, see NextGeneration
	Users        map[string]User        // by account.User.ID
	Environments map[string]Environment // by Name
	AuditKey     []byte                 // keys the audit chain
	GatewayKey   []byte                 // gateway keys are derived from it
	AuditHead    AuditHead              // the audit trail's last checkpoint

	FingerprintKey []byte             // keys the fingerprints that Attempts go by
	Attempts       map[string]Attempt // by fingerprint: values that the cloud refused, or never answered about

	Retired map[string]Retired // by fingerprint: values that were in force once, to be found where they still lie about
	Portal  *Portal            // how the portal is read; nil: it is not

	Kept []Kept // files that ccactl edited for a person, as they were; the oldest first

	Lease     time.Duration // the longest lease that this daemon gives; the next one must wait for its end
	LeasesEnd time.Time     // when the last lease of a daemon before this one ends
}

// An Attempt is on record from before a value is sent until the cloud accepts
// it. It outlives the value: what was refused need not be stored to be known.
type Attempt struct {
	At         time.Time
	Unanswered int  // sent so often without an answer on record (a crash, a timeout)
	Refused    bool // not to be sent again, unless a person asks an hour later
	LockedOut  bool // refused while an older token still answered: a person may try once more
	Expired    bool // refused as right but expired: only a change of password may send it
}

// Retired is what is remembered of a value that is in force no more. The value
// itself is forgotten.
type Retired struct {
	Kind    string    // password, s3-key, application-credential
	Subject string    // the user's or the environment's name then
	At      time.Time // when it went out of force
}

// Portal is the key to the portal's API and where it may be sent. It outranks
// all that it fetches: it is never served, and in no backup.
type Portal struct {
	Base    account.Endpoint
	Key     account.Secret
	Refused *Refusal // by the portal: it is not sent again
	Denied  []string // the portal's ids of environments that the key may not see: only a person's reading asks for them again
}

// Kept is a file as it was before ccactl edited it for a person, to be put back
// byte for byte. Secrets that were taken out of it are in it, so it is kept here
// and nowhere else.
type Kept struct {
	ID     string
	Path   string
	Mode   uint32         // its permissions
	Absent bool           // there was no such file
	Before account.Secret // its bytes
	After  []byte         // ccactl's digest of what it was made
	At     time.Time
}

// AuditHead is where the audit trail stood at a checkpoint.
type AuditHead struct {
	Line uint64
	MAC  []byte
	Open bool // lines were to come after it: no lock and no end of ccad made it
}

// A User is a Keystone user and the passwords he has, had and will have.
type User struct {
	account.User
	Passwords       Versions[account.Secret]
	PasswordExpires time.Time // as the cloud said; zero where it said nothing
	Refused         *Refusal  // nothing is sent for him until a person acts
	Rotation        *Rotation // of the password; nil: none is under way
	Failures        int       // logins that failed unattended, or were not answered, since a person acted or the cloud accepted a password of his
	Unhealed        bool      // what took the place of a refused one is not accepted yet
}

// An Environment is a cloud.ca environment and the keys to it.
type Environment struct {
	account.Environment
	Generation   uint64 // raised by NextGeneration whenever anything served for it changes
	Epoch        uint64 // raised by revoke: gateway keys of an older epoch are void
	Keys         Versions[account.KeyPair]
	AppCreds     Versions[account.ApplicationCredential]
	KeysRefused  *Refusal
	KeysOwed     bool     // the user's password is new, and Keystone has not told of the keys since; or S3 could not be asked in which region it is
	KeyWanted    string   // the access key that a person named, and Keystone's list must give the secret of
	KeysListed   []string // the access keys that Keystone had for it at the last look
	ByCredential bool     // it came with its application credential: views have that, and not the user's password
	Binding      Binding
	Sources      []Source

	KeysUnhealed    bool // as User.Unhealed
	AppCredUnhealed bool // as User.Unhealed

	KeyRotation  *Rotation // of the S3 key; nil: none is under way
	CredRotation *Rotation // of the application credential

	KeysDeleted     Deleted // by their access keys
	AppCredsDeleted Deleted // by their names
}

// Deleted are values that ccad made, and that the cloud has no more, each with the
// end of the time in which a request for it may still arrive, that nobody answered.
// It is a value: nobody writes into one that someone else may be reading.
type Deleted map[string]time.Time

// A Binding is what the cloud has said of a user's way into a project. The zero
// value: nothing yet.
type Binding struct {
	Accepted bool      // it granted the project at least once
	Checked  time.Time // its last answer
	HandsOff bool      // given with --no-verify: only a person's verify asks
	Refused  *Refusal  // its last answer was no
}

// A Refusal is the cloud's no.
type Refusal struct {
	At        time.Time
	Reason    string // one line, never a secret
	LockedOut bool   // the value once worked and an older token still answers
	Expired   bool   // the value is right, and only a change of the password may send it
}

// A Source is a file that said something about an environment.
type Source struct {
	Path    string
	Format  string
	Name    string // of its entry that is about the environment: a profile, cloud or remote; "" where it names none
	Watched bool
	Emptied bool // what it held was taken out of it: an entry that is gone is no news
}

// NextGeneration returns the next generation number. Numbers rise over all
// environments and never repeat, whatever is removed or restored.
func (c *Contents) NextGeneration() uint64 {
	c.Generation++
	return c.Generation
}

// NamesOf returns the names of a user's environments, sorted.
func (c *Contents) NamesOf(userID string) []string {
	var names []string
	for name, e := range c.Environments {
		if e.UserID == userID {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// EnvironmentsOf returns the environments of a user, sorted by name. Of 10,000
// that is some megabytes: NamesOf does where names do.
func (c *Contents) EnvironmentsOf(userID string) []Environment {
	var found []Environment
	for _, name := range c.NamesOf(userID) {
		found = append(found, c.Environments[name])
	}
	return found
}

// callApart lets every user be called by a name that is his alone.
func (c *Contents) callApart() {
	users := func(yield func(account.User) bool) {
		for _, u := range c.Users {
			if !yield(u.User) {
				return
			}
		}
	}
	for _, called := range account.CallApart(users) {
		u := c.Users[called.ID]
		u.User = called
		c.Users[called.ID] = u
	}
}

// Format prints how much there is and none of it: the keys in Contents are
// bytes that any verb would show.
func (c Contents) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, fmt.Sprintf("contents of %d users and %d environments", len(c.Users), len(c.Environments)))
}

// MarshalJSON refuses: Contents leave only sealed.
func (Contents) MarshalJSON() ([]byte, error) {
	return nil, errors.New("the contents of the store are not encoded implicitly")
}

// newContents returns those of an empty store, with fresh keys.
func newContents() *Contents {
	return &Contents{
		Users:        map[string]User{},
		Environments: map[string]Environment{},
		AuditKey:     randomKey(),
		GatewayKey:   randomKey(),

		FingerprintKey: randomKey(),
		Attempts:       map[string]Attempt{},
		Retired:        map[string]Retired{},
	}
}

func randomKey() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	return key
}

// clone copies as deep as Change may write: the maps. What is below is replaced
// and never written into.
func (c *Contents) clone() *Contents {
	next := *c
	next.Users, next.Environments = maps.Clone(c.Users), maps.Clone(c.Environments)
	next.Attempts, next.Retired = maps.Clone(c.Attempts), maps.Clone(c.Retired)
	return &next
}
