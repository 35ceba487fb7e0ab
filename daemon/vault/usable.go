package vault

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/99designs/keyring"

	"github.com/cloud-ca/ccad/daemon/account"
)

// Usable returns the backends that a person may be offered: file, and those that
// answer here without asking anybody anything. keyctl is none, since it forgets
// at a restart, and of kwallet that can't be told without opening it.
func Usable(ctx context.Context) []string {
	usable := []string{fileBackend}
	for _, backend := range []string{"secret-service", "keychain", "pass"} {
		if !available(backend) || backend == "pass" && !passIsThere() {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
		k := &Keyring{backend: backend, turn: make(chan struct{}, 1), open: keyring.Open}
		_, err := call(ctx, k, "look", account.Secret{}, func(keyring.Keyring) (struct{}, error) { return struct{}{}, nil })
		cancel()
		if err == nil {
			usable = append(usable, backend)
		}
	}
	return slices.Clip(usable)
}

// passIsThere reports whether pass has been set up: it then has a key to seal for.
func passIsThere() bool {
	dir := os.Getenv("PASSWORD_STORE_DIR")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return false
		}
		dir = filepath.Join(home, ".password-store")
	}
	return present(filepath.Join(dir, ".gpg-id"))
}
