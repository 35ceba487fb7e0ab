package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/cloud-ca/ccad/daemon/account"
)

// ec2Doc is a key pair in OS-EC2.
type ec2Doc struct {
	Access    string `json:"access"`
	Secret    openly `json:"secret"`
	UserID    string `json:"user_id"`
	ProjectID string `json:"tenant_id"`
}

func (d ec2Doc) pair() account.KeyPair {
	return account.KeyPair{AccessKeyID: d.Access, Secret: d.Secret.Secret}
}

// ec2 builds a question about the user's keys; OS-EC2 is the same extension in
// both identity APIs.
func ec2(u account.User, g Grant, op, method string, want int, id ...string) (question, error) {
	format := "/v3/users/%s/credentials/OS-EC2"
	if u.IdentityAPI == "2.0" {
		format = "/v2.0/users/%s/credentials/OS-EC2"
	}
	for range id {
		format += "/%s"
	}
	path, err := segments(format, append([]string{g.UserID}, id...)...)
	if err != nil {
		return question{}, unsent(u.Auth, op, err.Error())
	}
	return question{op: op, method: method, path: path, token: g.Token.ID, want: want}, nil
}

// Keys lists all S3 keys of the grant's user, in every project, with their
// secrets. Like all calls about keys it needs a password's token: one of an
// application credential is ErrRefused.
func (c *Cloud) Keys(ctx context.Context, u account.User, g Grant) ([]EC2, error) {
	q, err := ec2(u, g, "to list the S3 keys", http.MethodGet, http.StatusOK)
	if err != nil {
		return nil, err
	}
	var doc struct{ Credentials *[]ec2Doc }
	if _, err := c.ask(ctx, u.Auth, q, &doc); err != nil {
		return nil, err
	}
	if doc.Credentials == nil {
		return nil, c.garbage(u.Auth, q.op, answer{status: q.want})
	}
	keys := make([]EC2, 0, len(*doc.Credentials))
	for _, d := range *doc.Credentials {
		keys = append(keys, EC2{KeyPair: d.pair(), UserID: d.UserID, ProjectID: d.ProjectID})
	}
	return keys, nil
}

const createKey = "to make an S3 key"

// CreateKey makes an S3 key for the grant's user and project: the intended
// pair, so that a caller who recorded it can ask again after a lost answer and
// gets the same pair. Where policy forbids a chosen pair Keystone makes one, and
// that is returned instead; a lost answer then leaves a key that only Keys
// shows. Up to three requests.
func (c *Cloud) CreateKey(ctx context.Context, u account.User, g Grant, intended account.KeyPair) (account.KeyPair, error) {
	if g.ProjectID == "" || g.UserID == "" || intended.AccessKeyID == "" || intended.Secret.Empty() {
		return account.KeyPair{}, unsent(u.Auth, createKey, "user, project or key is missing")
	}
	pair, err := c.CreateIntendedKey(ctx, u, g, intended)
	if errors.Is(err, ErrNotOffered) {
		return c.CreateAnyKey(ctx, u, g)
	}
	return pair, err
}

// CreateIntendedKey makes the very pair, or fails: ErrNotOffered where the cloud
// makes pairs by itself only. Up to two requests.
func (c *Cloud) CreateIntendedKey(ctx context.Context, u account.User, g Grant, intended account.KeyPair) (account.KeyPair, error) {
	if u.IdentityAPI == "2.0" {
		return account.KeyPair{}, notInV2(u.Auth, createKey)
	}
	pair, err := c.createChosenKey(ctx, u, g, intended)
	switch refusal := (*Error)(nil); {
	case errors.Is(err, ErrConflict), errors.Is(err, ErrNotOffered) && !Declined(err): // which not Keystone itself says
		if keys, listErr := c.Keys(ctx, u, g); listErr == nil && lists(keys, g, intended) {
			return intended, nil
		}
	case errors.As(err, &refusal) && refusal.Status == http.StatusForbidden && refusal.Kind == ErrRefused:
		refusal.Kind, refusal.reason = ErrNotOffered, "it lets nobody choose a key"
	}
	return pair, err
}

// CreateAnyKey has Keystone make a pair. A lost answer leaves a key that only
// Keys shows.
func (c *Cloud) CreateAnyKey(ctx context.Context, u account.User, g Grant) (account.KeyPair, error) {
	if u.IdentityAPI == "2.0" {
		return c.createServerKey(ctx, u, g, http.StatusOK)
	}
	return c.createServerKey(ctx, u, g, http.StatusCreated)
}

func lists(keys []EC2, g Grant, pair account.KeyPair) bool {
	for _, k := range keys {
		if k.AccessKeyID == pair.AccessKeyID && k.Secret.Equal(pair.Secret) && k.UserID == g.UserID && k.ProjectID == g.ProjectID {
			return true
		}
	}
	return false
}

// createChosenKey writes the pair as a generic credential, which OS-EC2 is a
// view of.
func (c *Cloud) createChosenKey(ctx context.Context, u account.User, g Grant, intended account.KeyPair) (account.KeyPair, error) {
	blob, err := json.Marshal(object{"access": intended.AccessKeyID, "secret": openly{intended.Secret}})
	if err != nil {
		return account.KeyPair{}, unsent(u.Auth, createKey, errGarbled.Error())
	}
	var doc struct{ Credential struct{ Blob openly } }
	q := question{op: createKey, method: http.MethodPost, path: "/v3/credentials", token: g.Token.ID, want: http.StatusCreated,
		body: object{"credential": object{
			"type": "ec2", "user_id": g.UserID, "project_id": g.ProjectID, "blob": openly{account.NewSecret(string(blob))},
		}}}
	if _, err := c.ask(ctx, u.Auth, q, &doc); err != nil {
		return account.KeyPair{}, err
	}
	var made ec2Doc
	if json.Unmarshal([]byte(doc.Credential.Blob.Reveal()), &made) != nil ||
		made.Access != intended.AccessKeyID || !made.Secret.Equal(intended.Secret) {
		return account.KeyPair{}, c.garbage(u.Auth, createKey, answer{status: q.want})
	}
	return intended, nil
}

// createServerKey has Keystone make the pair.
func (c *Cloud) createServerKey(ctx context.Context, u account.User, g Grant, want int) (account.KeyPair, error) {
	q, err := ec2(u, g, createKey, http.MethodPost, want)
	if err != nil {
		return account.KeyPair{}, err
	}
	q.body = object{"tenant_id": g.ProjectID}
	var doc struct{ Credential ec2Doc }
	if _, err := c.ask(ctx, u.Auth, q, &doc); err != nil {
		return account.KeyPair{}, err
	}
	made := doc.Credential
	if made.Access == "" || made.Secret.Empty() || made.ProjectID != g.ProjectID {
		return account.KeyPair{}, c.garbage(u.Auth, createKey, answer{status: want})
	}
	return made.pair(), nil
}

// DeleteKey deletes one of the user's S3 keys; ErrNotFound where it is gone
// already. S3 may accept it until its cache forgets (20 s or more).
func (c *Cloud) DeleteKey(ctx context.Context, u account.User, g Grant, accessKeyID string) error {
	q, err := ec2(u, g, "to delete an S3 key", http.MethodDelete, http.StatusNoContent, accessKeyID)
	if err != nil {
		return err
	}
	_, err = c.ask(ctx, u.Auth, q, nil)
	return err
}
