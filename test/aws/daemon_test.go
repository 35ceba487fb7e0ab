package aws_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cloud-ca/ccad/test/lab"
)

// TestProfile lets each SDK live by the profiles that ccactl writes, and nothing
// else: a real daemon, credential_process, the gateway for the region cloud.ca
// ("dev"), and straight to the endpoint for another ("direct").
func TestProfile(t *testing.T) {
	if os.Getenv("CCAD_LAB") == "" {
		t.Skip("CCAD_LAB is unset: make test sets it")
	}
	l := lab.Start(t, lab.Options{})
	u := l.NewUser(t, "dev", "direct")
	env := daemon(t, l, u)

	t.Run("boto3", func(t *testing.T) {
		const script = `import boto3
s3 = boto3.Session(profile_name="dev").client("s3", endpoint_url=__import__("os").environ["CCAD_TEST_URL"])
try: s3.create_bucket(Bucket="boto")
except s3.exceptions.BucketAlreadyOwnedByYou: pass
s3.put_object(Bucket="boto", Key="k", Body=b"v")
assert s3.get_object(Bucket="boto", Key="k")["Body"].read() == b"v"
print("works")`
		ran := 0
		for _, python := range []string{"/usr/bin/python3", "python3"} {
			if exec.Command(python, "-c", "import boto3").Run() != nil {
				continue
			}
			ran++
			contains(t, python, client{t: t, dir: t.TempDir(), env: env, argv: []string{python, "-c"}}.run(script), "works")
		}
		if ran == 0 {
			leaveOut(t, "no python3 has boto3")
		}
	})
	t.Run("aws", func(t *testing.T) {
		for name, path := range clis(t) {
			for _, profile := range []string{"dev", "direct"} {
				c := client{t: t, dir: t.TempDir(), env: env, argv: []string{path, "--profile", profile}}
				if !knowsEndpoints(name) { // as the README has it
					c.argv = append(c.argv, "--endpoint-url", strings.TrimSpace(c.run("configure", "get", "endpoint_url")))
				}
				_, data := file(t, c.dir, "sent", 1000)
				bucket := "s3://by-" + strings.ReplaceAll(name, ".", "-") + "-" + profile
				c.run("s3", "mb", bucket)
				c.run("s3", "cp", "--quiet", "sent", bucket+"/k")
				contains(t, name, c.run("s3", "ls", bucket), "1000 k")
				c.run("s3", "cp", "--quiet", bucket+"/k", "back")
				same(t, filepath.Join(c.dir, "back"), data)
			}
		}
	})
	t.Run("JavaScript", func(t *testing.T) {
		installJS(t)
		js, err := filepath.Abs("js")
		if err != nil {
			t.Fatal(err)
		}
		const script = `import { S3 } from "@aws-sdk/client-s3";
const s3 = new S3({ forcePathStyle: true });
await s3.createBucket({ Bucket: "javascript-profile" });
await s3.putObject({ Bucket: "javascript-profile", Key: "k", Body: "v" });
const got = await (await s3.getObject({ Bucket: "javascript-profile", Key: "k" })).Body.transformToString();
console.log(got === "v" ? "works" : "differs");`
		for _, profile := range []string{"dev", "direct"} {
			c := client{t: t, dir: js, env: append(slices.Clone(env), "AWS_PROFILE="+profile, "AWS_SDK_LOAD_CONFIG=1"), argv: []string{need(t, "node"), "--input-type=module", "-e"}}
			contains(t, "node", c.run(script), "works")
		}
	})
	t.Run("Go", func(t *testing.T) {
		for _, pair := range env {
			if name, value, ok := strings.Cut(pair, "="); ok && (strings.HasPrefix(name, "XDG_") || strings.HasPrefix(name, "AWS_")) {
				t.Setenv(name, value)
			}
		}
		for _, profile := range []string{"dev", "direct"} {
			cfg, err := config.LoadDefaultConfig(t.Context(), config.WithSharedConfigProfile(profile), config.WithSharedConfigFiles([]string{os.Getenv("AWS_CONFIG_FILE")}))
			if err != nil {
				t.Fatal(err)
			}
			s := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
			if _, err := s.ListBuckets(t.Context(), nil); err != nil {
				t.Errorf("%s: %v", profile, err)
			}
		}
	})
}

// knowsEndpoints reports whether an AWS CLI reads endpoint_url in a profile:
// from 1.29 and 2.13 on.
func knowsEndpoints(name string) bool {
	var major, minor int
	_, err := fmt.Sscanf(name, "aws-cli-%d.%d", &major, &minor)
	return err == nil && (major == 1 && minor >= 29 || major == 2 && minor >= 13 || major > 2)
}

// daemon starts a daemon that holds the user's environments dev and direct, and
// returns what a client's process gets.
func daemon(t *testing.T, l *lab.Lab, u lab.User) []string {
	t.Helper()
	ccactl := startDaemon(t, "", "")
	for project := range u.Projects {
		name, endpoint := "dev", l.S3URL
		if strings.HasPrefix(project, "direct") {
			name, endpoint = "direct", l.S3URLUS
		}
		adopt(ccactl, l, u, name, project, endpoint)
	}
	profile(ccactl, "direct")
	return append(ccactl.env, "CCAD_TEST_URL="+profile(ccactl, "dev"))
}

// startDaemon builds ccad and ccactl, with tags for ccad, and starts a daemon
// with a home of its own. What comes back runs ccactl; its environment is what a
// client's process gets.
func startDaemon(t *testing.T, tags, configuration string) client {
	t.Helper()
	home, bin := t.TempDir(), t.TempDir()
	run, err := os.MkdirTemp("", "cc") // short: a socket's path has 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(run) })
	build := exec.Command("go", "build", "-tags", tags, "-o", bin+"/", "./cmd/ccad", "./cmd/ccactl")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	env := []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + home, "LANG=C.UTF-8", "PYENV_ROOT=" + pyenvRoot(),
		"XDG_RUNTIME_DIR=" + run, "XDG_CONFIG_HOME=" + home + "/c", "XDG_DATA_HOME=" + home + "/d", "XDG_STATE_HOME=" + home + "/s",
		"AWS_CONFIG_FILE=" + home + "/config", "AWS_SHARED_CREDENTIALS_FILE=" + home + "/none", "AWS_EC2_METADATA_DISABLED=true"}
	write := func(name, text string) string {
		path := filepath.Join(home, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ctx, cancel := context.WithCancel(context.Background())
	ccad := exec.CommandContext(ctx, filepath.Join(bin, "ccad"), "run",
		"--passphrase-file", write("passphrase", "correct horse\n"), "--config", write("config.toml", configuration))
	ccad.Env = env
	ccad.Cancel = func() error { return ccad.Process.Signal(os.Interrupt) }
	out, err := ccad.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := ccad.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = ccad.Wait() })
	if n, err := out.Read(make([]byte, 256)); err != nil || n == 0 {
		t.Fatalf("no ready line: %v", err)
	}
	return client{t: t, dir: home, env: env, argv: []string{filepath.Join(bin, "ccactl")}}
}

// adopt imports one project of a user.
func adopt(ccactl client, l *lab.Lab, u lab.User, name, project, s3 string) {
	ccactl.t.Helper()
	rc := "OS_AUTH_URL=" + l.AuthURL + "\nOS_USERNAME=" + u.Name + "\nOS_PASSWORD=" + u.Password + "\nOS_PROJECT_NAME=" + project + "\nOS_IDENTITY_API_VERSION=3\n"
	if err := os.WriteFile(filepath.Join(ccactl.dir, name+".env"), []byte(rc), 0o600); err != nil {
		ccactl.t.Fatal(err)
	}
	ccactl.run("import", name+".env", "--name", name, "--s3-endpoint", s3)
}

// profile has ccactl write an AWS profile, and returns its endpoint: the AWS CLI
// 2 before 2.13 reads none.
func profile(ccactl client, name string) (url string) {
	ccactl.t.Helper()
	ccactl.run("configure", "aws", name)
	data, err := os.ReadFile(filepath.Join(ccactl.dir, "config"))
	if err != nil {
		ccactl.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "[profile "+name+"]")
	_, rest, _ = strings.Cut(rest, "endpoint_url = ")
	url, _, _ = strings.Cut(rest, "\n")
	return url
}
