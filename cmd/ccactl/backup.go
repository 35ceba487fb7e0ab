package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/cloud-ca/ccad/ipc"
)

func backupVerb() *cobra.Command {
	var from passphraseFlags
	c := verb("backup FILE [--passphrase-file F | --passphrase-stdin]", "Write everything to a file, sealed with a passphrase (age)", words(1, 1), func(_ *cobra.Command, args []string) (err error) {
		piped := args[0] == "-"
		if piped && term.IsTerminal(int(os.Stdout.Fd())) {
			return advised(usage("a terminal is no place for a backup"), "ccactl backup FILE")
		}
		if _, err := os.Lstat(args[0]); err == nil && !piped {
			return advised(fmt.Errorf("%s exists already", args[0]), "name another file, or move that one away")
		}
		var r ipc.BackupRequest
		if r.Passphrase, err = from.get("passphrase of the backup", true); err != nil {
			return err
		}
		var data []byte
		if err := call("POST", "/v1/backup", r, &data); err != nil {
			return err
		}
		if piped {
			return emit(data)
		}
		if err := writeNew(args[0], data); err != nil {
			return err
		}
		return emit(fmt.Appendf(nil, "wrote %s (%d bytes)\n", args[0], len(data)))
	})
	from.register(c)
	c.ValidArgsFunction = nil // files
	return c
}

// writeNew writes a file that does not exist yet, and leaves none that is not
// whole.
func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

func restoreVerb() *cobra.Command {
	var from passphraseFlags
	var r ipc.RestoreRequest
	c := verb("restore FILE [--passphrase-file F | --passphrase-stdin]", "Bring back what a backup holds", words(1, 1), func(_ *cobra.Command, args []string) (err error) {
		if r.Data, err = (guard{limit: backupLimit}).read(args[0]); err != nil {
			return err
		}
		if r.Passphrase, err = from.get("passphrase of the backup", false); err != nil {
			return err
		}
		var done ipc.Changes
		if err := call("POST", "/v1/restore", r, &done); err != nil {
			return err
		}
		return tell(done, func(c ipc.Change) string {
			return "ccactl add " + c.Environment + " stores it anew, with what you know to be right"
		})
	})
	from.register(c)
	c.Flags().BoolVar(&r.InsecureHTTP, "insecure-http", false, "allow plain http to other machines")
	c.Flags().BoolVar(&r.NoVerify, "no-verify", false, "do not ask the cloud about it")
	c.ValidArgsFunction = nil // files
	return c
}
