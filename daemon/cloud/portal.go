package cloud

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
)

// A PortalEnvironment is an environment as the portal's API shows it, with the
// service keys that belong to the holder of the API key.
type PortalEnvironment struct {
	ID, Name string
	Fields   []PortalField
	Err      error // why its fields could not be read; the others' are good all the same
}

// A PortalField is one field of the portal's open list. Which keys there are is
// documented nowhere, so nobody below this type knows any.
type PortalField struct {
	Key   string
	Value account.Secret
}

// Waits for an answer that the portal gives as a task: how often it is asked,
// and how many times.
const (
	taskEvery = time.Second
	taskTries = 30
)

// ReadPortal reads the service keys of every environment that the API key
// reaches (CloudMC's GET /environments and /services/connections/:id/apiInfo).
// skip says which environments are not to be asked about. ErrRefused: the
// portal knows no such key, or denies it the list; it must not be sent again.
func (c *Cloud) ReadPortal(ctx context.Context, base account.Endpoint, key account.Secret, skip func(id string) bool) ([]PortalEnvironment, error) {
	var list []struct {
		ID, Name          string
		ServiceConnection struct{ ID string } `json:"serviceConnection"`
	}
	if err := c.portalGet(ctx, base, key, "/environments", "for its environments", &list); err != nil {
		return nil, err
	}
	var read []PortalEnvironment
	for _, e := range list {
		if e.ID == "" || e.ServiceConnection.ID == "" || skip(e.ID) {
			continue
		}
		var info struct{ Fields []portalField }
		path := "/services/connections/" + url.PathEscape(e.ServiceConnection.ID) + "/apiInfo?environmentId=" + url.QueryEscape(e.ID)
		err := c.portalGet(ctx, base, key, path, "for the service keys of an environment", &info)
		if isStatus(err, http.StatusUnauthorized) {
			return nil, err // the key died in between
		}
		found := PortalEnvironment{ID: e.ID, Name: e.Name, Err: err}
		for _, f := range info.Fields {
			found.Fields = append(found.Fields, PortalField{Key: f.Key, Value: account.NewSecret(string(f.Value))})
		}
		read = append(read, found)
	}
	return read, nil
}

// portalField takes a value of any JSON type: the list is open.
type portalField struct {
	Key   string
	Value looseText
}

// looseText is a string, a number or a boolean as text; what is nested is none.
type looseText string

// UnmarshalJSON implements json.Unmarshaler.
func (t *looseText) UnmarshalJSON(data []byte) error {
	var s string
	if json.Unmarshal(data, &s) == nil {
		*t = looseText(s)
		return nil
	}
	if text := string(data); text != "null" && !strings.ContainsAny(text, "{[") {
		*t = looseText(text)
	}
	return nil
}

// portalGet asks for one document and waits where the answer is a task.
func (c *Cloud) portalGet(ctx context.Context, base account.Endpoint, key account.Secret, path, op string, into any) error {
	a, err := c.portalAnswer(ctx, base, key, path, op)
	for tries := 0; err == nil && a.pending(); tries++ {
		if tries == taskTries {
			return &Error{Op: op, Host: base.Host(), Kind: ErrUnreachable, Sent: true, reason: "its task did not end in time"}
		}
		select {
		case <-ctx.Done():
			return &Error{Op: op, Host: base.Host(), Kind: ErrUnreachable, Sent: true, reason: "given up", cause: ctx.Err()}
		case <-time.After(taskEvery):
		}
		a, err = c.portalAnswer(ctx, base, key, "/tasks/"+url.PathEscape(a.task()), op)
	}
	if err != nil {
		return err
	}
	if a.failed() || json.Unmarshal(a.document(), into) != nil {
		return &Error{Op: op, Host: base.Host(), Kind: ErrUnreachable, Sent: true, reason: "answered with something else than the portal's API"}
	}
	return nil
}

// A portalReply is the envelope of every answer. A task is told in one of two
// forms: beside the data, or inside it.
type portalReply struct {
	Data       json.RawMessage
	TaskID     string `json:"taskId"`
	TaskStatus string `json:"taskStatus"`
	inner      struct {
		ID, Status string
		Result     json.RawMessage
	}
}

func (r portalReply) task() string {
	if r.TaskID != "" {
		return r.TaskID
	}
	return r.inner.ID
}

func (r portalReply) status() string {
	if r.TaskStatus != "" {
		return r.TaskStatus
	}
	return r.inner.Status
}

func (r portalReply) pending() bool { return r.task() != "" && r.status() == "PENDING" }
func (r portalReply) failed() bool  { return r.task() != "" && r.status() == "FAILED" }

// document is the data itself, or the result of the task that made it.
func (r portalReply) document() []byte {
	if len(r.inner.Result) > 0 {
		return r.inner.Result
	}
	return r.Data
}

func (c *Cloud) portalAnswer(ctx context.Context, base account.Endpoint, key account.Secret, path, op string) (r portalReply, err error) {
	a, err := c.send(ctx, base, request{op: op, method: http.MethodGet, path: path, sign: func(req *http.Request) error {
		req.Header.Set("MC-Api-Key", key.Reveal())
		return nil
	}})
	if err != nil {
		return r, err
	}
	if a.status != http.StatusOK {
		return r, c.portalError(base, op, a)
	}
	if a.cut || json.Unmarshal(a.body, &r) != nil {
		return r, c.common(base, op, a, "the portal's API")
	}
	// Only a task's data is an object with a status; a list's is none.
	_ = json.Unmarshal(r.Data, &r.inner)
	return r, nil
}

// portalError reads both forms of the portal's error: a code that is a number,
// or an errorCode that is a string. Its message may quote what was sent, so
// only the code is told.
func (c *Cloud) portalError(base account.Endpoint, op string, a answer) error {
	var said struct {
		Errors []struct {
			Code      json.Number
			ErrorCode string `json:"errorCode"`
		}
	}
	_ = json.Unmarshal(a.body, &said)
	code := ""
	if len(said.Errors) > 0 {
		code = said.Errors[0].Code.String() + said.Errors[0].ErrorCode
	}
	if len(code) > 40 || strings.ContainsFunc(code, func(r rune) bool { return r < '0' || r > 'z' }) {
		code = ""
	}
	if code != "" {
		code = fmt.Sprintf(" (its code %s)", code)
	}
	e := c.common(base, op, a, "the portal's API")
	switch a.status {
	case http.StatusUnauthorized:
		e.Kind, e.reason = ErrRefused, "it knows no such API key"+code
	case http.StatusForbidden:
		e.Kind, e.reason = ErrRefused, "it denies that to the API key"+code
	case http.StatusBadRequest:
		e.Kind, e.reason = ErrInvalid, "it refused the request"+code
	default:
		e.reason += code
	}
	return e
}

func isStatus(err error, status int) bool {
	e, ok := err.(*Error) //nolint:errorlint // made right here, never wrapped
	return ok && e.Status == status
}
