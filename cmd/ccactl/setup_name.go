package main

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/cloud-ca/ccad/ipc"
)

// oneName refuses to give --name to more than one environment. S3 keys beside a
// project may be its own, which the cloud knows.
func (s *setup) oneName(files []candidate) error {
	if s.name == "" {
		return nil
	}
	users, keys := map[string]string{}, map[string]string{} // where each stands
	for _, f := range files {
		for _, c := range f.changes {
			switch u, err := url.Parse(c.AuthURL); {
			case !s.takes(c):
			case c.AuthURL == "":
				keys[c.AccessKeyID] = c.Source
			case err == nil && c.User != "": // of an application credential the cloud says whose it is
				users[c.User+" "+c.Project+" "+u.Host] = c.Source
			}
		}
	}
	for _, found := range []map[string]string{users, keys} {
		if len(found) > 1 {
			places := slices.Sorted(maps.Values(found))
			return usage("--name is for one environment, and there are %d to bring in, from %s", len(found), strings.Join(places, ", "))
		}
	}
	return nil
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
