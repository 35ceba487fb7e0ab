package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func revokeVerb() *cobra.Command {
	c := verb("revoke NAME", "Void every S3 gateway key that was handed out for an environment", words(1, 1), func(_ *cobra.Command, args []string) error {
		path, err := environmentPath(args[0])
		if err != nil {
			return err
		}
		if err := call("POST", path+"/revoke", nil, nil); err != nil {
			return err
		}
		_, err = fmt.Printf("revoked the gateway keys of %s\n", args[0])
		return err
	})
	return ofEnvironments(c, 1)
}
