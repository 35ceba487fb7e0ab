package daemon

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/audit"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/rotate"
	"github.com/cloud-ca/ccad/daemon/source"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/daemon/watch"
	"github.com/cloud-ca/ccad/ipc"
)

// Waits for a file that is half written, and for a cloud that does not answer.
const (
	unparsedFor   = 2 * time.Second
	unparsedRetry = 200 * time.Millisecond
	unaskedRetry  = 30 * time.Second
)

// watched looks after the files that import has read. What a file says goes to
// Keeper.Notice, values only: a file that names another cloud, user or project
// than the environment has is told of, and nobody is asked about it.
type watched struct {
	watcher *watch.Watcher

	mu    sync.Mutex
	files map[watchedKey]ipc.WatchedFile // what is wrong with one, for one environment
}

type watchedKey struct{ path, environment string }

// watchFiles runs the watcher until ctx ends.
func (d *Daemon) watchFiles(ctx context.Context) {
	d.watched.watcher.Run(ctx, func(err error) { d.Log.Warn("watch", "error", err) })
}

func (d *Daemon) newWatcher(ctx context.Context) *watch.Watcher {
	return watch.New(time.Duration(d.Config.Watch.Rescan), func(r watch.Reading) time.Duration {
		if o := d.open.Load(); o != nil {
			return d.takeFile(ctx, o, r)
		}
		return time.Second
	})
}

// lookAfter tells the watcher which files there are.
func (d *Daemon) lookAfter(c *vault.Contents) {
	var paths []string
	for _, e := range c.Environments {
		for _, s := range e.Sources {
			if s.Watched && filepath.IsAbs(s.Path) {
				paths = append(paths, s.Path)
				if companion := source.Companion(s.Path); companion != "" {
					paths = append(paths, companion)
				}
			}
		}
	}
	slices.Sort(paths)
	d.watched.watcher.Set(slices.Compact(paths))
	d.watched.forget(c)
}

// sourcesMoved reports whether other files are to be watched after a commit.
func sourcesMoved(before, after *vault.Contents) bool {
	if len(before.Environments) != len(after.Environments) {
		return true
	}
	for name, e := range after.Environments {
		if !slices.Equal(before.Environments[name].Sources, e.Sources) {
			return true
		}
	}
	return false
}

// takeFile takes what a file holds now for every environment that came from it,
// and returns after how long it wants to see the same again.
func (d *Daemon) takeFile(ctx context.Context, o *opened, r watch.Reading) (again time.Duration) {
	c := o.keeper.Contents()
	primary := r.Path
	names := fromFile(c, primary)
	if len(names) == 0 {
		if primary = source.Companion(r.Path); primary != "" {
			names = fromFile(c, primary)
		}
	}
	if len(names) == 0 || primary != r.Path && r.Err != nil {
		return 0 // nobody's any more, or a companion that is not there
	}
	found, state, reason := readSource(primary)
	if state == "unparsed" && time.Since(r.Since) < unparsedFor {
		return unparsedRetry // an editor may be writing it
	}
	for _, name := range names {
		is, why := state, reason
		if state == "" {
			is, why = d.takeFound(ctx, o, c.Environments[name], found, primary)
		}
		if is == "waiting" {
			again = unaskedRetry
		}
		d.fileIs(ipc.WatchedFile{Path: primary, Environment: name, State: is, Reason: why})
	}
	return again
}

// fromFile returns the environments that a watched file is a source of.
func fromFile(c *vault.Contents, path string) (names []string) {
	for name, e := range c.Environments {
		for _, s := range e.Sources {
			if s.Watched && s.Path == path {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// readSource reads a file and the one that belongs to it.
func readSource(path string) (found []source.Found, state, reason string) {
	data, err := watch.Read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, "missing", "it is not there any more"
	case errors.Is(err, watch.ErrUnsafe):
		return nil, "unsafe", err.Error()
	case err != nil:
		return nil, "unsafe", "it can't be read"
	}
	files := []source.File{{Path: path, Data: data}}
	if companion := source.Companion(path); companion != "" {
		if more, err := watch.Read(companion); err == nil {
			files = append(files, source.File{Path: companion, Data: more})
		}
	}
	// Plain http is let pass here: where anything goes is not the file's to say.
	found, _, err = source.Parse(files, true)
	if err != nil {
		return nil, "unparsed", err.Error()
	}
	return found, "", ""
}

// takeFound notices what a file says of one environment.
func (d *Daemon) takeFound(ctx context.Context, o *opened, e vault.Environment, found []source.Found, path string) (state, reason string) {
	c := o.keeper.Contents()
	f, ok := foundFor(e, c.Users[e.UserID].User, found)
	if !ok {
		return "foreign", "it does not name the cloud, user and project of " + e.Name + " any more: nothing is taken from it"
	}
	changed, err := o.keeper.Notice(ctx, rotate.Notice{Environment: e.Name, Password: f.Password, Keys: f.Keys, By: rotate.ByFile, From: path})
	if changed {
		d.record(o, audit.Entry{Event: "adopted", Environment: e.Name, User: f.User.Name, Note: path})
	}
	switch {
	case err == nil:
		return "ok", ""
	case errors.Is(err, cloud.ErrUnreachable), errors.Is(err, cloud.ErrLimited):
		return "waiting", err.Error()
	case errors.Is(err, rotate.ErrOlder):
		return "older", err.Error()
	}
	return "refused", err.Error()
}

// foundFor returns what a file says of an environment: the entry that names its
// cloud, user and project, or its S3 endpoint where it has no user.
func foundFor(e vault.Environment, u account.User, found []source.Found) (source.Found, bool) {
	active, _ := e.Keys.Active()
	var fits []source.Found
	for _, f := range found {
		switch s3 := f.Environment.S3.Endpoint; {
		case !s3.IsZero() && !e.S3.Endpoint.IsZero() && !s3.SameOrigin(e.S3.Endpoint):
			continue
		case e.UserID != "" && (!u.Same(settledUser(f.User)) || !e.SameProject(settledProject(f.Environment))):
			continue
		case e.UserID == "" && !f.User.Auth.IsZero():
			continue
		}
		if f.Missing == source.MissingS3Secret || f.Keys != nil && f.Keys.Secret.Empty() {
			f.Keys = nil
		}
		fits = append(fits, f)
	}
	if len(fits) < 2 {
		return append(fits, source.Found{})[0], len(fits) == 1
	}
	for _, f := range fits { // of many profiles the one of that name, or of that key
		name, _ := account.NameFrom(f.Name)
		if name == e.Name || f.Keys != nil && f.Keys.AccessKeyID == active.Value.AccessKeyID {
			return f, true
		}
	}
	return source.Found{}, false
}

// settledUser and settledProject spell the default domain as the store does.
func settledUser(u account.User) account.User {
	u.DomainID, u.DomainName = account.DefaultDomain(u.DomainID, u.DomainName)
	return u
}

func settledProject(e account.Environment) account.Environment {
	e.ProjectDomainID, e.ProjectDomainName = account.DefaultDomain(e.ProjectDomainID, e.ProjectDomainName)
	return e
}

// fileIs remembers what is wrong with a file, and tells it when it begins.
func (d *Daemon) fileIs(f ipc.WatchedFile) {
	key := watchedKey{f.Path, f.Environment}
	d.watched.mu.Lock()
	was := d.watched.files[key]
	if f.State == "ok" {
		delete(d.watched.files, key)
	} else {
		d.watched.files[key] = f
	}
	d.watched.mu.Unlock()
	if f.State != "ok" && f.State != was.State {
		d.feed.publish(ipc.Event{Time: d.now(), Event: "watched", Environment: f.Environment, Message: f.Path + ": " + f.Reason})
	}
}

// forget drops what is remembered of files that are watched no more.
func (w *watched) forget(c *vault.Contents) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key := range w.files {
		if !slices.Contains(fromFile(c, key.path), key.environment) {
			delete(w.files, key)
		}
	}
}

// troubles are the files with which something is wrong.
func (w *watched) troubles() []ipc.WatchedFile {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := []ipc.WatchedFile{}
	for _, f := range w.files {
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b ipc.WatchedFile) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Environment, b.Environment))
	})
	return list
}
