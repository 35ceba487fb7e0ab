package configure

import (
	"fmt"
	"slices"
	"strings"
)

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
	for _, i := range f.winning(head) {
		text := ""
		switch l := f.lines[i]; {
		case emptyS3(f, i):
			text = fmt.Sprintf("the empty s3 of profile %s makes current AWS clients fail", profile)
		case strings.HasPrefix(l.name, "aws_"):
			text = fmt.Sprintf("%s of profile %s is used instead of the keys that ccad serves", l.name, profile)
		default:
			text = fmt.Sprintf("%s of profile %s wins over the one in the config file", l.name, profile)
		}
		all = append(all, Warning{File: credentialsPath, Line: i + 1, Text: text})
	}
	return all, nil
}

// winning returns the indexes of what the section at head of a credentials file
// says in place of a profile of ours: keys, and what such a profile says as well.
func (f *ini) winning(head int) (all []int) {
	wins := []string{
		"aws_access_key_id", "aws_secret_access_key", "aws_session_token", "credential_process", "region", "endpoint_url",
		"services", "request_checksum_calculation", "response_checksum_validation", "s3",
	}
	for i := head + 1; i < len(f.lines) && f.lines[i].kind != header; i++ {
		if f.lines[i].kind == option && slices.Contains(wins, f.lines[i].name) {
			all = append(all, i)
		}
	}
	return all
}

// Yield makes comments of what in the text of an AWS credentials file would win
// over profiles of ours, and returns the numbers of these lines. Where a section
// has a secret, which wins too, it stays whole: the secret needs the rest.
func Yield(path, text string, profiles []string) (after string, yielded []int, err error) {
	f, err := parseINI(path, text)
	if err != nil {
		return "", nil, err
	}
	for _, profile := range profiles {
		head, err := f.find(func(name string) bool { return name == profile })
		if err != nil {
			return "", nil, err
		}
		if head < 0 {
			continue
		}
		secret, err := f.value(head, "aws_secret_access_key")
		if err != nil {
			return "", nil, err
		}
		if !Masked(secret) {
			continue
		}
		for _, i := range f.winning(head) {
			for _, j := range append([]int{i}, f.nested(i)...) {
				l := &f.lines[j]
				l.text = l.space + "# " + l.text[len(l.space):]
				yielded = append(yielded, j+1)
			}
		}
	}
	slices.Sort(yielded)
	return f.String(), yielded, nil
}

// Masked reports whether nothing but a portal's mask stands for a secret, or nothing
// at all.
func Masked(secret string) bool { return strings.Trim(secret, "*•●") == "" }

// KeyOf returns the access key that an AWS credentials file has for a profile, ""
// where it has none.
func KeyOf(credentialsPath, profile string) (string, error) {
	f, err := parseFile(credentialsPath)
	if err != nil {
		return "", err
	}
	head, err := f.find(func(name string) bool { return name == profile })
	if err != nil || head < 0 {
		return "", err
	}
	return f.value(head, "aws_access_key_id")
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
