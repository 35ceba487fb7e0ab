package aws_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cloud-ca/ccad/test/lab"
)

// TestRotateUnderLoad: the keys of two environments are replaced while the AWS
// CLI, boto3 and the SDKs for Go and JavaScript work with them, each a process
// that was there before and is there after. No request fails, and the old keys
// are gone from Keystone. Everything that takes minutes is sixty times shorter:
// the lease, and how long before its end a client wants a new one.
func TestRotateUnderLoad(t *testing.T) {
	t.Parallel()
	rotateUnderLoad(t, "rehearsal", "20s", 60)
}

func rotateUnderLoad(t *testing.T, tags, lease string, scale int) {
	if os.Getenv("CCAD_LAB") == "" {
		t.Skip("CCAD_LAB is unset: make test sets it")
	}
	l := lab.Start(t, lab.Options{})
	u := l.NewUser(t, "direct", "gateway")
	ccactl := startDaemon(t, tags, "[serve]\nlease = \""+lease+"\"\n")
	ccactl.limit = time.Hour
	installJS(t)
	var crew []*worker
	for project := range u.Projects {
		name, s3 := "direct", l.S3URLUS // a region that clients accept
		if strings.HasPrefix(project, "gateway") {
			name, s3 = "gateway", l.S3URL // cloud.ca, which they don't
		}
		adopt(ccactl, l, u, name, project, s3)
		crew = append(crew, hire(ccactl, name, profile(ccactl, name), scale)...)
	}
	each(t, crew, "begin", func(w *worker) bool { return w.done() >= 5 })
	was := keysOf(t, l, u)
	out := ccactl.run("rotate", "direct", "gateway", "--wait")
	if n := strings.Count(out, ": prove-dead"); n != 2 {
		t.Errorf("%d keys are said to be dead:\n%s", n, out)
	}
	is := keysOf(t, l, u)
	for project, id := range u.Projects {
		if len(was[id]) != 1 || len(is[id]) != 1 || was[id][0] == is[id][0] {
			t.Errorf("project %s had the keys %v and has %v", project, was[id], is[id])
		}
	}
	before := map[*worker]int{}
	for _, w := range crew {
		before[w] = w.done()
	}
	each(t, crew, "go on after the rotation", func(w *worker) bool { return w.done() >= before[w]+5 })
	if err := os.WriteFile(filepath.Join(ccactl.dir, "stop"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, w := range crew {
		w.end(t)
		if w.list != nil {
			contains(t, "the CLI's object", w.list(), fmt.Sprint(w.done()*part, " object"))
		}
	}
}

// keysOf are the access keys of a user at Keystone, by project.
func keysOf(t *testing.T, l *lab.Lab, u lab.User) map[string][]string {
	t.Helper()
	keys := map[string][]string{}
	for _, key := range l.Keys(t, u.Name) {
		keys[key.ProjectID] = append(keys[key.ProjectID], key.Access)
	}
	return keys
}

// each waits until something is true of every worker.
func each(t *testing.T, crew []*worker, what string, is func(*worker) bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		idle := slices.IndexFunc(crew, func(w *worker) bool { return !is(w) })
		if idle < 0 {
			return
		}
		select {
		case <-crew[idle].read:
			t.Fatalf("%s has ended: %s", crew[idle].name, crew[idle].tail())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not %s: %s", crew[idle].name, what, crew[idle].tail())
		}
	}
}

// A worker is a client that runs from before a rotation until after it.
type worker struct {
	name string
	cmd  *exec.Cmd
	read chan struct{} // closed with its output
	list func() string // the CLI's: what it has sent

	pause time.Duration // between its parts

	mu    sync.Mutex
	lines []string
}

// hire starts the four clients with one profile.
func hire(ccactl client, environment, url string, scale int) (crew []*worker) {
	t := ccactl.t
	t.Helper()
	script, err := filepath.Abs("scripts/load.py")
	if err != nil {
		t.Fatal(err)
	}
	js, err := filepath.Abs("js/load.mjs")
	if err != nil {
		t.Fatal(err)
	}
	bucket := "s3://cli-" + environment
	ccactl.env = append(slices.Clone(ccactl.env), "CCAD_TEST_PROFILE="+environment, "CCAD_TEST_URL="+url, "CCAD_TEST_SCALE="+strconv.Itoa(scale),
		"AWS_PROFILE="+environment, "AWS_MAX_ATTEMPTS=1", "NODE_NO_WARNINGS=1", "CCAD_TEST_GO_LOAD=1")
	cli := []string{python(t, "awscli"), script, "--endpoint-url", url, "s3"}
	ccactl.argv = cli
	ccactl.run("mb", bucket)
	for name, argv := range map[string][]string{
		"boto3":      {python(t, "boto3"), script},
		"JavaScript": {need(t, "node"), js},
		"Go":         {os.Args[0]},
		"AWS CLI":    append(slices.Clone(cli), "cp", "--no-progress", "-", bucket+"/object"),
	} {
		w := &worker{name: name + " with " + environment, read: make(chan struct{})}
		w.cmd = exec.Command(argv[0], argv[1:]...)
		w.cmd.Dir, w.cmd.Env = ccactl.dir, ccactl.env
		if name == "AWS CLI" {
			w.list = func() string { return ccactl.run("ls", bucket) }
			w.pause = max(time.Second, 10*time.Second/time.Duration(scale))
		}
		w.start(t)
		crew = append(crew, w)
	}
	return crew
}

// python finds one that has a module.
func python(t *testing.T, module string) string {
	t.Helper()
	for _, path := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(path, "-c", "import "+module).Run() == nil {
			return path
		}
	}
	leaveOut(t, "no python3 has "+module)
	return ""
}

// start runs a worker. The AWS CLI gets an object that does not end, of which
// it sends a part now and then, each a request of its own.
func (w *worker) start(t *testing.T) {
	t.Helper()
	out, to := io.Pipe()
	w.cmd.Stdout, w.cmd.Stderr = to, to
	if w.list != nil {
		stdin, err := w.cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		go w.feed(stdin)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.cmd.Process.Kill() })
	go func() {
		defer close(w.read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			w.say(lines.Text())
		}
	}()
	go func() { _ = w.cmd.Wait(); _ = to.Close() }()
}

func (w *worker) say(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, line)
}

// part is how much of an object the CLI sends at once.
const part = 8 << 20

// feed gives the CLI a part now and then until there is the file "stop".
func (w *worker) feed(to io.WriteCloser) {
	defer func() { _ = to.Close() }()
	data := make([]byte, part)
	for {
		if _, err := to.Write(data); err != nil {
			w.say("failed: it reads no more")
			return
		}
		w.say("part")
		time.Sleep(w.pause)
		if _, err := os.Stat(filepath.Join(w.cmd.Dir, "stop")); err == nil {
			return
		}
	}
}

// done counts what was done so far.
func (w *worker) done() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.lines)
}

func (w *worker) tail() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.lines[max(0, len(w.lines)-5):], " | ")
}

// end waits for a worker and sees that nothing failed, and that it had more than
// one key.
func (w *worker) end(t *testing.T) {
	t.Helper()
	<-w.read
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.cmd.ProcessState.Success() {
		t.Errorf("%s ended with %v", w.name, w.cmd.ProcessState)
	}
	keys, failed := map[string]bool{}, 0
	for _, line := range w.lines {
		if strings.Contains(line, " ") || line == "differs" {
			if failed++; failed == 1 {
				t.Errorf("%s: %s", w.name, line)
			}
		}
		keys[line] = true
	}
	t.Logf("%s: %d done, %d failed, %d keys", w.name, len(w.lines), failed, len(keys))
	if len(keys) < 2 && !keys["part"] {
		t.Errorf("%s never had another key than %v", w.name, keys)
	}
}

// goLoad is load.py with the SDK for Go. It is a process of its own, since a
// credential_process inherits its environment.
func goLoad() {
	ctx := context.Background()
	scale, err := strconv.Atoi(os.Getenv("CCAD_TEST_SCALE"))
	if err != nil {
		panic(err)
	}
	cfg, err := config.LoadDefaultConfig(ctx, config.WithSharedConfigProfile(os.Getenv("CCAD_TEST_PROFILE")), config.WithRetryMaxAttempts(1),
		config.WithSharedConfigFiles([]string{os.Getenv("AWS_CONFIG_FILE")}),
		config.WithCredentialsCacheOptions(func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = 5 * time.Minute / time.Duration(scale) }))
	if err != nil {
		panic(err)
	}
	c := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
	bucket, key := aws.String("golang"), aws.String("k")
	if _, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bucket}); err != nil {
		panic(err)
	}
	for n := 1; ; n++ {
		if _, err := os.Stat("stop"); err == nil {
			return
		}
		if err := goRound(ctx, c, bucket, key, strconv.Itoa(n)); err != nil {
			fmt.Println("failed:", strings.ReplaceAll(err.Error(), "\n", " "))
		} else if has, err := cfg.Credentials.Retrieve(ctx); err != nil {
			fmt.Println("failed:", err)
		} else {
			fmt.Println(has.AccessKeyID)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func goRound(ctx context.Context, c *s3.Client, bucket, key *string, body string) error {
	if _, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader(body)}); err != nil {
		return err
	}
	out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key})
	if err != nil {
		return err
	}
	defer func() { _ = out.Body.Close() }()
	if got, err := io.ReadAll(out.Body); err != nil || string(got) != body {
		return fmt.Errorf("it came back as %d bytes, %w", len(got), err)
	}
	return nil
}
