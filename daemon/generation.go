package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// generations keeps one file per environment beside the socket: the number that
// shells compare at every prompt without forking, "0" while locked, no file
// when no daemon runs or it can't be written: then shells drop what they have.
// The files hold no secret. They live in the runtime
// folder and are not fsynced: after a crash of the machine there are none.
//
// The folder is beside a socket that a person may put anywhere, so it may be
// his: nothing in it is touched but regular files that look like ours.
type generations struct {
	folder string
	mu     sync.Mutex // one temporary file, one writer; guards locked
	locked bool       // what a commit under way at a lock brings is not published

	turn sync.Mutex // one publishes at a time; guards lost
	lost error      // why not all is published
}

// generationTemp is written and then renamed. No environment has such a name.
const generationTemp = ".new"

var (
	aGeneration     = regexp.MustCompile(`^[0-9]{1,20}\n$`)
	halfAGeneration = regexp.MustCompile(`^[0-9]{0,20}\n?$`) // a process died while writing it
)

// locked is what every file says while there is nothing to be had.
const locked = "0\n"

// claim makes the folder, refuses one that holds what is not ours, and makes
// every file of ours say that there is nothing to be had.
func (g *generations) claim() error {
	if err := g.make(); err != nil {
		return err
	}
	ours, foreign, err := g.list()
	if err == nil && foreign != "" {
		err = fmt.Errorf("%s is not ours: ccad keeps its generations in that folder", filepath.Join(g.folder, foreign))
	}
	if err != nil {
		return err
	}
	return g.zero(ours)
}

func (g *generations) make() error {
	if err := os.Mkdir(g.folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the folder of the generations: %w", err)
	}
	return nil
}

// list tells our files, with what they say, from the first that is not.
func (g *generations) list() (ours map[string]string, foreign string, err error) {
	if info, err := os.Lstat(g.folder); err != nil {
		return nil, "", fmt.Errorf("read the generations: %w", err)
	} else if !info.IsDir() {
		return nil, "", fmt.Errorf("%s is no folder: ccad keeps its generations in one of that name", g.folder)
	}
	entries, err := os.ReadDir(g.folder)
	if err != nil {
		return nil, "", fmt.Errorf("read the generations: %w", err)
	}
	ours = make(map[string]string, len(entries))
	for _, e := range entries {
		if text, is := g.read(e.Name()); is {
			ours[e.Name()] = text
		} else if foreign == "" {
			foreign = e.Name()
		}
	}
	return ours, foreign, nil
}

// read returns what a file says, if it looks like ours.
func (g *generations) read(name string) (text string, ours bool) {
	shape := aGeneration
	if name == generationTemp {
		shape = halfAGeneration
	} else if !account.ValidName(name) {
		return "", false
	}
	path := filepath.Join(g.folder, name)
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > 21 {
		return "", false
	}
	data, err := os.ReadFile(path)
	return string(data), err == nil && shape.Match(data)
}

// lock makes every file of ours say that there is nothing to be had, until the
// next unlock.
func (g *generations) lock() error {
	g.shut(true)
	ours, _, err := g.list()
	return errors.Join(err, g.zero(ours))
}

// zero does that for files that were just found, and removes what it can't write.
// The error is the first about a file that is still there.
func (g *generations) zero(ours map[string]string) (err error) {
	if _, left := ours[generationTemp]; left { // it would be in the way of all others
		g.remove(generationTemp)
	}
	for name, text := range ours {
		if name == generationTemp || text == locked {
			continue
		}
		e := g.replace(name, 0)
		if _, left := g.read(name); left && err == nil {
			err = e
		}
	}
	return err
}

func (g *generations) shut(locked bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.locked = locked
}

// publish writes the files of what changed between two contents; before is nil
// at unlock. All are written where that failed before, or somebody removed the
// folder. What can't be written is left out: the error is the first.
func (g *generations) publish(before, after *vault.Contents) error {
	g.turn.Lock()
	defer g.turn.Unlock()
	if before == nil {
		g.shut(false)
	}
	if before == nil || g.lacking() {
		g.lost = g.writeAll(after)
	} else {
		g.lost = g.writeChanged(before, after, nil)
	}
	return g.lost
}

// again makes up for what publish could not write, or somebody removed.
func (g *generations) again(contents func() *vault.Contents) {
	g.turn.Lock()
	defer g.turn.Unlock()
	g.mu.Lock()
	locked := g.locked
	g.mu.Unlock()
	if !locked && g.lacking() {
		g.lost = g.writeAll(contents()) // what is committed from here on waits for its turn
	}
}

// warning is what status says of it; "" where all is published.
func (g *generations) warning() string {
	g.turn.Lock()
	defer g.turn.Unlock()
	if g.lost == nil {
		return ""
	}
	return "shells are without what they should follow: " + g.lost.Error()
}

func (g *generations) lacking() bool {
	_, err := os.Lstat(g.folder)
	return g.lost != nil || err != nil
}

// writeAll makes the folder what it has to be, whatever it is.
func (g *generations) writeAll(after *vault.Contents) error {
	if err := g.make(); err != nil {
		return err
	}
	ours, _, err := g.list()
	for name := range ours {
		if _, ok := after.Environments[name]; !ok {
			g.remove(name)
		}
	}
	return cmp.Or(err, g.writeChanged(&vault.Contents{}, after, ours))
}

// writeChanged writes what differs; ours are files that were just found.
func (g *generations) writeChanged(before, after *vault.Contents, ours map[string]string) (err error) {
	for name := range before.Environments {
		if _, ok := after.Environments[name]; !ok {
			if _, is := g.read(name); is {
				g.remove(name)
			}
		}
	}
	for name, e := range after.Environments {
		if e.Generation == before.Environments[name].Generation {
			continue
		}
		write := g.write
		if text, found := ours[name]; found && text == strconv.FormatUint(e.Generation, 10)+"\n" {
			continue
		} else if found {
			write = g.replace
		}
		if e := write(name, e.Generation); err == nil {
			err = e
		}
	}
	return err
}

// write replaces a file, unless something that is not ours has its name.
func (g *generations) write(name string, n uint64) error {
	if !account.ValidName(name) {
		return fmt.Errorf("write the generation of %q: that is no environment name", name)
	}
	path := filepath.Join(g.folder, name)
	if _, err := os.Lstat(path); err == nil {
		if _, ours := g.read(name); !ours {
			return fmt.Errorf("write the generation of %s: %s is not ours", name, path)
		}
	}
	return g.replace(name, n)
}

// replace writes a file and renames it: a prompt must never read half a number.
// Where that fails the file goes, which needs no space.
func (g *generations) replace(name string, n uint64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.locked && n != 0 {
		return nil
	}
	temp := filepath.Join(g.folder, generationTemp)
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		g.remove(name)
		return fmt.Errorf("write the generation of %s: %w", name, err)
	}
	_, err = f.Write(append(strconv.AppendUint(nil, n, 10), '\n'))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(temp, filepath.Join(g.folder, name))
	}
	if err != nil {
		_ = os.Remove(temp)
		g.remove(name)
		return fmt.Errorf("write the generation of %s: %w", name, err)
	}
	return nil
}

func (g *generations) remove(name string) { _ = os.Remove(filepath.Join(g.folder, name)) }

// clear removes our files, and the folder if nothing else is in it: the daemon
// ends.
func (g *generations) clear() {
	g.shut(true)
	ours, _, err := g.list()
	if err != nil {
		return
	}
	for name := range ours {
		g.remove(name)
	}
	_ = os.Remove(g.folder)
}
