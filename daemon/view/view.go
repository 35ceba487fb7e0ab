// Package view renders an environment for one kind of client: as variables for
// a shell, or as the file that the client reads.
//
// The caller asks Plan which secrets a request needs, gathers them into a
// Material (from memory: nothing here does I/O) and calls Render. Two tables
// decide everything else. clients.go says what each client is told, variable by
// variable: clients disagree about the same names, so there is one profile per
// client and no superset. formats.go names the formats, one file each, which
// only know how to write: a format quotes for its reader or refuses, naming the
// variable and never its value. A new client is one entry, a new format one
// file and one entry.
//
// Shells also unset the rivals, the names that would fight with what is set: a
// shell that held other credentials before ends up as if it never had.
//
// S3 endpoint and keys are taken as given. Where they are a loopback gateway's,
// nothing here is different.
//
// Limits: a view carries no certificate authority, since clients want a file;
// it says so in a warning. What lets a client down without touching what is set
// (an own OS_CACERT, OS_INTERFACE, a proxy) is left as the person set it.
package view

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
)

// A Request says for whom, by which means and how to render. The zero value is
// the openstack client, by password, for a POSIX shell.
type Request struct{ Client, Auth, Format string }

// The values of Request.Auth. The client aws has none: it is always by keys.
const (
	Password              = "password"
	Token                 = "token"
	ApplicationCredential = "application-credential"
)

// Need says which secrets a request uses. One that the environment does not
// have stays empty in the Material: Render says what is missing, and the format
// rclone writes the remotes that it can.
type Need struct{ Password, Token, AppCred, Keys bool }

// Material is what a view is made of. Only what Need names has to be filled in.
type Material struct {
	User        account.User
	Environment account.Environment
	Password    account.Secret
	Token       account.Token
	AppCred     account.ApplicationCredential
	Keys        account.KeyPair
	LeaseUntil  time.Time // when Keys stop working, for files to say; zero: they do not by themselves
}

// Reasons why an environment has no such view, for callers that tell them from
// failures. They complete a sentence that begins with the environment.
var (
	ErrNoUser = errors.New("holds S3 keys alone")
	ErrNoKeys = errors.New("has no S3 keys")
)

// Plan fills in the defaults and says what the request needs. Its errors are
// the caller's usage errors.
func Plan(r Request) (Request, Need, error) {
	r.Format = cmp.Or(r.Format, "sh")
	f, ok := formats[r.Format]
	if !ok {
		return r, Need{}, fmt.Errorf("unknown format (known: %s)", strings.Join(Formats(), ", "))
	}
	r.Client = cmp.Or(r.Client, f.client, "openstack")
	c, ok := clients[r.Client]
	if !ok {
		return r, Need{}, fmt.Errorf("unknown client (known: %s)", names(clients))
	}
	if f.client != "" && f.client != r.Client {
		return r, Need{}, fmt.Errorf("the format %s is read by %s alone, not by %s", r.Format, f.client, r.Client)
	}
	if r.Auth == "" {
		r.Auth = c.auths[0].auth
	}
	if _, ok := c.by(r.Auth); !ok {
		return r, Need{}, fmt.Errorf("the client %s cannot use that auth (%s)", r.Client, c.offers())
	}
	return r, Need{
		Password: r.Auth == Password,
		Token:    r.Auth == Token,
		AppCred:  r.Auth == ApplicationCredential,
		Keys:     r.Auth == "" || r.Format == "rclone",
	}, nil
}

// Render returns the view and what the person should be told beside it, one
// line each.
func Render(r Request, m Material) (body []byte, warnings []string, err error) {
	if r, _, err = Plan(r); err != nil {
		return nil, nil, err
	}
	if !account.ValidName(m.Environment.Name) { // it becomes a section, a key, a word of a message
		return nil, nil, errors.New("the environment's name is none")
	}
	v := &view{Request: r, Material: m}
	if body, err = v.render(); err != nil {
		return nil, nil, fmt.Errorf("environment %s %w", m.Environment.Name, err)
	}
	return body, v.warnings, nil
}

// view is one rendering under way.
type view struct {
	Request // planned
	Material
	warnings []string
}

func (v *view) render() ([]byte, error) {
	f := formats[v.Format]
	if f.file != nil {
		return f.file(v)
	}
	set, err := v.set()
	if err != nil {
		return nil, err
	}
	return f.variables(v, set, rivals(clients[v.Client].family, set))
}

// warn adds a warning once.
func (v *view) warn(format string, args ...any) {
	line := "environment " + v.Environment.Name + " " + fmt.Sprintf(format, args...)
	for _, w := range v.warnings {
		if w == line {
			return
		}
	}
	v.warnings = append(v.warnings, line)
}

// missing is the error for a view whose secret the environment does not have.
func missing(what string) error { return fmt.Errorf("has no %s", what) }

// uncarried is the error for a value that a format has no words for.
func uncarried(name, format string) error {
	return fmt.Errorf("has a value for %s with a character that %s cannot carry", name, format)
}
