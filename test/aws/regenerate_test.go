package aws_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cloud-ca/ccad/test/lab"
)

// TestPortalRegenerate: the key of a real daemon's environment is deleted and
// made anew, as the portal does it, while the Go SDK works with it through a
// profile. No request sees more than a retry.
func TestPortalRegenerate(t *testing.T) {
	if os.Getenv("CCAD_LAB") == "" {
		t.Skip("CCAD_LAB is unset: make test sets it")
	}
	l := lab.Start(t, lab.Options{})
	u := l.NewUser(t, "dev", "direct")
	for _, entry := range daemon(t, l, u) {
		if name, value, ok := strings.Cut(entry, "="); ok && (strings.HasPrefix(name, "XDG_") || strings.HasPrefix(name, "AWS_")) {
			t.Setenv(name, value)
		}
	}
	cfg := must[aws.Config](t)(config.LoadDefaultConfig(t.Context(), config.WithSharedConfigProfile("dev"), config.WithSharedConfigFiles([]string{os.Getenv("AWS_CONFIG_FILE")})))
	// Between two keys there are none, for as long as the lab takes to make one.
	c := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle, o.RetryMaxAttempts = true, 6 })
	bucket := aws.String("portal-regenerate")
	must[*s3.CreateBucketOutput](t)(c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket}))

	var done [4]atomic.Int64
	var stop atomic.Bool
	var workers sync.WaitGroup
	for i, size := range []int{0, 1000, 100_000, 6 << 20} {
		workers.Go(func() {
			data := make([]byte, size)
			_, _ = rand.Read(data)
			key := aws.String(fmt.Sprint("k", size))
			for !stop.Load() {
				if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: key, Body: bytes.NewReader(data)}); err != nil {
					t.Errorf("put %d bytes: %v", size, err)
					return
				}
				out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: key})
				if err != nil {
					t.Errorf("get %d bytes: %v", size, err)
					return
				}
				got, err := io.ReadAll(out.Body)
				_ = out.Body.Close()
				if err != nil || !bytes.Equal(got, data) {
					t.Errorf("%d bytes came back as %d, %v", size, len(got), err)
					return
				}
				done[i].Add(1)
			}
		})
	}
	goOn := func(when string) {
		t.Helper()
		limit := time.Now().Add(time.Minute)
		var before [len(done)]int64
		for i := range done {
			before[i] = done[i].Load()
		}
		for i := range done {
			for done[i].Load() < before[i]+3 {
				if time.Now().After(limit) || t.Failed() {
					t.Errorf("%s worker %d does not go on", when, i)
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
	}
	goOn("at first")
	for range 3 {
		for _, project := range u.Projects {
			l.DeleteKeys(t, u.Name, project)
			l.CreateKey(t, u.Name, project)
		}
		goOn("with the next key")
	}
	stop.Store(true)
	workers.Wait()
}
