package main

import (
	"github.com/spf13/cobra"

	"github.com/cloud-ca/ccad/ipc"
)

func updateVerb() *cobra.Command {
	var r ipc.UpdateRequest
	var passwordStdin, secretStdin bool
	c := verb("update NAME [--s3-secret-stdin] [--s3-access-key K] | --user USER [--password-stdin]", "Hand in what was regenerated in the portal", words(0, 1), func(c *cobra.Command, args []string) (err error) {
		switch {
		case len(args) == 1 && r.User == "" && !passwordStdin:
			if r.Environment = args[0]; !validName(r.Environment) {
				return checkName(r.Environment)
			}
			r.S3Secret, err = renewed(r, secretStdin, "S3 secret of "+r.Environment, "--s3-secret-stdin")
		case len(args) == 0 && r.User != "" && !secretStdin && r.S3AccessKey == "":
			r.Password, err = renewed(r, passwordStdin, "password of "+r.User, "--password-stdin")
		default:
			err = misused(c, "either NAME for its S3 keys, or --user for a password")
		}
		if err != nil {
			return err
		}
		var done ipc.Changes
		if err := call("POST", "/v1/update", r, &done); err != nil {
			return offered(err)
		}
		return tell(done, nil)
	})
	f := c.Flags()
	f.StringVar(&r.User, "user", "", "the user whose password it is")
	_ = c.RegisterFlagCompletionFunc("user", userNames)
	f.BoolVar(&passwordStdin, "password-stdin", false, "read the password from stdin")
	f.StringVar(&r.S3AccessKey, "s3-access-key", "", "the S3 access key, where it changed too")
	f.BoolVar(&secretStdin, "s3-secret-stdin", false, "read the S3 secret from stdin")
	f.BoolVar(&r.NoVerify, "no-verify", false, "store it without asking the cloud")
	return ofEnvironments(c, 1)
}

// renewed is given, which asks a person only for what can be updated.
func renewed(r ipc.UpdateRequest, stdin bool, question, flag string) (string, error) {
	if !stdin && attended() {
		r.DryRun = true
		if err := call("POST", "/v1/update", r, nil); err != nil {
			return "", err
		}
	}
	return given(stdin, question, flag)
}

func verifyVerb() *cobra.Command {
	var r ipc.VerifyRequest
	var asJSON bool
	c := verb("verify [NAME…] | --rejected NAME [--json]", "Ask the cloud about what is stored", words(0, -1), func(c *cobra.Command, args []string) error {
		if r.Rejected != "" && len(args) > 0 {
			return misused(c, "either names, or --rejected")
		}
		r.Environments = args
		if c.Flags().Changed("rejected") {
			args = []string{r.Rejected}
		}
		for _, name := range args {
			if err := checkName(name); err != nil {
				return err
			}
		}
		var done ipc.Changes
		if err := call("POST", "/v1/verify", r, &done); err != nil {
			return err
		}
		show := tell
		if asJSON {
			show = tellJSON
		}
		return show(done, func(c ipc.Change) string {
			switch {
			case c.Error.Code == ipc.CodeRefused:
				return mending(c.Environment)
			case c.State == "none":
				return keyAdvice(c.Environment)
			}
			return ""
		})
	})
	c.Long = `Ask the cloud about what is stored: each user's password, his project, the S3
key.

With --rejected a program says that the cloud refused what this environment gave
out. That makes one check of each password and S3 key in ten seconds, however
many programs say so, and sends nothing that was refused before; it ends with 6
if the cloud refuses it. "ccactl exec" says so by itself when its command fails
on a terminal. A prompt hook sees no answer of the cloud's, so scripts that see
one call this.`
	c.Example = `  ccactl verify
  openstack token issue || ccactl verify --rejected dev`
	c.Flags().StringVar(&r.Rejected, "rejected", "", "report that the cloud refused what this environment gave out")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	_ = c.RegisterFlagCompletionFunc("rejected", names(-1))
	return ofEnvironments(c, -1)
}
