package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cloud-ca/ccad/cmd/ccactl/shell"
	"github.com/cloud-ca/ccad/ipc"
)

// use selects an environment for a shell, which only the shell itself can do.
func useVerb() *cobra.Command {
	var preset string
	c := verb("use NAME | - | --default NAME", "Select an environment for this shell, or for new ones", words(0, 1), func(c *cobra.Command, args []string) error {
		switch {
		case !c.Flags().Changed("default") && len(args) == 0:
			return advised(usage("use: which environment?"), "ccactl list")
		case !c.Flags().Changed("default"):
			sh, known := loginShell()
			if !known {
				sh.line = hookLine("bash")
			}
			return advised(usage("use is a function of interactive shells that are hooked, and this one is not"),
				"in a script: ccactl exec NAME -- CMD…; ccactl setup hooks a shell, or by hand: "+sh.line)
		case len(args) > 0:
			return misused(c, "either NAME, or --default NAME")
		case preset == "-":
			return forgetDefault(ipc.DefaultPath())
		}
		if err := checkName(preset); err != nil {
			return err
		}
		known, err := checkKnown(preset)
		if err != nil {
			return err
		}
		if known.Name != "" && known.User == "" && known.ApplicationCredential == "" {
			warn([]string{preset + " holds S3 keys alone: shells get no OS_ variables of it"})
		}
		return writeDefault(ipc.DefaultPath(), preset)
	})
	c.Flags().StringVar(&preset, "default", "", "what new shells start with; - for nothing")
	_ = c.RegisterFlagCompletionFunc("default", names(-1))
	return ofEnvironments(c, 1)
}

// checkKnown refuses a name that the daemon surely does not have. Without a
// daemon, or while it is locked, every name may be right: then nothing is known
// of it.
func checkKnown(name string) (ipc.Environment, error) {
	st, err := status()
	if err != nil || st.Daemon.Locked {
		return ipc.Environment{}, nil
	}
	for _, e := range st.Environments {
		if e.Name == name {
			return e, nil
		}
	}
	return ipc.Environment{}, &ipc.Error{Code: ipc.CodeUnknown, Message: "there is no environment " + quote(name)}
}

// writeDefault replaces the file by a rename: a shell that starts meanwhile
// reads the old name or the new one.
func writeDefault(path, name string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".default-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = fmt.Fprintln(f, name)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return emit([]byte("new shells start with " + name + "\n"))
}

// readDefault returns what new shells start with, nothing unless it is a name.
func readDefault(path string) string {
	data, err := guard{limit: 64}.read(path)
	if name := strings.TrimSuffix(string(data), "\n"); err == nil && validName(name) {
		return name
	}
	return ""
}

func forgetDefault(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return emit([]byte("new shells start with nothing selected\n"))
}

func shellInitVerb() *cobra.Command {
	shells := []string{"bash", "zsh", "fish"}
	c := verb("shell-init bash|zsh|fish", "Print the hook that keeps a shell's variables right", words(1, 1), func(c *cobra.Command, args []string) error {
		program, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find the path of ccactl: %w", err)
		}
		script, err := shell.Init(args[0], shell.Paths{
			Ccactl:      program,
			Socket:      ipc.SocketPath(),
			Generations: ipc.GenerationFolder(),
			Default:     readDefault(ipc.DefaultPath()),
		})
		if err != nil {
			return misused(c, err.Error())
		}
		return emit([]byte(script))
	})
	c.ValidArgsFunction = cobra.FixedCompletions(shells, cobra.ShellCompDirectiveNoFileComp)
	return c
}
