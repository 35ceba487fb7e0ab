package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/cloud-ca/ccad/ipc"
)

func addVerb() *cobra.Command {
	var r ipc.AddRequest
	var stdin addStdin
	c := verb("add NAME [--user U] [--project P] [--s3-access-key K] [--password-stdin | --s3-secret-stdin]", "Add an environment by hand", words(1, 1), func(c *cobra.Command, args []string) (err error) {
		if r.Name = args[0]; !validName(r.Name) {
			return noName(r.Name)
		}
		if err := addSecrets(c, &r, stdin); err != nil {
			return err
		}
		var done ipc.Changes
		if err := call("POST", "/v1/environments", r, &done); err != nil {
			return offered(err)
		}
		return tell(done, nil)
	})
	c.Example = `  ccactl add dev --user system-ccontini-2925 --project dev-ccontini
  ccactl add old --s3-endpoint https://s3.example --s3-access-key KEY`
	f := c.Flags()
	f.StringVar(&r.User, "user", "", "the Keystone user; without one the environment holds S3 keys alone")
	f.StringVar(&r.Project, "project", "", "the Keystone project")
	f.StringVar(&r.AuthURL, "auth-url", "", "where Keystone is (default https://auth.cloud.ca)")
	f.StringVar(&r.UserDomainID, "user-domain-id", "", "the user's domain (default \"default\")")
	f.StringVar(&r.ProjectDomainID, "project-domain-id", "", "the project's domain (default \"default\")")
	f.StringVar(&r.IdentityAPI, "identity-api", "", "3 or 2.0 (default 3)")
	f.StringVar(&r.S3Endpoint, "s3-endpoint", "", "where the S3 API is (default of cloud.ca https://objects.cloud.ca)")
	f.StringVar(&r.S3Region, "s3-region", "", "the region that S3 requests are signed for")
	f.StringVar(&r.S3AccessKey, "s3-access-key", "", "the S3 access key; with a user, one that Keystone lists needs no secret")
	f.BoolVar(&stdin.password, "password-stdin", false, "read the password from stdin")
	f.BoolVar(&stdin.secret, "s3-secret-stdin", false, "read the secret of the S3 access key from stdin")
	f.BoolVar(&r.InsecureHTTP, "insecure-http", false, "allow plain http to other machines")
	f.BoolVar(&r.NoVerify, "no-verify", false, "store it without asking the cloud")
	return c
}

// addStdin says which of the two secrets comes from stdin.
type addStdin struct{ password, secret bool }

// addSecrets gets the password of a user, and the secret of an S3 access key
// where it is given or nobody else has it: with a user Keystone lists it.
// Without a user there is but one secret, and --password-stdin brings it too.
func addSecrets(c *cobra.Command, r *ipc.AddRequest, stdin addStdin) (err error) {
	switch {
	case r.User == "" && r.S3AccessKey == "":
		return misused(c, "give --user, or --s3-access-key for S3 keys alone")
	case stdin.password && stdin.secret:
		return misused(c, "stdin has one secret only; hand in the other with ccactl update")
	case stdin.secret && r.S3AccessKey == "":
		return misused(c, "--s3-secret-stdin needs --s3-access-key")
	case r.User == "":
		r.S3Secret, err = given(stdin.password || stdin.secret, "secret of the S3 access key "+r.S3AccessKey, "--s3-secret-stdin")
		return err
	}
	if r.Password, err = passwordFor(*r, stdin.password); err == nil && stdin.secret {
		r.S3Secret, err = secretFrom(os.Stdin)
	}
	return err
}

// passwordFor gets the password, from a person once it is known that all else can be
// stored. "" means the one that ccad has of this user.
func passwordFor(r ipc.AddRequest, stdin bool) (string, error) {
	question := "password of " + r.User
	if stdin || !attended() {
		return given(stdin, question, "--password-stdin")
	}
	r.DryRun = true
	var would ipc.Changes
	if err := call("POST", "/v1/environments", r, &would); err != nil {
		return "", err
	}
	if len(lacking(would.Changes)) == 0 {
		return askOr(question, "the stored one")
	}
	return ask(question)
}
