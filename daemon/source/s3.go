package source

import (
	"strings"

	"github.com/cloud-ca/ccad/daemon/account"
)

// s3 reads the AWS_* vocabulary: one key pair and where it is good for.
func s3(vs values) (Found, error) {
	r := &reader{values: vs}
	f := Found{Keys: r.keys()}
	f.Environment.S3 = r.s3()
	if f.Environment.S3.Endpoint.IsZero() {
		r.note("no endpoint_url: needs --s3-endpoint")
	}
	r.verify()
	if f.Keys != nil && f.Keys.Secret.Empty() {
		f.Missing = MissingS3Secret
	}
	f.Notes, f.marks = r.notes, r.marks
	if r.err == nil {
		r.err = r.usableKeys(f.Keys)
	}
	return f, r.err
}

// usableKeys says why there is no key pair that lasts.
func (r *reader) usableKeys(keys *account.KeyPair) error {
	switch {
	case r.values.has("AWS_SESSION_TOKEN"):
		return &unusable{"its S3 keys are temporary (they have a session token)"}
	case keys == nil:
		return &unusable{"it holds no S3 access key"}
	case account.Masked(keys.AccessKeyID):
		return &unusable{"its S3 access key is masked"}
	}
	return nil
}

func (r *reader) keys() *account.KeyPair {
	id := r.text("AWS_ACCESS_KEY_ID")
	secret := r.secret("AWS_SECRET_ACCESS_KEY")
	if id == "" {
		return nil
	}
	return &account.KeyPair{AccessKeyID: id, Secret: secret}
}

// s3 returns the endpoint and region; cloud.ca's region need not be named.
func (r *reader) s3() account.S3 {
	s := account.S3{Region: r.text("AWS_REGION", "AWS_DEFAULT_REGION")}
	if v := r.get("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"); r.err == nil && v.text != "" {
		s.Endpoint = r.endpoint(v, v.text)
		s.Endpoint.CA = r.authority("AWS_CA_BUNDLE")
	}
	if s.Region == "" && strings.EqualFold(s.Endpoint.URL, cloudcaS3) {
		s.Region = cloudcaRegion
	}
	return s
}

// variables reads a file that sets both vocabularies, or either, for one
// environment: a shell script or a .env.
func variables(in *input, vs values, out *findings, notes []string) error {
	var f Found
	var err error
	at := place{in, 0}
	switch {
	case vs.has("OS_AUTH_URL"):
		at = vs["OS_AUTH_URL"].at
		if f, err = keystone(vs); err == nil {
			err = addKeys(&f, vs)
		}
	case vs.has("AWS_ACCESS_KEY_ID"):
		at = vs["AWS_ACCESS_KEY_ID"].at
		f, err = s3(vs)
	default:
		err = &unusable{"it sets neither OS_AUTH_URL nor AWS_ACCESS_KEY_ID"}
	}
	if u, ok := err.(*unusable); ok {
		empty := at.error(u.reason)
		empty.Empty = true
		return empty
	}
	if err != nil {
		return err
	}
	f.Notes = append(f.Notes, notes...)
	out.add(at, f.Environment.Project, f)
	return nil
}

// addKeys adds to an environment with a user what a file says of S3. Keys that
// are not whole are left out: the cloud is asked for them.
func addKeys(f *Found, vs values) error {
	r := &reader{values: vs}
	keys, where := r.keys(), r.s3()
	if r.err != nil {
		return r.err
	}
	if !where.Endpoint.IsZero() {
		f.Environment.S3 = where
	} else if where.Region != "" && !f.Environment.S3.Endpoint.IsZero() {
		f.Environment.S3.Region = where.Region
	}
	f.Notes = append(f.Notes, r.notes...)
	switch err := r.usableKeys(keys); {
	case !vs.has("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
	case err != nil:
		f.Notes = append(f.Notes, "S3 keys left out: "+err.Error())
	case keys.Secret.Empty():
		f.Notes = append(f.Notes, "S3 keys left out: the secret is masked or empty")
	default:
		f.Keys, f.marks = keys, append(f.marks, r.marks...)
	}
	return nil
}
