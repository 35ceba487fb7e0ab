package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cloud-ca/ccad/cmd/ccactl/configure"
	"github.com/cloud-ca/ccad/ipc"
)

// keyrings are those that ccad can use.
var keyrings = []string{"file", "secret-service", "keychain", "kwallet", "pass", "keyctl"}

// kindOfKeyring says what a person gets who chooses one.
func kindOfKeyring(name string) string {
	switch name {
	case "secret-service":
		return "the keyring of your desktop, opened when you log in"
	case "keychain":
		return "the keychain of macOS"
	case "pass":
		return "the password store of pass, opened by your GnuPG key"
	}
	return "a file of ccad's own, opened by a passphrase that you type"
}

// chooseKeyring lets a person choose where the key to everything is kept, before
// the keyring is made, and writes the choice to the config. Undo takes it back, for
// when ccad does not start with it; nil: nothing was written.
func (s *setup) chooseKeyring(program string) (undo func(), err error) {
	if _, err := os.Lstat(filepath.Join(ipc.DataDir(), "keyring.json")); err == nil {
		return nil, nil // it is made already, and ccad goes by that
	}
	path := ipc.ConfigPath()
	config, err := os.ReadFile(path)
	there := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	choice := s.keyring
	if choice == "" && !there && !s.yes {
		if choice, err = askKeyring(s, program); err != nil {
			return nil, err
		}
	}
	switch named := regexp.MustCompile(`(?m)^[ \t]*backend[ \t]*=[ \t]*["']([a-z-]+)["']`).FindSubmatch(config); {
	case choice == "", named != nil && string(named[1]) == choice, choice == "file" && named == nil:
		return nil, nil
	case there:
		return nil, fmt.Errorf("%s is there already: set backend = %q in its [keyring], and run setup without --keyring", path, choice)
	}
	if _, err := configure.Edit(path, func(string) (string, error) { return fmt.Sprintf("[keyring]\nbackend = %q\n", choice), nil }); err != nil {
		return nil, err
	}
	return func() { _ = os.Remove(path) }, nil
}

// askKeyring asks where there is a choice.
func askKeyring(s *setup, program string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "keyrings").Output()
	usable := strings.Fields(string(out))
	if err != nil || len(usable) < 2 {
		return "", nil
	}
	s.done("The key to all that ccad keeps can be in")
	for _, name := range usable {
		s.done("- %s: %s", name, kindOfKeyring(name))
	}
	for {
		choice, err := askLine("Which one?", usable[0])
		if err != nil || slices.Contains(usable, choice) {
			return choice, err
		}
		s.done("one of %s", strings.Join(usable, ", "))
	}
}

// openKeyring makes the keyring, or opens it.
func (s *setup) openKeyring() error {
	st, err := status()
	if err != nil {
		return err
	}
	d := st.Daemon
	if !d.Locked {
		s.done("the %s keyring is open", d.Keyring)
		return nil
	}
	if d.Keyring == "file" && d.Fresh {
		s.done("There is none yet. It is sealed with a passphrase of your choice, which nobody can give back to you. Ctrl-D ends setup here, and makes none.")
	}
	for try := 1; ; try++ {
		err := s.unlock(d)
		var failure *ipc.Error
		mistyped := errors.As(err, &failure) && slices.Contains([]ipc.Code{ipc.CodePassphrase, ipc.CodeFailed, ipc.CodeUsage}, failure.Code)
		switch {
		case errors.Is(err, errDiffer):
			return advised(err, "ccactl setup asks again")
		case !mistyped || try == tries || s.yes || s.passphrase.given():
			return forgotten(err)
		}
		exit(err)
	}
}

func (s *setup) unlock(d ipc.Daemon) (err error) {
	var r ipc.UnlockRequest
	if d.Keyring == "file" {
		question := margin + "Passphrase"
		if d.Fresh {
			question = margin + "New passphrase"
		}
		if r.Passphrase, err = s.passphrase.get(question, d.Fresh); err != nil {
			return err
		}
	}
	if err := call("POST", "/v1/unlock", r, nil); err != nil {
		return err
	}
	s.done("the %s keyring is open", d.Keyring)
	return nil
}
