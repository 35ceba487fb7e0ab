// Package source reads the files in which people keep credentials: the openrc
// of the documentation and of Horizon, clouds.yaml with its secure.yaml, the
// AWS credentials and config files, .s3cfg, rclone.conf and .env.
//
// A format is one file of this package and one line of the table formats. It is
// recognised by its content; a file's name decides only where the content fits
// two (exports may be an openrc or a .env). Nothing is ever executed: a shell
// script is parsed, and a value that only running it would tell is refused with
// its line.
//
// Every format speaks one of two vocabularies, and each parser does no more
// than translate into them: the OS_* names for Keystone (keystone.go) and the
// AWS_* names for S3 (s3.go). Defaults, checks and refusals are there, once.
//
//	file ─▶ clean (text.go) ─▶ recognise ─▶ parser ─▶ values ─▶ keystone, s3 ─▶ Found
//
// No error and no note quotes a file: they hold the path, the line and words of
// ours, since any byte of such a file may be part of a secret. Endpoints are
// made by account.ParseEndpoint alone. Parse does no I/O and depends on its
// arguments alone, so that whoever watches a file may compare two readings.
package source

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cloud-ca/ccad/daemon/account"
)

// A File is what a person gave or a watcher read.
type File struct {
	Path string            // for messages, and to tell an openrc from a .env; "-" is standard input
	Data []byte            // at most MaxSize
	CA   map[string]string // PEM of the CA files that the file names, by the path it names
}

// Found is what a file says of one environment.
type Found struct {
	File        string // File.Path; of several merged files the one that names the environment
	Line        int
	Format      string                         // one of Formats
	Name        string                         // project, profile, cloud or remote as written; "" where the file names none
	User        account.User                   // zero where the file has S3 keys alone
	Environment account.Environment            // project, region, S3
	Password    account.Secret                 // empty where there is none
	AppCred     *account.ApplicationCredential // nil where there is none
	Keys        *account.KeyPair               // nil where there is none; its secret is empty where Missing is MissingS3Secret
	Missing     string                         // "", MissingPassword or MissingS3Secret: masked, empty, or asked for by the script
	Notes       []string                       // one line each, never a secret

	marks []mark // where its secrets stand, and what has to go with them
}

// What may be missing from a Found.
const (
	MissingPassword = "password"
	MissingS3Secret = "s3-secret"
)

// MaxSize is the size of the largest file that Parse looks at.
const MaxSize = 1 << 20

// A format is how one kind of file is recognised and read.
type format struct {
	name  string
	looks func(text string) bool                  // whether the content fits
	names []string                                // patterns of file names that decide where several fit
	parse func(ins []*input, out *findings) error // all files of the format at once, since some belong together
}

// formats in the order in which they win where content and name decide nothing.
var formats = []format{
	{"openrc", looksLikeOpenrc, []string{"*.sh", "*openrc*"}, each(parseOpenrc)},
	{"clouds.yaml", looksLikeClouds, []string{"clouds.*", "secure.*"}, parseClouds},
	{"aws", looksLikeAWS, []string{"credentials", "config"}, parseAWS},
	{"s3cfg", looksLikeS3cfg, []string{".s3cfg", "s3cfg"}, each(parseS3cfg)},
	{"rclone", looksLikeRclone, []string{"rclone.conf"}, each(parseRclone)},
	{"dotenv", looksLikeDotenv, []string{".env", ".env.*", "*.env"}, each(parseDotenv)},
}

// Formats returns the names of all formats.
func Formats() []string {
	names := make([]string, 0, len(formats))
	for _, f := range formats {
		names = append(names, f.name)
	}
	return names
}

// recognise returns the format that a text is in, or nil. The name of the file is asked
// only where several fit.
func recognise(path, text string) *format {
	var first *format
	for i, f := range formats {
		if !f.looks(text) {
			continue
		}
		if slices.ContainsFunc(f.names, func(pattern string) bool {
			ok, _ := filepath.Match(pattern, filepath.Base(path))
			return ok
		}) {
			return &formats[i]
		}
		if first == nil {
			first = &formats[i]
		}
	}
	return first
}

// Parse reads the files and returns the environments found, in the order of the
// files and lines, and notes on the files as a whole. Files that belong
// together (clouds.yaml and secure.yaml, AWS credentials and config) are merged
// in whatever order they come. A file that cannot be read without guessing ends
// it with a *SyntaxError; an entry that holds nothing for ccad is left out with
// a note. With insecureHTTP plain http is accepted beyond loopback.
func Parse(files []File, insecureHTTP bool) ([]Found, []string, error) {
	byFormat := make(map[string][]*input)
	for i, f := range files {
		in := &input{File: f, order: i, insecureHTTP: insecureHTTP}
		text, err := clean(in)
		if err != nil {
			return nil, nil, err
		}
		in.text = text
		kind := recognise(f.Path, text)
		if kind == nil {
			err := place{in, 0}.error("is in none of the formats that are read: " + strings.Join(Formats(), ", "))
			err.Empty = true
			return nil, nil, err
		}
		byFormat[kind.name] = append(byFormat[kind.name], in)
	}
	var out findings
	for _, f := range formats {
		out.format = f.name
		if err := f.parse(byFormat[f.name], &out); err != nil {
			return nil, nil, err
		}
	}
	return out.sorted()
}

// each makes a parser of single files one of many files.
func each(parse func(*input, *findings) error) func([]*input, *findings) error {
	return func(ins []*input, out *findings) error {
		for _, in := range ins {
			if err := parse(in, out); err != nil {
				return err
			}
		}
		return nil
	}
}

// findings collects what the parsers find, with the places it is sorted by.
type findings struct {
	format string // of the parser at work
	found  []located[Found]
	notes  []located[string]
}

type located[T any] struct {
	at   place
	what T
}

func (o *findings) add(at place, name string, f Found) {
	f.File, f.Line, f.Format, f.Name = at.in.Path, at.line, o.format, name
	o.found = append(o.found, located[Found]{at, f})
}

func (o *findings) note(at place, text string) {
	o.notes = append(o.notes, located[string]{at, at.String() + ": " + text})
}

// addOrSkip adds what a file of many entries says of one of them. An entry
// that holds nothing for ccad (an *unusable error) is noted, others go on.
func (o *findings) addOrSkip(at place, name string, f Found, err error) error {
	if u, ok := err.(*unusable); ok {
		o.note(at, "skipped: "+u.reason)
		return nil
	}
	if err == nil {
		o.add(at, name, f)
	}
	return err
}

func (o *findings) sorted() ([]Found, []string, error) {
	return inOrder(o.found), inOrder(o.notes), nil
}

func inOrder[T any](all []located[T]) []T {
	slices.SortStableFunc(all, func(a, b located[T]) int {
		return cmp.Or(cmp.Compare(a.at.in.order, b.at.in.order), cmp.Compare(a.at.line, b.at.line))
	})
	var out []T
	for _, l := range all {
		out = append(out, l.what)
	}
	return out
}
