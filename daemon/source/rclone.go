package source

import (
	"regexp"
	"strings"
)

var rcloneSwift = map[string]string{
	"user":                          "OS_USERNAME",
	"key":                           "OS_PASSWORD",
	"auth":                          "OS_AUTH_URL",
	"auth_version":                  "OS_IDENTITY_API_VERSION",
	"tenant":                        "OS_PROJECT_NAME",
	"tenant_id":                     "OS_PROJECT_ID",
	"domain":                        "OS_USER_DOMAIN_NAME",
	"tenant_domain":                 "OS_PROJECT_DOMAIN_NAME",
	"region":                        "OS_REGION_NAME",
	"application_credential_id":     "OS_APPLICATION_CREDENTIAL_ID",
	"application_credential_name":   "OS_APPLICATION_CREDENTIAL_NAME",
	"application_credential_secret": "OS_APPLICATION_CREDENTIAL_SECRET",
}

var rcloneS3 = map[string]string{
	"access_key_id":     "AWS_ACCESS_KEY_ID",
	"secret_access_key": "AWS_SECRET_ACCESS_KEY",
	"session_token":     "AWS_SESSION_TOKEN",
	"endpoint":          "AWS_ENDPOINT_URL_S3",
	"region":            "AWS_REGION",
}

const rcloneSealed = "RCLONE_ENCRYPT_V"

var rcloneMark = regexp.MustCompile(`(?m)^[ \t]*(type[ \t]*=|` + rcloneSealed + `\d+:)`)

func looksLikeRclone(text string) bool { return rcloneMark.MatchString(text) }

// parseRclone reads the swift and s3 remotes of an rclone.conf; other kinds
// hold nothing for ccad and are passed over.
func parseRclone(in *input, out *findings) error {
	for i, line := range strings.Split(in.text, "\n") {
		if strings.HasPrefix(line, rcloneSealed) {
			return place{in, i + 1}.error("is sealed with rclone's configuration password: pipe `rclone config show` into the import")
		}
	}
	remotes, err := ini(in, false)
	if err != nil {
		return err
	}
	served := 0
	for _, s := range remotes {
		kind := s.values["type"].text
		if kind != "swift" && kind != "s3" {
			continue
		}
		served++
		f, err := rcloneRemote(kind, s.values)
		if err := out.addOrSkip(s.at, s.name, f, err); err != nil {
			return err
		}
	}
	if served == 0 {
		out.note(place{in, 0}, "no remote of type swift or s3")
	}
	return nil
}

func rcloneRemote(kind string, own values) (Found, error) {
	for key, v := range own {
		v.text = rcloneUnquote(v.text)
		own[key] = v
	}
	fromEnvironment := (&reader{values: own}).isTrue("env_auth")
	if kind == "s3" {
		if fromEnvironment && !own.has("access_key_id") {
			return Found{}, &unusable{"its keys come from the environment (env_auth)"}
		}
		vs := own.renamed(rcloneS3)
		if v := vs["AWS_ENDPOINT_URL_S3"]; v.text != "" && !strings.Contains(v.text, "://") {
			v.text = "https://" + v.text
			vs["AWS_ENDPOINT_URL_S3"] = v
		}
		return s3(vs)
	}
	if fromEnvironment && !own.has("auth") {
		return Found{}, &unusable{"its values come from the environment (env_auth)"}
	}
	vs := own.renamed(rcloneSwift)
	if !vs.has("OS_PROJECT_DOMAIN_NAME") { // rclone's rule
		vs["OS_PROJECT_DOMAIN_NAME"] = vs["OS_USER_DOMAIN_NAME"]
	}
	if vs["OS_IDENTITY_API_VERSION"].text == "0" { // rclone: by the URL
		delete(vs, "OS_IDENTITY_API_VERSION")
	}
	return keystone(vs)
}

// rcloneUnquote takes off the quotes that rclone itself writes; a double quote
// is part of the value.
func rcloneUnquote(s string) string {
	for _, quote := range []string{`"""`, "`"} {
		if len(s) >= 2*len(quote) && strings.HasPrefix(s, quote) && strings.HasSuffix(s, quote) {
			return s[len(quote) : len(s)-len(quote)]
		}
	}
	return s
}
