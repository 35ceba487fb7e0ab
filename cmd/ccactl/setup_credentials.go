package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/cloud-ca/ccad/cmd/ccactl/configure"
	"github.com/cloud-ca/ccad/ipc"
)

// bringCredentials imports what lies in the usual places, or else asks for what
// the portal shows.
func (s *setup) bringCredentials() error {
	st, err := unlocked()
	if err != nil {
		return err
	}
	files := s.files
	if len(files) == 0 {
		files = s.promising()
	}
	if len(files) > 0 {
		return s.importFiles(files)
	}
	if len(st.Environments) > 0 {
		s.done("%s there already, and no file in the usual places has more", count(len(st.Environments), "environment"))
		return nil
	}
	if s.yes {
		s.done("no file of credentials in the usual places: ccactl import FILE, or ccactl add NAME, brings one in")
		return nil
	}
	return s.paste()
}

// promising are the files in the usual places from which something new would be
// stored.
func (s *setup) promising() (files []string) {
	for _, path := range usualFiles() {
		found, err := s.try(path)
		if err != nil {
			continue // it is no file of credentials, or not ours to read
		}
		for _, c := range found.Changes {
			if c.Error == nil && c.Action == "added" && (c.Missing == "" || !s.yes) {
				files = append(files, path)
				break
			}
		}
	}
	return files
}

func (s *setup) request(paths []string) (r ipc.ImportRequest, err error) {
	r = ipc.ImportRequest{Name: s.name, S3Endpoint: s.s3Endpoint, S3Region: s.s3Region}
	r.Files, err = gather(paths)
	return r, err
}

// try asks what an import would do. It says nothing.
func (s *setup) try(paths ...string) (found ipc.Changes, err error) {
	r, err := s.request(paths)
	if err != nil {
		return found, err
	}
	r.DryRun = true
	_, err = ipc.Do(context.Background(), "POST", "/v1/import", r, &found)
	return found, err
}

func (s *setup) importFiles(paths []string) error {
	found, err := s.try(paths...)
	if err != nil {
		return err
	}
	for _, c := range found.Changes {
		if c.Error == nil {
			s.done("%s", sentence(c, true))
		}
	}
	if err := s.agree("Import from %s", strings.Join(paths, ", ")); err != nil {
		return err
	}
	r, err := s.request(paths)
	if err != nil {
		return err
	}
	return bringIn(r)
}

// foundByCcad stands for the S3 key that Keystone lists, or that is made later.
const foundByCcad = "found by ccad"

// paste asks for what the portal's page shows, by its own labels.
func (s *setup) paste() error {
	s.done("No file of credentials in the usual places. In the portal, open your profile, API Credentials, Service API keys, choose the environment, " +
		"and copy what stands beside each label. An empty answer takes what is in brackets.")
	r := ipc.AddRequest{Name: s.name, S3Endpoint: s.s3Endpoint, S3Region: s.s3Region}
	for _, q := range []struct {
		label, preset string
		to            *string
	}{
		{"Authentication URL", "https://auth.cloud.ca", &r.AuthURL},
		{"Domain ID", "default", &r.UserDomainID},
		{"Project name", "", &r.Project},
		{"User name", "", &r.User},
	} {
		for *q.to == "" {
			answer, err := askLine(q.label, q.preset)
			if err != nil {
				return err
			}
			*q.to = strings.TrimSpace(answer)
		}
	}
	r.ProjectDomainID = r.UserDomainID
	var err error
	if r.Password, err = ask("Password (not shown)"); err != nil {
		return err
	}
	if r.S3AccessKey, err = askLine("S3 API access key, if there is one", foundByCcad); err != nil {
		return err
	}
	if r.S3AccessKey == foundByCcad {
		r.S3AccessKey = ""
	}
	if r.S3AccessKey != "" {
		if r.S3Secret, err = ask("S3 API secret key (not shown)"); err != nil {
			return err
		}
	}
	for !validName(r.Name) {
		if r.Name, err = askLine("A name for it", suggestedName(r.Project)); err != nil {
			return err
		}
	}
	var done ipc.Changes
	if err := call("POST", "/v1/environments", r, &done); err != nil {
		return err
	}
	return tell(done, nil)
}

// suggestedName makes a project's name one of an environment.
func suggestedName(project string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r) {
			return r
		}
		return '-'
	}, strings.ToLower(project))
	name = strings.TrimLeft(name, "._-")
	return name[:min(len(name), 63)]
}

// proofWithin is how long the AWS CLI may take to list buckets.
const proofWithin = time.Minute

// prove lists the buckets as a user would.
func (s *setup) prove() error {
	st, err := unlocked()
	if err != nil {
		return err
	}
	aws, err := exec.LookPath("aws")
	profiles, _ := configure.Profiles(awsFiles()[0])
	for _, e := range st.Environments {
		command := "aws --profile " + e.Name + " s3 ls"
		switch {
		case e.S3.Endpoint == "":
			s.done("%s: %s; ccactl use %[1]s", e.Name, e.State)
		case profiles[e.Name] == "":
			s.done("%s: S3 key %s; it has no AWS profile: ccactl configure aws %[1]s", e.Name, e.S3.State)
		case err != nil:
			s.done("%s: S3 key %s; there is no AWS CLI here to try: %s", e.Name, e.S3.State, command)
		default:
			ctx, cancel := context.WithTimeout(context.Background(), proofWithin)
			out, failure := exec.CommandContext(ctx, aws, "--profile", e.Name, "s3", "ls").CombinedOutput()
			cancel()
			if failure != nil {
				return advised(fmt.Errorf("%s: %s", command, plain(string(out))), "ccactl doctor")
			}
			s.done("%s works", command)
		}
	}
	s.done("ccactl status says how everything stands, ccactl doctor what is wrong.")
	return nil
}
