package daemon

import (
	"path/filepath"
	"strings"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/audit"
	"github.com/cloud-ca/ccad/daemon/source"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/ipc"
)

// scrub says what is left of files without the secrets that ccad holds. ccactl
// writes it, as the person, once what they were is kept.
func (d *Daemon) scrub(r *request) (any, error) {
	in, err := decode[ipc.ScrubRequest](r)
	if err != nil {
		return nil, err
	}
	files := make([]source.File, len(in.Files))
	for i, f := range in.Files {
		files[i] = source.File{Path: f.Path, Data: f.Data, CA: f.CA}
	}
	c := r.open.keeper.Contents()
	scrubbed, err := source.Scrub(files, true, func(f source.Found) bool { return holds(c, f) || in.Find && takes(f) })
	if err != nil {
		return nil, unread(err)
	}
	out := ipc.ScrubReply{Files: []ipc.ScrubbedFile{}}
	for _, s := range scrubbed {
		out.Files = append(out.Files, ipc.ScrubbedFile{Path: s.Path, Data: s.Data, Lines: s.Lines, Left: s.Left})
	}
	return out, nil
}

// holds reports whether every secret of a finding is in force here and was
// accepted by the cloud: only then may its file do without it. A password is had
// for the projects of which ccad has an environment: who names another would be
// left without it.
func holds(c *vault.Contents, f source.Found) bool {
	password, keys, cred := f.Password.Empty(), f.Keys == nil || f.Keys.Secret.Empty(), f.AppCred == nil
	if password && keys && cred {
		return false // nothing is in it
	}
	for _, u := range c.Users {
		v, ok := u.Passwords.Active()
		password = password || ok && v.Accepted && u.Same(f.User) && v.Value.Equal(f.Password) && serves(c, u.ID, f.Environment)
	}
	for _, e := range c.Environments {
		k, ok := e.Keys.Active()
		where := f.Environment.S3.Endpoint
		keys = keys || ok && k.Accepted && k.Value.AccessKeyID == f.Keys.AccessKeyID && k.Value.Secret.Equal(f.Keys.Secret) &&
			(where.IsZero() || where.SameOrigin(e.S3.Endpoint))
		a, ok := e.AppCreds.Active()
		cred = cred || ok && a.Accepted && a.Value.ID == f.AppCred.ID && a.Value.Secret.Equal(f.AppCred.Secret)
	}
	return password && keys && cred
}

// serves reports whether ccad has an environment of a user's for a project.
func serves(c *vault.Contents, userID string, named account.Environment) bool {
	for _, e := range c.Environments {
		if e.UserID == userID && e.SameProject(named) {
			return true
		}
	}
	return false
}

// takes reports whether import would take a secret from a finding. A key without
// an endpoint is Amazon's, as one is with theirs.
func takes(f source.Found) bool {
	s3 := f.Environment.S3.Endpoint
	secret := !f.Password.Empty() || f.AppCred != nil || f.Keys != nil && !f.Keys.Secret.Empty()
	return secret && (!f.User.Auth.IsZero() || !s3.IsZero() && !strings.Contains(s3.Host(), ".amazonaws.com"))
}

// keep stores what a file was before ccactl edits it.
func (d *Daemon) keep(r *request) (any, error) {
	in, err := decode[ipc.KeptFile](r)
	if err != nil {
		return nil, err
	}
	if !filepath.IsAbs(in.Path) || len(in.Before) > source.MaxSize {
		return nil, usage("a file to be kept has an absolute path and at most 1 MiB")
	}
	var emptied []string
	if in.Emptied {
		emptied = withCompanions(in.Path)
	}
	k := vault.Kept{Path: in.Path, Mode: in.Mode, Absent: in.Absent, Before: account.NewSecret(string(in.Before)), After: in.After}
	if err := r.open.keeper.Keep(k, emptied); err != nil {
		return nil, err
	}
	d.record(r.open, audit.Entry{Event: "kept", Note: in.Path})
	return struct{}{}, nil
}

// keptFiles hands out what files were, for ccactl to put them back.
func (d *Daemon) keptFiles(r *request) (any, error) {
	out := ipc.KeptFiles{Files: []ipc.KeptFile{}}
	for _, k := range r.open.keeper.Contents().Kept {
		out.Files = append(out.Files, ipc.KeptFile{ID: k.ID, Path: k.Path, Mode: k.Mode, Absent: k.Absent, Before: []byte(k.Before.Reveal()), After: k.After})
		d.record(r.open, audit.Entry{Event: "handed-out", View: "kept", Note: k.Path})
	}
	return out, nil
}

// unkeep forgets what a file was.
func (d *Daemon) unkeep(r *request) (any, error) {
	id := r.PathValue("id")
	var filled []string
	for _, k := range r.open.keeper.Contents().Kept {
		if k.ID == id {
			filled = withCompanions(k.Path)
		}
	}
	return struct{}{}, r.open.keeper.Unkeep(id, filled)
}

// unwatch stops watching files.
func (d *Daemon) unwatch(r *request) (any, error) {
	in, err := decode[ipc.UnwatchRequest](r)
	if err != nil {
		return nil, err
	}
	names, err := r.open.keeper.Unwatch(in.Paths)
	return ipc.UnwatchReply{Environments: append([]string{}, names...)}, err
}
