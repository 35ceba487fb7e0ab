package aws_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/daemon/gateway"
	"github.com/cloud-ca/ccad/daemon/view"
)

// tree makes a folder of files, empty, small and one of several parts.
func tree(t *testing.T, dir string) string {
	t.Helper()
	root := filepath.Join(dir, "tree")
	for i := range 12 {
		file(t, root, fmt.Sprint("f", i), max(0, i-4)*1000)
	}
	file(t, root, "a dir/ü +&%2F;#", 10)
	file(t, root, "parts", 12<<20)
	return root
}

func equalTrees(t *testing.T, a, b string) {
	t.Helper()
	if out, err := exec.Command("diff", "-r", a, b).CombinedOutput(); err != nil {
		t.Errorf("what came back differs: %s", out)
	}
}

// TestRclone runs it in the region it is told and in the server's own, which it
// alone could use without a gateway.
func TestRclone(t *testing.T) {
	t.Parallel()
	rclone := need(t, "rclone")
	for _, region := range []string{"us-east-1", "cloud.ca"} {
		t.Run(region, func(t *testing.T) {
			w := newWorld(t)
			c := client{t: t, dir: w.home, argv: []string{rclone, "--retries", "1"}, env: w.env("RCLONE_CONFIG="+filepath.Join(w.home, "rclone.conf"),
				"RCLONE_CONFIG_G_TYPE=s3", "RCLONE_CONFIG_G_PROVIDER=Other", "RCLONE_CONFIG_G_ENV_AUTH=true",
				"RCLONE_CONFIG_G_ENDPOINT="+w.url, "RCLONE_CONFIG_G_REGION="+region, "RCLONE_S3_UPLOAD_CUTOFF=5Mi", "RCLONE_S3_CHUNK_SIZE=5Mi")}
			root := tree(t, w.home)
			c.run("mkdir", "g:rclone")
			c.run("copy", root, "g:rclone/tree")
			c.run("check", "--download", root, "g:rclone/tree")
			c.run("copy", "g:rclone/tree", "back")
			equalTrees(t, root, filepath.Join(w.home, "back"))
			contains(t, "lsf", c.run("lsf", "-R", "g:rclone/tree"), "a dir/ü +&%2F;#", "f0")
			c.run("moveto", "g:rclone/tree/parts", "g:rclone/moved")
			contains(t, "size", c.run("size", "g:rclone/moved"), "12582912")
			pipe := client{t: t, dir: c.dir, env: c.env, argv: []string{"sh", "-c", `head -c 7000000 /dev/zero | "$@"`, "sh"}}
			pipe.run(append(append([]string{}, c.argv...), "rcat", "g:rclone/stdin")...)
			if out := c.run("cat", "--count", "10", "--offset", "5", "g:rclone/stdin"); len(out) != 10 {
				t.Errorf("cat gave %d bytes", len(out))
			}
			resp, err := http.Get(strings.TrimSpace(c.run("link", "g:rclone/tree/f5")))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if got, err := io.ReadAll(resp.Body); err != nil || len(got) != 1000 {
				t.Errorf("the link gives %d bytes, %v", len(got), err)
			}
			c.run("purge", "g:rclone")
		})
	}
}

// TestRestic: its S3 backend uploads in signed chunks, which this Swift refuses.
// Without a region it asks for the bucket's, and would sign for that (trap F).
func TestRestic(t *testing.T) {
	t.Parallel()
	restic := need(t, "restic")
	for _, region := range []string{"us-east-1", ""} {
		t.Run("region "+region, func(t *testing.T) {
			w := newWorld(t)
			env := slices.DeleteFunc(w.env("RESTIC_PASSWORD=x", "RESTIC_REPOSITORY=s3:"+w.url+"/restic"), func(v string) bool {
				return region == "" && (strings.HasPrefix(v, "AWS_REGION=") || strings.HasPrefix(v, "AWS_DEFAULT_REGION="))
			})
			c := client{t: t, dir: w.home, argv: []string{restic, "--no-cache", "-q"}, env: env}
			root := tree(t, w.home)
			c.run("init")
			c.run("backup", root)
			file(t, root, "later", 100_000)
			c.run("backup", root)
			c.run("check", "--read-data")
			c.run("restore", "latest", "--target", "back")
			equalTrees(t, root, filepath.Join(w.home, "back", root))
			c.run("forget", "--keep-last", "1", "--prune")
			c.run("check")
		})
	}
}

func TestS3cmd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	config := fmt.Sprintf("[default]\naccess_key = %s\nsecret_key = %s\nhost_base = %[3]s\nhost_bucket = %[3]s\nuse_https = False\nbucket_location = us-east-1\n",
		w.Pair.AccessKeyID, w.Pair.Secret.Reveal(), strings.TrimPrefix(w.url, "http://"))
	path := filepath.Join(w.home, "s3cfg")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	c := client{t: t, dir: w.home, env: w.env(), argv: []string{need(t, "s3cmd"), "-c", path, "--no-progress"}}
	root := tree(t, w.home)
	c.run("mb", "s3://s3cmd")
	c.run("sync", "tree/", "s3://s3cmd/tree/")
	c.run("put", "--multipart-chunk-size-mb=5", "tree/parts", "s3://s3cmd/parts")
	c.run("get", "s3://s3cmd/parts", "parts")
	data, err := os.ReadFile(filepath.Join(root, "parts"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, filepath.Join(w.home, "parts"), data)
	if err := os.Mkdir(filepath.Join(w.home, "back"), 0o700); err != nil {
		t.Fatal(err)
	}
	c.run("sync", "s3://s3cmd/tree/", "back/")
	equalTrees(t, root, filepath.Join(w.home, "back"))
	c.run("cp", "s3://s3cmd/tree/f8", "s3://s3cmd/f8")
	contains(t, "ls", c.run("ls", "s3://s3cmd/"), "s3://s3cmd/f8")
	contains(t, "info", c.run("info", "s3://s3cmd/f8"), "File size: 4000")
	c.run("del", "--recursive", "--force", "s3://s3cmd/")
	c.run("rb", "s3://s3cmd")
}

// TestCredentialEndpoint: clients that get nothing but a URL and a token.
func TestCredentialEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// Nothing but what exec gives: no key, and none of the person's files.
	env := slices.DeleteFunc(w.env(), func(v string) bool { return strings.HasPrefix(v, "AWS_") && v != "AWS_EC2_METADATA_DISABLED=true" })
	elsewhere(t, w.home)
	c := client{t: t, dir: w.home, env: append(env, endpointEnv(w)...)}
	file(t, w.home, "f", 100_000)
	for name, path := range clis(t) {
		c := c
		c.argv = []string{path, "--endpoint-url", w.url}
		bucket := "s3://" + strings.ReplaceAll(name, ".", "-")
		c.run("s3", "mb", bucket)
		c.run("s3", "cp", "f", bucket+"/f")
		contains(t, name, c.run("s3", "ls", bucket), "100000 f")
	}
	rclone := c
	rclone.argv = []string{need(t, "rclone")}
	rclone.env = append(rclone.env, "RCLONE_CONFIG="+filepath.Join(w.home, "rclone.conf"),
		"RCLONE_CONFIG_G_TYPE=s3", "RCLONE_CONFIG_G_PROVIDER=Other", "RCLONE_CONFIG_G_ENV_AUTH=true", "RCLONE_CONFIG_G_ENDPOINT="+w.url, "RCLONE_CONFIG_G_REGION=us-east-1")
	rclone.run("copyto", "f", "g:rclone-endpoint/f")
	restic := c
	restic.argv = []string{need(t, "restic"), "--no-cache", "-q"}
	restic.env = append(restic.env, "RESTIC_PASSWORD=x", "RESTIC_REPOSITORY=s3:"+w.url+"/restic-endpoint")
	restic.run("init")
	restic.run("backup", filepath.Join(w.home, "f"))
	installJS(t)
	js := c
	js.argv = []string{need(t, "node"), "--input-type=module", "-e", `
		import { createRequire } from "node:module";
		const { S3 } = createRequire(process.env.CCAD_TEST_JS)("@aws-sdk/client-s3");
		const s3 = new S3({ endpoint: process.env.CCAD_TEST_URL, forcePathStyle: true });
		await s3.createBucket({ Bucket: "js-endpoint" });
		await s3.putObject({ Bucket: "js-endpoint", Key: "k", Body: "x" });
		console.log("works")`}
	here, err := filepath.Abs("js/package.json")
	if err != nil {
		t.Fatal(err)
	}
	js.env = append(js.env, "CCAD_TEST_JS="+here)
	contains(t, "JavaScript", js.run(), "works")
	python := c
	python.argv = []string{need(t, "python3"), "-c", `
import boto3, os
s3 = boto3.client("s3", endpoint_url=os.environ["CCAD_TEST_URL"])
s3.create_bucket(Bucket="boto-endpoint")
s3.put_object(Bucket="boto-endpoint", Key="k", Body=b"x")
print("works")`}
	contains(t, "boto3", python.run(), "works")
}

// elsewhere gives a home AWS files with a key that is good somewhere else.
func elsewhere(t *testing.T, home string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(home, ".aws"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"config", "credentials"} {
		if err := os.WriteFile(filepath.Join(home, ".aws", name), []byte("[default]\naws_access_key_id = AKIAELSEWHERE\naws_secret_access_key = elsewhere\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// endpointEnv is what exec --endpoint sets.
func endpointEnv(w *world) (env []string) {
	token := gateway.MintToken(vaultKey, w.binding.ID, 1, w.until(), gateway.Holder{})
	for entry := range strings.SplitSeq(string(view.Endpoint(w.url+gateway.CredentialPath, token.Reveal(), w.url, "us-east-1")), "\x00") {
		if strings.Contains(entry, "=") {
			env = append(env, entry)
		}
	}
	return env
}
