package rotate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cloud-ca/ccad/daemon/vault"
)

// FindUser returns the user that a person means by NAME, NAME@HOST or
// NAME@HOST/DOMAIN, or by NAME@HOST without the port, where nobody is called so.
func (k *Keeper) FindUser(name string) (vault.User, error) {
	var found, portless []vault.User
	for _, u := range k.vault.Contents().Users {
		switch {
		case u.Name == "":
		case slices.Contains([]string{u.Name, u.AtHost(), u.InDomain()}, name):
			found = append(found, u)
		case u.AtHostname() == name:
			portless = append(portless, u)
		}
	}
	if len(found) == 0 {
		found = portless
	}
	switch len(found) {
	case 0:
		return vault.User{}, fmt.Errorf("user %q: %w", name, ErrUnknown)
	case 1:
		return found[0], nil
	}
	several := severalError{name: name}
	for _, u := range found {
		several.called = append(several.called, u.User.String())
	}
	slices.Sort(several.called)
	return vault.User{}, several
}

// A severalError is an ErrUnknown: a name says too little of a user.
type severalError struct {
	name   string
	called []string // those that it may mean
}

func (e severalError) Error() string {
	return fmt.Sprintf("there are several users %q, say which: %s", e.name, strings.Join(e.called, ", "))
}

// Is makes it an ErrUnknown.
func (severalError) Is(target error) bool { return target == ErrUnknown }
