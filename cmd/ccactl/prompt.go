package main

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cloud-ca/ccad/ipc"
)

func promptVerb() *cobra.Command {
	c := verb("prompt", "Print what a prompt may show: the selected environment and how it stands", words(0, 0), func(*cobra.Command, []string) error {
		if s := segment(os.Getenv("CCAD_ENV")); s != "" {
			return emit([]byte(s + "\n"))
		}
		return nil
	})
	c.Long = `Print what a prompt may show: the selected environment, with 🔒 while ccad is
locked and ⚠ where the cloud refuses what it holds or no daemon answers.

A hooked shell needs no command for it: the hook keeps the same text in
CCAD_PROMPT, and sets it anew only when something changed. In bash, ccactl's
line belongs before starship's.`
	c.Example = `  PS1='${CCAD_PROMPT:+($CCAD_PROMPT) }'$PS1                            # bash
  setopt prompt_subst; PROMPT='${CCAD_PROMPT:+($CCAD_PROMPT) }'$PROMPT # zsh
  function fish_right_prompt; echo $CCAD_PROMPT; end                   # fish
  [env_var.CCAD_PROMPT]                                              # starship`
	return c
}

// segment asks the daemon only where the generation alone does not tell.
func segment(name string) string {
	if !validName(name) {
		return ""
	}
	data, err := guard{limit: 32}.read(filepath.Join(ipc.GenerationFolder(), name))
	if err != nil {
		return name + " ⚠"
	}
	if strings.TrimSpace(string(data)) == "0" {
		return name + " 🔒"
	}
	st, err := status()
	if err != nil {
		return name + " ⚠"
	}
	for _, e := range st.Environments {
		if e.Name == name && served(st, e) {
			return name
		}
	}
	return name + " ⚠"
}

// served reports whether a shell can be given the environment, as the hook sees
// it: by its user's password, and by the S3 key alone where it has no user.
func served(st ipc.Status, e ipc.Environment) bool {
	if e.User == "" {
		return e.S3.State != "refused"
	}
	for _, u := range st.Users {
		if u.Name == e.User && (u.State == "refused" || u.State == "locked-out") {
			return false
		}
	}
	return true
}
