package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cloud-ca/ccad/ipc"
)

func importVerb() *cobra.Command {
	var r ipc.ImportRequest
	var scrub, asJSON bool
	c := verb("import FILE…|- [--name N] [--dry-run [--json]] [--scrub] [--no-watch]", "Import environments from files: openrc, clouds.yaml, AWS, s3cfg, rclone, .env", words(1, -1), func(c *cobra.Command, args []string) (err error) {
		if asJSON && !r.DryRun {
			return misused(c, "--json goes with --dry-run")
		}
		if r.Name != "" && !validName(r.Name) {
			return noName(r.Name)
		}
		if scrub && (r.DryRun || slices.Contains(args, "-")) {
			return misused(c, "--scrub takes the secrets out of files, once they are imported")
		}
		if r.NoWatch && !r.DryRun {
			if args, err = unwatch(args, c.Flags().NFlag() == 1); err != nil || len(args) == 0 {
				return err
			}
		}
		var leftOut []string
		if r.Files, leftOut, err = gather(args); err != nil {
			return err
		}
		warn(leftOut)
		if asJSON {
			return emitImport(r)
		}
		if err = bringIn(r, printOut); errors.Is(err, errNoAnswer) {
			err = exitCode(1) // said
		}
		var some exitCode
		if scrub && (err == nil || errors.As(err, &some)) { // of what was stored: another's failure is no reason to leave it
			err = errors.Join(err, scrubAll(args, printOut))
		}
		return err
	})
	c.Long = `Import environments from files: openrc, clouds.yaml, AWS credentials and config,
.s3cfg, rclone.conf, .env. They are read and never executed, and what they hold
is stored once the cloud has accepted it.

ccad keeps an eye on the files: a new value in one is adopted. --no-watch stops
that, for a file that is gone too; of one that is watched already it imports
nothing. --scrub takes out of the files, by whole lines, the secrets that ccad
holds then; ccactl setup --undo brings them back.`
	c.Example = `  ccactl import openrc.sh ~/.aws/credentials
  ccactl import openrc.sh --scrub
  pbpaste | ccactl import - --name dev`
	f := c.Flags()
	f.StringVar(&r.Name, "name", "", "name the environment so, not after its project or profile")
	f.StringVar(&r.S3Endpoint, "s3-endpoint", "", "where the S3 API is")
	f.StringVar(&r.S3Region, "s3-region", "", "the region that S3 requests are signed for")
	f.BoolVar(&r.DryRun, "dry-run", false, "show what would be stored, store nothing, ask the cloud nothing")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.BoolVar(&r.NoWatch, "no-watch", false, "keep no eye on the files, and no longer on those that ccad knows")
	f.BoolVar(&scrub, "scrub", false, "take the secrets out of the files afterwards")
	f.BoolVar(&r.NoVerify, "no-verify", false, "store without asking the cloud")
	f.BoolVar(&r.InsecureHTTP, "insecure-http", false, "allow plain http to other machines")
	c.ValidArgsFunction = nil // files
	return c
}

// emitImport prints what an import would do as JSON.
func emitImport(r ipc.ImportRequest) error {
	var done ipc.Changes
	if err := call("POST", "/v1/import", r, &done); err != nil {
		return err
	}
	return tellJSON(done, nameIt(done))
}

// unwatch lets ccad stop watching files, and returns those that are to be imported:
// not one that is gone, nor, if no more is wanted, one that was watched, for what it
// says may have been replaced since.
func unwatch(args []string, noMore bool) (rest []string, err error) {
	for _, path := range args {
		if path == "-" {
			rest = append(rest, path)
			continue
		}
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		var reply ipc.UnwatchReply
		if err := call("POST", "/v1/unwatch", ipc.UnwatchRequest{Paths: []string{abs}}, &reply); err != nil {
			return nil, err
		}
		_, gone := os.Lstat(abs)
		switch {
		case len(reply.Environments) > 0 && (noMore || gone != nil):
			printOut("%s is not watched any more, for %s", plain(path), strings.Join(reply.Environments, ", "))
		case gone != nil:
			return nil, fmt.Errorf("no such file, and none that is watched: %s", path)
		default:
			rest = append(rest, path)
		}
	}
	return rest, nil
}

// bringIn imports, and where secrets are missing asks for them and imports
// again. Where none is given, what was found is stored without them, so that an
// update can bring them, and the import has failed: with errNoAnswer too, once all
// is said, where a person wants to be asked no more.
func bringIn(r ipc.ImportRequest, print teller) error {
	var done ipc.Changes
	if err := call("POST", "/v1/import", r, &done); err != nil {
		return err
	}
	missing := lacking(done.Changes)
	if len(missing) == 0 || r.DryRun {
		return tellBy(print, done, nameIt(done))
	}
	if err := askFor(missing, &r); err != nil {
		var bare ipc.Changes
		r.Bare = true
		if err := call("POST", "/v1/import", r, &bare); err != nil {
			return err
		}
		done = merge(done, bare)
		tellDone(print, done)
		for _, c := range lacking(done.Changes) {
			if c.Error == nil {
				c.Notes = nil // told with what was stored
			}
			if c.Error == nil || c.Error.Code == ipc.CodeFailed {
				c.Error = &ipc.Error{Code: ipc.CodeFailed, Message: "the " + c.Missing + " is missing in " + c.Source + ", and " + err.Error()}
			}
		}
		naming := nameIt(done)
		told := failures(done, func(c ipc.Change) string { return cmp.Or(naming(c), afterwards(c)) })
		if errors.Is(err, errNoAnswer) {
			return errors.Join(told, errNoAnswer)
		}
		return told
	}
	var second ipc.Changes
	if err := call("POST", "/v1/import", r, &second); err != nil {
		return err
	}
	done = merge(done, second)
	return tellBy(print, done, nameIt(done))
}

func lacking(changes []ipc.Change) (missing []*ipc.Change) {
	for i := range changes {
		if changes[i].Missing != "" {
			missing = append(missing, &changes[i])
		}
	}
	return missing
}

// askFor asks for what is missing. A request carries one password and one S3
// secret, and a password must not be tried on another user: that could lock him
// out. So there may be one user, and one environment, that lacks something.
func askFor(missing []*ipc.Change, r *ipc.ImportRequest) (err error) {
	password, secret, files := map[string]string{}, map[string]string{}, map[string]bool{}
	for _, c := range missing {
		files[fileOf(c.Source)] = true
		if c.Missing == "password" {
			password[c.User+" "+c.AuthURL] = "password of " + c.User + " at " + c.AuthURL
		} else {
			secret[c.Environment] = "S3 secret of " + c.Environment + " for the access key " + c.AccessKeyID
		}
	}
	switch {
	case len(password) < 2 && len(secret) < 2:
	case len(files) > 1:
		return errors.New("so are others: import one file at a time")
	default:
		return errors.New("so are others")
	}
	for _, question := range password {
		if r.Password, err = ask(question); err != nil {
			return err
		}
	}
	for _, question := range secret {
		if r.S3Secret, err = ask(question); err != nil {
			return err
		}
	}
	return nil
}

// nameIt is how what nothing names, or what has another's name, is imported: by a
// flag that is for one environment.
func nameIt(done ipc.Changes) func(ipc.Change) string {
	in := map[string]int{}
	for _, c := range done.Changes {
		in[fileOf(c.Source)]++
	}
	return func(c ipc.Change) string {
		if file := fileOf(c.Source); in[file] == 1 && c.Error != nil && (c.Error.Code == ipc.CodeUnnamed || c.Error.Code == ipc.CodeTaken) {
			return "ccactl import " + shellWord(file) + " --name NAME"
		}
		return ""
	}
}

// fileOf is a source without the line.
func fileOf(source string) string { return source[:max(strings.LastIndexByte(source, ':'), 0)] }

// afterwards is how a missing secret is handed in later.
func afterwards(c ipc.Change) string {
	switch {
	case c.Missing == "password":
		return "ccactl update --user " + shellWord(c.User) + unattended(" --password-stdin")
	case c.Missing != "":
		return "ccactl update " + c.Environment + " --s3-access-key " + c.AccessKeyID + unattended(" --s3-secret-stdin")
	}
	return ""
}

// unattended is a flag for those who are not asked. Who types a secret to stdin
// would see it on the screen.
func unattended(flag string) string {
	if attended() {
		return ""
	}
	return flag
}

// merge tells the story of two imports as one: of what the first one stored,
// the second one only found that it was there.
func merge(first, second ipc.Changes) ipc.Changes {
	for i, c := range second.Changes {
		for _, earlier := range first.Changes {
			if earlier.Environment == c.Environment && earlier.Source == c.Source && earlier.Missing == "" {
				second.Changes[i] = earlier
			}
		}
	}
	return second
}
