package configure

import (
	"fmt"
	"regexp"
	"strings"
)

// Ours is what a profile of ours says.
type Ours struct {
	Program     string // that its credential process runs
	Environment string
	Endpoint    string
	Region      string
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
		one.Region, _ = f.value(i, "region")
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

// program is the first word of a command line, as a shell takes it.
func program(line string) string {
	var word strings.Builder
	quote := byte(0)
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		case quote == 0 && c == ' ':
			return word.String()
		case quote != '\'' && c == '\\' && i+1 < len(line):
			i++
			word.WriteByte(line[i])
		default:
			word.WriteByte(c)
		}
	}
	return word.String()
}

// Accepted reports whether AWS clients take a region, which becomes part of a
// host's name; where none is named they have one of their own.
func Accepted(region string) bool {
	return region == "" || alphanumeric(region, "-") && strings.Trim(region, "-") == region && len(region) <= 63
}

// Traps reads an AWS file, config or credentials, and says what in it stops AWS
// clients or sends them astray: the empty "s3 =" of cloud.ca's sample, an
// endpoint that takes every service of a profile along, a region that clients
// refuse since it is no host label, and what makes them refuse the whole file.
// Profiles of ours are right.
func Traps(path string) ([]Warning, error) {
	f, err := parseFile(path)
	if err != nil {
		return nil, err
	}
	var all []Warning
	add := func(i int, format string, args ...any) {
		all = append(all, Warning{File: path, Line: i + 1, Text: fmt.Sprintf(format, args...)})
	}
	if f.bom != "" {
		add(0, "a byte order mark makes AWS clients fail on the whole file")
	}
	for _, i := range f.repeated() {
		add(i, "%s comes twice, which makes AWS clients fail on the whole file", strings.TrimSpace(strings.SplitN(f.lines[i].text, "=", 2)[0]))
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
			all[len(all)-1].Sample = true
		case l.name == "endpoint_url" && !strings.Contains(l.value, "amazonaws.com"):
			add(i, "the endpoint_url of [%s] takes every AWS service there, not S3 alone", f.lines[section].name)
		case l.name == "region" && !Accepted(l.value):
			add(i, "the region %.40q of [%s] is refused by current AWS clients, for it is no host label", l.value, f.lines[section].name)
		}
	}
	return all, nil
}

// repeated returns the lines with a section, or a setting of one, that was there
// before.
func (f *ini) repeated() (again []int) {
	sections, settings := map[string]bool{}, map[string]bool{}
	for i, l := range f.lines {
		of := settings
		switch l.kind {
		case header:
			of, settings = sections, map[string]bool{}
		case option:
		default:
			continue
		}
		if of[l.name] {
			again = append(again, i)
		}
		of[l.name] = true
	}
	return again
}

// parseFile opens and parses an INI file.
func parseFile(path string) (*ini, error) {
	file, err := open(path)
	if err != nil {
		return nil, err
	}
	return parseINI(path, file.text)
}
