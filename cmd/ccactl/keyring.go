package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/cloud-ca/ccad/ipc"
)

// passphraseFlags are the two ways of giving a passphrase without a terminal.
type passphraseFlags struct {
	file  string
	stdin bool
}

func (p *passphraseFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&p.file, "passphrase-file", "", "read the passphrase from this file")
	c.Flags().BoolVar(&p.stdin, "passphrase-stdin", false, "read the passphrase from stdin")
	_ = c.MarkFlagFilename("passphrase-file")
}

func (p *passphraseFlags) given() bool { return p.file != "" || p.stdin }

// get returns the passphrase, asking where no flag gives it; one that is new is
// asked for twice.
func (p *passphraseFlags) get(question string, isNew bool) (passphrase string, err error) {
	switch {
	case p.file != "" && p.stdin:
		return "", usage("either --passphrase-file or --passphrase-stdin")
	case p.file != "":
		return secretOf(p.file)
	case p.stdin:
		return secretFrom(os.Stdin)
	case isNew:
		passphrase, err = askNew(question)
	default:
		passphrase, err = ask(question)
	}
	if errors.Is(err, errNoTerminal) {
		err = usage("%v: use --passphrase-file or --passphrase-stdin", err)
	}
	return passphrase, err
}

// secretOf reads a passphrase file. It may be a pipe; one that others can read
// is worth a word.
func secretOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		warn([]string{path + " can be read by others (chmod 600 mends it)"})
	}
	return secretFrom(f)
}

// forgotten adds the way out to a wrong passphrase.
func forgotten(err error) error {
	var failure *ipc.Error
	if !errors.As(err, &failure) || failure.Code != ipc.CodePassphrase {
		return err
	}
	folder := ipc.DataDir()
	return advised(err, "if it is forgotten, nobody can give it back: mv "+shellWord(folder)+" "+shellWord(folder+".forgotten")+"; ccactl setup")
}

func lockVerb() *cobra.Command {
	return verb("lock", "Lock the keyring: the daemon forgets every secret", words(0, 0), func(*cobra.Command, []string) error {
		if err := call("POST", "/v1/lock", nil, nil); err != nil {
			return err
		}
		return emit([]byte("locked\n"))
	})
}

func unlockVerb() *cobra.Command {
	var from passphraseFlags
	var acceptOlder bool
	c := verb("unlock [--passphrase-file F | --passphrase-stdin] [--accept-older]", "Unlock the keyring", words(0, 0), func(*cobra.Command, []string) error {
		st, err := status()
		if err != nil {
			return err
		}
		if !st.Daemon.Locked && !from.given() {
			return emit([]byte("unlocked already\n"))
		}
		r := ipc.UnlockRequest{AcceptOlder: acceptOlder}
		if from.given() || st.Daemon.Keyring == "file" {
			question := "passphrase"
			if st.Daemon.Fresh {
				question = "new passphrase of the keyring"
			}
			if r.Passphrase, err = from.get(question, st.Daemon.Fresh); err != nil {
				return err
			}
		}
		if err := call("POST", "/v1/unlock", r, nil); err != nil {
			return forgotten(err)
		}
		if !st.Daemon.Locked {
			return emit([]byte("unlocked already\n"))
		}
		return emit([]byte("unlocked\n"))
	})
	from.register(c)
	c.Flags().BoolVar(&acceptOlder, "accept-older", false,
		"open a store that is older than one seen before, as after putting back an old copy: what was stored since is lost, and the audit trail says so")
	return c
}

func passwdVerb() *cobra.Command {
	return verb("passwd", "Change the keyring's passphrase", words(0, 0), func(*cobra.Command, []string) (err error) {
		if _, err := unlocked(); err != nil { // before anything is asked
			return err
		}
		var r ipc.PassphraseRequest
		if r.Old, err = ask("present passphrase"); err == nil {
			r.New, err = askNew("new passphrase")
		}
		if errors.Is(err, errNoTerminal) {
			err = usage("%v: passwd reads passphrases from nowhere else", err)
		}
		if err != nil {
			return err
		}
		if err := call("POST", "/v1/passphrase", r, nil); err != nil {
			return err
		}
		return emit([]byte("changed\n"))
	})
}
