package view

import (
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"pgregory.net/rapid"
)

// documented is the environment of cloud.ca's own documentation, with every
// kind of secret.
func documented() Material {
	return Material{
		User: account.User{
			ID: "u1", Name: "system-ccontini-2925", DomainID: "default", IdentityAPI: "3",
			Auth: account.Endpoint{URL: "https://auth.cloud.ca"}, KeystoneID: "ks-user",
		},
		Environment: account.Environment{
			ID: "e1", Name: "dev", UserID: "u1", Project: "system-ccontini", ProjectID: "ks-project",
			ProjectDomainID: "default", StorageURL: "https://objects-qc.cloud.ca/v1/ks-project",
			S3: account.S3{Endpoint: account.Endpoint{URL: "https://objects.cloud.ca"}, Region: "cloud.ca"},
		},
		Password: account.NewSecret("hunter2"),
		Token:    account.Token{ID: account.NewSecret("gAAAA-token"), Expires: time.Unix(1800000000, 0)},
		AppCred:  account.ApplicationCredential{ID: "ac-id", Name: "ccad", Secret: account.NewSecret("ac-secret")},
		Keys:     account.KeyPair{AccessKeyID: "076d7a255a4236965ba97b4f91363f2", Secret: account.NewSecret("sk")},
	}
}

// requests returns every client with every auth that it has.
func requests() []Request {
	var all []Request
	for name, c := range clients {
		for _, m := range c.auths {
			all = append(all, Request{Client: name, Auth: m.auth})
		}
	}
	return all
}

// hostile values, each of which has broken somebody's quoting.
var hostile = []string{
	"hunter2", "", " ", "  both ends  ", "\ttab\t", "a\nb", "ends in a newline\n", "\n", "cr\rlf\r\n",
	"'", "''", "'''", "it's", `"`, `""`, `"quoted"`, `"""triple"""`, `'single'`, `'"'"'`, "`id`", "``", "`", "$(id)", "${HOME}", "$HOME", "$", "$$", "$'x'",
	`\`, `\\`, `ends in \`, `\'`, `\"`, `\n`, `a\\b`, "%", "%s", "%(bucket)s", "%%", "100%", "#", "# comment", "a #b", ";", "; x", "a;b",
	"!", "!!", "!$", "~", "~root", "=ls", "a=b", "==", "a:~:b", "*", "?", "[a-z]*", "{a,b}", "(x)", "<x>", "|x", "&", "&&", ">x",
	"-", "-n", "--", "-p 'w", "@x", "^a^b", "a,b", "a: b", "- a", "null", "true", "yes", "no", "0123", "1e3", "0x1f", "1:30", "2026-11-22", ".inf", "<<", "|", ">", "%YAML", "---", "...",
	"é", "pässwörd", "日本語", "🔑", "\u00a0nbsp\u00a0", "\u0085nel\u0085", "\u2028", "\ufeffbom", "a\u0301", "\uf600", "\ue000", "\U0010ffff", "\x01\x02\x1b[31m\x7f", "\x1cfs\x1f", "\v\f",
	strings.Repeat("0123456789", 8) + "é", strings.Repeat("x", 4096),
	every(0x20, 0x7e), every(0x01, 0x1f), every(0xa0, 0x17f),
}

func every(first, last rune) string {
	var b strings.Builder
	for r := first; r <= last; r++ {
		b.WriteRune(r)
	}
	return b.String()
}

// with fills every field that a person or a cloud can choose.
func with(value string) Material {
	m := documented()
	m.User.Name, m.Environment.Project, m.Environment.Region = value, value, value
	m.User.DomainID, m.User.DomainName = "", value
	m.Environment.ProjectDomainID, m.Environment.ProjectDomainName = value, ""
	m.Environment.S3.Region = value
	m.Password, m.Token.ID = account.NewSecret(value), account.NewSecret(value)
	m.AppCred.ID, m.AppCred.Secret = value, account.NewSecret(value)
	m.Keys = account.KeyPair{AccessKeyID: value, Secret: account.NewSecret(value)}
	return m
}

// A trial is one view to be read by the real reader.
type trial struct {
	Request
	Material
}

// value generates strings of characters that matter somewhere.
var value = rapid.OneOf(
	rapid.String(),
	rapid.StringOf(rapid.SampledFrom([]rune("'\"`\\$%#(){}!~=: \t\n\r-;&|<>*?[]@^,s\x00\x1b\u00a0é🔑ab01"))),
	rapid.SampledFrom(hostile),
)

func trials(format string) *rapid.Generator[trial] {
	return rapid.Custom(func(t *rapid.T) trial {
		r := rapid.SampledFrom(readers(format)).Draw(t, "request")
		m := with(value.Draw(t, "value"))
		m.Password = account.NewSecret(value.Draw(t, "password"))
		m.Keys.Secret = account.NewSecret(value.Draw(t, "key"))
		return trial{r, m}
	})
}

// readers returns the requests that a format allows.
func readers(format string) []Request {
	var all []Request
	for _, r := range requests() {
		r.Format = format
		if _, _, err := Plan(r); err == nil {
			all = append(all, r)
		}
	}
	return all
}

// read runs a real reader on batches of views: on the hostile values, and on
// generated ones, five batches, since each costs the start of a process.
func read(t *testing.T, format string, reader func(t rapid.TB, batch []trial)) {
	t.Helper()
	var batch []trial
	for i, v := range hostile {
		all := readers(format)
		batch = append(batch, trial{all[i%len(all)], with(v)})
	}
	if reader(t, batch); t.Failed() {
		return
	}
	checks := flag.Lookup("rapid.checks")
	usual := checks.Value.String()
	t.Cleanup(func() { _ = checks.Value.Set(usual) })
	if err := checks.Value.Set("5"); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		reader(rt, rapid.SliceOfN(trials(format), 10, 40).Draw(rt, "batch"))
	})
}

// program returns the path of a program that the test needs. One that is not
// there fails the test, unless a partial run is asked for.
func program(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil && args != nil {
		err = exec.Command(path, args...).Run()
	}
	switch {
	case err == nil:
		return path
	case os.Getenv("CCAD_TEST_PARTIAL") == "1":
		t.Skipf("%s %s: %v", name, strings.Join(args, " "), err)
	default:
		t.Fatalf("%s %s: %v (CCAD_TEST_PARTIAL=1 leaves it out)", name, strings.Join(args, " "), err)
	}
	return ""
}

// quiet is the environment in which readers run.
func quiet(home string) []string {
	return []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + home, "LC_ALL=C.UTF-8", "PYTHONUTF8=1"}
}
