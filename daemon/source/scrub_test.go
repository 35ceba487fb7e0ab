package source_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/daemon/source"
)

func all(source.Found) bool { return true }

const secretText = "s3cr#t-hunter2"

// scrubbed are files of every format with the lines that go, and hold secretText.
var scrubbed = []struct {
	name, file, text string
	lines            []int
}{
	{"exports", "openrc", "export OS_PASSWORD=s3cr#t-hunter2\nexport OS_USERNAME=u\nexport OS_PROJECT_NAME=p\nexport OS_AUTH_URL=https://auth.cloud.ca # mine\n", []int{1}},
	{"quotes and a comment", "a-openrc.sh", "#!/bin/bash\nOS_AUTH_URL=https://auth.cloud.ca OS_USERNAME='u'\n  export OS_PASSWORD='s3cr#t-hunter2' ; # the password\nexport OS_PROJECT_NAME=p\nexport PATH=\"$PATH:/x\"\n", []int{3}},
	{"in double quotes", "openrc", "export OS_AUTH_URL=https://auth.cloud.ca OS_USERNAME=u OS_PROJECT_NAME=p\nexport OS_PASSWORD=\"s3cr#t-hunter2\"", []int{2}},
	{"S3 keys beside", "openrc", "export OS_AUTH_URL=https://auth.cloud.ca OS_USERNAME=u OS_PROJECT_NAME=p\nexport OS_PASSWORD=s3cr#t-hunter2\nexport AWS_ACCESS_KEY_ID=AK\nexport AWS_SECRET_ACCESS_KEY=s3cr#t-hunter2-too\n", []int{2, 4}},
	{"an application credential", "app.sh", "#!/usr/bin/env bash\nexport OS_AUTH_TYPE=v3applicationcredential\nexport OS_AUTH_URL=https://k.example\nexport OS_APPLICATION_CREDENTIAL_ID=id\nexport OS_APPLICATION_CREDENTIAL_SECRET=\"s3cr#t-hunter2\"\n", []int{5}},
	{"clouds.yaml", "clouds.yaml", "clouds:\n  prod: # the large one\n    auth:\n      auth_url: https://auth.cloud.ca\n      password: s3cr#t-hunter2   # ours\n      username: u\n      project_name: p\n  dev:\n    auth: {auth_url: https://auth.cloud.ca, username: u, project_name: d}\n    password: 's3cr#t-hunter2'\n", []int{5, 10}},
	{"AWS credentials", "credentials", "# mine\n[work]\naws_access_key_id=AKIAWORK\naws_secret_access_key=not-ours\n\n[dev]\n; before\nregion = cloud.ca\naws_access_key_id = 076d7a255a4236965ba97b4f91363f2\naws_secret_access_key = s3cr#t-hunter2\nendpoint_url=https://objects.cloud.ca\n", []int{9, 10}},
	{"AWS credentials and nothing else", "credentials", "[dev]\naws_access_key_id = AK\naws_secret_access_key = s3cr#t-hunter2\n", []int{2, 3}},
	{"s3cfg", ".s3cfg", "[default]\naccess_key = AK\nsecret_key = s3cr#t-hunter2\nhost_base = objects.cloud.ca\ngpg_passphrase = not ours\n", []int{3}},
	{"rclone", "rclone.conf", "[a]\ntype = swift\nuser = u\nkey = s3cr#t-hunter2\nauth = https://auth.cloud.ca/v3\ntenant = p\n[b]\ntype = s3\naccess_key_id = AK\nsecret_access_key = s3cr#t-hunter2\nendpoint = https://objects.cloud.ca\n[c]\ntype = crypt\npassword = not-ours\n", []int{4, 10}},
	{"dotenv", ".env", "OS_AUTH_URL=https://auth.cloud.ca\nOS_USERNAME = u\nOS_PASSWORD=\"s3cr#t-hunter2\" # x\nOS_PROJECT_NAME=p\nOTHER=thing\n", []int{3}},
	{"dotenv without quotes", "prod.env", "AWS_ACCESS_KEY_ID=AK\nAWS_SECRET_ACCESS_KEY=s3cr#t-hunter2\nAWS_ENDPOINT_URL=https://objects.cloud.ca\n", []int{2}},
}

// ours is true for all but the profile of Amazon.
func ours(f source.Found) bool { return f.Name != "work" }

// What is taken out are the lines of the secrets, and nothing else changes: be
// the line ends those of Windows, a byte order mark before it, the last line
// without its newline.
func TestScrub(t *testing.T) {
	for _, c := range scrubbed {
		for variant, vary := range map[string]func(string) string{
			"plain":            func(s string) string { return s },
			"CRLF":             func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") },
			"BOM":              func(s string) string { return "\ufeff" + s },
			"no final newline": func(s string) string { return strings.TrimSuffix(s, "\n") },
		} {
			t.Run(c.name+", "+variant, func(t *testing.T) {
				text := vary(c.text)
				out, err := source.Scrub([]source.File{{Path: c.file, Data: []byte(text)}}, false, ours)
				if err != nil {
					t.Fatal(err)
				}
				s := out[0]
				if s.Left != "" || !slices.Equal(s.Lines, c.lines) {
					t.Fatalf("lines %v, want %v; %s", s.Lines, c.lines, s.Left)
				}
				onlyLines(t, text, s)
				if strings.Contains(string(s.Data), secretText) {
					t.Errorf("the secret is still there:\n%s", s.Data)
				}
				again, err := source.Scrub([]source.File{{Path: c.file, Data: s.Data}}, false, ours)
				if err == nil && len(again[0].Lines) > 0 {
					t.Errorf("a second time lines %v", again[0].Lines)
				}
			})
		}
	}
}

// onlyLines checks that no byte outside the lines has changed, nor the end of any.
func onlyLines(t *testing.T, text string, s source.Scrubbed) {
	t.Helper()
	before, after := strings.SplitAfter(text, "\n"), strings.SplitAfter(string(s.Data), "\n")
	if len(before) != len(after) {
		t.Fatalf("%d lines became %d", len(before), len(after))
	}
	for i := range before {
		if slices.Contains(s.Lines, i+1) {
			ends := func(line string) string { return line[len(strings.TrimRight(line, "\r\n")):] }
			if ends(before[i]) != ends(after[i]) || strings.HasPrefix(before[i], "\ufeff") != strings.HasPrefix(after[i], "\ufeff") {
				t.Errorf("line %d: %q became %q", i+1, before[i], after[i])
			}
			continue
		}
		if before[i] != after[i] {
			t.Errorf("line %d: %q became %q", i+1, before[i], after[i])
		}
	}
}

// What can't be taken out by whole lines, or would change what the file says,
// stays, and the reason names the line and no secret.
func TestScrubLeaves(t *testing.T) {
	for name, c := range map[string][2]string{
		"more on the line":        {"openrc", "export OS_AUTH_URL=https://auth.cloud.ca OS_USERNAME=u OS_PROJECT_NAME=p OS_PASSWORD=s3cr#t-hunter2\n"},
		"a command behind":        {"openrc", "export OS_AUTH_URL=https://auth.cloud.ca OS_USERNAME=u OS_PROJECT_NAME=p\nOS_PASSWORD=s3cr#t-hunter2; source /x\n"},
		"the same in a comment":   {"openrc", "# s3cr#t-hunter2\nexport OS_AUTH_URL=https://auth.cloud.ca OS_USERNAME=u OS_PROJECT_NAME=p\nexport OS_PASSWORD=s3cr#t-hunter2\n"},
		"by way of a variable":    {"openrc", "pw=s3cr#t-hunter2\nexport OS_AUTH_URL=https://auth.cloud.ca OS_USERNAME=u OS_PROJECT_NAME=p\nexport OS_PASSWORD=$pw\n"},
		"all of a condition":      {"openrc", "export OS_AUTH_URL=https://auth.cloud.ca OS_USERNAME=u OS_PROJECT_NAME=p\nif true; then\nexport OS_PASSWORD=s3cr#t-hunter2\nfi\n"},
		"a flow mapping":          {"clouds.yaml", "clouds: {dev: {auth: {auth_url: 'https://auth.cloud.ca', username: u, project_name: p, password: 's3cr#t-hunter2'}}}\n"},
		"a flow mapping's end":    {"clouds.yaml", "clouds:\n  dev:\n    auth: {auth_url: 'https://auth.cloud.ca', username: u, project_name: p,\n      password: s3cr#t-hunter2}\n"},
		"an anchor":               {"clouds.yaml", "clouds:\n  dev:\n    auth:\n      auth_url: https://auth.cloud.ca\n      username: u\n      project_name: p\n      password: &p s3cr#t-hunter2\n    other: *p\n"},
		"over two lines":          {".env", "OS_AUTH_URL=https://auth.cloud.ca\nOS_USERNAME=u\nOS_PROJECT_NAME=p\nAWS_ACCESS_KEY_ID=a\nOS_PASSWORD=s3cr#t-hunter2\nNOTE='my\ns3cr#t-hunter2'\n"},
		"a command goes on above": {"openrc", "export OS_AUTH_URL=https://auth.cloud.ca OS_USERNAME=u OS_PROJECT_NAME=p\ntrue && \\\nexport OS_PASSWORD=s3cr#t-hunter2\n"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := source.Scrub([]source.File{{Path: c[0], Data: []byte(c[1])}}, false, all)
			if err != nil {
				t.Fatal(err)
			}
			s := out[0]
			if len(s.Lines) > 0 || string(s.Data) != c[1] {
				t.Errorf("lines %v:\n%s", s.Lines, s.Data)
			}
			if !strings.Contains(s.Left, "by hand") || strings.Contains(s.Left, "hunter2") {
				t.Errorf("left %q", s.Left)
			}
		})
	}
}

// The secret of a pair of files stands in one of them.
func TestScrubTwoFiles(t *testing.T) {
	files := cases(t)["clouds-and-secure"]
	out, err := source.Scrub(files, false, all)
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string][]int{}
	for _, s := range out {
		if s.Left != "" {
			t.Error(s.Left)
		}
		lines[s.Path] = s.Lines
	}
	if len(lines["clouds.yaml"]) != 0 || len(lines["secure.yaml"]) == 0 {
		t.Errorf("%v", lines)
	}
}

// FuzzScrub: whatever a file holds, what is scrubbed is scrubbed by whole lines,
// and without a secret that Parse finds.
func FuzzScrub(f *testing.F) {
	for _, c := range scrubbed {
		f.Add(c.file, []byte(c.text))
	}
	f.Fuzz(func(t *testing.T, path string, data []byte) {
		out, err := source.Scrub([]source.File{{Path: path, Data: data}}, false, all)
		if err != nil {
			return
		}
		s := out[0]
		if len(s.Lines) == 0 {
			if !bytes.Equal(s.Data, data) {
				t.Error("no line was taken out, and the file is another one")
			}
			return
		}
		onlyLines(t, string(data), s)
		found, _, _ := source.Parse([]source.File{{Path: path, Data: data}}, false)
		for _, f := range found {
			if p := f.Password.Reveal(); p != "" && bytes.Contains(s.Data, []byte(p)) {
				t.Error("the password is still there")
			}
		}
	})
}
