package daemon

import (
	"cmp"
	"fmt"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/rotate"
	"github.com/cloud-ca/ccad/daemon/source"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// wants notes which S3 key a file names for an environment without one and
// without a user: its secret is masked there, and a person has it.
func (w *watched) wants(e vault.Environment, entry string, found []source.Found) {
	if _, has := e.Keys.Active(); has || e.UserID != "" {
		return
	}
	for _, f := range found {
		name, _ := account.NameFrom(f.Name)
		if f.Missing == source.MissingS3Secret && isAbout(f, e, account.User{}, "") && (f.Name == entry || name == e.Name) {
			w.mu.Lock()
			w.wanted[e.ID] = f.Keys.AccessKeyID
			w.mu.Unlock()
			return
		}
	}
}

// wantedKey is the S3 key whose secret an environment without one lacks; "" where
// nobody named any.
func (d *Daemon) wantedKey(e vault.Environment) string {
	if _, has := e.Keys.Active(); has {
		return ""
	}
	d.watched.mu.Lock()
	defer d.watched.mu.Unlock()
	return cmp.Or(e.KeyWanted, d.watched.wanted[e.ID])
}

func noKey(e vault.Environment) error { return fmt.Errorf("environment %s has no S3 key", e.Name) }

// hookOfKeysAlone is what a shell gets of an environment without a user: no
// variable, of which it hears when it selects the environment. As any other, it
// sees that the cloud refuses what there is.
func (d *Daemon) hookOfKeysAlone(r *request, e vault.Environment) (any, error) {
	if err := rotate.MayServeKeys(e); err != nil {
		return nil, err
	}
	warnings := d.heardBy(r, e)
	if r.URL.Query().Get("selected") != "true" {
		warnings = append(warnings, fmt.Sprintf("environment %s holds S3 keys alone: the shell gets no OS_ variables of it", e.Name))
	}
	return reply{contentType: "text/plain; charset=utf-8", warnings: warnings}, nil
}
