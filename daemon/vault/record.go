package vault

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/cloud-ca/ccad/daemon/account"
)

// schema numbers the records below. Whatever changes them raises it: a program
// that knows only a lower one refuses the store, lest it drop on the next
// commit what it did not understand.
const schema = 1

// The records are the store's own encoding. Secrets redact themselves in any
// other, and the nouns stay free to change their Go names.
type contentsRecord struct {
	Generation   uint64              `json:"generation"`
	AuditKey     []byte              `json:"audit_key,omitempty"`
	AuditLine    uint64              `json:"audit_line,omitempty"`
	AuditMAC     []byte              `json:"audit_mac,omitempty"`
	GatewayKey   []byte              `json:"gateway_key,omitempty"`
	Users        []userRecord        `json:"users,omitempty"`
	Environments []environmentRecord `json:"environments,omitempty"`

	FingerprintKey []byte                   `json:"fingerprint_key,omitempty"`
	Attempts       map[string]attemptRecord `json:"attempts,omitempty"`
}

type attemptRecord struct {
	At         time.Time `json:"at"`
	Unanswered int       `json:"unanswered,omitempty"`
	Refused    bool      `json:"refused,omitempty"`
	LockedOut  bool      `json:"locked_out,omitempty"`
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
	Sources           []sourceRecord `json:"sources,omitempty"`
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

type refusalRecord struct {
	At        time.Time `json:"at"`
	Reason    string    `json:"reason,omitempty"`
	LockedOut bool      `json:"locked_out,omitempty"`
}

type sourceRecord struct {
	Path    string `json:"path"`
	Format  string `json:"format,omitempty"`
	Watched bool   `json:"watched,omitempty"`
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
	Value    valueRecord `json:"value"`
}

// A valueRecord is any Value in clear.
type valueRecord struct {
	ID     string `json:"id,omitempty"` // the access key id, or the application credential's id
	Name   string `json:"name,omitempty"`
	Secret string `json:"secret,omitempty"`
	Raw    []byte `json:"raw,omitempty"` // the secret where it is no UTF-8, which JSON would silently mend
}

// encodeContents writes everything but the sequence number, which is the
// envelope's: a record a line, and one after another, since all at once would
// take several times the room of the contents.
func encodeContents(w io.Writer, c *Contents) error {
	r := contentsRecord{
		Generation: c.Generation,
		AuditKey:   c.AuditKey,
		AuditLine:  c.AuditHead.Line,
		AuditMAC:   c.AuditHead.MAC,
		GatewayKey: c.GatewayKey,

		FingerprintKey: c.FingerprintKey,
		Attempts:       make(map[string]attemptRecord, len(c.Attempts)),
	}
	for mark, a := range c.Attempts {
		r.Attempts[mark] = attemptRecord(a)
	}
	head, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode the contents: %w", err)
	}
	if _, err := w.Write(head[:len(head)-1]); err != nil {
		return err
	}
	if err := encodeList(w, "users", c.Users, recordUser); err != nil {
		return err
	}
	if err := encodeList(w, "environments", c.Environments, recordEnvironment); err != nil {
		return err
	}
	_, err = io.WriteString(w, "}")
	return err
}

// encodeList writes the values of a map as the last member so far of an object.
func encodeList[V, R any](w io.Writer, name string, values map[string]V, record func(V) R) error {
	separator := fmt.Sprintf(",%q:[\n", name)
	encoder := json.NewEncoder(w)
	for _, v := range values {
		if _, err := io.WriteString(w, separator); err != nil {
			return err
		}
		if err := encoder.Encode(record(v)); err != nil {
			return fmt.Errorf("encode %s: %w", name, err)
		}
		separator = ","
	}
	if len(values) == 0 {
		return nil
	}
	_, err := io.WriteString(w, "]")
	return err
}

func decodeContents(data []byte) (*Contents, error) {
	var r contentsRecord
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("decode the contents: %w", err)
	}
	c := &Contents{
		Generation:   r.Generation,
		Users:        make(map[string]User, len(r.Users)),
		Environments: make(map[string]Environment, len(r.Environments)),
		AuditKey:     r.AuditKey,
		GatewayKey:   r.GatewayKey,
		AuditHead:    AuditHead{Line: r.AuditLine, MAC: r.AuditMAC},

		FingerprintKey: r.FingerprintKey,
		Attempts:       make(map[string]Attempt, len(r.Attempts)),
	}
	for mark, a := range r.Attempts {
		c.Attempts[mark] = Attempt(a)
	}
	for _, u := range r.Users {
		c.Users[u.ID] = u.user()
	}
	for _, e := range r.Environments {
		c.Environments[e.Name] = e.environment()
	}
	return c, nil
}

func recordUser(u User) userRecord {
	return userRecord{
		ID:              u.ID,
		Name:            u.Name,
		DomainID:        u.DomainID,
		DomainName:      u.DomainName,
		Auth:            endpointRecord(u.Auth),
		IdentityAPI:     u.IdentityAPI,
		KeystoneID:      u.KeystoneID,
		Passwords:       recordVersions(u.Passwords),
		PasswordExpires: u.PasswordExpires,
		Refused:         (*refusalRecord)(u.Refused),
	}
}

func (r userRecord) user() User {
	return User{
		User: account.User{
			ID:          r.ID,
			Name:        r.Name,
			DomainID:    r.DomainID,
			DomainName:  r.DomainName,
			Auth:        account.Endpoint(r.Auth),
			IdentityAPI: r.IdentityAPI,
			KeystoneID:  r.KeystoneID,
		},
		Passwords:       versions[account.Secret](r.Passwords),
		PasswordExpires: r.PasswordExpires,
		Refused:         (*Refusal)(r.Refused),
	}
}

func recordEnvironment(e Environment) environmentRecord {
	r := environmentRecord{
		ID:                e.ID,
		Name:              e.Name,
		UserID:            e.UserID,
		Project:           e.Project,
		ProjectID:         e.ProjectID,
		ProjectDomainID:   e.ProjectDomainID,
		ProjectDomainName: e.ProjectDomainName,
		Region:            e.Region,
		StorageURL:        e.StorageURL,
		S3:                s3Record{endpointRecord(e.S3.Endpoint), e.S3.Region, e.S3.Owner},
		Generation:        e.Generation,
		Epoch:             e.Epoch,
		Keys:              recordVersions(e.Keys),
		AppCreds:          recordVersions(e.AppCreds),
		KeysRefused:       (*refusalRecord)(e.KeysRefused),
	}
	for _, s := range e.Sources {
		r.Sources = append(r.Sources, sourceRecord(s))
	}
	return r
}

func (r environmentRecord) environment() Environment {
	e := Environment{
		Environment: account.Environment{
			ID:                r.ID,
			Name:              r.Name,
			UserID:            r.UserID,
			Project:           r.Project,
			ProjectID:         r.ProjectID,
			ProjectDomainID:   r.ProjectDomainID,
			ProjectDomainName: r.ProjectDomainName,
			Region:            r.Region,
			StorageURL:        r.StorageURL,
			S3:                account.S3{Endpoint: account.Endpoint(r.S3.Endpoint), Region: r.S3.Region, Owner: r.S3.Owner},
		},
		Generation:  r.Generation,
		Epoch:       r.Epoch,
		Keys:        versions[account.KeyPair](r.Keys),
		AppCreds:    versions[account.ApplicationCredential](r.AppCreds),
		KeysRefused: (*Refusal)(r.KeysRefused),
	}
	for _, s := range r.Sources {
		e.Sources = append(e.Sources, Source(s))
	}
	return e
}

func recordVersions[T Value](vs Versions[T]) versionsRecord {
	r := versionsRecord{Next: vs.Next}
	for _, v := range vs.List {
		r.List = append(r.List, versionRecord{
			v.ID, v.N, v.State, v.Source, v.Created, v.Checked, v.Accepted, v.HandsOff, reveal(v.Value),
		})
	}
	return r
}

func versions[T Value](r versionsRecord) Versions[T] {
	vs := Versions[T]{Next: r.Next}
	for _, v := range r.List {
		vs.List = append(vs.List, Version[T]{
			v.ID, v.N, v.State, v.Source, v.Created, v.Checked, v.Accepted, v.HandsOff, conceal[T](v.Value),
		})
	}
	return vs
}

// reveal and conceal are the way of a secret into the sealed store and out of it.
func reveal[T Value](value T) valueRecord {
	var r valueRecord
	var secret account.Secret
	switch v := any(value).(type) {
	case account.Secret:
		secret = v
	case account.KeyPair:
		r.ID, secret = v.AccessKeyID, v.Secret
	case account.ApplicationCredential:
		r.ID, r.Name, secret = v.ID, v.Name, v.Secret
	}
	if clear := secret.Reveal(); utf8.ValidString(clear) {
		r.Secret = clear
	} else {
		r.Raw = []byte(clear)
	}
	return r
}

func conceal[T Value](r valueRecord) (value T) {
	secret := account.NewSecret(r.Secret)
	if r.Raw != nil {
		secret = account.NewSecret(string(r.Raw))
	}
	switch v := any(&value).(type) {
	case *account.Secret:
		*v = secret
	case *account.KeyPair:
		*v = account.KeyPair{AccessKeyID: r.ID, Secret: secret}
	case *account.ApplicationCredential:
		*v = account.ApplicationCredential{ID: r.ID, Name: r.Name, Secret: secret}
	}
	return value
}
