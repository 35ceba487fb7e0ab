package rotate

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// remember adds a source to an environment's, once a path.
func remember(e vault.Environment, from *vault.Source) vault.Environment {
	if from == nil {
		return e
	}
	kept := make([]vault.Source, 0, len(e.Sources)+1)
	for _, s := range e.Sources {
		if s.Path != from.Path {
			kept = append(kept, s)
		}
	}
	e.Sources = append(kept, *from)
	return e
}

// Unwatch stops watching files, and returns the environments for which they were
// watched. What they brought stays.
func (k *Keeper) Unwatch(paths []string) (names []string, err error) {
	err = k.commit("unwatched", func(c *vault.Contents) error {
		names = inSources(c, paths, func(s *vault.Source) (changed bool) {
			changed, s.Watched = s.Watched, false
			return changed
		})
		return nil
	})
	return names, err
}

// inSources changes the sources that are at one of the paths, and returns the
// environments in which that changed something.
func inSources(c *vault.Contents, paths []string, change func(*vault.Source) (changed bool)) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(c.Environments)) {
		e := c.Environments[name]
		sources := slices.Clone(e.Sources)
		for i := range sources {
			if slices.Contains(paths, sources[i].Path) && change(&sources[i]) {
				names = append(names, name)
			}
		}
		e.Sources = sources
		c.Environments[name] = e
	}
	return slices.Compact(names)
}

// What is kept makes every commit longer, and nobody edits so much.
const (
	maxKept      = 100
	maxKeptBytes = 4 << 20
)

// ErrKept: more is kept than there is room for.
var ErrKept = errors.New("too many former files are kept: ccactl setup --undo puts them back")

// Keep stores what a file was, before it is edited. emptied are the paths of the
// sources whose secrets the edit takes out of it.
func (k *Keeper) Keep(file vault.Kept, emptied []string) error {
	return k.commit("kept", func(c *vault.Contents) error {
		size := len(file.Before.Reveal())
		for _, one := range c.Kept {
			size += len(one.Before.Reveal())
		}
		if len(c.Kept) >= maxKept || size > maxKeptBytes {
			return ErrKept
		}
		file.ID, file.At = account.NewID(), k.now()
		c.Kept = append(slices.Clone(c.Kept), file)
		inSources(c, emptied, emptiedIs(true))
		return nil
	})
}

func emptiedIs(emptied bool) func(*vault.Source) (changed bool) {
	return func(s *vault.Source) (changed bool) {
		changed, s.Emptied = s.Emptied != emptied, emptied
		return changed
	}
}

// Unkeep forgets what a file was: it is put back, and filled are the paths of the
// sources that hold again what they held.
func (k *Keeper) Unkeep(id string, filled []string) error {
	return k.commit("unkept", func(c *vault.Contents) error {
		at := slices.IndexFunc(c.Kept, func(one vault.Kept) bool { return one.ID == id })
		if at < 0 {
			return fmt.Errorf("no former file has that id: %w", ErrUnknown)
		}
		c.Kept = slices.Delete(slices.Clone(c.Kept), at, at+1)
		inSources(c, filled, emptiedIs(false))
		return nil
	})
}
