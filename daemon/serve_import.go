package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/rotate"
	"github.com/cloud-ca/ccad/daemon/source"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/ipc"
)

// importFiles reads what ccactl read and adopts what is in it.
func (d *Daemon) importFiles(r *request) (any, error) {
	in, err := decode[ipc.ImportRequest](r)
	if err != nil {
		return nil, err
	}
	if in.Name != "" && !account.ValidName(in.Name) {
		return nil, usage("--name is no environment name (a-z, 0-9, dot, hyphen, underscore; 63 characters)")
	}
	files := make([]source.File, len(in.Files))
	for i, f := range in.Files {
		files[i] = source.File{Path: f.Path, Data: f.Data, CA: f.CA}
	}
	found, notes, err := source.Parse(files, in.InsecureHTTP)
	if err != nil {
		return nil, unread(err)
	}
	if len(in.Only) > 0 {
		found = slices.DeleteFunc(found, func(f source.Found) bool { return !slices.Contains(in.Only, origin(f)) })
	}
	if len(found) == 0 {
		return nil, &ipc.Error{Code: ipc.CodeEmpty, Message: "nothing to import: " + strings.Join(append(notes, "no credentials found"), "; ")}
	}
	found, others := ours(r.open.keeper, in, found)
	notes = append(notes, others...)
	if in.Name != "" && len(found) > 1 {
		return nil, usage("--name is for one environment, and the files hold %d", len(found))
	}
	if err := distinct(r.open.keeper, in, found); err != nil {
		return nil, err
	}
	var changes []ipc.Change
	for _, f := range found {
		changes = append(changes, d.importOne(r, in, f))
	}
	out := ipc.Changes{DryRun: in.DryRun, Changes: changes, Notes: notes}
	return out, nil
}

// unread is why files were not read, or that there is nothing in them: who goes
// through many files speaks of the former only.
func unread(err error) error {
	var at *source.SyntaxError
	if errors.As(err, &at) && at.Empty {
		return &ipc.Error{Code: ipc.CodeEmpty, Message: err.Error()}
	}
	return usage("%v", err)
}

// origin is where a finding stands.
func origin(f source.Found) string { return fmt.Sprintf("%s:%d", f.File, f.Line) }

// importOne adopts one finding and says what became of it.
func (d *Daemon) importOne(r *request, in ipc.ImportRequest, f source.Found) ipc.Change {
	change := ipc.Change{
		Environment: cmp.Or(in.Name, f.Name), User: f.User.Name, Project: cmp.Or(f.Environment.Project, f.Environment.ProjectID),
		AuthURL: f.User.Auth.URL, S3Endpoint: f.Environment.S3.Endpoint.URL,
		Source: origin(f), Notes: f.Notes,
	}
	if f.Keys != nil {
		change.AccessKeyID = f.Keys.AccessKeyID
	}
	o := offered(in, f)
	switch {
	case f.Missing == "password" && in.Password != "":
		o.Password, f.Missing = account.NewSecret(in.Password), ""
	case f.Missing == "password" && holdsPassword(r.open.keeper.Contents(), f.User):
		f.Missing = ""
	case f.Missing == "s3-secret" && in.S3Secret != "" && f.Keys != nil:
		o.Keys = &account.KeyPair{AccessKeyID: f.Keys.AccessKeyID, Secret: account.NewSecret(in.S3Secret)}
		f.Missing = ""
	case f.Missing != "" && f.Keys != nil:
		o.Keys = nil
	}
	err := applyS3(&o, in)
	change.S3Endpoint = o.Environment.S3.Endpoint.URL
	if err != nil {
		change.Action, change.Error = "failed", wireError(err)
		return change
	}
	if o.AppCred != nil && o.Name == "" && !in.DryRun {
		return d.adopt(r, o, change) // the cloud names its project
	}
	preview, err := r.open.keeper.Preview(o)
	change.Environment = cmp.Or(preview.Environment, change.Environment)
	if err == nil && !in.DryRun && (f.Missing == "" || in.Bare) {
		named := change.AccessKeyID
		change = d.adopt(r, o, change)
		change.Missing, change.AccessKeyID = f.Missing, cmp.Or(change.AccessKeyID, named)
		return change
	}
	change.Action = "merged"
	switch {
	case o.AppCred != nil && o.Name == "" && // and a dry run, which does not ask
		!o.NoVerify && errors.Is(err, rotate.ErrUnnamed):
		change.Action, change.Notes = "added", append(change.Notes, "the cloud tells its project, after which it is named")
	case err != nil: // a secret would not help it
		change.Action, change.Error = "failed", wireError(err)
	case f.Missing != "" && !in.DryRun:
		change.Action, change.Missing = "failed", f.Missing
		change.Error = &ipc.Error{Code: ipc.CodeFailed, Message: missingMessage(f.Missing, change)}
	default:
		change.Missing = f.Missing
		if preview.Added {
			change.Action = "added"
		}
	}
	return change
}

// holdsPassword reports whether ccad has the password that a file does not name, as
// one that was scrubbed does not, and the cloud has not refused it.
func holdsPassword(c *vault.Contents, named account.User) bool {
	for _, u := range c.Users {
		if _, has := u.Passwords.Active(); has && u.Refused == nil && u.Same(named) {
			return true
		}
	}
	return false
}

func missingMessage(missing string, c ipc.Change) string {
	if missing == "password" {
		return fmt.Sprintf("%s holds no password of user %s", c.Source, c.User)
	}
	return fmt.Sprintf("%s holds no secret for the S3 key %s", c.Source, c.AccessKeyID)
}

// applyS3 lets the flags say where S3 is, over what the file says.
func applyS3(o *rotate.Offer, in ipc.ImportRequest) error {
	if in.S3Endpoint == "" {
		o.Environment.S3.Region = cmp.Or(in.S3Region, o.Environment.S3.Region)
		return nil
	}
	s3, err := s3Of(in.S3Endpoint, cmp.Or(in.S3Region, o.Environment.S3.Region), in.InsecureHTTP)
	s3.Endpoint.CA = cmp.Or(o.Environment.S3.Endpoint.CA, o.User.Auth.CA)
	o.Environment.S3 = s3
	return err
}
