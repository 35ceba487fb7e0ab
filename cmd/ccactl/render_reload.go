package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/cloud-ca/ccad/cmd/ccactl/render"
	"github.com/cloud-ca/ccad/ipc"
)

// A reload is a command that the programs of some files are owed.
type reload struct{ argv, paths []string }

// owe adds a file to the reloads; one command is for all files that name it.
func owe(all []reload, f ipc.RenderedFile) []reload {
	for i, r := range all {
		if slices.Equal(r.argv, f.Reload) {
			all[i].paths = append(r.paths, f.Path)
			return all
		}
	}
	return append(all, reload{f.Reload, []string{f.Path}})
}

// reload runs commands one after the other, and beside the work on files: one
// that hangs is to hold up no lock.
func (k *keeper) reload(ctx context.Context, owed []reload) {
	k.reloads.Go(func() {
		k.reloading.Lock()
		defer k.reloading.Unlock()
		for _, r := range owed {
			err := render.Reload(ctx, r.argv, reloadLimit)
			if ctx.Err() != nil {
				return // it is owed yet
			}
			for _, path := range r.paths { // one that fails is not tried again either
				if e := k.files.Paid(path); err == nil {
					err = e
				}
			}
			if err != nil {
				k.failure(fmt.Errorf("reload after %s: %w", strings.Join(r.paths, ", "), err))
			}
		}
	})
}

// failure says what failed, and remembers the first for the exit code.
func (k *keeper) failure(err error) {
	exit(err)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.failed == nil {
		k.failed = err
	}
}
