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
	if err == nil {
		err = s.oneName(files)
	}
	if err != nil {
		return err
	}
	var failed error
	for _, f := range files {
		err := s.importFile(f)
		if errors.Is(err, errNoAnswer) {
			return err
		}
		if err != nil && !errors.Is(err, errDeclined) {
			failed = errors.Join(failed, err)
		}
	}
	if st, err = status(); err != nil || failed != nil || len(s.files) > 0 {
		return errors.Join(failed, err)
	}
	if len(st.Environments) > 0 {
		if len(files) == 0 {
			s.done("%s there already, and %s in the usual places has more", count(len(st.Environments), "environment"), s.noFile())
		}
		return nil
	}
	question := "Type in what the portal shows, instead"
	if len(files) == 0 {
		s.done("%s of credentials in the usual places", s.noFile())
		question = "Type in what the portal shows"
	}
	if s.yes {
		return nil
	}
	if err := s.agree("%s", question); err != nil {
		return err
	}
	return s.paste()
}

// leaveOut says, once, why a file is not taken; that one holds nothing for ccad is
// not worth a word. What is no fault of the file it returns.
func (s *setup) leaveOut(err error) error {
	var failure *ipc.Error
	if errors.As(err, &failure) {
		switch failure.Code {
		case ipc.CodeEmpty:
			return nil
		case ipc.CodeNoDaemon, ipc.CodeLocked, ipc.CodeProtocol:
			return err
		}
	}
	if text := err.Error(); !slices.Contains(s.leftOut, text) {
		s.leftOut = append(s.leftOut, text)
		s.done("left out: %s", text)
	}
	return nil
}

// noFile begins a sentence about all files that were not left out.
func (s *setup) noFile() string {
	if len(s.leftOut) > 0 {
		return "no other file"
	}
	return "no file"
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
	known := map[string]bool{}
	for _, path := range usualFiles() {
		found, err := s.try(path, ipc.ImportRequest{})
		if err == nil {
			var changes []ipc.Change
			if changes, err = s.news(found.Changes, known); len(changes) > 0 {
				files = append(files, candidate{path, changes})
			}
		} else {
			err = s.leaveOut(err)
		}
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// news are the changes that add something, each once: two files that belong
// together both tell of it. Of what can't be imported it says why.
func (s *setup) news(changes []ipc.Change, known map[string]bool) (fresh []ipc.Change, err error) {
	for _, c := range changes {
		switch {
		case known[c.Source] || amazons(c):
		case !s.takes(c):
			said := c.Source + ": " + c.Error.Message
			if c.Error.Code == ipc.CodeUnnamed {
				said += ": ccactl setup --name NAME names it"
			}
			err = errors.Join(err, s.leaveOut(errors.New(said)))
		case c.Action != "merged":
			fresh = append(fresh, c)
		}
		known[c.Source] = true
	}
	return fresh, err
}

// takes reports whether a change can be made: where it lacks but the name, by a
// name that is given or asked for.
func (s *setup) takes(c ipc.Change) bool {
	return c.Error == nil || c.Error.Code == ipc.CodeUnnamed && (s.name != "" || !s.yes)
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
	if !slices.ContainsFunc(found.Changes, s.takes) {
		return failures(found, nameIt(found))
	}
	s.done("%s:", f.path)
	for _, c := range found.Changes {
		if s.takes(c) {
			s.done("- %s", plain(heldIn(c)))
		}
	}
	if err := s.agree("Import it"); err != nil {
		return err
	}
	if c := found.Changes[0]; len(found.Changes) == 1 && s.name == "" && (c.Error != nil || c.Action == "added" && c.Environment != "") {
		if r.Name, err = s.nameFor(c); err != nil {
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
	if c.User == "" && c.AuthURL != "" { // the cloud says whose it is
		facts = []string{"an application credential"}
	}
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
