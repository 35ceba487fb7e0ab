package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/cloud-ca/ccad/cmd/ccactl/configure"
	"github.com/cloud-ca/ccad/ipc"
)

func configureVerb() *cobra.Command {
	c := verb("configure aws|openstack [NAME…]", "Write environments into the files of AWS or OpenStack clients", cobra.ArbitraryArgs, func(c *cobra.Command, _ []string) error {
		return misused(c, "whose file? aws or openstack")
	})
	c.AddCommand(configureAWSVerb(), configureOpenStackVerb())
	return c
}

func configureAWSVerb() *cobra.Command {
	var profile string
	c := verb("aws [NAME…] [--profile P] [--gateway|--direct]", "Write profiles that ask ccactl for their keys", words(0, -1), func(c *cobra.Command, args []string) error {
		if profile != "" && len(args) != 1 {
			return misused(c, "--profile names the profile of one environment")
		}
		way, err := wayOf(c)
		if err != nil {
			return err
		}
		return awsWriting{profile, way, editFollowing, printOut, printWarning}.write(args)
	})
	wayFlags(c)
	c.Flags().StringVar(&profile, "profile", "", "the profile's name, if not the environment's")
	c.Long = `Write profiles that ask ccactl for their keys.

A key of the S3 gateway ends by itself, after [serve] lease (20m), and with it
the URLs that "aws s3 presign" has signed, whatever --expires-in says. One that
lasts for up to a week, and works on this machine, is signed in:

  ccactl exec NAME --client aws -- \
    aws s3 presign s3://BUCKET/KEY --expires-in 604800`
	c.Example = "  ccactl configure aws dev && aws --profile dev s3 ls"
	return ofEnvironments(c, -1)
}

// awsWriting says how profiles are written.
type awsWriting struct {
	profile string            // its name, if not the environment's
	way     map[string]string // gateway or direct, where the person chose
	edit    editor            // of the config file
	tell    teller
	warn    teller // of what wins over a profile
}

// givesEndpoint is the command that gives environments an S3 endpoint.
const givesEndpoint = "ccactl setup --s3-endpoint URL"

// write writes the profiles of environments. A name that is taken, and a file
// that can't be written, are found before a key is made at the cloud.
func (w awsWriting) write(names []string) error {
	program, err := installed()
	if err != nil {
		return fmt.Errorf("find the path of ccactl: %w", err)
	}
	chosen, err := choose(names, func(e ipc.Environment) bool {
		if e.S3.Endpoint == "" {
			w.tell("%s is left out: it has no S3 endpoint (%s gives it one)", e.Name, givesEndpoint)
		}
		return e.S3.Endpoint != ""
	})
	if err != nil {
		return err
	}
	config := awsFiles()[0]
	if err := configure.Writable(config); err != nil {
		return err
	}
	var profiles []configure.AWSProfile
	var failed error
	for _, e := range chosen {
		name := cmp.Or(w.profile, e.Name)
		p, err := configure.AWSProfile{}, configure.Free(config, name)
		var exists *configure.ExistsError
		if errors.As(err, &exists) {
			err = advised(err, "ccactl configure aws "+e.Name+" --profile "+name+"-ccad")
		}
		switch {
		case err != nil:
		case e.S3.Endpoint == "":
			err = advised(errors.New("it has no S3 endpoint"), givesEndpoint)
		default:
			if p, err = w.profileOf(program, e.Name); err != nil && secretless(e) {
				err = advised(err, handIn(e))
			}
		}
		if err != nil {
			failed = exitCode(exit(prefixed(e.Name, err)))
			continue
		}
		p.Name = name
		profiles = append(profiles, p)
	}
	if len(profiles) == 0 {
		return failed
	}
	return errors.Join(w.writeProfiles(profiles), failed)
}

// choose returns the environments of these names, or without a name all that
// fit.
func choose(names []string, fit func(ipc.Environment) bool) (chosen []ipc.Environment, err error) {
	st, err := unlocked()
	if err != nil {
		return nil, err
	}
	known := map[string]ipc.Environment{}
	for _, e := range st.Environments {
		known[e.Name] = e
		if len(names) == 0 && fit(e) {
			chosen = append(chosen, e)
		}
	}
	for _, name := range names {
		e, ok := known[name]
		if !ok {
			return nil, &ipc.Error{Code: ipc.CodeUnknown, Message: "there is no environment " + quote(name)}
		}
		chosen = append(chosen, e)
	}
	if len(chosen) == 0 {
		return nil, errors.New("there is no environment for it yet")
	}
	return chosen, nil
}

// profileOf makes sure that an environment has an S3 key, and describes its
// profile: through the gateway where AWS clients refuse the environment's
// region, else straight to its endpoint, or as the person says.
func (w awsWriting) profileOf(program, name string) (configure.AWSProfile, error) {
	path, err := environmentPath(name)
	if err != nil {
		return configure.AWSProfile{}, err
	}
	var key ipc.KeyReply
	query := url.Values{}
	for flag, value := range w.way {
		query.Set(flag, value)
	}
	if err := call("POST", path+"/s3-key?"+query.Encode(), nil, &key); coded(err, ipc.CodeWithheld) {
		return configure.AWSProfile{}, advised(err, "ccactl verify "+name)
	} else if err != nil {
		return configure.AWSProfile{}, err
	}
	if key.Created {
		w.tell("made the S3 key %s for %s at the cloud: it had none", plain(key.AccessKeyID), name)
	}
	var flags []string
	switch {
	case key.Gateway:
		flags = []string{"--gateway"}
	case w.way["direct"] != "" && !configure.Accepted(key.Region):
		warn([]string{name + ": AWS clients refuse the region " + quote(key.Region) + ", for it is no host label; without --direct they go through the S3 gateway"})
	}
	return configure.AWSProfile{
		Name:              name,
		CredentialProcess: configure.CredentialProcess(program, name, flags...),
		Region:            key.Region,
		Endpoint:          key.Endpoint,
	}, nil
}

// writeProfiles writes the profiles, mends what stops AWS clients altogether, and
// takes out of the credentials file what would win over the profiles. It says of
// the keys that do.
func (w awsWriting) writeProfiles(profiles []configure.AWSProfile) error {
	config, credentials := awsFiles()[0], awsFiles()[1]
	if err := w.mendSample(w.edit, config); err != nil {
		return err
	}
	if err := w.mendSample(editKept, credentials); err != nil {
		return err
	}
	var changed, names []string
	_, err := w.edit(config, func(text string) (after string, err error) {
		after, changed, err = configure.AWS(config, text, profiles)
		return after, err
	})
	if err != nil {
		return err
	}
	for _, p := range profiles {
		sayWritten(w.tell, slices.Contains(changed, p.Name), "profile "+p.Name, config)
		names = append(names, p.Name)
	}
	return w.clearWay(credentials, names)
}

func (w awsWriting) mendSample(edit editor, path string) error {
	mended, err := edit(path, func(text string) (string, error) { return configure.MendSample(path, text) })
	if mended {
		w.tell("took the empty \"s3 =\" out of %s: current AWS clients fail on it", plain(path))
	}
	return err
}

// clearWay makes comments of what would win over profiles. Keys stay: they may be
// held nowhere else.
func (w awsWriting) clearWay(credentials string, profiles []string) error {
	var yielded []int
	_, err := keeping(credentials, true, func(text string) (after string, err error) {
		after, yielded, err = configure.Yield(credentials, text, profiles)
		return after, err
	})
	if err != nil {
		return err
	}
	if len(yielded) > 0 {
		w.tell("made comments in %s of what would win over it (line %s); ccactl setup --undo brings it back", plain(credentials), joined(yielded))
	}
	for _, name := range profiles {
		conflicts, err := configure.Conflicts(credentials, name)
		if err != nil {
			return err
		}
		if len(conflicts) > 0 {
			w.warn("the key of profile %s in %s is used instead of those that ccad serves, until ccactl import --scrub %s takes it out",
				name, plain(credentials), shellWord(credentials))
		}
	}
	return nil
}

func configureOpenStackVerb() *cobra.Command {
	c := verb("openstack [NAME…]", "Write clouds without their passwords, which the hooked shell sets", words(0, -1), func(_ *cobra.Command, args []string) error {
		chosen, err := choose(args, func(e ipc.Environment) bool { return e.User != "" })
		if err != nil {
			return err
		}
		request := ipc.CloudsFileRequest{Path: cloudsFile()}
		for _, e := range chosen {
			request.Environments = append(request.Environments, e.Name)
		}
		var reply ipc.CloudsFileReply
		changed, err := editFollowing(request.Path, func(text string) (string, error) {
			request.Data = []byte(text)
			err := call("POST", "/v1/clouds-file", request, &reply)
			return string(reply.Data), err
		})
		if err != nil {
			return err
		}
		for _, name := range reply.Clouds {
			sayWritten(printOut, changed && slices.Contains(reply.Changed, name), "cloud "+name, request.Path)
		}
		return nil
	})
	c.Example = `  ccactl configure openstack dev
  ccactl exec dev -- openstack --os-cloud dev token issue`
	return ofEnvironments(c, -1)
}

// cloudsFile is where openstacksdk looks for clouds.yaml, and a person keeps it.
func cloudsFile() string {
	if path := os.Getenv("OS_CLIENT_CONFIG_FILE"); path != "" {
		return expand(path)
	}
	return filepath.Join(configHome(), "openstack", "clouds.yaml")
}

func sayWritten(print teller, changed bool, what, path string) {
	if changed {
		print("wrote %s to %s", what, plain(path))
	} else {
		print("%s is right already in %s", what, plain(path))
	}
}

// awsFile is where AWS clients look for one of their two files.
func awsFile(variable, name string) string {
	if path := os.Getenv(variable); path != "" {
		return expand(path)
	}
	return filepath.Join(ipc.Home(), ".aws", name)
}

// prefixed says which of several environments failed.
func prefixed(name string, err error) error {
	var a advice
	if errors.As(err, &a) {
		return advised(prefixed(name, a.error), a.hint)
	}
	var failure *ipc.Error
	if errors.As(err, &failure) {
		return &ipc.Error{Code: failure.Code, Message: name + ": " + failure.Message}
	}
	return fmt.Errorf("%s: %w", name, err)
}
