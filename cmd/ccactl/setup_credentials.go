package main

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cloud-ca/ccad/ipc"
)

// A candidate is a file with environments that ccad does not have.
type candidate struct {
	path    string
	changes []ipc.Change // what an import would do
}

// bringCredentials imports what lies in the usual places, or else asks for what
// the portal shows.
func (s *setup) bringCredentials() error {
	st, err := unlocked()
	if err != nil {
		return err
	}
	if err := s.giveEndpoint(st.Environments); err != nil {
		return err
	}
	files, err := s.promising()
	if err != nil {
		return err
	}
	var failed error
	for _, f := range files {
		if err := s.importFile(f); err != nil && !errors.Is(err, errDeclined) {
			failed = errors.Join(failed, err)
		}
	}
	if st, err = status(); err != nil || failed != nil || len(s.files) > 0 {
		return errors.Join(failed, err)
	}
	switch {
	case len(st.Environments) > 0 && len(files) == 0:
		s.done("%s there already, and no file in the usual places has more", count(len(st.Environments), "environment"))
	case len(st.Environments) == 0 && s.yes:
		s.done("no file of credentials in the usual places")
	case len(st.Environments) == 0 && len(files) > 0:
		if err := s.agree("Type in what the portal shows, instead"); err != nil {
			return err
		}
		return s.paste()
	case len(st.Environments) == 0:
		s.done("No file of credentials in the usual places.")
		return s.paste()
	}
	return nil
}

// absolute are the files that were named, by absolute paths.
func (s *setup) absolute() (paths []string) {
	for _, path := range s.files {
		if abs, err := filepath.Abs(path); err == nil {
			paths = append(paths, abs)
		}
	}
	return paths
}

// promising are the files with something new: of those in the usual places what
// can be read and is no key of Amazon's, of those that were named all.
func (s *setup) promising() (files []candidate, err error) {
	if len(s.files) > 0 {
		for _, path := range s.files {
			found, err := s.try(path, ipc.ImportRequest{Name: s.name, S3Endpoint: s.s3Endpoint, S3Region: s.s3Region})
			if err != nil {
				return nil, err
			}
			files = append(files, candidate{path, found.Changes})
		}
		return files, nil
	}
	for _, path := range usualFiles() {
		found, err := s.try(path, ipc.ImportRequest{})
		if err != nil {
			continue // it is no file of credentials, or not ours to read
		}
		changes := slices.DeleteFunc(found.Changes, func(c ipc.Change) bool {
			return c.Error != nil || c.Action != "added" || amazons(c)
		})
		if len(changes) > 0 {
			files = append(files, candidate{path, changes})
		}
	}
	return files, nil
}

// amazons is a key that is for AWS itself, as far as its file tells: it names no
// endpoint, or one of Amazon's. Such keys are none of ours.
func amazons(c ipc.Change) bool {
	u, err := url.Parse(c.S3Endpoint)
	return c.User == "" && c.AuthURL == "" && (err != nil || u.Host == "" || strings.HasSuffix(u.Hostname(), ".amazonaws.com"))
}

// try asks what an import of a file would do. It says nothing.
func (s *setup) try(path string, r ipc.ImportRequest) (found ipc.Changes, err error) {
	if r.Files, _, err = gather([]string{path}); err != nil {
		return found, err
	}
	r.DryRun = true
	_, err = ipc.Do(context.Background(), "POST", "/v1/import", r, &found)
	return found, err
}

// importFile shows what a file would bring, asks, and imports it.
func (s *setup) importFile(f candidate) error {
	r := ipc.ImportRequest{Name: s.name, S3Endpoint: s.s3Endpoint, S3Region: s.s3Region}
	for _, c := range f.changes {
		r.Only = append(r.Only, c.Source)
	}
	found, err := s.try(f.path, r)
	if err != nil {
		return err
	}
	s.done("%s:", f.path)
	for _, c := range found.Changes {
		if c.Error == nil {
			s.done("- %s", plain(heldIn(c)))
		}
	}
	if err := s.agree("Import it"); err != nil {
		return err
	}
	if len(found.Changes) == 1 && s.name == "" && found.Changes[0].Action == "added" && found.Changes[0].Environment != "" {
		if r.Name, err = s.nameFor(found.Changes[0]); err != nil {
			return err
		}
	}
	var leftOut []string
	if r.Files, leftOut, err = gather([]string{f.path}); err != nil {
		return err
	}
	warn(leftOut)
	return bringIn(r, s.done)
}

// heldIn says what a file has for an environment.
func heldIn(c ipc.Change) string {
	var facts []string
	for _, fact := range [][2]string{{"project ", c.Project}, {"user ", c.User}, {"S3 key ", c.AccessKeyID}, {"at ", cmp.Or(c.AuthURL, c.S3Endpoint)}} {
		if fact[1] != "" {
			facts = append(facts, fact[0]+fact[1])
		}
	}
	said := strings.Join(facts, ", ")
	switch c.Missing {
	case "password":
		said += "; its password is asked for"
	case "s3-secret":
		said += "; its secret is asked for"
	}
	return said
}

// nameFor asks what a new environment is to be called.
func (s *setup) nameFor(c ipc.Change) (string, error) {
	name := shortName(c.Environment, c.User)
	for _, known := range environmentNames() {
		if known == name {
			name = c.Environment
		}
	}
	return s.askName("A short name for it, for commands", name)
}

func (s *setup) askName(question, preset string) (name string, err error) {
	if s.yes {
		return preset, nil
	}
	for {
		if name, err = askLine(question, preset); err != nil || validName(name) {
			return name, err
		}
		s.done(nameRule)
	}
}

// shortName takes off a name what the user's has too: cloud.ca calls projects
// and users after the organisation, dev-ccontini and system-ccontini-2925.
func shortName(name, user string) string {
	for parts := strings.Split(user, "-"); ; {
		at := strings.LastIndexByte(name, '-')
		if at <= 0 || !slices.Contains(parts, name[at+1:]) {
			return name
		}
		name = name[:at]
	}
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
