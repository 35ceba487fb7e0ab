package source

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

var s3cfgKeys = map[string]string{
	"access_key":            "AWS_ACCESS_KEY_ID",
	"secret_key":            "AWS_SECRET_ACCESS_KEY",
	"access_token":          "AWS_SESSION_TOKEN",
	"host_base":             "AWS_ENDPOINT_URL_S3",
	"bucket_location":       "AWS_REGION",
	"ca_certs_file":         "AWS_CA_BUNDLE",
	"use_https":             "use_https",
	"check_ssl_certificate": "OS_VERIFY",
}

var s3cfgMark = regexp.MustCompile(`(?m)^[ \t]*(access_key|secret_key|host_base|host_bucket)[ \t]*=`)

func looksLikeS3cfg(text string) bool { return s3cfgMark.MatchString(text) }

// parseS3cfg reads s3cmd's configuration. s3cmd reads all sections, and what
// stands before the first, as one.
func parseS3cfg(in *input, out *findings) error {
	sections, err := ini(in, false)
	if err != nil {
		return err
	}
	all, name, at := make(values), "", place{in, 1}
	for _, s := range sections {
		for _, key := range slices.Sorted(maps.Keys(s.values)) {
			v := s.values[key]
			if _, twice := all[key]; twice && s3cfgKeys[key] != "" {
				return v.at.error(key + " is in two sections, which s3cmd reads as one")
			}
			all[key] = v
			if key == "access_key" {
				name, at = s.name, v.at
			}
		}
	}
	vs := all.renamed(s3cfgKeys)
	fromEnvironment := s3cfgValues(vs)
	f, err := s3(vs)
	if fromEnvironment {
		f.Notes = append(f.Notes, "the secret key is a variable of the environment ($NAME), which is not read")
	}
	return out.addOrSkip(at, name, f, err)
}

// s3cfgValues brings s3cmd's ways of writing values into the common one, and
// reports whether the secret is left to the environment.
func s3cfgValues(vs values) (fromEnvironment bool) {
	for name, v := range vs {
		if n := len(v.text); n >= 2 && v.text[0] == '"' && v.text[n-1] == '"' {
			v.text = v.text[1 : n-1]
		}
		if strings.HasPrefix(v.text, "$") {
			fromEnvironment = fromEnvironment || name == "AWS_SECRET_ACCESS_KEY"
			v.text = ""
		}
		vs[name] = v
	}
	host := vs["AWS_ENDPOINT_URL_S3"]
	switch {
	case host.text == "s3.amazonaws.com": // s3cmd's default says nothing
		host.text = ""
	case host.text == "" || strings.Contains(host.text, "://"):
	case (&reader{values: vs}).isFalse("use_https"):
		host.text = "http://" + host.text
	default:
		host.text = "https://" + host.text
	}
	vs["AWS_ENDPOINT_URL_S3"] = host
	if region := vs["AWS_REGION"]; region.text == "US" { // s3cmd's default too
		region.text = ""
		vs["AWS_REGION"] = region
	}
	return fromEnvironment
}
