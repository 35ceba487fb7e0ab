package vault

import "time"

// schema numbers the records below. Whatever changes them raises it: a program
// that knows only a lower one refuses the store, lest it drop on the next
// commit what it did not understand.
const schema = 10

// The records are the store's own encoding. Secrets redact themselves in any
// other, and the nouns stay free to change their Go names.
type contentsRecord struct {
	Generation   uint64              `json:"generation"`
	AuditKey     []byte              `json:"audit_key,omitempty"`
	AuditLine    uint64              `json:"audit_line,omitempty"`
	AuditMAC     []byte              `json:"audit_mac,omitempty"`
	AuditOpen    bool                `json:"audit_open,omitempty"`
	GatewayKey   []byte              `json:"gateway_key,omitempty"`
	Users        []userRecord        `json:"users,omitempty"`
	Environments []environmentRecord `json:"environments,omitempty"`

	FingerprintKey []byte                   `json:"fingerprint_key,omitempty"`
	Attempts       map[string]attemptRecord `json:"attempts,omitempty"`

	Retired map[string]retiredRecord `json:"retired,omitempty"`
	Portal  *portalRecord            `json:"portal,omitempty"`

	Kept []keptRecord `json:"kept,omitempty"`

	Lease     time.Duration `json:"lease,omitempty"`
	LeasesEnd time.Time     `json:"leases_end,omitzero"`
}

type attemptRecord struct {
	At         time.Time `json:"at"`
	Unanswered int       `json:"unanswered,omitempty"`
	Refused    bool      `json:"refused,omitempty"`
	LockedOut  bool      `json:"locked_out,omitempty"`
	Expired    bool      `json:"expired,omitempty"`
}

type retiredRecord struct {
	Kind    string    `json:"kind"`
	Subject string    `json:"subject"`
	At      time.Time `json:"at"`
}

type keptRecord struct {
	ID     string      `json:"id"`
	Path   string      `json:"path"`
	Mode   uint32      `json:"mode,omitempty"`
	Absent bool        `json:"absent,omitempty"`
	Before valueRecord `json:"before,omitzero"`
	After  []byte      `json:"after"`
	At     time.Time   `json:"at"`
}

type portalRecord struct {
	Base    endpointRecord `json:"base"`
	Key     valueRecord    `json:"key"`
	Refused *refusalRecord `json:"refused,omitempty"`
	Denied  []string       `json:"denied,omitempty"`
}

type userRecord struct {
	ID              string         `json:"id"`
	Name            string         `json:"name,omitempty"`
	DomainID        string         `json:"domain_id,omitempty"`
	DomainName      string         `json:"domain_name,omitempty"`
	Auth            endpointRecord `json:"auth,omitzero"`
	IdentityAPI     string         `json:"identity_api,omitempty"`
	KeystoneID      string         `json:"keystone_id,omitempty"`
	Passwords       versionsRecord `json:"passwords,omitzero"`
	PasswordExpires time.Time      `json:"password_expires,omitzero"`
	Refused         *refusalRecord `json:"refused,omitempty"`

	Rotation *rotationRecord `json:"rotation,omitempty"`
	Failures int             `json:"failures,omitempty"`
	Unhealed bool            `json:"unhealed,omitempty"`
}

type environmentRecord struct {
	ID                string         `json:"id"`
	Name              string         `json:"name"`
	UserID            string         `json:"user_id,omitempty"`
	Project           string         `json:"project,omitempty"`
	ProjectID         string         `json:"project_id,omitempty"`
	ProjectDomainID   string         `json:"project_domain_id,omitempty"`
	ProjectDomainName string         `json:"project_domain_name,omitempty"`
	Region            string         `json:"region,omitempty"`
	StorageURL        string         `json:"storage_url,omitempty"`
	S3                s3Record       `json:"s3,omitzero"`
	Generation        uint64         `json:"generation,omitempty"`
	Epoch             uint64         `json:"epoch,omitempty"`
	Keys              versionsRecord `json:"keys,omitzero"`
	AppCreds          versionsRecord `json:"application_credentials,omitzero"`
	KeysRefused       *refusalRecord `json:"keys_refused,omitempty"`
	ByCredential      bool           `json:"by_credential,omitempty"`
	KeysListed        []string       `json:"keys_listed,omitempty"`
	KeysOwed          bool           `json:"keys_owed,omitempty"`
	KeyWanted         string         `json:"key_wanted,omitempty"`
	Binding           bindingRecord  `json:"binding,omitzero"`
	Sources           []sourceRecord `json:"sources,omitempty"`
	KeysUnhealed      bool           `json:"keys_unhealed,omitempty"`
	AppCredUnhealed   bool           `json:"application_credential_unhealed,omitempty"`

	KeyRotation  *rotationRecord `json:"key_rotation,omitempty"`
	CredRotation *rotationRecord `json:"application_credential_rotation,omitempty"`

	KeysDeleted     map[string]time.Time `json:"keys_deleted,omitempty"`
	AppCredsDeleted map[string]time.Time `json:"application_credentials_deleted,omitempty"`
}

type rotationRecord struct {
	Step   string         `json:"step"`
	New    string         `json:"new,omitempty"`
	Old    string         `json:"old,omitempty"`
	Begun  time.Time      `json:"begun"`
	Since  time.Time      `json:"since"`
	Asked  time.Time      `json:"asked,omitzero"`
	Reason string         `json:"reason,omitempty"`
	Denied bool           `json:"denied,omitempty"`
	Grace  *time.Duration `json:"grace,omitempty"`
	Chosen bool           `json:"chosen,omitempty"`
	Known  []string       `json:"known,omitempty"`
	Left   []Left         `json:"left,omitempty"`
}

type endpointRecord struct {
	URL          string `json:"url"`
	CA           string `json:"ca,omitempty"`
	InsecureHTTP bool   `json:"insecure_http,omitempty"`
}

type s3Record struct {
	Endpoint endpointRecord `json:"endpoint,omitzero"`
	Region   string         `json:"region,omitempty"`
	Owner    string         `json:"owner,omitempty"`
}

type bindingRecord struct {
	Accepted bool           `json:"accepted,omitempty"`
	Checked  time.Time      `json:"checked,omitzero"`
	HandsOff bool           `json:"hands_off,omitempty"`
	Refused  *refusalRecord `json:"refused,omitempty"`
}

type refusalRecord struct {
	At        time.Time `json:"at"`
	Reason    string    `json:"reason,omitempty"`
	LockedOut bool      `json:"locked_out,omitempty"`
	Expired   bool      `json:"expired,omitempty"`
}

type sourceRecord struct {
	Path    string `json:"path"`
	Format  string `json:"format,omitempty"`
	Name    string `json:"name,omitempty"`
	Watched bool   `json:"watched,omitempty"`
	Emptied bool   `json:"emptied,omitempty"`
}

type versionsRecord struct {
	List []versionRecord `json:"list,omitempty"`
	Next int             `json:"next,omitempty"`
}

type versionRecord struct {
	ID       string      `json:"id"`
	N        int         `json:"n"`
	State    State       `json:"state"`
	Source   string      `json:"source,omitempty"`
	Created  time.Time   `json:"created,omitzero"`
	Checked  time.Time   `json:"checked,omitzero"`
	Accepted bool        `json:"accepted,omitempty"`
	HandsOff bool        `json:"hands_off,omitempty"`
	Tried    time.Time   `json:"tried,omitzero"`
	Value    valueRecord `json:"value"`
}

// A valueRecord is any Value in clear.
type valueRecord struct {
	ID     string `json:"id,omitempty"` // the access key id, or the application credential's id
	Name   string `json:"name,omitempty"`
	Secret string `json:"secret,omitempty"`
	Raw    []byte `json:"raw,omitempty"` // the secret where it is no UTF-8, which JSON would silently mend
}
