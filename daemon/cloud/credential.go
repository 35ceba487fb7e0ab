package cloud

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
)

const createApplication = "for an application credential"

// Limits are what an application credential may do, and until when. The zero
// value: all that its maker's token may, but for making more of its kind, and
// without an end.
type Limits struct {
	Roles        []string // ids, sorted: Keystone keeps no order
	AccessRules  []string // ids, sorted
	Unrestricted bool     // it may make and delete its kind
	Expires      time.Time
}

// A ListedCredential is an application credential as Keystone lists it: without
// its secret, which nobody can read back.
type ListedCredential struct {
	account.ApplicationCredential
	ProjectID string
	Limits
}

// ApplicationCredentials lists all of the grant's user, in every project. A cloud
// older than identity API 3.10 is ErrNotOffered.
func (c *Cloud) ApplicationCredentials(ctx context.Context, u account.User, g Grant) ([]ListedCredential, error) {
	q, err := application(u, g, "to list the application credentials", http.MethodGet, http.StatusOK)
	if err != nil {
		return nil, err
	}
	type byID struct{ ID string }
	var doc struct {
		Credentials *[]struct {
			ID, Name     string
			ProjectID    string `json:"project_id"`
			Roles        []byID
			AccessRules  []byID `json:"access_rules"`
			Unrestricted bool
			Expires      stamp `json:"expires_at"`
		} `json:"application_credentials"`
	}
	if _, err := c.ask(ctx, u.Auth, q, &doc); err != nil {
		return nil, err
	}
	if doc.Credentials == nil {
		return nil, c.garbage(u.Auth, q.op, answer{status: q.want})
	}
	ids := func(list []byID) (ids []string) {
		for _, of := range list {
			ids = append(ids, of.ID)
		}
		slices.Sort(ids)
		return ids
	}
	var listed []ListedCredential
	for _, d := range *doc.Credentials {
		listed = append(listed, ListedCredential{
			ApplicationCredential: account.ApplicationCredential{ID: d.ID, Name: d.Name}, ProjectID: d.ProjectID,
			Limits: Limits{Roles: ids(d.Roles), AccessRules: ids(d.AccessRules), Unrestricted: d.Unrestricted, Expires: d.Expires.Time},
		})
	}
	return listed, nil
}

// wish writes the limits into a request for a credential.
func (l Limits) wish(into object) {
	list := func(ids []string) (list []object) {
		for _, id := range ids {
			list = append(list, object{"id": id})
		}
		return list
	}
	if len(l.Roles) > 0 {
		into["roles"] = list(l.Roles)
	}
	if len(l.AccessRules) > 0 {
		into["access_rules"] = list(l.AccessRules)
	}
	if l.Unrestricted {
		into["unrestricted"] = true
	}
	if !l.Expires.IsZero() {
		into["expires_at"] = l.Expires.UTC().Format("2006-01-02T15:04:05.000000Z")
	}
}

// CreateApplicationCredential makes one for the grant's user and project, with
// the intended name and secret (an empty one has Keystone choose). A name that
// exists is ErrConflict: its secret can't be read back. A cloud older than
// identity API 3.10 is ErrNotOffered.
func (c *Cloud) CreateApplicationCredential(ctx context.Context, u account.User, g Grant, intended account.ApplicationCredential, l Limits) (account.ApplicationCredential, error) {
	none := account.ApplicationCredential{}
	q, err := application(u, g, createApplication, http.MethodPost, http.StatusCreated)
	if err != nil {
		return none, err
	}
	wish := object{"name": intended.Name}
	if !intended.Secret.Empty() {
		wish["secret"] = openly{intended.Secret}
	}
	l.wish(wish)
	q.body = object{"application_credential": wish}
	var doc struct {
		Credential struct {
			ID, Name string
			Secret   openly
		} `json:"application_credential"`
	}
	if _, err := c.ask(ctx, u.Auth, q, &doc); err != nil {
		return none, err
	}
	made := account.ApplicationCredential{ID: doc.Credential.ID, Name: doc.Credential.Name, Secret: doc.Credential.Secret.Secret}
	if made.ID == "" || made.Secret.Empty() || !intended.Secret.Empty() && !made.Secret.Equal(intended.Secret) {
		return none, c.garbage(u.Auth, createApplication, answer{status: q.want})
	}
	return made, nil
}

// DeleteApplicationCredential deletes one by its id; ErrNotFound where it is
// gone already. Swift believes in its tokens for its cache time longer.
func (c *Cloud) DeleteApplicationCredential(ctx context.Context, u account.User, g Grant, id string) error {
	q, err := application(u, g, "to delete an application credential", http.MethodDelete, http.StatusNoContent, id)
	if err != nil {
		return err
	}
	_, err = c.ask(ctx, u.Auth, q, nil)
	return err
}

// application builds a question about the user's application credentials.
func application(u account.User, g Grant, op, method string, want int, id ...string) (question, error) {
	if u.IdentityAPI == "2.0" {
		return question{}, notInV2(u.Auth, op)
	}
	format := "/v3/users/%s/application_credentials"
	for range id {
		format += "/%s"
	}
	path, err := segments(format, append([]string{g.UserID}, id...)...)
	if err != nil {
		return question{}, unsent(u.Auth, op, err.Error())
	}
	return question{op: op, method: method, path: path, token: g.Token.ID, want: want}, nil
}

func notInV2(auth account.Endpoint, op string) *Error {
	return &Error{Op: op, Host: auth.Host(), Kind: ErrNotOffered, reason: "identity API 2.0 does not offer that"}
}

// ChangePassword changes the password of u, whose KeystoneID must be known
// (Grant.UserID, or Error.UserID of an expired password). A token is sent where
// there is one; recent Keystones need none, and the old password counts as a
// login attempt.
//
// The change revokes all tokens of the user in Keystone at once, in all
// projects, and also a token that the new password got within the same second
// of the server's clock: wait for the next whole second (a full one where that
// clock is unknown), then ask for a token and make sure that it lives before
// handing it out. S3 keys and application credentials stay. After an error for
// which MayHaveJudged is true either password may be in force.
func (c *Cloud) ChangePassword(ctx context.Context, u account.User, old, new account.Secret, token account.Secret) error {
	const op = "to change the password"
	if u.IdentityAPI == "2.0" {
		return notInV2(u.Auth, op)
	}
	path, err := segments("/v3/users/%s/password", u.KeystoneID)
	if err != nil || old.Empty() || new.Empty() {
		return unsent(u.Auth, op, "the user's id or a password is missing")
	}
	_, err = c.ask(ctx, u.Auth, question{
		op: op, method: http.MethodPost, path: path, token: token, want: http.StatusNoContent,
		body: object{"user": object{"original_password": openly{old}, "password": openly{new}}},
	}, nil)
	return err
}
