package main

import (
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/cloud-ca/ccad/ipc"
)

// gather reads the files of an import, what belongs to them, and the
// certificates that they name, and returns what it left out of the latter two.
// The daemon reads no file by a path that it was told, so it gets everything at
// once.
func gather(paths []string) (files []ipc.File, leftOut []string, err error) {
	for _, path := range paths {
		f, without, err := readSource(path)
		if err != nil {
			return nil, nil, err
		}
		if slices.ContainsFunc(files, func(other ipc.File) bool { return other.Path == f.Path }) {
			continue
		}
		files, leftOut = append(files, f), append(leftOut, without...)
	}
	for _, f := range files {
		for _, path := range ipc.Companions(f.Path) {
			if filepath.Base(path) == "credentials" { // who gives config alone gives none
				continue
			}
			if slices.ContainsFunc(files, func(other ipc.File) bool { return other.Path == path }) {
				continue
			}
			if _, err := os.Lstat(path); err != nil {
				continue
			}
			companion, without, err := readSource(path)
			if err != nil {
				leftOut = append(leftOut, fmt.Sprintf("left out: %v", err))
				continue
			}
			files, leftOut = append(files, companion), append(leftOut, without...)
		}
	}
	return files, leftOut, nil
}

func readSource(path string) (f ipc.File, leftOut []string, err error) {
	if path == "-" {
		data, err := readStdin(fileLimit)
		return ipc.File{Path: "-", Data: data}, nil, err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return f, nil, err
	}
	data, err := guard{limit: fileLimit}.read(abs)
	if err != nil {
		return f, nil, err
	}
	found, leftOut := authorities(abs, data)
	return ipc.File{Path: abs, Data: data, CA: found}, leftOut, nil
}

// authorities reads the CA files that a file of any format names. It looks for
// the words alone: whether they count is for the daemon's parsers to say. Only
// certificates are taken, for a file could name one that holds a secret. Of the
// variables in a path HOME alone is known; the parsers refuse all others.
func authorities(path string, data []byte) (found map[string]string, leftOut []string) {
	naming := regexp.MustCompile(`(?m)^[ \t]*(?:export[ \t]+)?(?:cacert|OS_CACERT|ca_bundle|ca_certs_file)[ \t]*[:=][ \t]*((?:"[^"\n]*"|'[^'\n]*'|[^"'#;\s])+)`)
	for _, match := range naming.FindAllSubmatch(data, -1) {
		named := strings.NewReplacer(`"`, "", `'`, "").Replace(string(match[1]))
		at := expand(named)
		if strings.Contains(strings.TrimPrefix(at, ipc.Home()), "$") {
			continue
		}
		if !filepath.IsAbs(at) {
			at = filepath.Join(filepath.Dir(path), at)
		}
		content, err := guard{limit: fileLimit, system: true}.read(at)
		if err != nil {
			leftOut = append(leftOut, fmt.Sprintf("left out the certificates that %s names: %v", path, err))
			continue
		}
		if found == nil {
			found = map[string]string{}
		}
		found[named] = certificates(content)
	}
	return found, leftOut
}

// certificates returns the certificates of a PEM file and drops all else.
func certificates(data []byte) string {
	var out strings.Builder
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			_ = pem.Encode(&out, &pem.Block{Type: block.Type, Bytes: block.Bytes})
		}
	}
	return out.String()
}

// expand resolves the home folder at the start of a path.
func expand(path string) string {
	for _, prefix := range []string{"~/", "$HOME/", "${HOME}/"} {
		if rest, ok := strings.CutPrefix(path, prefix); ok {
			return filepath.Join(ipc.Home(), rest)
		}
	}
	return path
}
