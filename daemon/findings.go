package daemon

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/cloud-ca/ccad/daemon/rotate"
	"github.com/cloud-ca/ccad/daemon/source"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/ipc"
)

// offered is a finding as an offer.
func offered(in ipc.ImportRequest, f source.Found) rotate.Offer {
	return rotate.Offer{
		Name: cmp.Or(in.Name, f.Name), Named: in.Name != "", User: f.User, Environment: f.Environment,
		Password: f.Password, AppCred: f.AppCred, Keys: f.Keys, By: "import", NoVerify: in.NoVerify,
		From: &vault.Source{Path: f.File, Format: f.Format, Name: f.Name, Watched: !in.NoWatch && f.File != "-"},
	}
}

// ours leaves out, with a note each, the S3 keys that nothing says the endpoint of,
// as Amazon's are: where all are such, the person named the file for them.
func ours(k *rotate.Keeper, in ipc.ImportRequest, all []source.Found) (found []source.Found, notes []string) {
	for _, f := range all {
		o := offered(in, f)
		if _, err := k.Preview(o); in.S3Endpoint == "" && errors.Is(err, rotate.ErrNoEndpoint) {
			notes = append(notes, origin(f)+": skipped: its keys name no S3 endpoint, as Amazon's do")
		} else {
			found = append(found, f)
		}
	}
	if len(found) == 0 {
		return all, nil
	}
	return found, notes
}

// distinct refuses findings that would take one name and are not one thing: the
// second would push the first out.
func distinct(k *rotate.Keeper, in ipc.ImportRequest, found []source.Found) error {
	byName := map[string][]source.Found{}
	for _, f := range found {
		p, err := k.Preview(offered(in, f))
		if err != nil {
			continue // refused for itself
		}
		for _, other := range byName[p.Environment] {
			if !offered(in, f).MayBe(offered(in, other)) {
				return fmt.Errorf("%s:%d and %s:%d would both be environment %s and are not the same: rename one, nothing is stored",
					other.File, other.Line, f.File, f.Line, p.Environment)
			}
		}
		byName[p.Environment] = append(byName[p.Environment], f)
	}
	return nil
}
