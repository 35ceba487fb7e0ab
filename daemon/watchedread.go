package daemon

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/cloud-ca/ccad/daemon/source"
	"github.com/cloud-ca/ccad/daemon/watch"
	"github.com/cloud-ca/ccad/ipc"
)

// withCompanions returns a path and those of the files that are read with it.
func withCompanions(path string) []string { return append([]string{path}, ipc.Companions(path)...) }

// readingOf parses a file and those that belong to it, or says what is wrong
// with them. All but the first may be missing, and nothing else: an unsafe one
// would leave out the secrets without a word.
func readingOf(read []watch.File) (found []source.Found, is ipc.WatchedFile) {
	var files []source.File
	for i, f := range read {
		switch {
		case f.Err == nil:
			files = append(files, source.File{Path: f.Path, Data: f.Data})
		case !errors.Is(f.Err, fs.ErrNotExist) || i == 0:
			is.State, is.Reason = notRead(f.Err)
			if i > 0 {
				is.At, is.Reason = f.Path, filepath.Base(f.Path)+" beside it: "+is.Reason
			}
			return nil, is
		}
	}
	// Plain http is let pass here: where anything goes is not the file's to say.
	found, _, err := source.Parse(files, true)
	var syntax *source.SyntaxError
	switch {
	case errors.As(err, &syntax) && syntax.Empty:
		is.State, is.Reason = "empty", err.Error()
	case err != nil:
		is.State, is.Reason = "unparsed", err.Error()
	}
	return found, is
}

// notRead is why a file is not read, in the words of the wire.
func notRead(err error) (state, reason string) {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "missing", "it is not there any more"
	case errors.Is(err, watch.ErrUnsafe):
		return "unsafe", err.Error()
	case errors.Is(err, watch.ErrUnfit):
		return "unfit", err.Error()
	case errors.Is(err, watch.ErrSlow):
		return "failing", err.Error()
	case errors.Is(err, fs.ErrPermission):
		return "unreadable", "it can't be read"
	}
	return "failing", "it can't be read"
}
