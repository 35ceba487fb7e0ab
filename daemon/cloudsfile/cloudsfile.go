// Package cloudsfile edits OpenStack's clouds.yaml: text in, text out. It writes
// no secret, reads no file and imports nothing of ours.
//
// What a person wrote stays byte for byte: comments, order, spacing, line ends,
// a byte order mark. A cloud is added at the end; in one of ours that is already
// there, single values are replaced and missing ones added. A cloud of somebody
// else is never touched. Text that openstacksdk could not read, and a form that
// leaves no safe place for an edit, is refused with file and line.
//
// It is the daemon's, and not ccactl's, since a YAML library costs half a
// millisecond at each start of the program that links it.
package cloudsfile

import (
	"errors"
	"fmt"
	"reflect"

	"go.yaml.in/yaml/v3"
)

// Cloud is what an entry of clouds.yaml says of an environment: all but the
// secret, which the openstack CLI takes from OS_PASSWORD when it is called with
// --os-cloud. Empty fields are left out; of a domain's id and name the id is
// enough.
type Cloud struct {
	Name                               string
	AuthURL, Username, ProjectName     string
	UserDomainID, UserDomainName       string
	ProjectDomainID, ProjectDomainName string
	Region                             string
	IdentityAPI                        string
}

// setting is one value of an entry.
type setting struct {
	auth       bool // below auth, not beside it
	key, value string
}

func (c Cloud) settings() (all []setting) {
	add := func(auth bool, key, value string) {
		if value != "" {
			all = append(all, setting{auth, key, value})
		}
	}
	domain := func(prefix, id, name string) {
		if id != "" {
			add(true, prefix+"_domain_id", id)
			return
		}
		add(true, prefix+"_domain_name", name)
	}
	add(true, "auth_url", c.AuthURL)
	add(true, "username", c.Username)
	add(true, "project_name", c.ProjectName)
	domain("user", c.UserDomainID, c.UserDomainName)
	domain("project", c.ProjectDomainID, c.ProjectDomainName)
	add(false, "region_name", c.Region)
	add(false, "identity_api_version", c.IdentityAPI)
	return all
}

// identity are the settings by which an entry is known to be for the same user
// and project.
var identity = map[string]bool{"auth_url": true, "username": true, "project_name": true}

// Write returns text with the clouds in it, and the names of those that were not
// there as they are now; file is what errors call it. A cloud of such a name for
// another user or project is an error, as is one that lacks its name, URL, user or
// project.
func Write(file, text string, clouds []Cloud) (after string, changed []string, err error) {
	if err := legible(file, text); err != nil {
		return "", nil, err
	}
	after = text
	for _, c := range clouds {
		before := after
		if after, err = c.write(file, before); err != nil {
			return "", nil, err
		}
		if after != before {
			changed = append(changed, c.Name)
		}
	}
	return after, changed, nil
}

func (c Cloud) valid() error {
	if c.Name == "" || c.AuthURL == "" || c.Username == "" || c.ProjectName == "" {
		return fmt.Errorf("the cloud %q lacks its name, URL, user or project", c.Name)
	}
	for _, s := range append(c.settings(), setting{key: "name", value: c.Name}) {
		if err := oneLine(s.key, s.value); err != nil {
			return err
		}
	}
	return nil
}

// write returns text with the cloud in it. Since YAML has many forms, what the
// edit has made is read again, and refused if it isn't what was meant.
func (c Cloud) write(file, text string) (string, error) {
	if err := c.valid(); err != nil {
		return "", err
	}
	doc, err := parseYAML(file, text)
	if err != nil {
		return "", err
	}
	want, err := decode(file, doc)
	if err != nil {
		return "", err
	}
	todo, err := c.merge(file, doc, want)
	if err != nil || len(todo) == 0 {
		return text, err
	}
	e := newYAMLEdit(file, text)
	if err := c.splice(e, doc, todo); err != nil {
		return "", err
	}
	next := e.String()
	if doc, err = parseYAML(file, next); err == nil {
		var have map[string]any
		if have, err = decode(file, doc); err == nil && !reflect.DeepEqual(have, want) {
			err = errors.New("it would read differently")
		}
	}
	if err != nil {
		return "", fmt.Errorf("%s: no safe place for the cloud %s: write it by hand (%w)", file, c.Name, err)
	}
	return next, nil
}

// merge puts the cloud into the decoded file, and returns the settings that it
// had to change.
func (c Cloud) merge(file string, doc *yaml.Node, root map[string]any) (todo []setting, err error) {
	clouds, ok := root["clouds"].(map[string]any)
	if !ok {
		if root["clouds"] != nil {
			return nil, fmt.Errorf("%s: clouds is no mapping", file)
		}
		clouds = map[string]any{}
		root["clouds"] = clouds
	}
	key, value := child(content(doc), "clouds")
	key, _ = child(value, c.Name)
	exists := func() error {
		line := 1
		if key != nil {
			line = key.Line
		}
		return fmt.Errorf("%s:%d: cloud %s is there already, and not from ccactl", file, line, c.Name)
	}
	entry, ok := clouds[c.Name].(map[string]any)
	if _, there := clouds[c.Name]; there && !ok {
		return nil, exists()
	}
	if !ok {
		entry = map[string]any{"auth": map[string]any{}}
		clouds[c.Name] = entry
	}
	auth, isMap := entry["auth"].(map[string]any)
	if !isMap {
		return nil, exists()
	}
	for _, s := range c.settings() {
		in := entry
		if s.auth {
			in = auth
		}
		if have, there := in[s.key]; there && fmt.Sprint(have) == s.value {
			continue
		} else if ok && identity[s.key] {
			return nil, exists()
		}
		in[s.key] = s.value
		todo = append(todo, s)
	}
	return todo, nil
}

// splice makes the edits that merge has made to the decoded file.
func (c Cloud) splice(e *yamlEdit, doc *yaml.Node, todo []setting) error {
	root := content(doc)
	cloudsKey, clouds := child(root, "clouds")
	entryKey, entry := child(clouds, c.Name)
	switch {
	case entry != nil:
		return update(e, entryKey, entry, todo)
	case root == nil:
		e.append("clouds:", c.entry("  ")...)
		return nil
	case cloudsKey == nil:
		if !block(root) {
			return e.refuse(root)
		}
		space := e.space(root.Content[0])
		return e.after(root, space+"clouds:", c.entry(space+"  ")...)
	case clouds.Kind == yaml.ScalarNode && clouds.Value == "": // null
		return e.insert(cloudsKey.Line, c.entry(e.space(cloudsKey)+"  "))
	case !block(clouds):
		return e.refuse(clouds)
	}
	space := e.space(clouds.Content[0])
	all := c.entry(space)
	return e.after(clouds, all[0], all[1:]...)
}

// entry returns the lines of a new entry.
func (c Cloud) entry(space string) []string {
	all := []string{space + scalar(c.Name) + ":", space + "  auth:"}
	for _, s := range c.settings() {
		deep := space + "  "
		if s.auth {
			deep += "  "
		}
		all = append(all, deep+s.key+": "+scalar(s.value))
	}
	return all
}

// update changes settings of an entry, and adds those that are missing in front
// of what is there.
func update(e *yamlEdit, key, entry *yaml.Node, todo []setting) error {
	_, auth := child(entry, "auth")
	for _, s := range todo {
		in := entry
		if s.auth {
			in = auth
		}
		if !block(in) {
			return e.refuse(key)
		}
		_, value := child(in, s.key)
		switch {
		case value == nil:
			first := in.Content[0]
			if err := e.insert(first.Line-1, []string{e.space(first) + s.key + ": " + scalar(s.value)}); err != nil {
				return err
			}
		case value.Kind != yaml.ScalarNode || value.Anchor != "":
			return e.refuse(value)
		default:
			if err := e.replace(value, scalar(s.value)); err != nil {
				return err
			}
		}
	}
	return nil
}
