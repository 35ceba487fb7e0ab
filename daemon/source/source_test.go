package source_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/source"
)

var update = flag.Bool("update", false, "write the want.txt files")

// cases returns the folders of testdata/files with the files in each.
func cases(t testing.TB) map[string][]source.File {
	t.Helper()
	paths, err := filepath.Glob("testdata/files/*/*")
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]source.File)
	for _, path := range paths {
		folder, name := filepath.Base(filepath.Dir(path)), filepath.Base(path)
		if name == "want.txt" {
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[folder] = append(all[folder], source.File{Path: name, Data: data})
	}
	return all
}

// TestFiles reads each folder and compares with its want.txt.
func TestFiles(t *testing.T) {
	for folder, files := range cases(t) {
		t.Run(folder, func(t *testing.T) {
			found, notes, err := source.Parse(files, false)
			if err != nil {
				t.Fatal(err)
			}
			got, golden := render(found, notes), filepath.Join("testdata", "files", folder, "want.txt")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestOrderOfFiles: what belongs together is merged in either order.
func TestOrderOfFiles(t *testing.T) {
	for folder, files := range cases(t) {
		found, notes, err := source.Parse(files, false)
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(files)
		again, notesAgain, err := source.Parse(files, false)
		if err != nil {
			t.Fatal(err)
		}
		byFile := func(a, b source.Found) int { return strings.Compare(a.File, b.File) }
		slices.SortStableFunc(found, byFile)
		slices.SortStableFunc(again, byFile)
		slices.Sort(notes)
		slices.Sort(notesAgain)
		if diff := cmp.Diff(render(found, notes), render(again, notesAgain)); diff != "" {
			t.Errorf("%s: reversed (-forward +reversed)\n%s", folder, diff)
		}
	}
}

// render shows all but the secrets, of which it shows the length.
func render(found []source.Found, notes []string) string {
	var b strings.Builder
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "  %s: %s\n", key, value)
		}
	}
	secret := func(s account.Secret) string {
		if s.Empty() {
			return "none"
		}
		return fmt.Sprintf("%d bytes", len(s.Reveal()))
	}
	for _, f := range found {
		u, e := f.User, f.Environment
		fmt.Fprintf(&b, "%s:%d %s %q\n", f.File, f.Line, f.Format, f.Name)
		line("auth", u.Auth.URL)
		line("api", u.IdentityAPI)
		line("ca", u.Auth.CA)
		line("user", u.Name)
		line("user domain id", u.DomainID)
		line("user domain name", u.DomainName)
		line("project", e.Project)
		line("project id", e.ProjectID)
		line("project domain id", e.ProjectDomainID)
		line("project domain name", e.ProjectDomainName)
		line("region", e.Region)
		line("s3 endpoint", e.S3.Endpoint.URL)
		line("s3 region", e.S3.Region)
		if !u.Auth.IsZero() {
			line("password", secret(f.Password))
		}
		if f.AppCred != nil {
			line("application credential", f.AppCred.ID+" "+f.AppCred.Name+" "+secret(f.AppCred.Secret))
		}
		if f.Keys != nil {
			line("keys", f.Keys.AccessKeyID+" "+secret(f.Keys.Secret))
		}
		line("missing", f.Missing)
		for _, n := range f.Notes {
			line("note", n)
		}
	}
	for _, n := range notes {
		b.WriteString(n + "\n")
	}
	return b.String()
}

// one parses a file that holds one environment.
func one(t *testing.T, name, text string) source.Found {
	t.Helper()
	found, notes, err := source.Parse([]source.File{{Path: name, Data: []byte(text)}}, false)
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %d found, notes %q, %v", name, len(found), notes, err)
	}
	return found[0]
}

// refused parses a file that must be refused, and returns its one-line error.
func refused(t *testing.T, name, text string) string {
	t.Helper()
	found, _, err := source.Parse([]source.File{{Path: name, Data: []byte(text)}}, false)
	var syntax *source.SyntaxError
	if !errors.As(err, &syntax) || found != nil {
		t.Fatalf("%q: %d found, error %v, not a SyntaxError", text, len(found), err)
	}
	if strings.ContainsAny(err.Error(), "\n\r") {
		t.Errorf("the error has more than one line: %q", err)
	}
	return err.Error()
}

func TestRecognise(t *testing.T) {
	for folder, files := range cases(t) {
		for _, f := range files {
			want := source.Recognise(f.Path, f.Data)
			if want == "" || !slices.Contains(source.Formats(), want) {
				t.Errorf("%s/%s is recognised as %q", folder, f.Path, want)
			}
			// by content: the name of another format changes nothing, but between .env and openrc
			for _, name := range []string{"-", "credentials", "clouds.yaml", "rclone.conf", ".s3cfg", "notes.txt"} {
				if got := source.Recognise(name, f.Data); got != want && want != "dotenv" {
					t.Errorf("%s/%s named %s: %q, want %q", folder, f.Path, name, got, want)
				}
			}
		}
	}
	exports := "export OS_USERNAME=x\n"
	for name, want := range map[string]string{".env": "dotenv", "prod.env": "dotenv", ".env.local": "dotenv", "openrc": "openrc", "-": "openrc"} {
		if got := source.Recognise(name, []byte(exports)); got != want {
			t.Errorf("exports in %s: %q, want %q", name, got, want)
		}
	}
	for _, text := range []string{"", "hello", "{}", "# nothing\n", "[section]\nkey = value\n", "\x00OS_USERNAME=x"} {
		if got := source.Recognise("clouds.yaml", []byte(text)); got != "" {
			t.Errorf("%q is recognised as %q", text, got)
		}
	}
}

// TestBadFiles: each gets one clear line with file and line number.
func TestBadFiles(t *testing.T) {
	const head = "export OS_AUTH_URL=https://auth.cloud.ca OS_USERNAME=u OS_PROJECT_NAME=p\n"
	for _, c := range []struct{ name, text, want string }{
		{"f", "", "f: is empty"},
		{"f", "\ufeff \r\n", "f: is empty"},
		{"f", "hello\n", "f: is in none of the formats that are read: openrc, clouds.yaml, aws, s3cfg, rclone, dotenv"},
		{"-", "hello\n", "standard input: is in none"},
		{"a\nb", "hello\n", `"a\nb": is in none`},
		{"f", "\xff\xfeO\x00", "f: is UTF-16: save it as UTF-8"},
		{"f", head + "export OS_PASSWORD=hun\x00ter2\n", "f:2: holds a control character"},
		{"f", head + "export OS_PASSWORD=hun\xe9ter2\n", "f:2: is not UTF-8 text"},
		{"f", "\x7fELF\x02\x01", "f:1: holds a control character"},
		{"f", strings.Repeat("x", source.MaxSize+1), "f: is larger than 1 MiB"},

		{"rc", head + "export OS_PASSWORD=$(pass show x)\n", "rc:2: OS_PASSWORD is computed by a command, and nothing is executed"},
		{"rc", head + "export OS_PASSWORD=`cat x`\n", "rc:2: OS_PASSWORD is computed by a command"},
		{"rc", head + "p=$(pass show x)\n\nexport OS_PASSWORD=\"a$p\"\n", "rc:4: OS_PASSWORD is computed by a command"},
		{"rc", head + "export OS_PASSWORD=$HUNTER\n", "rc:2: OS_PASSWORD depends on a variable that the file does not set before"},
		{"rc", head + "export OS_PASSWORD=${X:-hunter2}\n", "rc:2: OS_PASSWORD is computed by the shell"},
		{"rc", head + "export OS_PASSWORD=$((1+1))\n", "rc:2: OS_PASSWORD is computed by the shell"},
		{"rc", head + "export OS_PASSWORD=$'hunter2'\n", "rc:2: OS_PASSWORD is written in $'…'"},
		{"rc", head + "OS_PASSWORD=(hunter2)\n", "rc:2: OS_PASSWORD is an array"},
		{"rc", head + "export OS_PASSWORD=hunter2 $\n", "rc:2: OS_PASSWORD has a space that is not in quotes"},
		{"rc", head + "if [ -f x ]; then\n export OS_PASSWORD=hunter2\nfi\n", "rc:3: OS_PASSWORD is set under a condition"},
		{"rc", head + "f() {\nexport OS_PASSWORD=hunter2; }\nf\n", "rc:3: OS_PASSWORD is set under a condition"},
		{"rc", head + "test -f x && OS_PASSWORD=hunter2\n", "rc:2: OS_PASSWORD is set under a condition"},
		{"rc", head + ": ${OS_PASSWORD:=hunter2}\n", "rc:2: OS_PASSWORD is set under a condition"},
		{"rc", head + "printf -v OS_PASSWORD hunter2\n", "rc:2: OS_PASSWORD is set under a condition or by a command"},
		{"rc", head + "OS_PASSWORD=hunter2 &\n", "rc:2: OS_PASSWORD is set under a condition"},
		{"rc", head + "echo x | while read -r OS_PASSWORD; do :; done\n", "rc:2: OS_PASSWORD is set under a condition"},
		{"rc", head + "read OS_USERNAME\n", "rc:2: OS_USERNAME is asked for by the script: only a password may be"},
		{"rc", head + "export OS_PASSWORD=\"hunter2\n", "rc:2: is no well-formed shell (an unclosed quote or bracket?)"},
		{"rc", "export OS_PASSWORD=\"hunter2\n" + head + "echo \"x\n", "rc: it sets neither"},
		{"rc", "export OS_PASSWORD=\"hunter2\n\"\n" + head, "rc:1: OS_PASSWORD runs over more than one line (an unclosed quote?)"},
		{"rc", head + "export OS_PASSWORD=hunter2 )\n", "rc:2: is no well-formed shell"},
		{"rc", head + "a=xxxxxxxxxxxxxxxx\n" + strings.Repeat("a=$a$a\n", 40) + "export OS_PASSWORD=$a\n", "rc:43: OS_PASSWORD is too long"},
		{"rc", head + strings.Repeat("#", 65<<10), "rc: is larger than 64 KiB"},
		{"rc", head + strings.Repeat("$(", 5000), "rc: has more than 1000 brackets"},
		{"rc", "export OS_REGION_NAME=x\n", "rc: it sets neither OS_AUTH_URL nor AWS_ACCESS_KEY_ID"},
		{"rc", "\nexport OS_AUTH_URL=https://auth.cloud.ca\n", "rc:2: it names no user"},
		{"rc", "export OS_AUTH_URL=https://auth.cloud.ca OS_USERNAME=u\n", "rc:1: it names no project"},
		{"rc", head + "export OS_AUTH_TYPE=v3token\n", "rc:1: its auth type is neither"},
		{"rc", head + "export OS_AUTH_TYPE=v3applicationcredential\n", "rc:1: its application credential has no id or no secret"},
		{"rc", "export OS_AUTH_URL=https://a OS_APPLICATION_CREDENTIAL_ID=x OS_APPLICATION_CREDENTIAL_SECRET='****'\n", "rc:1: its application credential has no secret"},
		{"rc", head + "export OS_IDENTITY_API_VERSION=1\n", "rc:1: its identity API is neither 3 nor 2.0"},
		{"rc", "export OS_AUTH_URL=http://auth.cloud.ca\n", "rc:1: OS_AUTH_URL must be an https URL"},
		{"rc", "export OS_AUTH_URL=https://user:hunter2@auth.cloud.ca\n", "rc:1: OS_AUTH_URL must be an https URL"},
		{"rc", "export OS_AUTH_URL=auth.cloud.ca\n", "rc:1: OS_AUTH_URL must be an https URL"},
		{"rc", "export AWS_ACCESS_KEY_ID=a AWS_SECRET_ACCESS_KEY=b AWS_SESSION_TOKEN=c\n", "rc:1: its S3 keys are temporary"},

		{".env", "OS_AUTH_URL=https://auth.cloud.ca\nOS_PASSWORD=\"hunter2\n", ".env:2: opens a quote that is never closed"},
		{".env", "OS_PASSWORD='a' b\n", ".env:1: has text after the closing quote"},
		{".env", "OS_USERNAME=x\nOS USERNAME\n", ".env:2: is not NAME=VALUE"},
		{".env", "OS_USERNAME=x\n-hunter2\n", ".env:2: is not NAME=VALUE"},
		{".env", "OS_AUTH_URL=https://a\nOS_PASSWORD=\"$(cat x)\"\n", ".env:2: OS_PASSWORD is computed by a command"},
		{".env", "OS_AUTH_URL=https://a\nOS_PASSWORD=a`b`\n", ".env:2: OS_PASSWORD is computed by a command"},
		{".env", "OS_AUTH_URL=https://a\nOS_PASSWORD=pa$word\n", ".env:2: OS_PASSWORD depends on a variable"},
		{".env", "OS_AUTH_URL=https://a\nOS_PASSWORD=${X:-y}\n", ".env:2: OS_PASSWORD is computed by the shell"},
		{".env", "OS_AUTH_URL=https://a\nOS_PASSWORD=\"a\\nb\"\n", ".env:2: OS_PASSWORD runs over more than one line"},
		{".env", "OS_AUTH_URL=https://a\nOS_PASSWORD=p\nOS_PROJECT_NAME=p\nOS_USERNAME=" + strings.Repeat("é", 256) + "\n", ".env:4: OS_USERNAME is longer than 255 characters"},
		{".env", "OS_AUTH_URL=https://a\nOS_PASSWORD=p\nOS_USERNAME=u\nOS_PROJECT_NAME=" + strings.Repeat("x", 256) + "\n", ".env:4: OS_PROJECT_NAME is longer than 255 characters"},
		{".env", "OS_AUTH_URL=https://a\nOS_PASSWORD=p\nOS_USERNAME=" + strings.Repeat("é", 255) + "\nOS_DEFAULT_DOMAIN=" + strings.Repeat("x", 256) + "\n", ".env:4: OS_DEFAULT_DOMAIN is longer than 255 characters"},
		{".env", "OS_AUTH_URL=https://a\nOS_PASSWORD=" + strings.Repeat("x", 20<<10) + "\n", ".env:2: OS_PASSWORD is too long"},

		{"c", "clouds: [a]\n", "c:1: must be a mapping"},
		{"c", "clouds:\n  a:\n\tb: c\n", "is no well-formed YAML"},
		{"c", "clouds:\n  a:\n    auth: {password: \"hunter2\n", "is no well-formed YAML"},
		{"c", "clouds: {}\n---\nclouds: {}\n", "c:2: begins a second YAML document"},
		{"c", "clouds:\n  a: {}\n  a: {}\n", "c:3: gives a name that is there already, see c:2"},
		{"c", "clouds:\n  a:\n    auth:\n      password: x\n      password: y\n", "c:5: gives a name that is there already"},
		{"c", "clouds:\n  a:\n    auth:\n      auth_url: https://a\n      password: [hunter2]\n", "c:5: password must be one plain value"},
		{"c", "clouds:\n  a:\n    auth:\n      auth_url: https://a\n      password: !vault |\n        hunter2\n", "c:5: password must be one plain value"},
		{"c", "clouds:\n  a:\n    auth:\n      auth_url: ftp://a\n", "c:4: auth_url must be an https URL"},
		{"c", "clouds:\n  ? [a]\n  : b\n", "c:2: has a name that is no plain text"},
		{"c", "a: &a\n  <<: *a\nclouds:\n  <<: *a\n", "uses more aliases"},
		{"c", "clouds:\n  a:\n    auth: *hunter2\n", "is no well-formed YAML"},
		{"c", bomb(), "grows too large by its aliases"},

		{"credentials", "aws_access_key_id = x\n[a]\n", "credentials:1: sets a key before the first [section]"},
		{"credentials", "[a]\naws_access_key_id = x\nhunter2\n", "credentials:3: is neither a [section], nor key = value, nor a comment"},
		{"credentials", "[a]\naws_access_key_id = x\n[b\n", "credentials:3: begins a section without a name or without the closing bracket"},
		{"credentials", "[a]\naws_access_key_id = x\n[a]\n", "credentials:3: begins a section that is there already, see credentials:1"},
		{"credentials", "[a]\naws_access_key_id = x\naws_access_key_id = y\n", "credentials:3: gives a key that is there already, see credentials:2"},
		{"credentials", "[a]\naws_access_key_id = x\naws_secret_access_key = hunter2\n  more\n", "credentials:3: aws_secret_access_key runs over more than one line"},
		{"credentials", "[a]\naws_access_key_id = x\nendpoint_url = http://s3.example\n", "credentials:3: endpoint_url must be an https URL"},
		{"s3cfg", "access_key = a\n[default]\naccess_key = b\n", "s3cfg:3: access_key is in two sections"},
		{"s3cfg", "access_key = a\nhost_base = s3.example\nuse_https = False\n", "s3cfg:2: host_base must be an https URL"},
		{"rclone.conf", "# sealed\n\nRCLONE_ENCRYPT_V0:\nabc\n", "rclone.conf:3: is sealed with rclone's configuration password: pipe `rclone config show`"},
		{"rclone.conf", "[a]\ntype = s3\naccess_key_id = a\nendpoint = http://s3.example\n", "rclone.conf:4: endpoint must be an https URL"},
	} {
		if got := refused(t, c.name, c.text); !strings.Contains(got, c.want) {
			t.Errorf("%.60q:\n got %s\nwant %s", c.text, got, c.want)
		} else if strings.Contains(got, "hunter2") {
			t.Errorf("%.60q: the error shows the secret: %s", c.text, got)
		}
	}
}

// bomb returns a small file that aliases make large.
func bomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 {")
	for i := range 2000 {
		fmt.Fprintf(&b, "k%d: 1, ", i)
	}
	b.WriteString("}\na1: &a1 {<<: [" + strings.Repeat("*a0, ", 200) + "]}\nclouds: {<<: [*a1, *a1, *a1]}\n")
	return b.String()
}

// TestHostileSizes: a large file that is all nesting, aliases, entries or one
// value ends in an answer, with a stack that the daemon can afford.
func TestHostileSizes(t *testing.T) {
	const size = 60 << 10                                // just below what is read of a script
	defer debug.SetMaxStack(debug.SetMaxStack(64 << 20)) // an overflow ends the process
	for _, c := range []struct {
		name, head string
		fill       []string
	}{
		{"openrc", "export OS_AUTH_URL=https://a\n", []string{"$(", "(", "{ ", "`", "${a:-", "$((", "a[", "! ", "if a; then ", "a && ", "a\n", "$a", "$[", "A=$A$A\n"}},
		{"openrc", "export OS_X=$((", []string{"-", "a?", "a=", "!"}},
		{"clouds.yaml", "clouds:\n", []string{"[", "{", "- ", "? ", "&a ", "a: {", " a: b\n", "- #\n", " a: &a [*a]\n", " <<: {", "\t", " c%d: {}\n"}},
		{"credentials", "[a]\naws_access_key_id = x\n", []string{"[", "[b]\n", " x = y\n", "=", "s3 =\n a = b\n", "x", "[p%d]\n"}},
		{"s3cfg", "access_key = x\n", []string{"[b]\n", "a = b\n", "\""}},
		{"rclone.conf", "[a]\ntype = s3\n", []string{"[b]\n", "[r%d]\ntype=s3\n", "a = b\n", "`"}},
		{".env", "OS_AUTH_URL=https://a\n", []string{"A=$A$A\n", "A='", "\"", "$", "\\", " ", "A\n", "A=\"\\"}},
	} {
		for _, fill := range c.fill {
			text := []byte(c.head)
			for i := 0; len(text) < size; i++ {
				if strings.Contains(fill, "%d") { // entries that all differ
					text = fmt.Appendf(text, fill, i)
				} else {
					text = append(text, fill...)
				}
			}
			_, _, err := source.Parse([]source.File{{Path: c.name, Data: text}}, false)
			var syntax *source.SyntaxError
			if err != nil && !errors.As(err, &syntax) {
				t.Errorf("%s: %q: %v", c.name, fill, err)
			}
		}
	}
}
