package view

import (
	"bytes"
	"errors"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// writeS3cfg writes a .s3cfg for path-style requests, signed with version 4.
func writeS3cfg(v *view) ([]byte, error) {
	k, err := v.s3("ca_certs_file in this file")
	if err != nil {
		return nil, err
	}
	endpoint, err := url.Parse(k.s3URL)
	if err != nil || endpoint.Path != "" {
		return nil, errors.New("has an S3 endpoint with a path, which s3cmd cannot use")
	}
	secure := "True"
	if endpoint.Scheme == "http" {
		secure = "False"
	}
	var b bytes.Buffer
	err = section(&b, "default", []variable{
		{"access_key", k.accessKeyID},
		{"secret_key", k.secretAccessKey},
		{"host_base", endpoint.Host},
		{"host_bucket", endpoint.Host}, // without %(bucket)s: path style
		{"bucket_location", k.s3Region},
		{"use_https", secure},
		{"signature_v2", "False"},
	}, ".s3cfg", quoteS3cfg)
	if err != nil {
		return nil, err
	}
	return v.dated(b.Bytes(), true), nil
}

// quoteS3cfg quotes what s3cmd would take for quotes. It strips blanks inside
// quotes too and takes a leading $ for a variable, whatever one does.
func quoteS3cfg(value string) (string, bool) {
	stripped := func(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f } // as Python sees it
	switch {
	case !utf8.ValidString(value), strings.ContainsAny(value, "\n\r\x00"),
		strings.TrimFunc(value, stripped) != value, strings.HasPrefix(value, "$"):
		return "", false
	case len(value) > 1 && strings.HasPrefix(value, `"`) && strings.HasSuffix(value, `"`):
		return `"` + value + `"`, true
	}
	return value, true
}
