package daemon

import (
	"cmp"
	"context"
	"errors"
	"maps"
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

// Waits for a file that is half written, and for a cloud that does not answer:
// that grows with the time that it has not.
const (
	unparsedFor   = 2 * time.Second
	unparsedRetry = 200 * time.Millisecond
	firstUnasked  = time.Second
	lastUnasked   = 30 * time.Second
)

// watched looks after the files that import has read. What a file says goes to
// Keeper.Notice, values only: a file that names another cloud, user or project
// than the environment has is told of, and nobody is asked about it.
type watched struct {
	watcher *watch.Watcher

	mu    sync.Mutex
	files map[watchedKey]ipc.WatchedFile // what is wrong with one, for one environment

	wanted map[string]string // the S3 key that a file names without its secret, by the id of an environment that has none
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
	files := map[string][]string{}
	for _, e := range c.Environments {
		for _, s := range e.Sources {
			if !d.watches(s) {
				continue
			}
			files[s.Path] = withCompanions(s.Path)
		}
	}
	d.watched.watcher.Set(slices.Collect(maps.Values(files)))
	d.watched.forget(c)
}

// watches reports whether a file is looked after. One that ccactl render writes
// says what ccad says itself, or nothing while it is locked.
func (d *Daemon) watches(s vault.Source) bool {
	rendered := slices.ContainsFunc(d.Config.Render, func(r Render) bool { return r.Path == filepath.Clean(s.Path) })
	return s.Watched && filepath.IsAbs(s.Path) && !rendered
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
	c, path := o.keeper.Contents(), r.Files[0].Path
	found, read := readingOf(r.Files)
	for i := range found { // a profile that configure aws wrote beside the watched one says nothing of where the key belongs
		if s3 := &found[i].Environment.S3.Endpoint; s3.URL != "" && s3.URL == d.s3.url() {
			*s3 = account.Endpoint{}
		}
	}
	if read.State == "unparsed" && d.now().Sub(r.Since) < unparsedFor {
		return unparsedRetry // an editor may be writing it
	}
	for _, name := range fromFile(c, path) {
		is := read
		var wish time.Duration
		switch {
		case read.State == "empty" && emptied(c.Environments[name], path):
			is.State, is.Reason = "ok", ""
		case read.State == "empty":
			is.State = "unparsed"
		case read.State == "":
			is, wish = d.takeFound(ctx, o, c.Environments[name], found, path)
		}
		if is.State == "waiting" {
			again = max(again, wish, min(max(d.now().Sub(r.Since), firstUnasked), lastUnasked))
		}
		is.Path, is.Environment = path, name
		d.fileIs(is)
	}
	return again
}

// fromFile returns the environments that a watched file is a source of.
func fromFile(c *vault.Contents, path string) (names []string) {
	for name, e := range c.Environments {
		if _, ok := watchedSource(e, path); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func watchedSource(e vault.Environment, path string) (vault.Source, bool) {
	i := slices.IndexFunc(e.Sources, func(s vault.Source) bool { return s.Watched && s.Path == path })
	if i < 0 {
		return vault.Source{}, false
	}
	return e.Sources[i], true
}

// emptied reports whether what an environment had in a file was taken out of it.
func emptied(e vault.Environment, path string) bool {
	return slices.ContainsFunc(e.Sources, func(s vault.Source) bool { return s.Path == path && s.Emptied })
}

// takeFound notices what a file says of one environment. wish is the cloud's, after
// how long it wants to be asked again.
func (d *Daemon) takeFound(ctx context.Context, o *opened, e vault.Environment, found []source.Found, path string) (is ipc.WatchedFile, wish time.Duration) {
	u := o.keeper.Contents().Users[e.UserID]
	from, _ := watchedSource(e, path)
	f, ok := foundFor(e, u.User, from.Name, found)
	if from.Emptied && (!ok || e.UserID == "" && f.Name != from.Name) {
		is.State = "ok" // another profile's key is none of its own
		return is, 0
	}
	switch {
	case !ok && from.Name != "" && !slices.ContainsFunc(found, func(f source.Found) bool { return f.User.Name != "" || f.Name == from.Name }):
		is.State, is.Reason = "missing", from.Name+" is not in it any more"
		return is, 0
	case !ok:
		is.State, is.Reason = "foreign", "it does not name the cloud, user and project of "+e.Name+" any more: nothing is taken from it"
		return is, 0
	}
	d.watched.wants(e, from.Name, found)
	changed, err := o.keeper.Notice(ctx, rotate.Notice{Environment: e.Name, Password: f.Password, AppCred: f.AppCred, Keys: f.Keys, By: rotate.ByFile})
	if changed {
		d.record(o, audit.Entry{Event: "adopted", Environment: e.Name, User: u.Called, Note: path})
	}
	if limited := (*cloud.Error)(nil); errors.As(err, &limited) {
		wish = limited.RetryAfter
	}
	is.State, is.Reason = noticedState(err)
	if no := (*rotate.NoticeError)(nil); errors.As(err, &no) {
		is.Kind = string(no.Kind)
	}
	return is, wish
}

// noticedState is what became of a notice, in the words of the wire.
func noticedState(err error) (state, reason string) {
	switch {
	case err == nil:
		return "ok", ""
	case errors.Is(err, cloud.ErrUnreachable), errors.Is(err, cloud.ErrLimited), errors.Is(err, rotate.ErrWaits):
		return "waiting", err.Error()
	case errors.Is(err, rotate.ErrOlder):
		return "older", err.Error()
	case errors.Is(err, rotate.ErrWithheld):
		return "withheld", err.Error()
	}
	return "refused", err.Error()
}

// foundFor returns what a file says of an environment. Of several entries that
// may be about it the one counts that was imported, then the one of its name,
// then the one of its S3 key.
func foundFor(e vault.Environment, u account.User, entry string, found []source.Found) (source.Found, bool) {
	active, _ := e.Keys.Active()
	var fits []source.Found
	for _, f := range found {
		if !isAbout(f, e, u, entry) {
			continue
		}
		if f.Missing == source.MissingS3Secret || f.Keys != nil && f.Keys.Secret.Empty() {
			f.Keys = nil
		}
		fits = append(fits, f)
	}
	if len(fits) == 1 {
		return fits[0], true
	}
	for _, is := range []func(f source.Found) bool{
		func(f source.Found) bool { return entry != "" && f.Name == entry },
		func(f source.Found) bool { name, _ := account.NameFrom(f.Name); return name == e.Name },
		func(f source.Found) bool { return f.Keys != nil && f.Keys.AccessKeyID == active.Value.AccessKeyID },
	} {
		if i := slices.IndexFunc(fits, is); i >= 0 {
			return fits[i], true
		}
	}
	return source.Found{}, false
}

// isAbout reports whether an entry may be about an environment: it names its
// cloud, user and project, or nothing but S3 keys or an application credential,
// of which the cloud says whose they are. Those have to bear the name of the entry
// that was imported, where both have names: another profile's key is not sent to
// the stored origin. Which authority a file trusts counts for nothing, since the
// stored one is asked.
func isAbout(f source.Found, e vault.Environment, u account.User, entry string) bool {
	s3 := f.Environment.S3.Endpoint
	userless := f.User.Auth.IsZero() || f.AppCred != nil && f.User.Name == ""
	switch {
	case userless && f.Name != "" && entry != "" && f.Name != entry:
		return false
	case !s3.IsZero() && !e.S3.Endpoint.IsZero() && s3.Origin() != e.S3.Endpoint.Origin():
		return false
	case f.User.Auth.IsZero():
		return true
	case e.UserID == "" || f.User.Auth.Origin() != u.Auth.Origin():
		return false
	case userless:
		return true
	}
	return u.Key() == f.User.Key() && e.SameProject(f.Environment)
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
