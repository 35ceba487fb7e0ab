package daemon

import (
	"cmp"
	"slices"

	"github.com/cloud-ca/ccad/ipc"
)

// stale says which of the words that a person's program found lying about were
// secrets once. Of living ones it says nothing.
func (d *Daemon) stale(r *request) (any, error) {
	in, err := decode[ipc.StaleRequest](r)
	if err != nil {
		return nil, err
	}
	out := ipc.StaleReply{Found: []ipc.StaleWord{}}
	for i, v := range r.open.keeper.Stale(in.Words) {
		out.Found = append(out.Found, ipc.StaleWord{Index: i, Kind: v.Kind, Subject: v.Subject, Since: v.At})
	}
	slices.SortFunc(out.Found, func(a, b ipc.StaleWord) int { return cmp.Compare(a.Index, b.Index) })
	return out, nil
}
