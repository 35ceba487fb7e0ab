package daemon

import (
	"cmp"
	"path/filepath"
	"slices"

	"github.com/cloud-ca/ccad/ipc"
)

// staleFiles names the files that hold secrets for all that ccad knows.
func (d *Daemon) staleFiles(r *request) (any, error) {
	out := ipc.StaleFiles{Files: []string{}}
	for _, e := range r.open.keeper.Contents().Environments {
		for _, s := range e.Sources {
			if !filepath.IsAbs(s.Path) {
				continue
			}
			out.Files = append(out.Files, withCompanions(s.Path)...)
		}
	}
	for _, r := range d.Config.Render {
		out.Files = append(out.Files, r.Path)
	}
	slices.Sort(out.Files)
	out.Files = slices.Compact(out.Files)
	return out, nil
}

// stale says which of the words that a person's program found lying about were
// secrets once. Of living ones it says nothing.
func (d *Daemon) stale(r *request) (any, error) {
	in, err := decode[ipc.StaleRequest](r)
	if err != nil {
		return nil, err
	}
	out := ipc.StaleReply{Found: []ipc.StaleWord{}}
	for i, v := range r.open.keeper.Stale(in.Words) {
		out.Found = append(out.Found, ipc.StaleWord{Index: i, Kind: v.Kind, Subject: v.Subject, Since: v.At, Refused: v.Refused})
	}
	slices.SortFunc(out.Found, func(a, b ipc.StaleWord) int { return cmp.Compare(a.Index, b.Index) })
	return out, nil
}
