// Command fill makes a keyring with 10,000 environments in a data folder, for
// the figures of a large one: fill DATADIR PASSPHRASE.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/vault"
)

func main() {
	if err := fill(os.Args[1], account.NewSecret(os.Args[2])); err != nil {
		fmt.Fprintln(os.Stderr, "fill:", err)
		os.Exit(1)
	}
}

func fill(dir string, passphrase account.Secret) error {
	lock, err := vault.LockFolder(dir)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	keyring, err := vault.OpenKeyring(dir, "file")
	if err != nil {
		return err
	}
	master, err := keyring.Master(context.Background(), passphrase)
	if err != nil {
		return err
	}
	v, err := vault.Open(dir, master, 0)
	if err != nil {
		return err
	}
	return v.Change(func(c *vault.Contents) error {
		now := time.Now()
		u := vault.User{User: account.User{ID: account.NewID(), Name: "system-ccontini-2925", DomainID: "default", IdentityAPI: "3", Auth: account.Endpoint{URL: "https://auth.cloud.ca"}}}
		passwords, p := u.Passwords.Stage(account.NewSecret("hunter2"), "import", now)
		p.Accepted, p.Checked = true, now
		u.Passwords = passwords.With(p).Activate(p.ID)
		c.Users[u.ID] = u
		for i := range 10_000 {
			e := vault.Environment{Environment: account.Environment{ID: account.NewID(), Name: fmt.Sprintf("e%05d", i), UserID: u.ID, Project: fmt.Sprintf("project-%d", i), ProjectID: account.NewID(), ProjectDomainID: "default",
				S3: account.S3{Endpoint: account.Endpoint{URL: "https://objects.cloud.ca"}, Region: "cloud.ca"}}, Binding: vault.Binding{Accepted: true, Checked: now}}
			keys, k := e.Keys.Stage(account.KeyPair{AccessKeyID: account.NewID(), Secret: account.NewSecret(account.NewID())}, "cloud", now)
			k.Accepted, k.Checked = true, now
			e.Keys, e.Generation = keys.With(k).Activate(k.ID), c.NextGeneration()
			c.Environments[e.Name] = e
		}
		return nil
	})
}
