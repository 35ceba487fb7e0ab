package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/cloud-ca/ccad/cmd/ccactl/configure"
	"github.com/cloud-ca/ccad/ipc"
)

// proofWithin is how long the AWS CLI may take to list buckets.
const proofWithin = time.Minute

// prove lists the buckets of each environment as a user would.
func (s *setup) prove() error {
	st, err := unlocked()
	if err != nil {
		return err
	}
	cli, _ := findAWSCLI() // one that is broken fails below
	profiles, _ := configure.Profiles(awsFiles()[0])
	var failed error
	for _, e := range st.Environments {
		profile := profileFor(profiles, e.Name)
		args := []string{"--profile", profile, "s3", "ls"}
		if !cli.readsEndpoint {
			args = slices.Insert(args, 2, "--endpoint-url", profiles[profile].Endpoint)
		}
		command := "aws " + strings.Join(args, " ")
		switch {
		case e.User == "":
		case !lacksPassword(st, e):
			s.done("%s: %s", e.Name, inWords(e.State, "password"))
		case e.ApplicationCredential != "":
			s.done("%s: %s", e.Name, inWords(e.State, "application credential"))
		default:
			s.done("%s: its password is not stored: ccactl update --user %s%s brings it", e.Name, shellWord(e.User), unattended(" --password-stdin"))
		}
		switch {
		case e.S3.Endpoint == "":
			s.done("%s: it has no S3 endpoint, so no AWS profile (%s gives it one)", e.Name, givesEndpoint)
		case profile == "" && lacksKey(st, e):
			s.done("%s: it has no S3 key, so no AWS profile", e.Name)
		case profile == "":
			s.done("%s: it has no AWS profile: ccactl configure aws %[1]s", e.Name)
		case cli.path == "":
			s.done("%s: there is no AWS CLI here to try: %s", e.Name, command)
		default:
			ctx, cancel := context.WithTimeout(context.Background(), proofWithin)
			out, failure := exec.CommandContext(ctx, cli.path, args...).CombinedOutput()
			cancel()
			if failure != nil {
				failed = errors.Join(failed, advised(fmt.Errorf("%s: %s", command, plain(string(out))), "ccactl doctor"))
				continue
			}
			s.done("%s works", command)
			if !cli.readsEndpoint {
				s.done("It needs that option: %s reads no endpoint_url from a profile, from 2.13 on the AWS CLI does.", cli.version)
			}
		}
	}
	if len(st.Environments) > 0 && failed == nil {
		first := slices.IndexFunc(st.Environments, func(e ipc.Environment) bool { return e.User != "" && !lacksPassword(st, e) })
		if sh, known := loginShell(); known && sh.hooked() && first >= 0 { // a shell gets no variables of S3 keys alone
			s.done("Open a new shell, and: ccactl use %s. It then has OS_USERNAME, OS_PASSWORD and what else the openstack command needs.", st.Environments[first].Name)
		}
		s.done("ccactl status says how everything stands, ccactl doctor what is wrong.")
	}
	return failed
}

// profileFor finds the AWS profile that an environment has; "" where it has none.
func profileFor(profiles map[string]configure.Ours, environment string) string {
	if profiles[environment].Environment == environment {
		return environment
	}
	for name, p := range profiles {
		if p.Environment == environment {
			return name
		}
	}
	return ""
}

// inWords is a state as a sentence's end.
func inWords(state, secret string) string {
	switch state {
	case "ok":
		return "the cloud accepts its " + secret
	case "unverified":
		return "the cloud has not answered about its " + secret + " yet"
	}
	return state
}
