package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/cloud-ca/ccad/cmd/ccactl/configure"
	"github.com/cloud-ca/ccad/ipc"
)

// writeAWS writes a profile for each environment that has S3.
func (s *setup) writeAWS() error {
	st, err := unlocked()
	if err != nil {
		return err
	}
	var names, keyless, taken, unkeyed []string
	config, credentials := awsFiles()[0], awsFiles()[1]
	for _, e := range st.Environments {
		var exists *configure.ExistsError
		key, err := configure.KeyOf(credentials, e.Name)
		if err == nil {
			err = configure.Free(config, e.Name)
		}
		switch {
		case e.S3.Endpoint == "":
			continue
		case lacksKey(st, e):
			unkeyed = append(unkeyed, e.Name)
			if secretless(e) {
				s.done("%s lacks the secret of its S3 key: %s%s brings it.", e.Name, handIn(e), unattended(" --s3-secret-stdin"))
				continue
			}
			s.done("%s has no S3 key, and making one takes the password of %s: ccactl update --user %s%s brings that, ccactl update %[1]s --s3-access-key K%[5]s a key.",
				e.Name, e.User, shellWord(e.User), unattended(" --password-stdin"), unattended(" --s3-secret-stdin"))
			continue
		case errors.As(err, &exists), key != "" && key != e.S3.AccessKeyID:
			taken = append(taken, e.Name)
		case err != nil:
			return err
		default:
			names = append(names, e.Name)
		}
		if e.S3.AccessKeyID == "" {
			keyless = append(keyless, e.Name)
		}
	}
	switch {
	case len(names)+len(taken) > 0:
	case len(unkeyed) > 0:
		return nil
	default:
		return s.askEndpoint(st.Environments)
	}
	if len(keyless) > 0 {
		s.done("No S3 key is known for %s: yes looks for one at the cloud, and makes one there if there is none.", strings.Join(keyless, ", "))
	}
	w := awsWriting{edit: editKept, tell: s.done, warn: s.done}
	var failed error
	if len(names) > 0 {
		if err := s.agree("Write the %s %s to %s, by which AWS clients get their keys from ccactl", plural(len(names), "profile"), strings.Join(names, ", "), config); err != nil {
			return err
		}
		failed = w.write(names)
	}
	for _, name := range taken {
		w.profile = name + "-ccad"
		s.done("The profile %s is there already, and not from ccactl: it stays as it is.", name)
		if err := s.agree("Write %s beside it", w.profile); err != nil {
			return errors.Join(failed, err)
		}
		failed = errors.Join(failed, w.write([]string{name}))
	}
	return failed
}

// lacksKey reports whether an environment has no S3 key and nothing to make one
// with: it came with an application credential, or without its password, or is an
// S3 key whose secret is not stored.
func lacksKey(st ipc.Status, e ipc.Environment) bool {
	return secretless(e) || e.S3.AccessKeyID == "" && lacksPassword(st, e)
}

func lacksPassword(st ipc.Status, e ipc.Environment) bool {
	return slices.ContainsFunc(st.Users, func(u ipc.User) bool { return u.Name == e.User && u.PasswordVersion == 0 })
}

// askEndpoint asks for the S3 endpoint that neither a file nor the cloud's catalog
// has named, and goes on to the profiles with it.
func (s *setup) askEndpoint(environments []ipc.Environment) error {
	s.done("no environment has S3")
	if s.yes || s.s3Endpoint != "" || !slices.ContainsFunc(environments, func(e ipc.Environment) bool { return e.User != "" }) {
		return nil
	}
	answer, err := s.askAddress("The cloud's S3 endpoint, if there is one", "", noEndpoint, cloudcasS3)
	if err != nil || answer == "" {
		return err
	}
	s.s3Endpoint = answer
	if err := s.giveEndpoint(environments); err != nil {
		return err
	}
	return s.writeAWS()
}

// giveEndpoint gives the environments that know no S3 endpoint the one of the
// flag.
func (s *setup) giveEndpoint(environments []ipc.Environment) error {
	for _, e := range environments {
		if s.s3Endpoint == "" || e.S3.Endpoint != "" || e.User == "" {
			continue
		}
		if err := s.agree("Give %s the S3 endpoint %s", e.Name, s.s3Endpoint); errors.Is(err, errDeclined) {
			continue
		} else if err != nil {
			return err
		}
		var shown ipc.Shown
		if err := read("/v1/environments/"+e.Name, &shown); err != nil {
			return err
		}
		var done ipc.Changes
		err := call("POST", "/v1/environments", ipc.AddRequest{
			Name: e.Name, User: e.User, Project: e.Project, AuthURL: shown.AuthURL, IdentityAPI: shown.IdentityAPI,
			UserDomainID: shown.UserDomainID, ProjectDomainID: shown.ProjectDomainID, S3Endpoint: s.s3Endpoint, S3Region: s.s3Region,
		}, &done)
		if err != nil {
			return err
		}
		if err := tellBy(s.done, done, nil); err != nil {
			return err
		}
	}
	return nil
}
