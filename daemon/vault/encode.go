package vault

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/cloud-ca/ccad/daemon/account"
)

// encodeContents writes everything but the sequence number, which is the
// envelope's.
func encodeContents(w io.Writer, c *Contents) error {
	r := contentsRecord{
		Generation: c.Generation,
		AuditKey:   c.AuditKey,
		AuditLine:  c.AuditHead.Line,
		AuditMAC:   c.AuditHead.MAC,
		AuditOpen:  c.AuditHead.Open,
		GatewayKey: c.GatewayKey,

		FingerprintKey: c.FingerprintKey,
		Attempts:       make(map[string]attemptRecord, len(c.Attempts)),
		Retired:        make(map[string]retiredRecord, len(c.Retired)),

		Lease:     c.Lease,
		LeasesEnd: c.LeasesEnd,
	}
	for mark, a := range c.Attempts {
		r.Attempts[mark] = attemptRecord(a)
	}
	for mark, v := range c.Retired {
		r.Retired[mark] = retiredRecord(v)
	}
	for _, k := range c.Kept {
		r.Kept = append(r.Kept, keptRecord{k.ID, k.Path, k.Mode, k.Absent, reveal(k.Before), k.After, k.At})
	}
	if p := c.Portal; p != nil {
		r.Portal = &portalRecord{endpointRecord(p.Base), reveal(p.Key), (*refusalRecord)(p.Refused), p.Denied}
	}
	return encode(w, r, c, func(u User) User { return u }, func(e Environment) Environment { return e })
}

// encode writes a head and what of the users and environments of c is to be
// written: a record a line, and one after another, since all at once would take
// several times the room of the contents.
func encode(w io.Writer, r contentsRecord, c *Contents, user func(User) User, environment func(Environment) Environment) error {
	head, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode the contents: %w", err)
	}
	if _, err := w.Write(head[:len(head)-1]); err != nil {
		return err
	}
	if err := encodeList(w, "users", c.Users, func(u User) userRecord { return recordUser(user(u)) }); err != nil {
		return err
	}
	if err := encodeList(w, "environments", c.Environments, func(e Environment) environmentRecord { return recordEnvironment(environment(e)) }); err != nil {
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
		return nil, errors.New("the contents are of another form") // JSON's own words show what stands there
	}
	c := &Contents{
		Generation:   r.Generation,
		Users:        make(map[string]User, len(r.Users)),
		Environments: make(map[string]Environment, len(r.Environments)),
		AuditKey:     r.AuditKey,
		GatewayKey:   r.GatewayKey,
		AuditHead:    AuditHead{Line: r.AuditLine, MAC: r.AuditMAC, Open: r.AuditOpen},

		FingerprintKey: r.FingerprintKey,
		Attempts:       make(map[string]Attempt, len(r.Attempts)),
		Retired:        make(map[string]Retired, len(r.Retired)),

		Lease:     r.Lease,
		LeasesEnd: r.LeasesEnd,
	}
	for mark, a := range r.Attempts {
		c.Attempts[mark] = Attempt(a)
	}
	for mark, v := range r.Retired {
		c.Retired[mark] = Retired(v)
	}
	for _, k := range r.Kept {
		c.Kept = append(c.Kept, Kept{k.ID, k.Path, k.Mode, k.Absent, conceal[account.Secret](k.Before), k.After, k.At})
	}
	if p := r.Portal; p != nil {
		c.Portal = &Portal{account.Endpoint(p.Base), conceal[account.Secret](p.Key), (*Refusal)(p.Refused), p.Denied}
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
		Rotation:        (*rotationRecord)(u.Rotation),
		Failures:        u.Failures,
		Unhealed:        u.Unhealed,
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
		Rotation:        (*Rotation)(r.Rotation),
		Failures:        r.Failures,
		Unhealed:        r.Unhealed,
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
		ByCredential:      e.ByCredential,
		KeysListed:        e.KeysListed,
		KeysOwed:          e.KeysOwed,
		KeyWanted:         e.KeyWanted,
		Binding:           bindingRecord{e.Binding.Accepted, e.Binding.Checked, e.Binding.HandsOff, (*refusalRecord)(e.Binding.Refused)},
		KeysUnhealed:      e.KeysUnhealed,
		AppCredUnhealed:   e.AppCredUnhealed,
		KeyRotation:       (*rotationRecord)(e.KeyRotation),
		CredRotation:      (*rotationRecord)(e.CredRotation),
		KeysDeleted:       e.KeysDeleted,
		AppCredsDeleted:   e.AppCredsDeleted,
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
		KeysOwed:    r.KeysOwed,
		KeyWanted:   r.KeyWanted,
		Binding:     Binding{r.Binding.Accepted, r.Binding.Checked, r.Binding.HandsOff, (*Refusal)(r.Binding.Refused)},

		ByCredential: r.ByCredential,
		KeysListed:   r.KeysListed,

		KeysUnhealed:    r.KeysUnhealed,
		AppCredUnhealed: r.AppCredUnhealed,

		KeyRotation:  (*Rotation)(r.KeyRotation),
		CredRotation: (*Rotation)(r.CredRotation),

		KeysDeleted:     r.KeysDeleted,
		AppCredsDeleted: r.AppCredsDeleted,
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
			v.ID, v.N, v.State, v.Source, v.Created, v.Checked, v.Accepted, v.HandsOff, v.Tried, reveal(v.Value),
		})
	}
	return r
}

func versions[T Value](r versionsRecord) Versions[T] {
	vs := Versions[T]{Next: r.Next}
	for _, v := range r.List {
		vs.List = append(vs.List, Version[T]{
			v.ID, v.N, v.State, v.Source, v.Created, v.Checked, v.Accepted, v.HandsOff, v.Tried, conceal[T](v.Value),
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
