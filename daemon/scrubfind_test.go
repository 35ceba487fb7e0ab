package daemon_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/ipc"
	"github.com/cloud-ca/ccad/test/practice"
)

// What import would take from a file is found as its parsers read it, held or
// not; what they take nothing of is no secret of ours.
func TestScrubFindsWhatImportTakes(t *testing.T) {
	w := newWorld(t, practice.Options{})
	const user = "OS_USERNAME=u OS_PROJECT_NAME=p OS_AUTH_URL=https://auth.example"
	for _, c := range []struct {
		path, text string
		lines      []int
		left       string
	}{
		{"clouds.yaml", "clouds:\n  dev:\n    auth: {auth_url: 'https://auth.example', username: u, project_name: p, password: hunter2}\n", nil, "clouds.yaml:3: password"},
		{"a-openrc.sh", "export " + user + " OS_PASSWORD=hunter2\n", nil, "a-openrc.sh:1: OS_PASSWORD"},
		{"b-openrc.sh", "declare -x " + user + "\ndeclare -x OS_PASSWORD=hunter2\n", nil, "b-openrc.sh:2: OS_PASSWORD"},
		{"c-openrc.sh", "export " + user + "\nexport OS_PASSWORD=hunter2\n", []int{2}, ""},
		{"rclone.conf", "[b2]\ntype = b2\naccount = a\nkey = hunter2\n[az]\ntype = azureblob\nkey = hunter2\n[amazon]\ntype = s3\nprovider = AWS\naccess_key_id = AK\nsecret_access_key = hunter2\n", nil, ""},
		{"rclone.conf", "[dev]\ntype = swift\nuser = u\nkey = hunter2\nauth = https://auth.example/v3\ntenant = p\n", []int{4}, ""},
		{".s3cfg", "[default]\naccess_key = AK\nsecret_key = hunter2\nhost_base = s3.amazonaws.com\n", nil, ""},
		{".s3cfg", "[default]\naccess_key = AK\nsecret_key = hunter2\nhost_base = s3.eu-west-1.amazonaws.com\n", nil, ""},
		{".s3cfg", "[default]\naccess_key = AK\nsecret_key = hunter2\nhost_base = s3.example\n", []int{3}, ""},
		{"credentials", "[default]\naws_access_key_id = AK\naws_secret_access_key = ********\nendpoint_url = https://s3.example\n", nil, ""},
		{"credentials", "[work]\naws_access_key_id = AK\naws_secret_access_key = amazons\n[ours]\naws_access_key_id = AK2\naws_secret_access_key = hunter2\nendpoint_url = https://s3.example\n", []int{5, 6}, ""},
	} {
		var out ipc.ScrubReply
		file := ipc.File{Path: "/x/" + c.path, Data: []byte(c.text)}
		w.do("POST", "/v1/scrub", ipc.ScrubRequest{Files: []ipc.File{file}, Find: true}, &out)
		if s := out.Files[0]; !slices.Equal(s.Lines, c.lines) || !strings.Contains(s.Left, c.left) || (s.Left == "") != (c.left == "") {
			t.Errorf("%s: lines %v, left %q; want %v, %q\n%s", c.path, s.Lines, s.Left, c.lines, c.left, c.text)
		}
		out = ipc.ScrubReply{}
		w.do("POST", "/v1/scrub", ipc.ScrubRequest{Files: []ipc.File{file}}, &out)
		if s := out.Files[0]; len(s.Lines) > 0 || s.Left != "" {
			t.Errorf("%s: ccad holds nothing of it, and would take %v out (%s)", c.path, s.Lines, s.Left)
		}
	}
}
