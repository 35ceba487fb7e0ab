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
// certificates that they name. The daemon reads no file by a path that it was
// told, so it gets everything at once.
func gather(paths []string) ([]ipc.File, error) {
	var files []ipc.File
	for _, path := range paths {
		f, err := readSource(path)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(files, func(other ipc.File) bool { return other.Path == f.Path }) {
			continue
		}
		files = append(files, f)
	}
	for _, f := range files {
		for _, path := range companions(f.Path) {
			if slices.ContainsFunc(files, func(other ipc.File) bool { return other.Path == path }) {
				continue
			}
			if _, err := os.Lstat(path); err != nil {
				continue
			}
			companion, err := readSource(path)
			if err != nil {
				warn([]string{fmt.Sprintf("left out: %v", err)})
				continue
			}
			files = append(files, companion)
		}
	}
	return files, nil
}

// companions are the files that usually lie beside one and complete it.
func companions(path string) []string {
	dir, name := filepath.Split(path)
	switch name {
	case "clouds.yaml", "clouds.yml":
		return []string{dir + "secure.yaml", dir + "secure.yml"}
	case "credentials":
		return []string{dir + "config"}
	}
	return nil
}

func readSource(path string) (ipc.File, error) {
	if path == "-" {
		data, err := readStdin(fileLimit)
		return ipc.File{Path: "-", Data: data}, err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return ipc.File{}, err
	}
	data, err := guard{limit: fileLimit}.read(abs)
	if err != nil {
		return ipc.File{}, err
	}
	return ipc.File{Path: abs, Data: data, CA: authorities(abs, data)}, nil
}

// authorities reads the CA files that a file of any format names. It looks for
// the words alone: whether they count is for the daemon's parsers to say. Only
// certificates are taken, for a file could name one that holds a secret.
func authorities(path string, data []byte) map[string]string {
	naming := regexp.MustCompile(`(?m)^[ \t]*(?:export[ \t]+)?(?:cacert|OS_CACERT|ca_bundle|ca_certs_file)[ \t]*[:=][ \t]*["']?([^"'#\s]+)`)
	var found map[string]string
	for _, match := range naming.FindAllSubmatch(data, -1) {
		named := string(match[1])
		at := expand(named)
		if !filepath.IsAbs(at) {
			at = filepath.Join(filepath.Dir(path), at)
		}
		content, err := guard{limit: fileLimit, system: true}.read(at)
		if err != nil {
			warn([]string{fmt.Sprintf("left out the certificates that %s names: %v", path, err)})
			continue
		}
		if found == nil {
			found = map[string]string{}
		}
		found[named] = certificates(content)
	}
	return found
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
