package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cloud-ca/ccad/ipc"
)

// scrubbing is a file from which ccad would take secrets that it holds.
type scrubbing struct {
	ipc.ScrubbedFile
	before []byte
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
		list = append(list, scrubbing{s, files[at].Data})
	}
	return list, nil
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
	print("took %s out of %s; ccactl setup --undo brings it back", count(len(s.Lines), "line"), plain(s.Path))
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
