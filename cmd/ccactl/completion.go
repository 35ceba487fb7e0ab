package main

import (
	"fmt"
	"os"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/cloud-ca/ccad/ipc"
)

func completionVerb() *cobra.Command {
	c := verb("completion bash|zsh|fish|pwsh", "Print a shell's completion script", words(1, 1), func(c *cobra.Command, args []string) error {
		switch args[0] {
		case "bash":
			return c.Root().GenBashCompletionV2(os.Stdout, true)
		case "zsh":
			return c.Root().GenZshCompletion(os.Stdout)
		case "fish":
			return c.Root().GenFishCompletion(os.Stdout, true)
		case "pwsh":
			return c.Root().GenPowerShellCompletionWithDesc(os.Stdout)
		}
		return misused(c, "there is none for "+quote(args[0]))
	})
	c.Example = `  mkdir -p ~/.local/share/bash-completion/completions
  mkdir -p ~/.zfunc ~/.config/fish/completions
  ccactl completion bash > ~/.local/share/bash-completion/completions/ccactl
  ccactl completion zsh > ~/.zfunc/_ccactl # fpath+=~/.zfunc before compinit
  ccactl completion fish > ~/.config/fish/completions/ccactl.fish
  ccactl completion pwsh >> $PROFILE`
	c.ValidArgsFunction = cobra.FixedCompletions([]string{"bash", "zsh", "fish", "pwsh"}, cobra.ShellCompDirectiveNoFileComp)
	return c
}

// version is set by the linker.
var version = "dev"

func versionVerb() *cobra.Command {
	var asJSON bool
	c := verb("version [--json]", "Print the version", words(0, 0), func(*cobra.Command, []string) error {
		if asJSON {
			return emit(fmt.Appendf(nil, "{\"version\":%q,\"protocol\":%d}\n", version, ipc.Protocol))
		}
		return emit(fmt.Appendf(nil, "ccactl %s (protocol %d, %s, %s/%s)\n", version, ipc.Protocol, runtime.Version(), runtime.GOOS, runtime.GOARCH))
	})
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
