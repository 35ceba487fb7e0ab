package aws_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// clis are the AWS CLIs of the machine: Debian's, which knows no endpoint_url
// in a profile, and a newer one where PATH has one; nothing of ours installs that.
func clis(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, path := range []string{"/usr/bin/aws", "aws"} {
		p, err := exec.LookPath(path)
		if err != nil {
			t.Run("missing", func(t *testing.T) { leaveOut(t, "there is no "+path) })
			continue
		}
		out, err := exec.Command(p, "--version").CombinedOutput()
		if err != nil {
			t.Fatalf("%s --version: %s", p, out)
		}
		version, _, _ := strings.Cut(string(out), " ")
		found[strings.ReplaceAll(version, "/", "-")] = p
	}
	if len(found) == 1 { // a newer one is no demand
		t.Log("there is one AWS CLI, and no other in PATH")
	}
	return found
}

func TestAWSCLI(t *testing.T) {
	t.Parallel()
	for name, path := range clis(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			config := "[default]\nregion = us-east-1\ns3 =\n    signature_version = s3v4\n"
			if err := os.WriteFile(filepath.Join(w.home, "config"), []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			c := client{t: t, dir: w.home, env: w.env(), argv: []string{path, "--endpoint-url", w.url}}
			c.run("s3", "mb", "s3://bucket")
			t.Run("files", func(t *testing.T) { cliFiles(t, c) })
			t.Run("sync", func(t *testing.T) { cliSync(t, c) })
			t.Run("presign", func(t *testing.T) { cliPresign(t, c) })
			t.Run("api", func(t *testing.T) { cliAPI(t, c) })
			t.Run("regions", func(t *testing.T) { cliRegions(t, c, w) })
			t.Run("end", func(t *testing.T) {
				c.run("s3", "rb", "--force", "s3://bucket")
				if out := c.run("s3", "ls"); strings.Contains(out, " bucket\n") {
					t.Errorf("the bucket is still there:\n%s", out)
				}
			})
		})
	}
}

// cliFiles: one part and several, up, down, on the server; stdin and stdout. All
// sizes go in one command, for Python takes longer to start than they to go.
func cliFiles(t *testing.T, c client) {
	c.t = t
	for name, size := range map[string]int{"empty": 0, "small": 6, "large": 6 << 20, "parts": 20 << 20} {
		file(t, filepath.Join(c.dir, "files"), name, size)
	}
	back := func(from, to string) {
		t.Helper()
		c.run("s3", "cp", "--quiet", "--recursive", "s3://bucket/"+from, to)
		if out, err := exec.Command("diff", "-r", filepath.Join(c.dir, "files"), filepath.Join(c.dir, to)).CombinedOutput(); err != nil {
			t.Errorf("what came back from %s differs: %s", from, out)
		}
	}
	c.run("s3", "cp", "--quiet", "--recursive", "files", "s3://bucket/files")
	back("files", "fetched")
	c.run("s3", "cp", "--quiet", "--recursive", "s3://bucket/files", "s3://bucket/copy")
	c.run("s3", "mv", "--quiet", "--recursive", "s3://bucket/copy", "s3://bucket/moved")
	back("moved", "moved")
	contains(t, "ls", c.run("s3", "ls", "s3://bucket/moved/"), " 0 empty\n", " 6 small\n", " 6291456 large\n", " 20971520 parts\n")
	if out, _, _ := c.try("s3", "ls", "s3://bucket/copy/"); out != "" {
		t.Errorf("after mv there is\n%s", out)
	}
	data, err := os.ReadFile(filepath.Join(c.dir, "files", "parts"))
	if err != nil {
		t.Fatal(err)
	}
	if out := c.run("s3", "cp", "s3://bucket/moved/parts", "-"); out != string(data) {
		t.Errorf("to stdout went %d bytes", len(out))
	}
	pipe := client{t: t, dir: c.dir, env: c.env, argv: []string{"sh", "-c", `head -c 9437184 /dev/zero | "$@"`, "sh"}}
	pipe.run(append(c.argv, "s3", "cp", "--quiet", "-", "s3://bucket/stdin")...)
	contains(t, "ls", c.run("s3", "ls", "s3://bucket/stdin"), "9437184 stdin")
	if out, _, ok := c.try("s3", "ls", "s3://bucket/nothing"); ok {
		t.Errorf("ls of nothing succeeds: %s", out)
	}
	c.run("s3", "rm", "--quiet", "--recursive", "s3://bucket/moved/")
}

// cliSync: nine empty files among seventeen once took a minute, and looked
// like success.
func cliSync(t *testing.T, c client) {
	c.t = t
	tree := filepath.Join(c.dir, "tree")
	for i := range 17 {
		file(t, tree, fmt.Sprint("f", i), max(0, i-8)*100)
	}
	file(t, tree, "a dir/ü +&%2F;#", 10)
	start := time.Now()
	c.run("s3", "sync", "--quiet", "tree", "s3://bucket/tree")
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("the sync of 18 small files took %s", took)
	}
	c.run("s3", "sync", "--quiet", "s3://bucket/tree", "back")
	if out, err := exec.Command("diff", "-r", tree, filepath.Join(c.dir, "back")).CombinedOutput(); err != nil {
		t.Errorf("what came back differs: %s", out)
	}
	if out := c.run("s3", "sync", "tree", "s3://bucket/tree"); out != "" {
		t.Errorf("a second sync does something:\n%s", out)
	}
	c.run("s3", "rm", "--quiet", "--recursive", "s3://bucket/tree")
	if out, _, _ := c.try("s3", "ls", "--recursive", "s3://bucket/tree"); out != "" {
		t.Errorf("after rm there is\n%s", out)
	}
}

func cliPresign(t *testing.T, c client) {
	c.t = t
	_, data := file(t, c.dir, "presigned", 1000)
	c.run("s3", "cp", "--quiet", "presigned", "s3://bucket/a dir/pre+signed")
	url := strings.TrimSpace(c.run("s3", "presign", "s3://bucket/a dir/pre+signed", "--expires-in", "60"))
	contains(t, "the URL", url, "X-Amz-Signature=")
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || string(got) != string(data) {
		t.Errorf("the URL answers %s, %d bytes, %v", resp.Status, len(got), err)
	}
}

// cliAPI: what the server itself can do.
func cliAPI(t *testing.T, c client) {
	c.t = t
	path, data := file(t, c.dir, "object", 1000)
	c.run("s3api", "put-object", "--bucket", "bucket", "--key", "object", "--body", path, "--metadata", "a=b,c-d=E f",
		"--content-type", "text/x", "--cache-control", "max-age=1", "--content-disposition", "inline")
	head := c.run("s3api", "head-object", "--bucket", "bucket", "--key", "object")
	contains(t, "head", head, `"a": "b"`, `"c-d": "E f"`, `"ContentType": "text/x"`, `"ContentLength": 1000`, `"CacheControl": "max-age=1"`, `"ContentDisposition": "inline"`)
	c.run("s3api", "get-object", "--bucket", "bucket", "--key", "object", "--range", "bytes=10-19", "part")
	same(t, filepath.Join(c.dir, "part"), data[10:20])
	if _, stderr, ok := c.try("s3api", "get-object", "--bucket", "bucket", "--key", "object", "--if-none-match", "*", "none"); ok || !strings.Contains(stderr, "304") {
		t.Errorf("if-none-match: %v %s", ok, stderr)
	}
	if _, stderr, ok := c.try("s3api", "get-object", "--bucket", "bucket", "--key", "object", "--if-match", "x", "none"); ok || !strings.Contains(stderr, "PreconditionFailed") {
		t.Errorf("if-match: %v %s", ok, stderr)
	}
	if _, stderr, ok := c.try("s3api", "get-object", "--bucket", "bucket", "--key", "nothing", "none"); ok || !strings.Contains(stderr, "NoSuchKey") {
		t.Errorf("nothing: %v %s", ok, stderr)
	}
	for i := range 3 {
		file(t, filepath.Join(c.dir, "many"), fmt.Sprint(i), 10)
	}
	c.run("s3", "cp", "--quiet", "--recursive", "many", "s3://bucket/many")
	contains(t, "delete-objects", c.run("s3api", "delete-objects", "--bucket", "bucket", "--delete", "Objects=[{Key=many/0},{Key=many/1},{Key=many/2}]"),
		`"Key": "many/0"`, `"Key": "many/2"`)
	contains(t, "list", c.run("s3api", "list-objects-v2", "--bucket", "bucket", "--prefix", "obj"), `"Key": "object"`, `"Size": 1000`)
	contains(t, "location", c.run("s3api", "get-bucket-location", "--bucket", "bucket"), `"LocationConstraint": null`)
	contains(t, "acl", c.run("s3api", "get-bucket-acl", "--bucket", "bucket"), `"FULL_CONTROL"`)
	c.run("s3api", "head-bucket", "--bucket", "bucket")
	contains(t, "versioning", c.run("s3api", "list-buckets"), `"Name": "bucket"`)
	contains(t, "copy", c.run("s3api", "copy-object", "--bucket", "bucket", "--key", "copied", "--copy-source", "bucket/object",
		"--metadata-directive", "REPLACE", "--metadata", "n=m"), `"ETag"`)
	contains(t, "head", c.run("s3api", "head-object", "--bucket", "bucket", "--key", "copied"), `"n": "m"`)
	contains(t, "list", c.run("s3api", "list-objects", "--bucket", "bucket", "--prefix", "obj"), `"Key": "object"`)
	c.run("s3api", "put-bucket-acl", "--bucket", "bucket", "--acl", "public-read")
	c.run("s3api", "put-bucket-acl", "--bucket", "bucket", "--acl", "private")
	contains(t, "acl", c.run("s3api", "get-object-acl", "--bucket", "bucket", "--key", "object"), `"FULL_CONTROL"`)
	c.run("s3api", "create-bucket", "--bucket", "versioned")
	c.run("s3api", "put-bucket-versioning", "--bucket", "versioned", "--versioning-configuration", "Status=Enabled")
	contains(t, "versioning", c.run("s3api", "get-bucket-versioning", "--bucket", "versioned"), `"Status": "Enabled"`)
	contains(t, "tagging", c.run("s3api", "get-object-tagging", "--bucket", "bucket", "--key", "object"), `"TagSet": []`)
	for _, args := range [][]string{{"put-object-acl", "--key", "object", "--acl", "private"},
		{"put-object-tagging", "--key", "object", "--tagging", "TagSet=[{Key=a,Value=b}]"}, {"put-bucket-tagging", "--tagging", "TagSet=[{Key=a,Value=b}]"}} {
		if stdout, stderr, ok := c.try(append([]string{"s3api", args[0], "--bucket", "bucket"}, args[1:]...)...); ok || !strings.Contains(stderr, "NotImplemented") {
			t.Errorf("%s: %v %s%s", args[0], ok, stdout, stderr)
		}
	}
	// This server has never heard of these, and would delete the bucket and
	// overwrite the object.
	c.run("s3api", "create-bucket", "--bucket", "spared")
	for _, args := range [][]string{{"delete-bucket-lifecycle", "--bucket", "spared"}, {"delete-public-access-block", "--bucket", "spared"},
		{"put-object-legal-hold", "--bucket", "bucket", "--key", "object", "--legal-hold", "Status=ON"}} {
		if stdout, stderr, ok := c.try(append([]string{"s3api"}, args...)...); ok || !strings.Contains(stderr, "NotImplemented") {
			t.Errorf("%s: %v %s%s", args[0], ok, stdout, stderr)
		}
	}
	c.run("s3api", "head-bucket", "--bucket", "spared")
	contains(t, "the object", c.run("s3api", "head-object", "--bucket", "bucket", "--key", "object"), `"ContentLength": 1000`)
	cliMultipart(t, c)
}

// cliMultipart: the steps one by one, and a part copied.
func cliMultipart(t *testing.T, c client) {
	part, data := file(t, c.dir, "part1", 5<<20)
	begin := func() string {
		return strings.TrimSpace(c.run("s3api", "create-multipart-upload", "--bucket", "bucket", "--key", "assembled", "--query", "UploadId", "--output", "text"))
	}
	gone := begin()
	contains(t, "uploads", c.run("s3api", "list-multipart-uploads", "--bucket", "bucket"), gone)
	c.run("s3api", "abort-multipart-upload", "--bucket", "bucket", "--key", "assembled", "--upload-id", gone)
	id := begin()
	etag := strings.TrimSpace(c.run("s3api", "upload-part", "--bucket", "bucket", "--key", "assembled", "--upload-id", id, "--part-number", "1", "--body", part, "--query", "ETag", "--output", "text"))
	copied := strings.TrimSpace(c.run("s3api", "upload-part-copy", "--bucket", "bucket", "--key", "assembled", "--upload-id", id, "--part-number", "2",
		"--copy-source", "bucket/object", "--query", "CopyPartResult.ETag", "--output", "text"))
	contains(t, "parts", c.run("s3api", "list-parts", "--bucket", "bucket", "--key", "assembled", "--upload-id", id), `"PartNumber": 2`)
	c.run("s3api", "complete-multipart-upload", "--bucket", "bucket", "--key", "assembled", "--upload-id", id, "--multipart-upload",
		fmt.Sprintf(`{"Parts":[{"PartNumber":1,"ETag":%s},{"PartNumber":2,"ETag":%s}]}`, quoted(etag), quoted(copied)))
	object, err := os.ReadFile(filepath.Join(c.dir, "object"))
	if err != nil {
		t.Fatal(err)
	}
	c.run("s3api", "get-object", "--bucket", "bucket", "--key", "assembled", "assembled")
	same(t, filepath.Join(c.dir, "assembled"), append(data, object...))
}

func quoted(etag string) string { return `"\"` + strings.Trim(etag, `"`) + `\""` }

// cliRegions: whatever region a client is set to, the bucket is there.
func cliRegions(t *testing.T, c client, w *world) {
	c.t = t
	for _, region := range []string{"eu-west-1", "cloud-ca"} {
		c.env = w.env("AWS_REGION="+region, "AWS_DEFAULT_REGION="+region)
		c.run("s3", "mb", "s3://in-"+region)
		contains(t, "location", c.run("s3api", "get-bucket-location", "--bucket", "in-"+region), `"LocationConstraint": "`+region+`"`)
		c.run("s3", "rb", "s3://in-"+region)
	}
}
