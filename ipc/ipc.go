// Package ipc is what ccactl and ccad have in common: the words of the wire,
// the socket (secure at birth, its owner checked from both ends) and the one
// client call.
//
// The wire is HTTP with JSON over a Unix socket, so that curl --unix-socket
// works. The client speaks HTTP/1.0 by hand: linking net/http would cost every
// credential-process call 1.6 ms. Every reply has a Content-Length, or is a
// stream of JSON lines that ends in an EventEnd line: a reply that was cut can
// always be told from a whole one. Requests are strict (an unknown field is
// refused, for an old daemon must not ignore a new dry_run), replies are
// tolerant.
//
// Both sides send their protocol number in ProtocolHeader; a daemon that does
// not speak the client's answers CodeProtocol. A request without the header
// (curl) is taken as current.
package ipc

import "time"

// Protocol is raised by hand when old and new can't understand each other.
const Protocol = 1

// Headers of ours.
const (
	ProtocolHeader = "Ccad-Protocol"
	WarningHeader  = "Ccad-Warning" // one line for stderr, no warning if it begins with "note: "; may repeat
)

// Code says what kind of failure a reply is; ccactl's exit code follows it.
type Code string

// The codes and, beside each, ccactl's exit code.
const (
	CodeFailed     Code = "failed"     // 1
	CodeProtocol   Code = "protocol"   // 1: the daemon speaks another protocol
	CodeUsage      Code = "usage"      // 2
	CodeNoDaemon   Code = "no-daemon"  // 3: made by the client, never sent
	CodeLocked     Code = "locked"     // 4
	CodeUnknown    Code = "unknown"    // 5: no such environment or user
	CodeRefused    Code = "refused"    // 6: refused by the cloud
	CodeWithheld   Code = "withheld"   // 1: a person has to verify it before it is sent
	CodeUnnamed    Code = "unnamed"    // 1: nothing names the environment to be
	CodeTaken      Code = "taken"      // 1: another identity has that name
	CodeOlder      Code = "older"      // 1: the store is older than one seen before
	CodeEmpty      Code = "empty"      // 2: a file that can be read, and holds nothing for ccad
	CodeOnlyCopy   Code = "only-copy"  // 1: a password would be lost for good, and yes=true was not said
	CodePassphrase Code = "passphrase" // 1: it is wrong
)

// Error is a failure as it crosses the socket.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"` // one line, lower case, never a secret
}

func (e *Error) Error() string { return e.Message }

// Exit returns ccactl's exit code for the failure.
func (e *Error) Exit() int {
	switch e.Code {
	case CodeUsage, CodeEmpty:
		return 2
	case CodeNoDaemon:
		return 3
	case CodeLocked:
		return 4
	case CodeUnknown:
		return 5
	case CodeRefused:
		return 6
	}
	return 1
}

// Status codes of HTTP that carry a Code, for curl's users; ours read the body.
func (c Code) HTTPStatus() int {
	switch c {
	case CodeUsage, CodeEmpty:
		return 400
	case CodeRefused:
		return 403
	case CodeUnknown:
		return 404
	case CodeProtocol:
		return 426
	case CodeLocked:
		return 423
	}
	return 500
}

// Status answers GET /v1/status. While locked the lists are empty.
type Status struct {
	Daemon       Daemon        `json:"daemon"`
	Users        []User        `json:"users"`
	Environments []Environment `json:"environments"`
	Watched      []WatchedFile `json:"watched,omitempty"` // those with which something is wrong
	Portal       *Portal       `json:"portal,omitempty"`  // nil: no key to its API is stored

	Rendered []RenderedFile `json:"rendered,omitempty"`
}

// WatchedFile is a file that an environment was imported from.
type WatchedFile struct {
	Path        string `json:"path"`
	At          string `json:"at,omitempty"` // the file beside it that is at fault
	Environment string `json:"environment"`
	State       string `json:"state"`          // missing | unsafe | unfit | unreadable | failing | unparsed | foreign | older | refused | waiting | withheld
	Kind        string `json:"kind,omitempty"` // what it is about: password, s3-key or application-credential
	Reason      string `json:"reason"`
}

// Daemon is the daemon's own part of Status.
type Daemon struct {
	Version string `json:"version"`
	PID     int    `json:"pid"`
	Locked  bool   `json:"locked"`
	Keyring string `json:"keyring"`
	Gateway string `json:"gateway"`         // http://127.0.0.1:PORT; "" while its port is another's
	Fresh   bool   `json:"fresh,omitempty"` // no keyring yet: the first passphrase given creates it
	Warning string `json:"warning,omitempty"`

	Unreadable string `json:"unreadable,omitempty"`         // why no passphrase opens it; names the predecessors of a store
	Older      bool   `json:"older,omitempty"`              // it is older than one seen before, and nothing else is wrong with it
	ClockSkew  *int   `json:"clock_skew_seconds,omitempty"` // how far the cloud's clock is ahead of this machine's; nil: no cloud has answered yet
}

// User is one user in Status.
type User struct {
	Name            string     `json:"name"`
	AuthURL         string     `json:"auth_url"`
	State           string     `json:"state"` // ok | unverified | refused | locked-out | expiring
	Reason          string     `json:"reason,omitempty"`
	Expired         bool       `json:"expired,omitempty"`    // of a refused one: it is right, and only a change of the password helps
	AgainFrom       *time.Time `json:"again_from,omitempty"` // of a refused one that was accepted before: a person's verify sends it once more from then on
	PasswordVersion int        `json:"password_version"`     // 0: none is stored
	CheckedAt       *time.Time `json:"checked_at,omitempty"`
	Expires         *time.Time `json:"expires,omitempty"`
	Rotation        *Rotation  `json:"rotation,omitempty"` // of the password
	RotationDue     *Due       `json:"rotation_due,omitempty"`
	FormerHolders   []Lease    `json:"former_holders,omitempty"` // who holds a password that is in force no more
}

// Environment is one environment in Status and in list.
type Environment struct {
	Name       string `json:"name"`
	User       string `json:"user"`
	Project    string `json:"project"`
	Generation uint64 `json:"generation"`
	State      string `json:"state"`
	S3         S3     `json:"s3"`

	ApplicationCredential string `json:"application_credential,omitempty"` // its id

	ProjectState string `json:"project_state"`    // ok | unverified | refused | none
	Reason       string `json:"reason,omitempty"` // why the project is refused

	SilentSince *time.Time `json:"silent_since,omitempty"` // the cloud was asked about it, and has not answered from then on

	Leases  int     `json:"leases"`
	Traffic Traffic `json:"gateway"` // since the daemon started

	Rotation    *Rotation `json:"rotation,omitempty"` // of the S3 key
	RotationDue *Due      `json:"rotation_due,omitempty"`
	ForeignKeys []string  `json:"foreign_keys,omitempty"` // access keys that the cloud has for it and ccad neither serves nor replaces

	CredentialRotation *Rotation `json:"application_credential_rotation,omitempty"`
	CredentialDue      *Due      `json:"application_credential_due,omitempty"`
}

// Traffic is what went through the S3 gateway for one environment.
type Traffic struct {
	Requests uint64 `json:"requests"`
	BytesIn  int64  `json:"bytes_in"`
	BytesOut int64  `json:"bytes_out"`
}

// S3 is the S3 part of an Environment.
type S3 struct {
	Endpoint    string `json:"endpoint"`
	Region      string `json:"region"`
	AccessKeyID string `json:"access_key_id"`
	Version     int    `json:"version"`
	State       string `json:"state"` // ok | unverified | refused | none

	Wanted string `json:"wanted_access_key_id,omitempty"` // of an environment without a key: the one that a file names, or a person did
}

// Shown answers GET /v1/environments/NAME; the secrets are there only with
// ?reveal=true.
type Shown struct {
	Environment
	AuthURL         string   `json:"auth_url,omitempty"`
	IdentityAPI     string   `json:"identity_api,omitempty"`
	UserDomain      string   `json:"user_domain,omitempty"`
	UserDomainID    string   `json:"user_domain_id,omitempty"` // if UserDomain is an id, not a name
	ProjectID       string   `json:"project_id,omitempty"`
	ProjectDomain   string   `json:"project_domain,omitempty"`
	ProjectDomainID string   `json:"project_domain_id,omitempty"` // if ProjectDomain is an id, not a name
	CatalogRegion   string   `json:"catalog_region,omitempty"`    // OS_REGION_NAME, not the region of S3
	StorageURL      string   `json:"storage_url,omitempty"`
	Sources         []string `json:"sources,omitempty"`
	Holders         []Lease  `json:"holders,omitempty"`
	Password        string   `json:"password,omitempty"`
	SecretAccessKey string   `json:"secret_access_key,omitempty"`
}

// Lease is what one client was given.
type Lease struct {
	Environment string     `json:"environment"`
	View        string     `json:"view"`
	Version     int        `json:"version"`
	PID         int        `json:"pid"`
	Program     string     `json:"program"`
	Parent      string     `json:"parent,omitempty"`
	Until       *time.Time `json:"until,omitempty"` // nil: open-ended
}

// AddRequest is POST /v1/environments.
type AddRequest struct {
	Name            string `json:"name"`
	User            string `json:"user,omitempty"`
	Project         string `json:"project,omitempty"`
	AuthURL         string `json:"auth_url,omitempty"`
	UserDomainID    string `json:"user_domain_id,omitempty"`
	ProjectDomainID string `json:"project_domain_id,omitempty"`
	IdentityAPI     string `json:"identity_api,omitempty"`
	S3Endpoint      string `json:"s3_endpoint,omitempty"`
	S3Region        string `json:"s3_region,omitempty"`
	S3AccessKey     string `json:"s3_access_key,omitempty"`
	S3Secret        string `json:"s3_secret,omitempty"`
	Password        string `json:"password,omitempty"`
	InsecureHTTP    bool   `json:"insecure_http,omitempty"`
	NoVerify        bool   `json:"no_verify,omitempty"`
	DryRun          bool   `json:"dry_run,omitempty"` // what would be done, and whether the password is missing
}

// File is a file that ccactl read for an import.
type File struct {
	Path string            `json:"path"` // absolute, or "-" for stdin
	Data []byte            `json:"data"`
	CA   map[string]string `json:"ca,omitempty"` // PEM of the CA files that the file names, by the path it names
}

// ImportRequest is POST /v1/import.
type ImportRequest struct {
	Files        []File `json:"files"`
	Name         string `json:"name,omitempty"`
	S3Endpoint   string `json:"s3_endpoint,omitempty"`
	S3Region     string `json:"s3_region,omitempty"`
	Password     string `json:"password,omitempty"`  // asked on the terminal, for findings without one
	S3Secret     string `json:"s3_secret,omitempty"` // the same
	DryRun       bool   `json:"dry_run,omitempty"`
	Bare         bool   `json:"bare,omitempty"` // store what lacks its secret without it, for an update to bring
	NoWatch      bool   `json:"no_watch,omitempty"`
	NoVerify     bool   `json:"no_verify,omitempty"`
	InsecureHTTP bool   `json:"insecure_http,omitempty"`

	Only []string `json:"only,omitempty"` // of what is found: the Sources of a dry run's Changes; none: all
}

// Change says what an add, import or update did to one environment.
type Change struct {
	Environment string   `json:"environment"`
	User        string   `json:"user,omitempty"`
	Project     string   `json:"project,omitempty"`
	AuthURL     string   `json:"auth_url,omitempty"`
	S3Endpoint  string   `json:"s3_endpoint,omitempty"`
	AccessKeyID string   `json:"access_key_id,omitempty"`
	Source      string   `json:"source,omitempty"`  // file and line
	Action      string   `json:"action"`            // added | merged | unchanged | removed | refused | failed
	State       string   `json:"state,omitempty"`   // ok | unverified | refused
	Unasked     bool     `json:"unasked,omitempty"` // the state is the last answer's: the cloud was asked a moment ago, or only a person may ask it
	Missing     string   `json:"missing,omitempty"` // password | s3-secret: nothing stored until it is given
	Error       *Error   `json:"error,omitempty"`
	Notes       []string `json:"notes,omitempty"` // one line each
}

// Changes answers add, import, update, verify, remove and restore.
type Changes struct {
	DryRun  bool     `json:"dry_run,omitempty"`
	Changes []Change `json:"changes"`
	Notes   []string `json:"notes,omitempty"` // of the files as a whole
}

// UpdateRequest is POST /v1/update: a value regenerated in the portal. Either
// Environment with S3Secret, or User with Password; a dry run has neither secret.
type UpdateRequest struct {
	Environment string `json:"environment,omitempty"`
	S3AccessKey string `json:"s3_access_key,omitempty"`
	S3Secret    string `json:"s3_secret,omitempty"`
	User        string `json:"user,omitempty"`
	Password    string `json:"password,omitempty"`
	NoVerify    bool   `json:"no_verify,omitempty"`
	DryRun      bool   `json:"dry_run,omitempty"`
}

// VerifyRequest is POST /v1/verify. No names: every environment.
type VerifyRequest struct {
	Environments []string `json:"environments,omitempty"`
	Rejected     string   `json:"rejected,omitempty"`   // a program reports that the cloud refused what it was given
	Background   bool     `json:"background,omitempty"` // with Rejected: it does not wait for the cloud's answer
}

// UnlockRequest is POST /v1/unlock.
type UnlockRequest struct {
	Passphrase  string `json:"passphrase,omitempty"`
	AcceptOlder bool   `json:"accept_older,omitempty"` // open a store that is older than one seen before
}

// PassphraseRequest is POST /v1/passphrase (ccactl passwd).
type PassphraseRequest struct {
	Old string `json:"old"`
	New string `json:"new"`
}

// KeyReply answers POST /v1/environments/NAME/s3-key, which makes sure that an
// environment has an S3 key pair.
type KeyReply struct {
	AccessKeyID string `json:"access_key_id"`
	Created     bool   `json:"created"` // it was made at the cloud just now
	Endpoint    string `json:"endpoint"`
	Region      string `json:"region"`
	Gateway     bool   `json:"gateway"` // endpoint and region are the S3 gateway's
}

// CloudsFileRequest is POST /v1/clouds-file: the text of a clouds.yaml, to have
// these environments written into it.
type CloudsFileRequest struct {
	Path         string   `json:"path"` // for messages: the daemon reads no file
	Data         []byte   `json:"data"`
	Environments []string `json:"environments"`
}

// CloudsFileReply is the text with the clouds in it, without their secrets.
type CloudsFileReply struct {
	Data    []byte   `json:"data"`
	Clouds  []string `json:"clouds"`            // their names
	Changed []string `json:"changed,omitempty"` // of them, those that were not there as they are now
}

// BackupRequest is POST /v1/backup, RestoreRequest POST /v1/restore: the store,
// sealed with a passphrase of its own (age's scrypt recipient). The answer to a
// backup is that file itself.
type BackupRequest struct {
	Passphrase string `json:"passphrase"`
}

// RestoreRequest brings a backup's bindings and values as unverified.
type RestoreRequest struct {
	Passphrase   string `json:"passphrase"`
	Data         []byte `json:"data"`
	NoVerify     bool   `json:"no_verify,omitempty"`
	InsecureHTTP bool   `json:"insecure_http,omitempty"`
}

// Event is a line of GET /v1/events (ccactl watch).
type Event struct {
	Time        time.Time `json:"time"`
	Event       string    `json:"event"` // adopted | rotated | revoked | removed | refused | verified | healed | noticed | watched | locked | unlocked | lease | end; a stream begins with (un)locked
	User        string    `json:"user,omitempty"`
	Environment string    `json:"environment,omitempty"`
	Generation  uint64    `json:"generation,omitempty"`
	Message     string    `json:"message,omitempty"`
	Error       *Error    `json:"error,omitempty"` // of an end that is a failure
}

// EventEnd is the last line of every stream: {"event":"end",…}.
const EventEnd = "end"

// LogReport answers GET /v1/log/verify.
type LogReport struct {
	Lines  uint64   `json:"lines"`
	Intact bool     `json:"intact"`
	Fault  string   `json:"fault,omitempty"` // where and how the chain is broken
	Notes  []string `json:"notes,omitempty"` // where it is whole, and lines may be missing all the same
}
