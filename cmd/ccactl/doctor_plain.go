package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/cloud-ca/ccad/cmd/ccactl/configure"
	"github.com/cloud-ca/ccad/ipc"
)

// checkPlainText names the files in the usual places that hold secrets anybody
// who can read them can use.
func checkPlainText(x examination) (found []finding) {
	const check = "plain text"
	files := usualFiles()
	for _, path := range append(slices.Clone(files), shellFiles()...) {
		found = append(found, x.inPlainText(check, path, slices.Contains(files, path))...)
	}
	switch {
	case len(found) > 0:
		return found
	case !x.open():
		return fine(check, "no file in the usual places sets a variable to a secret; ccad, which knows their formats, is not open")
	case len(writtenFiles()) > 0:
		return fine(check, "no files in the usual places hold secrets but those of ccactl render")
	}
	return fine(check, "no file in the usual places holds a secret")
}

// inPlainText looks into one file. One of a format that import reads is judged by
// import's own parsers, so that what is found is what import --scrub mends; any
// other, and all while ccad is not open, by the names of variables.
func (x examination) inPlainText(check, path string, imported bool) []finding {
	data, err := guard{limit: fileLimit, system: true}.read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return []finding{wrong(check, readableAdvice(path, err), "%v", err)}
	}
	var secrets finding
	s, err := x.importable(path)
	switch lines := assigned(string(data)); {
	case imported && err == nil && s.Left != "":
		why, _, _ := strings.Cut(s.Left, ": take ")
		mend := cmp.Or(x.formerAdvice(path), "ccactl import "+shellWord(path)+", and take it out by hand")
		secrets = wrong(check, mend, "%s holds a secret that --scrub leaves there: %s", path, why)
	case imported && err == nil && len(s.Lines) > 0:
		mend := cmp.Or(x.formerAdvice(path), "ccactl import --scrub "+shellWord(path))
		secrets = wrong(check, mend, "%s holds a secret (line %s)", path, joined(s.Lines))
	case imported && err == nil || len(lines) == 0:
		return nil
	default:
		secrets = wrong(check, "take it out, once ccactl has it: ccactl use NAME sets it", "%s holds a secret (line %s)", path, joined(lines))
	}
	return append([]finding{secrets}, loose(check, path, true)...)
}

// importable asks ccad what of a file import --scrub would take out.
func (x examination) importable(path string) (ipc.ScrubbedFile, error) {
	return x.scrubbed(path, true)
}

// scrubbed asks ccad what of a file is a secret: that it holds or, where it is to
// find them, that import would take.
func (x examination) scrubbed(path string, find bool) (ipc.ScrubbedFile, error) {
	if !x.open() {
		return ipc.ScrubbedFile{}, errors.New("ccad is not open")
	}
	files, _, err := gather([]string{path})
	if err != nil {
		return ipc.ScrubbedFile{}, err
	}
	var reply ipc.ScrubReply
	if err := call("POST", "/v1/scrub", ipc.ScrubRequest{Files: files, Find: find}, &reply); err != nil {
		return ipc.ScrubbedFile{}, err
	}
	i := slices.IndexFunc(reply.Files, func(f ipc.ScrubbedFile) bool { return f.Path == path })
	if i < 0 {
		return ipc.ScrubbedFile{}, errors.New("the daemon answers about a file that it was not given")
	}
	return reply.Files[i], nil
}

// formerAdvice is what to do about the secrets of a file that ccad has others in
// place of; "" for any other. The cloud would refuse a former one each time that it
// is imported, and the file would keep it.
func (x examination) formerAdvice(path string) string {
	held, err := x.scrubbed(path, false)
	if err != nil || held.Left != "" || len(held.Lines) > 0 || !x.hasOthers(path) {
		return ""
	}
	return "ccactl import " + shellWord(path) + " if it is newer than what ccad has, else take it out by hand"
}

// hasOthers reports whether ccad has accepted secrets for all that a file is of.
func (x examination) hasOthers(path string) bool {
	files, _, err := gather([]string{path})
	if err != nil {
		return false
	}
	var would ipc.Changes
	if err := call("POST", "/v1/import", ipc.ImportRequest{Files: files, DryRun: true}, &would); err != nil {
		return false
	}
	return len(would.Changes) > 0 && !slices.ContainsFunc(would.Changes, func(c ipc.Change) bool {
		if c.User != "" {
			return !slices.ContainsFunc(x.status.Users, func(u ipc.User) bool {
				return u.Name == c.User && u.PasswordVersion > 0 && (u.State == "ok" || u.State == "expiring")
			})
		}
		e := named(x.status, c.Environment)
		return e.S3.State != "ok" && e.ApplicationCredential == ""
	})
}

// assigned returns the lines that set a variable which holds a secret, in a shell
// or a .env. A masked value is none, nor is one that is taken from elsewhere, as
// nothing between apostrophes is; an AWS key is Amazon's where the file names no endpoint.
func assigned(text string) (lines []int) {
	names := `(?:OS_PASSWORD|OS_APPLICATION_CREDENTIAL_SECRET|SWIFT_PASSWORD|ST_KEY`
	if strings.Contains(text, "AWS_ENDPOINT_URL") {
		names += `|AWS_SECRET_ACCESS_KEY`
	}
	value := `(?:'([^'\n]+)|"([^<$` + "`" + `"\n]+)|([^\s"'();&<$` + "`" + `]+))`
	secret := regexp.MustCompile(`(?:(?:^|[\s;&])` + names + `)[ \t]*=|^\s*set\s+(?:-\S+\s+)+` + names + `)\s[ \t]*)` + value)
	n := 0
	for line := range strings.Lines(text) {
		n++
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		if slices.ContainsFunc(secret.FindAllStringSubmatch(line, -1), func(m []string) bool { return !configure.Masked(strings.TrimSpace(m[1] + m[2] + m[3])) }) {
			lines = append(lines, n)
		}
	}
	return lines
}

func joined(lines []int) string {
	words := make([]string, len(lines))
	for i, n := range lines {
		words[i] = fmt.Sprint(n)
	}
	return strings.Join(words, ", ")
}

// readableAdvice is how a file becomes readable that is not: by its own mode or
// owner, or its folder's.
func readableAdvice(path string, err error) string {
	if !errors.Is(err, fs.ErrPermission) {
		return "mend it, or look into it yourself"
	}
	if _, err := os.Lstat(path); err != nil {
		return permit("u+rwx", filepath.Dir(path))
	}
	return permit("u+r", path)
}
