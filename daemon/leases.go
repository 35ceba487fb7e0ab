package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"

	"github.com/cloud-ca/ccad/daemon/rotate"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// A leaseFile keeps beside the socket which programs run with what: they outlive
// restarts and locks, and only the daemon knows that they still need it. It holds
// no secret and no name, and is read while ccad is locked too.
//
// As with the generations, what is there and is not ours stays.
type leaseFile struct {
	path string
	log  *slog.Logger
	mu   sync.Mutex // a request may end while ccad does
	told sync.Once  // that it can't be written
}

// running is what a program holds.
type running struct {
	Environment string `json:"environment"` // its id
	Version     int    `json:"version"`     // the one that is told
	Password    int    `json:"password,omitempty"`
	Keys        int    `json:"keys,omitempty"`
	AppCred     int    `json:"application_credential,omitempty"`
	PID         int    `json:"pid"`
	Started     uint64 `json:"started"`
}

// load returns the leases of the programs that still run. Without them a drain
// waits as for any lease of an earlier daemon.
func (f *leaseFile) load() (leases []rotate.Lease) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all, err := f.read()
	if err != nil {
		f.log.Warn("leases: which programs run from before is not known", "error", err)
	}
	for _, r := range all {
		if lease, runs := r.lease(); runs {
			leases = append(leases, lease)
		}
	}
	return leases
}

// save replaces the file. Without it all is served the same.
func (f *leaseFile) save(leases []rotate.Lease) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.replace(leases); err != nil {
		f.told.Do(func() {
			f.log.Warn("leases: after a restart or a lock it is not known which programs run", "error", err)
		})
	}
}

// clear removes the file when ccad ends, unless the next daemon needs it.
func (f *leaseFile) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	all, err := f.read()
	for _, r := range all {
		if _, runs := r.lease(); runs {
			return
		}
	}
	if err == nil {
		_ = os.Remove(f.path)
	}
}

func (f *leaseFile) replace(leases []rotate.Lease) error {
	if _, err := f.read(); err != nil {
		return err
	}
	if len(leases) == 0 {
		if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the leases: %w", err)
		}
		return nil
	}
	all := make([]running, 0, len(leases))
	for _, l := range leases {
		all = append(all, running{l.Environment, l.Version, l.Password, l.Keys, l.AppCred, l.Holder.PID, l.Holder.Started})
	}
	data, err := json.Marshal(all)
	if err != nil {
		return fmt.Errorf("write the leases: %w", err)
	}
	return vault.WriteFile(f.path, append(data, '\n'), 0o600)
}

// read returns nothing where there is no file, and an error where it is not ours.
func (f *leaseFile) read() (all []running, err error) {
	info, err := os.Lstat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	foreign := fmt.Errorf("%s is not ours: ccad keeps its leases under that name", f.path)
	if err == nil && !info.Mode().IsRegular() { // a pipe would be waited for
		return nil, foreign
	}
	data, err := os.ReadFile(f.path)
	if err != nil {
		return nil, fmt.Errorf("read the leases: %w", err)
	}
	if json.Unmarshal(data, &all) != nil {
		return nil, foreign
	}
	for _, r := range all {
		if r.Environment == "" || r.PID <= 0 {
			return nil, foreign
		}
	}
	return all, nil
}

// lease is what the ledger had of it. runs is false where the program has ended.
func (r running) lease() (l rotate.Lease, runs bool) {
	client, parentPID := processOf(r.PID)
	parent, _ := processOf(parentPID)
	return rotate.Lease{
		Environment: r.Environment, View: rotate.ViewExec, Version: r.Version,
		Held:   rotate.Held{Password: r.Password, Keys: r.Keys, AppCred: r.AppCred},
		Holder: client, Parent: parent.Program,
	}, client.Started != 0 && client.Started == r.Started
}
