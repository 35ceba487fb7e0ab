package aws_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/gateway"
)

func (w *world) until() time.Time { return time.Now().Add(time.Hour) }

// goClient is the Go SDK with its defaults.
func goClient(t *testing.T, w *world, provider aws.CredentialsProvider) *s3.Client {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion("us-east-1"), config.WithCredentialsProvider(provider),
		config.WithSharedConfigFiles([]string{}), config.WithSharedCredentialsFiles([]string{}))
	if err != nil {
		t.Fatal(err)
	}
	return s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.BaseEndpoint = &w.url
		o.UsePathStyle, o.DisableLogOutputChecksumValidationSkipped = true, true
	})
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestGoSDK(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := goClient(t, w, credentials.NewStaticCredentialsProvider(w.Pair.AccessKeyID, w.Pair.Secret.Reveal(), ""))
	ctx, bucket := t.Context(), aws.String("go-sdk")
	must[*s3.CreateBucketOutput](t)(c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bucket}))
	get := func(key string) []byte {
		t.Helper()
		out := must[*s3.GetObjectOutput](t)(c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: &key}))
		defer out.Body.Close()
		return must[[]byte](t)(io.ReadAll(out.Body))
	}
	for _, n := range []int{0, 5, 100_000, 6 << 20} {
		data := make([]byte, n)
		_, _ = rand.Read(data)
		for _, algorithm := range []types.ChecksumAlgorithm{"", types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmCrc32c, types.ChecksumAlgorithmCrc64nvme, types.ChecksumAlgorithmSha256} {
			must[*s3.PutObjectOutput](t)(c.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("k"), Body: bytes.NewReader(data), ChecksumAlgorithm: algorithm}))
			if got := get("k"); !bytes.Equal(got, data) {
				t.Fatalf("%d bytes by %q came back as %d", n, algorithm, len(got))
			}
		}
	}
	var objects []types.ObjectIdentifier
	for _, key := range []string{"a b", "a+b", "a%2Fb", "a//b", "..", "a/../b", "ü/日本", "?q", "*'()!", ";&=", "#h"} {
		must[*s3.PutObjectOutput](t)(c.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: strings.NewReader(key), Metadata: map[string]string{"a": "B c"}}))
		if got := get(key); string(got) != key {
			t.Errorf("%q came back as %q", key, got)
		}
		objects = append(objects, types.ObjectIdentifier{Key: &key})
	}
	presign := s3.NewPresignClient(c)
	url := must[*struct{ URL string }](t)(func() (*struct{ URL string }, error) {
		r, err := presign.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: aws.String("a+b")})
		if err != nil {
			return nil, err
		}
		return &struct{ URL string }{r.URL}, nil
	}())
	resp := must[*http.Response](t)(http.Get(url.URL))
	defer resp.Body.Close()
	if got := must[[]byte](t)(io.ReadAll(resp.Body)); string(got) != "a+b" {
		t.Errorf("the presigned URL gives %q", got)
	}
	out := must[*s3.DeleteObjectsOutput](t)(c.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: bucket, Delete: &types.Delete{Objects: objects}}))
	if len(out.Deleted) != len(objects) || len(out.Errors) != 0 {
		t.Errorf("%d were deleted, %v", len(out.Deleted), out.Errors)
	}
	var missing *types.NoSuchKey
	if _, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: aws.String("a b")}); !errors.As(err, &missing) {
		t.Errorf("a missing key gives %v", err)
	}
}

// TestGoEndpoint is the Go SDK with what exec --endpoint gives a program, and a
// home with keys that are good elsewhere.
func TestGoEndpoint(t *testing.T) {
	w := newWorld(t)
	elsewhere(t, w.home)
	t.Setenv("HOME", w.home)
	for _, entry := range endpointEnv(w) {
		name, value, _ := strings.Cut(entry, "=")
		t.Setenv(name, value)
	}
	cfg := must[aws.Config](t)(config.LoadDefaultConfig(t.Context()))
	c := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
	must[*s3.CreateBucketOutput](t)(c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("go-endpoint")}))
}

// TestRegenerate: while a client works, its real key is replaced again and
// again. No request fails.
func TestRegenerate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := goClient(t, w, credentials.NewStaticCredentialsProvider(w.Pair.AccessKeyID, w.Pair.Secret.Reveal(), ""))
	ctx, bucket := t.Context(), aws.String("regenerate")
	must[*s3.CreateBucketOutput](t)(c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bucket}))
	replace := func() gateway.Binding {
		w.lab.DeleteKeys(t, w.user.Name, w.project)
		key := w.lab.CreateKey(t, w.user.Name, w.project)
		w.mu.Lock()
		defer w.mu.Unlock()
		b := w.binding
		b.Keys, b.Version = account.KeyPair{AccessKeyID: key.Access, Secret: account.NewSecret(key.Secret)}, b.Version+1
		return b
	}
	var next gateway.Binding // what the daemon would learn when it is told
	w.rejected = func(gateway.Binding) (gateway.Binding, bool) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.binding = next
		return next, true
	}
	big := make([]byte, 3<<20)
	_, _ = rand.Read(big)
	for round := range 3 {
		for _, size := range []int{0, 1000, len(big)} {
			next = replace()
			key := aws.String(fmt.Sprint("k", round, size))
			must[*s3.PutObjectOutput](t)(c.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: key, Body: bytes.NewReader(big[:size])},
				func(o *s3.Options) { o.RetryMaxAttempts = 1 }))
			next = replace()
			out := must[*s3.HeadObjectOutput](t)(c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: key}, func(o *s3.Options) { o.RetryMaxAttempts = 1 }))
			if *out.ContentLength != int64(size) {
				t.Errorf("%d bytes were stored as %d", size, *out.ContentLength)
			}
		}
	}
	const requests = 1 + 3*3*2
	var records []gateway.Record
	for begun := time.Now(); len(records) < requests && time.Since(begun) < time.Minute; time.Sleep(10 * time.Millisecond) {
		w.mu.Lock()
		records = slices.Clone(w.records) // the last one's is written behind its answer
		w.mu.Unlock()
	}
	resent := 0
	for _, r := range records {
		if r.Resent {
			resent++
		}
	}
	if resent != requests-1 {
		t.Errorf("%d of %d requests were sent again, want all but the bucket's", resent, len(records))
	}
}
