package configure

import (
	"fmt"
	"strings"
)

// Profiles returns the names of the profiles in an AWS config file that are
// ours, each with the program that its credential process runs.
func Profiles(path string) (map[string]string, error) {
	f, err := parseFile(path)
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for i, l := range f.lines {
		name, is := profileName(l.name)
		if l.kind != header || !is {
			continue
		}
		if process, err := f.value(i, "credential_process"); err == nil && ourProcess(process) {
			found[name] = program(process)
		}
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
