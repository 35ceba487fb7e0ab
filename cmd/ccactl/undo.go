package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/cloud-ca/ccad/cmd/ccactl/configure"
	"github.com/cloud-ca/ccad/cmd/ccactl/stale"
	"github.com/cloud-ca/ccad/ipc"
)

// putBack gives the files that ccactl edited their former bytes back, the last
// edit first. A file that was changed since stays as it is, unless it is named.
func putBack(named []string) error {
	for i, path := range named {
		var err error
		if named[i], err = filepath.Abs(path); err != nil {
			return err
		}
	}
	var kept ipc.KeptFiles
	if err := read("/v1/kept", &kept); err != nil {
		if _, none := os.Lstat(keptNote()); errors.Is(none, fs.ErrNotExist) {
			err = nil // nobody need be there to say so
		}
		if err != nil {
			return err
		}
	}
	if err := known(named, kept.Files); err != nil {
		return err
	}
	back, stuck, err := putBackKept(named, kept.Files)
	if err != nil {
		return err
	}
	if stuck {
		if len(named) == 0 && serviceInstalled() {
			exit(errors.New("the service stays, for it keeps their former bytes"))
		}
		return exitCode(1)
	}
	if len(named) > 0 {
		return tellUndone(back)
	}
	lost := lostFiles()
	removed, err := removeService() // the files need the daemon, so it goes last
	if err != nil {
		return err
	}
	if removed {
		back++
	}
	if lost == nil || back > 0 {
		lost = errors.Join(tellUndone(back), lost)
	}
	if st, err := status(); err == nil && !serviceInstalled() {
		printOut("ccad runs on: kill %d ends it", st.Daemon.PID)
	}
	return lost
}

// putBackKept puts back what was kept of files, of the named ones if there are any;
// stuck are some that were changed since.
func putBackKept(named []string, kept []ipc.KeptFile) (back int, stuck bool, err error) {
	stays := map[string]bool{}
	for i, k := range slices.Backward(kept) {
		if len(named) > 0 && !slices.Contains(named, k.Path) || stays[k.Path] {
			continue
		}
		done, err := restoreKept(k, slices.Contains(named, k.Path))
		if err != nil {
			return back, stuck, fmt.Errorf("undo the change of %s: %w", k.Path, err)
		}
		if stays[k.Path] = !done; !done {
			stuck = true
			exit(whyStays(k.Path))
			continue
		}
		if err := call("DELETE", "/v1/kept/"+k.ID, nil, nil); err != nil {
			return back, stuck, err
		}
		back++
		if slices.ContainsFunc(kept[:i], func(earlier ipc.KeptFile) bool { return earlier.Path == k.Path }) {
			continue
		}
		if err := tellBack(k); err != nil {
			return back, stuck, err
		}
	}
	return back, stuck, nil
}

// tellBack says that a file is as it was, and which secrets in it are dead since:
// no client gets anywhere with them.
func tellBack(k ipc.KeptFile) error {
	printOut("%s is as it was", plain(k.Path))
	if left, err := dead(stale.Lines(k.Path, string(k.Before))); err == nil { // the file is back all the same
		for _, l := range left {
			say("note: " + l.where() + ": " + l.what())
		}
	}
	return unnote(k.Path)
}

func tellUndone(back int) error {
	if back == 0 {
		return emit([]byte("there is nothing to undo\n"))
	}
	return emit([]byte("the keyring stays, and so do S3 keys that were made at the cloud: ccactl remove NAME forgets what it holds\n"))
}

// lostFiles are those that the note alone knows, once all that is kept is back: ccad
// kept them in a keyring that is there no more. One without a line of ccad's is none.
func lostFiles() (lost error) {
	for _, path := range slices.Compact(slices.Sorted(slices.Values(noted()))) {
		data, err := os.ReadFile(path)
		switch {
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			lost = errors.Join(lost, err)
		case bytes.Contains(data, []byte("ccactl")):
			lost = errors.Join(lost, advised(errors.New("what "+path+" was lay in a keyring that is gone: take ccad's lines out by hand"), "grep -n ccactl "+shellWord(path)))
		default:
			lost = errors.Join(lost, unnote(path))
		}
	}
	return lost
}

// known refuses names of files of which nothing is kept.
func known(named []string, kept []ipc.KeptFile) error {
	for _, path := range named {
		if !slices.ContainsFunc(kept, func(k ipc.KeptFile) bool { return k.Path == path }) {
			return advised(errors.New("of "+path+" ccad keeps no former bytes"), "ccactl setup --undo puts back all that it has")
		}
	}
	return nil
}

// whyStays is why a file is not put back, unless it is named.
func whyStays(path string) error {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return advised(errors.New(path+" is gone since"), "ccactl setup --undo "+shellWord(path)+" brings it back all the same")
	}
	return advised(errors.New(path+" was changed since, and stays as it is"),
		"ccactl setup --undo "+shellWord(path)+" puts it back all the same, and what it is now beside it")
}

// restoreKept makes a file what it was, and reports false where it was changed
// since.
func restoreKept(k ipc.KeptFile, force bool) (done bool, err error) {
	data, err := os.ReadFile(k.Path)
	there := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	now := digestOf(data)
	switch {
	case there == !k.Absent && bytes.Equal(data, k.Before):
		return true, nil
	case !force && (!there || !bytes.Equal(now[:], k.After)):
		return false, nil
	}
	if there && !bytes.Equal(now[:], k.After) {
		if err := setAside(k.Path, data); err != nil {
			return false, err
		}
	}
	if k.Absent {
		return true, os.Remove(k.Path)
	}
	// Without its secrets it may have been opened to others: that does not stay.
	return true, configure.Restore(k.Path, string(k.Before), fs.FileMode(k.Mode))
}

// setAside keeps what was written into a file since, beside what was set aside
// before.
func setAside(path string, data []byte) error {
	aside := path + ".before-undo"
	for n := 2; ; n++ {
		if _, err := os.Lstat(aside); err != nil {
			break // there is none, or the write says what is wrong
		}
		aside = fmt.Sprintf("%s.before-undo.%d", path, n)
	}
	if _, err := configure.Edit(aside, func(string) (string, error) { return string(data), nil }); err != nil {
		return err
	}
	printOut("what %s was is in %s", plain(path), plain(aside))
	return nil
}
