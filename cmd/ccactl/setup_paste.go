package main

import (
	"errors"
	"net/url"
	"strings"

	"github.com/cloud-ca/ccad/ipc"
)

// Answers that stand for an empty one.
const (
	foundByCcad  = "found by ccad" // the S3 key that Keystone lists, or that is made later
	fromCatalog  = "as the cloud says"
	noEndpoint   = "none"
	cloudcasAuth = "https://auth.cloud.ca"
	cloudcasS3   = "https://objects.cloud.ca"
)

// paste asks for what the portal's page shows, by its own labels, until the cloud
// has not refused it. What was typed stays as the presets.
func (s *setup) paste() error {
	s.done("In the portal, open your profile, API Credentials, Service API keys, choose the environment, " +
		"and copy what stands beside each label. Enter takes what is in brackets.")
	r := ipc.AddRequest{Name: s.name, AuthURL: cloudcasAuth, UserDomainID: "default", S3Endpoint: s.s3Endpoint, S3Region: s.s3Region}
	for {
		if err := s.askPage(&r); err != nil {
			return err
		}
		var done ipc.Changes
		err := call("POST", "/v1/environments", r, &done)
		if err == nil {
			return tellBy(s.done, done, nil)
		}
		exit(advised(err, "correct it here, or leave with Ctrl-C"))
		if err := s.agree("Once more, with what you typed as the presets"); err != nil {
			return err
		}
	}
}

// askPage asks for everything on the page; what is in r is the preset.
func (s *setup) askPage(r *ipc.AddRequest) (err error) {
	for _, q := range []struct {
		label string
		to    *string
	}{
		{"Authentication URL", &r.AuthURL},
		{"Domain ID", &r.UserDomainID},
		{"Project name", &r.Project},
		{"User name", &r.User},
	} {
		preset := *q.to
		for *q.to = ""; *q.to == ""; {
			answer, err := askLine(q.label, preset)
			if err != nil {
				return err
			}
			if *q.to = strings.TrimSpace(answer); q.to == &r.AuthURL && !s.isAddress(*q.to, cloudcasAuth) {
				*q.to = ""
			}
		}
	}
	r.ProjectDomainID = r.UserDomainID
	if r.Password, err = insist("Password (not shown)"); err != nil {
		return err
	}
	if !strings.HasPrefix(r.AuthURL, cloudcasAuth) && s.s3Endpoint == "" {
		if r.S3Endpoint, err = s.askAddress("S3 endpoint, if there is one", r.S3Endpoint, fromCatalog, cloudcasS3); err != nil {
			return err
		}
	}
	if r.S3AccessKey, err = askOptional("S3 API access key, if there is one", r.S3AccessKey, foundByCcad); err != nil {
		return err
	}
	if r.S3Secret = ""; r.S3AccessKey != "" {
		if r.S3Secret, err = insist("S3 API secret key (not shown)"); err != nil {
			return err
		}
	}
	if s.name != "" {
		return nil
	}
	if r.Name == "" {
		r.Name = shortName(suggestedName(r.Project), r.User)
	}
	r.Name, err = s.askName("A short name for it, for commands", r.Name)
	return err
}

// insist asks for a secret until there is one: what was typed before is not to be
// typed again for an empty line.
func insist(question string) (secret string, err error) {
	for {
		var failure *ipc.Error
		if secret, err = ask(margin + question); !errors.As(err, &failure) {
			return secret, err
		}
		exit(err)
	}
}

// isAddress says what an address is like, of what is none.
func (s *setup) isAddress(answer, like string) bool {
	u, err := url.Parse(answer)
	if err != nil || u.Host == "" {
		s.done("an address, such as %s (Ctrl-D ends setup)", like)
		return false
	}
	return true
}

// askAddress is askOptional for an address.
func (s *setup) askAddress(question, preset, none, like string) (answer string, err error) {
	for {
		if answer, err = askOptional(question, preset, none); err != nil || answer == "" || s.isAddress(answer, like) {
			return answer, err
		}
	}
}

// askOptional asks for what may be left empty, which none stands for.
func askOptional(question, preset, none string) (string, error) {
	if preset == "" {
		preset = none
	}
	answer, err := askLine(question, preset)
	if answer == none {
		answer = ""
	}
	return answer, err
}
