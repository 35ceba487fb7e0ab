package configure

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// Ours is what a profile of ours says.
type Ours struct {
	Program     string // that its credential process runs
	Environment string
	Endpoint    string
	Gateway     bool // it asks for a key of the gateway
}

// Profiles returns the profiles in an AWS config file that are ours, by name.
func Profiles(path string) (map[string]Ours, error) {
	f, err := parseFile(path)
	if err != nil {
		return nil, err
	}
	found := map[string]Ours{}
	for i, l := range f.lines {
		name, is := profileName(l.name)
		if l.kind != header || !is {
			continue
		}
		process, err := f.value(i, "credential_process")
		if err != nil || !ourProcess(process) {
			continue
		}
		one := Ours{Program: program(process)}
		if m := regexp.MustCompile(` --env[ =]['"]?([a-z0-9][a-z0-9._-]*)`).FindStringSubmatch(process); m != nil {
			one.Environment = m[1]
		}
		one.Endpoint, _ = f.value(i, "endpoint_url")
		one.Gateway = strings.Contains(process, " --gateway")
		found[name] = one
	}
	return found, nil
}

// profileName is the name of a profile by its header in the config file.
func profileName(header string) (string, bool) {
	header = strings.TrimSpace(header)
	if header == "default" {
		return header, true
	}
	rest, ok := strings.CutPrefix(header, "profile")
	return strings.Trim(rest, " \t'\""), ok && strings.Trim(rest, " \t") != rest
}

// program is the first word of a command line, which CredentialProcess wrote.
func program(line string) string {
	if quote := line[0]; quote == '\'' || quote == '"' {
		word, _, _ := strings.Cut(line[1:], line[:1])
		return word
	}
	word, _, _ := strings.Cut(line, " ")
	return word
}

// Traps reads an AWS file, config or credentials, and says what in it stops AWS
// clients or sends them astray: the empty "s3 =" of cloud.ca's sample, an
// endpoint that takes every service of a profile along, and a region that
// clients refuse since it is no host label. Profiles of ours are right.
func Traps(path string) ([]Warning, error) {
	f, err := parseFile(path)
	if err != nil {
		return nil, err
	}
	var all []Warning
	add := func(i int, format string, args ...any) {
		all = append(all, Warning{path, i + 1, fmt.Sprintf(format, args...)})
	}
	section, own := -1, false
	for i, l := range f.lines {
		switch {
		case l.kind == header:
			section = i
			process, err := f.value(i, "credential_process")
			own = err == nil && ourProcess(process) || strings.HasPrefix(l.name, "services")
		case l.kind != option || own:
		case emptyS3(f, i):
			add(i, "the empty s3 of [%s] makes current AWS clients fail", f.lines[section].name)
		case l.name == "endpoint_url" && !strings.Contains(l.value, "amazonaws.com"):
			add(i, "the endpoint_url of [%s] takes every AWS service there, not S3 alone", f.lines[section].name)
		case l.name == "region" && strings.Contains(l.value, "."):
			add(i, "the region %.40q of [%s] is refused by current AWS clients, for it is no host label", l.value, f.lines[section].name)
		}
	}
	return all, nil
}

// parseFile opens and parses an INI file.
func parseFile(path string) (*ini, error) {
	file, err := open(path)
	if err != nil {
		return nil, err
	}
	return parseINI(path, file.text)
}

// AmazonLines returns the lines of an AWS file that belong to profiles whose keys
// are for Amazon, as far as config and credentials tell: they name no endpoint, or
// one of Amazon's. Of any other file there are none.
func AmazonLines(config, credentials, path string) (map[int]bool, error) {
	if path != real(config) && path != real(credentials) {
		return nil, nil
	}
	elsewhere := map[string]bool{} // profiles that name an endpoint
	for _, file := range []string{config, credentials} {
		f, err := parseFile(file)
		if err != nil {
			return nil, err
		}
		for i, l := range f.lines {
			if l.kind != header {
				continue
			}
			for j := i + 1; j < len(f.lines) && f.lines[j].kind != header; j++ {
				if own := f.lines[j]; (own.name == "endpoint_url" || own.name == "services") && !strings.Contains(own.value, ".amazonaws.com") {
					elsewhere[profileOf(l.name)] = true
				}
			}
		}
	}
	f, err := parseFile(path)
	if err != nil {
		return nil, err
	}
	lines, amazons := map[int]bool{}, false
	for i, l := range f.lines {
		if l.kind == header {
			amazons = !elsewhere[profileOf(l.name)]
		}
		lines[i+1] = amazons
	}
	return lines, nil
}

// profileOf is a profile's name by its header in either file.
func profileOf(header string) string {
	if name, is := profileName(header); is {
		return name
	}
	return strings.TrimSpace(header)
}

func real(path string) string {
	if to, err := filepath.EvalSymlinks(path); err == nil {
		return to
	}
	return path
}
