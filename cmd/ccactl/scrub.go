package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cloud-ca/ccad/cmd/ccactl/configure"
	"github.com/cloud-ca/ccad/ipc"
)

// scrubbing is a file from which ccad would take secrets that it holds.
type scrubbing struct {
	ipc.ScrubbedFile
	before  []byte
	yielded []int // lines that would win over a profile of ours, and go with them
}

// scrubs asks what is left of a file, and of those that belong to it, without
// the secrets that ccad holds.
func scrubs(path string) (list []scrubbing, err error) {
	files, _, err := gather([]string{path}) // what it leaves out was told by the import
	if err != nil {
		return nil, err
	}
	var reply ipc.ScrubReply
	if err := call("POST", "/v1/scrub", ipc.ScrubRequest{Files: files}, &reply); err != nil {
		return nil, err
	}
	for _, s := range reply.Files {
		at := slices.IndexFunc(files, func(f ipc.File) bool { return f.Path == s.Path })
		if at < 0 {
			return nil, errors.New("the daemon answers about a file that it was not given")
		}
		one := scrubbing{ScrubbedFile: s, before: files[at].Data}
		if len(s.Lines) > 0 && s.Path == real(awsFiles()[1]) {
			one.yield()
		}
		list = append(list, one)
	}
	return list, nil
}

// yield lets what is left of the AWS credentials file give way to our profiles.
// One that can't be read is doctor's to tell of.
func (s *scrubbing) yield() {
	ours, err := configure.Profiles(awsFiles()[0])
	if err != nil {
		return
	}
	if after, lines, err := configure.Yield(s.Path, string(s.Data), slices.Collect(maps.Keys(ours))); err == nil {
		s.Data, s.yielded = []byte(after), lines
	}
}

// also says what goes beside the secrets.
func (s scrubbing) also() string {
	if len(s.yielded) == 0 {
		return ""
	}
	return fmt.Sprintf(", and what would win over a profile of ccactl (line %s)", joined(s.yielded))
}

// takeOut writes the file without them. What it was is kept in the keyring.
func (s scrubbing) takeOut(print teller) error {
	_, err := keeping(s.Path, true, func(text string) (string, error) {
		if text != string(s.before) {
			return "", errors.New("it was changed meanwhile")
		}
		return string(s.Data), nil
	})
	if err != nil {
		return fmt.Errorf("take the secrets out of %s: %w", s.Path, err)
	}
	print("took %s out of %s%s; ccactl setup --undo brings it back", count(len(s.Lines), "line"), plain(s.Path), s.also())
	return nil
}

// scrubAll takes the secrets of imported files out of them.
func scrubAll(paths []string, print teller) error {
	var failed error
	for _, path := range paths {
		list, err := scrubs(path)
		failed = errors.Join(failed, err)
		for _, s := range list {
			switch {
			case s.Left != "":
				failed = errors.Join(failed, errors.New(s.Left))
			case len(s.Lines) > 0:
				failed = errors.Join(failed, s.takeOut(print))
			}
		}
	}
	return failed
}
