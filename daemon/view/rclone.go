package view

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// writeRclone writes an rclone.conf with two remotes, or with the one that the
// environment has: its name for Swift, and its name with -s3 for S3.
func writeRclone(v *view) ([]byte, error) {
	swift, err := v.rcloneSwift()
	if err != nil && !errors.Is(err, ErrNoUser) {
		return nil, err
	}
	s3, err := v.rcloneS3()
	if err != nil && swift == nil {
		return nil, err
	}
	var b bytes.Buffer
	for _, remote := range []struct {
		name string
		keys []variable
	}{{v.Environment.Name, swift}, {v.Environment.Name + "-s3", s3}} {
		if remote.keys == nil {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		if err := section(&b, remote.name, remote.keys, "rclone.conf", quoteRclone); err != nil {
			return nil, err
		}
	}
	return v.dated(b.Bytes(), s3 != nil), nil
}

func (v *view) rcloneSwift() ([]variable, error) {
	k, _, err := v.means()
	if err != nil {
		return nil, err
	}
	url, version := k.url+"/v3", "3"
	if v.v2() {
		url, version = k.url+"/v2.0", "2"
	}
	switch v.Auth {
	case Token:
		return []variable{{"type", "swift"}, {"storage_url", k.storageURL}, {"auth_token", k.token}}, nil
	case ApplicationCredential:
		return []variable{
			{"type", "swift"},
			{"auth", url},
			{"auth_version", version},
			{"application_credential_id", k.appCredID},
			{"application_credential_secret", k.appCredSecret},
			{"region", k.region},
		}, nil
	}
	keys := []variable{{"type", "swift"}, {"auth", url}, {"auth_version", version}, {"key", k.password}, {"region", k.region}}
	if v.v2() {
		return append(keys, variable{"user", k.user}, variable{"tenant", k.project}, variable{"tenant_id", k.projectID}), nil
	}
	return append(keys, v.rcloneScope(k)...), nil
}

// rcloneScope says who and where. The file knows domains by name only; where
// there is just an id, Keystone's own ids of user and project need no domain.
func (v *view) rcloneScope(k known) []variable {
	scope := []variable{{"user", k.user}, {"domain", k.userDomain.name}}
	if k.userDomain.name == "" && v.User.KeystoneID != "" {
		scope = []variable{{"user_id", v.User.KeystoneID}}
	}
	switch {
	case k.projectID != "":
		scope = append(scope, variable{"tenant_id", k.projectID})
	case k.projectDomain.name == "" && v.Environment.ProjectID != "":
		scope = append(scope, variable{"tenant_id", v.Environment.ProjectID})
	default:
		scope = append(scope, variable{"tenant", k.project}, variable{"tenant_domain", k.projectDomain.name})
		if k.project != "" && k.projectDomain.name == "" {
			v.warn("has its project's domain by id, for which rclone.conf has no key: use rclone's variables instead")
		}
	}
	if k.userDomain.name == "" && v.User.KeystoneID == "" {
		v.warn("has its user's domain by id, for which rclone.conf has no key: use rclone's variables instead")
	}
	return scope
}

func (v *view) rcloneS3() ([]variable, error) {
	k, err := v.s3("RCLONE_CA_CERT")
	if err != nil {
		return nil, err
	}
	return []variable{
		{"type", "s3"},
		{"provider", "Other"},
		{"access_key_id", k.accessKeyID},
		{"secret_access_key", k.secretAccessKey},
		{"endpoint", k.s3URL},
		{"region", k.s3Region},
	}, nil
}

// rcloneReference is what rclone's reader replaces in a value, quoted or not.
var rcloneReference = regexp.MustCompile(`%\([^)]+\)s`)

// quoteRclone quotes what would be trimmed or be taken for quotes. The reader
// looks for the last backquote of the line, so any number fit inside.
func quoteRclone(value string) (string, bool) {
	if strings.ContainsAny(value, "\n\r\x00") || rcloneReference.MatchString(value) {
		return "", false
	}
	if strings.TrimSpace(value) != value || strings.HasPrefix(value, "`") || strings.HasPrefix(value, `"""`) {
		return "`" + value + "`", true
	}
	return value, true
}

// section writes one section of an INI file in the dialect of its reader.
func section(b *bytes.Buffer, name string, keys []variable, file string, quote func(string) (string, bool)) error {
	fmt.Fprintf(b, "[%s]\n", name)
	for _, one := range present(keys) {
		quoted, ok := quote(one.value)
		if !ok {
			return uncarried(one.name, file)
		}
		fmt.Fprintf(b, "%s = %s\n", one.name, quoted)
	}
	return nil
}

// dated puts the end of the S3 keys, if they have one, above an INI file.
func (v *view) dated(file []byte, keys bool) []byte {
	if !keys || v.LeaseUntil.IsZero() {
		return file
	}
	line := "# The S3 key in here ends at " + v.LeaseUntil.UTC().Format(time.RFC3339) + ".\n"
	return append([]byte(line), file...)
}
