package main

import (
	"github.com/spf13/cobra"
)

// Both verbs have been through lean.go: here they come with unusual words.

func credentialProcessVerb() *cobra.Command {
	var name string
	c := verb("credential-process --env NAME [--gateway|--direct]", "Print S3 keys as an AWS SDK's credential_process", words(0, 0), func(c *cobra.Command, _ []string) error {
		if name == "" {
			return misused(c, "which environment? --env NAME")
		}
		flags, err := wayOf(c)
		if err != nil {
			return err
		}
		return credentialProcess(name, flags["gateway"])
	})
	wayFlags(c)
	c.Flags().StringVar(&name, "env", "", "the environment")
	_ = c.RegisterFlagCompletionFunc("env", names(-1))
	return c
}

func envVerb() *cobra.Command {
	c := verb("env NAME [--format F] [--auth A] [--client C] [--gateway|--direct] [--for DURATION]", "Print an environment as variables or as a file", words(1, 1), func(c *cobra.Command, args []string) error {
		flags, err := wayOf(c)
		if err != nil {
			return err
		}
		for _, flag := range envFlags {
			flags[flag] = c.Flag(flag).Value.String()
		}
		return env(args[0], flags)
	})
	c.Example = `  eval "$(ccactl env dev)"
  ccactl env dev --client rclone --format rclone > rclone.conf`
	clientFlags(c)
	wayFlags(c)
	c.Flags().String("format", "", "sh, fish, dotenv, json, clouds.yaml, rclone or s3cfg")
	c.Flags().String("for", "", "how long a key in a file may live, such as 12h")
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"sh", "fish", "dotenv", "json", "clouds.yaml", "rclone", "s3cfg"}, cobra.ShellCompDirectiveNoFileComp))
	return ofEnvironments(c, 1)
}

// wayFlags are the flags that say whose S3 key it is to be.
func wayFlags(c *cobra.Command) {
	c.Flags().Bool("gateway", false, "an S3 key for the gateway of this machine")
	c.Flags().Bool("direct", false, "the real S3 key")
}

// wayOf returns the one of them that is set.
func wayOf(c *cobra.Command) (map[string]string, error) {
	flags := map[string]string{}
	for _, name := range switches {
		if on, _ := c.Flags().GetBool(name); on {
			flags[name] = "true"
		}
	}
	if contradicts(flags) {
		return nil, misused(c, "--gateway or --direct, not both")
	}
	return flags, nil
}

// clientFlags are the flags that say who the variables are for.
func clientFlags(c *cobra.Command) {
	clients := []string{"openstack", "swift", "rclone", "restic", "terraform", "duplicity", "aws"}
	auths := []string{"password", "token", "application-credential"}
	c.Flags().String("client", "", "openstack, swift, rclone, restic, terraform, duplicity or aws")
	c.Flags().String("auth", "", "password, token or application-credential")
	_ = c.RegisterFlagCompletionFunc("client", cobra.FixedCompletions(clients, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("auth", cobra.FixedCompletions(auths, cobra.ShellCompDirectiveNoFileComp))
}
