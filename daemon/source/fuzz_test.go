package source_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/source"
)

// marker stands for a secret: no error and no note may show it, wherever in a
// file it stands. It is in lower case, since a URL's host becomes that.
const marker = "markerofsecret"

func shows(text string) bool { return strings.Contains(strings.ToLower(text), marker) }

// check parses a file and holds the result against what every result must be.
func check(t *testing.T, files ...source.File) {
	t.Helper()
	found, notes, err := source.Parse(files, false)
	if err != nil {
		if text := err.Error(); shows(text) || strings.ContainsAny(text, "\r\n") {
			t.Errorf("the error shows the secret or is not one line: %q", text)
		}
		if found != nil || notes != nil {
			t.Errorf("an error, and %d found, %d notes", len(found), len(notes))
		}
		return
	}
	for _, f := range found {
		notes = append(notes, f.Notes...)
		endpoint(t, f.User.Auth)
		endpoint(t, f.Environment.S3.Endpoint)
		hasUser := !f.User.Auth.IsZero()
		switch {
		case f.Missing == source.MissingPassword && (!hasUser || !f.Password.Empty() || f.AppCred != nil),
			f.Missing == source.MissingS3Secret && (f.Keys == nil || !f.Keys.Secret.Empty()),
			f.Missing == "" && f.Password.Empty() && f.AppCred == nil && (f.Keys == nil || f.Keys.Secret.Empty()),
			!hasUser && f.User != account.User{},
			f.Line < 1 || f.Format == "":
			t.Errorf("inconsistent: %+v", f)
		}
		for _, s := range []account.Secret{f.Password, keys(f).Secret} {
			if account.Masked(s.Reveal()) {
				t.Errorf("a mask is taken for a secret: %+v", f)
			}
		}
	}
	if text := strings.Join(notes, ""); shows(text) || strings.ContainsAny(text, "\r\n") {
		t.Errorf("a note shows the secret or is not one line: %q", notes)
	}
	again, _, _ := source.Parse(files, false)
	same := cmp.Comparer(account.Secret.Equal)
	if diff := cmp.Diff(found, again, same, cmpopts.IgnoreUnexported(source.Found{})); diff != "" {
		t.Errorf("read twice, it differs: %s", diff)
	}
}

func keys(f source.Found) account.KeyPair {
	if f.Keys == nil {
		return account.KeyPair{}
	}
	return *f.Keys
}

func endpoint(t *testing.T, e account.Endpoint) {
	t.Helper()
	if e.IsZero() {
		return
	}
	if again, err := account.ParseEndpoint(e.URL, false); err != nil || again.URL != e.URL {
		t.Errorf("endpoint %q is none: %q, %v", e.URL, again.URL, err)
	}
}

// TestNoSecretInMessages puts the marker into every value of every file, in
// ways that are read and in ways that are refused.
func TestNoSecretInMessages(t *testing.T) {
	for _, files := range cases(t) {
		for i, f := range files {
			lines := bytes.SplitAfter(f.Data, []byte("\n"))
			for n, line := range lines {
				key, _, found := bytes.Cut(line, []byte("="))
				sep := "="
				if !found {
					key, _, found = bytes.Cut(line, []byte(": "))
					sep = ": "
				}
				if !found {
					continue
				}
				for _, hostile := range []string{
					"%s", `"%s`, `'%s`, `"%s" x`, "$(%s)", "`%s`", "${%s", "$%s", "${%s:-x}", "https://u:%s@h", "http://%s", "https://h/?%s",
					"https://%s", "[%s", "{%s: [}", "*%s", "&%s", "!%s x", "|\n%s", "\x00%s", "\xff%s", "%s\x1b[0m", "%s\n%s", ")%s",
				} {
					value := strings.ReplaceAll(hostile, "%s", marker)
					changed := slices.Clone(lines)
					changed[n] = fmt.Appendf(nil, "%s%s%s\n", key, sep, value)
					all := slices.Clone(files)
					all[i].Data = bytes.Join(changed, nil)
					check(t, all...)
				}
			}
		}
	}
}

// fuzz runs a parser on what its own format's files become, under the name
// that decides for it.
func fuzz(f *testing.F, format, name string, more ...string) {
	for _, files := range cases(f) {
		for _, file := range files {
			if source.Recognise(file.Path, file.Data) == format {
				f.Add(string(file.Data))
			}
		}
	}
	for _, seed := range more {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		check(t, source.File{Path: name, Data: []byte(text)})
	})
}

func FuzzOpenrc(f *testing.F) {
	fuzz(f, "openrc", "x.sh",
		exports+"export OS_PASSWORD="+marker+"\n",
		exports+"export OS_PASSWORD=$("+marker+")\n",
		exports+"for x in a; do ((OS_PASSWORD=1)); let y=2; done; case $x in y) unset OS_USERNAME;; esac\n",
		exports+"a=b; a+=$a; [[ -n $a ]] && OS_PASSWORD=\"$a\" || : ${OS_PASSWORD:="+marker+"}\n")
}

func FuzzClouds(f *testing.F) {
	fuzz(f, "clouds.yaml", "clouds.yaml",
		"clouds: {c: {auth: {auth_url: https://k.example, password: "+marker+"}}}",
		"a: &a {b: "+marker+"}\nclouds: {c: {<<: [*a, *a], auth: *a}}\n")
}

func FuzzAWS(f *testing.F) {
	fuzz(f, "aws", "credentials",
		"[p]\naws_access_key_id = AK\naws_secret_access_key = "+marker+"\nendpoint_url = https://s3.example\n")
}

func FuzzS3cfg(f *testing.F) {
	fuzz(f, "s3cfg", ".s3cfg", "access_key = AK\nsecret_key = "+marker+"\nhost_base = s3.example\n")
}

func FuzzRclone(f *testing.F) {
	fuzz(f, "rclone", "rclone.conf",
		"[r]\ntype = s3\naccess_key_id = AK\nsecret_access_key = "+marker+"\nendpoint = s3.example\n",
		"[r]\ntype = swift\nuser = u\nkey = "+marker+"\nauth = https://k.example\ntenant = t\n")
}

func FuzzDotenv(f *testing.F) {
	fuzz(f, "dotenv", ".env",
		"OS_AUTH_URL=https://k.example\nOS_USERNAME=u\nOS_PROJECT_NAME=p\nOS_PASSWORD="+marker+"\n",
		"OS_AUTH_URL=https://k.example\nA=\"\\$x\"\nOS_PASSWORD=\"${A}\\n$A\"\n")
}
