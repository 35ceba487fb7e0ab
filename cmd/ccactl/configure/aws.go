package configure

import (
	"fmt"
	"regexp"
	"strings"
)

// AWSProfile is what a profile of the AWS config file says of an environment.
type AWSProfile struct {
	Name              string // "default" becomes [default]
	CredentialProcess string // see CredentialProcess
	Region            string
	Endpoint          string // URL
}

// ourProcess reports whether a credential process is ccactl. The expression is
// compiled here, as in a variable each start of ccactl would pay for it.
func ourProcess(line string) bool {
	return regexp.MustCompile(`^(\S*/|'.*/|".*/)?ccactl['"]? credential-process( |$)`).MatchString(line)
}

// alphanumeric reports whether s is nothing but ASCII letters, digits and marks.
func alphanumeric(s, marks string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(marks, r)
	})
}

// CredentialProcess is the command line for an environment's keys. Some SDKs
// give it to a shell, others split it as a shell would.
func CredentialProcess(ccactl, environment string, flags ...string) string {
	words := append([]string{ccactl, "credential-process", "--env", environment}, flags...)
	for i, word := range words {
		if !alphanumeric(word, "_./@%+=:,-") {
			words[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

// AWS writes profiles into the text of an AWS config file, which is called path
// in messages, and returns the names of those that were not there as they are
// now. A profile of such a name that isn't ours is an *ExistsError.
//
// Beside the obvious, a profile asks for path-style addressing, and for no more
// checksums than S3-compatible servers know. Both ways of giving an endpoint are
// used: clients differ in which they honour, and a profile without the general
// one would send everything but S3 to AWS.
func AWS(path, text string, profiles []AWSProfile) (after string, changed []string, err error) {
	f, err := parseINI(path, text)
	if err != nil {
		return "", nil, err
	}
	for _, p := range profiles { // before an edit moves the lines that errors name
		if err := p.valid(); err != nil {
			return "", nil, err
		}
		if err := p.ours(f); err != nil {
			return "", nil, err
		}
	}
	for _, p := range profiles {
		before := f.String()
		if err := p.write(f); err != nil {
			return "", nil, err
		}
		if f.String() != before {
			changed = append(changed, p.Name)
		}
	}
	return f.String(), changed, nil
}

// Free returns an *ExistsError where an AWS config file has a profile, or
// services, of that name that are not ours.
func Free(path, name string) error {
	f, err := parseFile(path)
	if err != nil {
		return err
	}
	return AWSProfile{Name: name}.ours(f)
}

func (p AWSProfile) valid() error {
	if !alphanumeric(p.Name, "._@+-") || strings.ContainsAny(p.Name[:1], "._@+-") {
		return fmt.Errorf("the profile name %q has other characters than letters, digits and . _ @ + -", p.Name)
	}
	if !ourProcess(p.CredentialProcess) {
		return fmt.Errorf("the credential process of profile %s is not ccactl's", p.Name)
	}
	for what, value := range map[string]string{"credential process": p.CredentialProcess, "region": p.Region, "endpoint": p.Endpoint} {
		if err := oneLine(what, value); err != nil {
			return err
		}
		if value == "" {
			return fmt.Errorf("the profile %s lacks its %s", p.Name, what)
		}
	}
	return nil
}

// named matches the header of a section of that kind and name. As botocore
// reads them, names may be quoted.
func named(kind, name string) func(string) bool {
	return func(header string) bool {
		if kind == "profile" && name == "default" && strings.TrimSpace(header) == name {
			return true
		}
		rest, ok := strings.CutPrefix(strings.TrimSpace(header), kind)
		return ok && strings.Trim(rest, " \t") != rest && strings.Trim(rest, " \t'\"") == name
	}
}

// ours refuses sections of that name that somebody else wrote: a profile is ours
// by its process, its services by the profile.
func (p AWSProfile) ours(f *ini) error {
	services, err := f.find(named("services", p.Name))
	if err != nil {
		return err
	}
	head, err := f.find(named("profile", p.Name))
	if err != nil {
		return err
	}
	if head < 0 {
		if services >= 0 {
			return &ExistsError{File: f.file, Line: services + 1, Name: "services " + p.Name}
		}
		return nil
	}
	process, err := f.value(head, "credential_process")
	if err == nil && !ourProcess(process) {
		err = &ExistsError{File: f.file, Line: head + 1, Name: "profile " + p.Name}
	}
	return err
}

// write puts the profile and its services section into f.
func (p AWSProfile) write(f *ini) error {
	head, err := f.find(named("profile", p.Name))
	if err == nil && head < 0 {
		title := "profile " + p.Name
		if p.Name == "default" {
			title = p.Name
		}
		head, err = f.section(title)
	}
	if err != nil {
		return err
	}
	for _, s := range [][2]string{
		{"credential_process", p.CredentialProcess},
		{"region", p.Region},
		{"endpoint_url", p.Endpoint},
		{"services", p.Name},
		{"request_checksum_calculation", "when_required"},
		{"response_checksum_validation", "when_required"},
	} {
		if err := f.set(head, s[0], s[1]); err != nil {
			return err
		}
	}
	for _, s := range [][2]string{{"signature_version", "s3v4"}, {"addressing_style", "path"}} {
		if err := f.setNested(head, "s3", s[0], s[1]); err != nil {
			return err
		}
	}
	head, err = f.find(named("services", p.Name))
	if err == nil && head < 0 {
		head, err = f.section("services " + p.Name)
	}
	if err != nil {
		return err
	}
	return f.setNested(head, "s3", "endpoint_url", p.Endpoint)
}

// Conflicts reads an AWS credentials file and says what in it gets in the way of
// a profile of the config file: its section of that name wins, setting by
// setting.
func Conflicts(credentialsPath, profile string) ([]Warning, error) {
	f, err := parseFile(credentialsPath)
	if err != nil {
		return nil, err
	}
	head, err := f.find(func(name string) bool { return name == profile })
	if err != nil || head < 0 {
		return nil, err
	}
	var all []Warning
	for i := head + 1; i < len(f.lines) && f.lines[i].kind != header; i++ {
		text := ""
		switch l := f.lines[i]; {
		case l.kind != option:
			continue
		case emptyS3(f, i):
			text = fmt.Sprintf("the empty s3 of profile %s makes current AWS clients fail", profile)
		case l.name == "aws_access_key_id" || l.name == "aws_secret_access_key":
			text = fmt.Sprintf("%s of profile %s is used instead of the keys that ccad serves", l.name, profile)
		default:
			text = fmt.Sprintf("%s of profile %s wins over the one in the config file", l.name, profile)
		}
		all = append(all, Warning{File: credentialsPath, Line: i + 1, Text: text})
	}
	return all, nil
}

// MendSample takes the empty "s3 =" out of the text of an AWS file, as cloud.ca's
// documentation has it in its sample: current AWS clients fail on it, and it
// says nothing. The endpoint below it in that sample counts without it.
func MendSample(path, text string) (string, error) {
	f, err := parseINI(path, text)
	if err != nil {
		return "", err
	}
	for i := len(f.lines) - 1; i >= 0; i-- {
		if emptyS3(f, i) {
			f.lines = append(f.lines[:i:i], f.lines[i+1:]...)
		}
	}
	return f.String(), nil
}

func emptyS3(f *ini, i int) bool {
	l := f.lines[i]
	return l.kind == option && l.name == "s3" && l.value == "" && len(f.nested(i)) == 0
}
