package view

import "slices"

// Endpoint writes, in the format environ, what lets a program fetch S3 gateway
// keys by itself from the container credential endpoint: the address, a token,
// where S3 is, and no key. What AWS SDKs would prefer to it is taken out: other
// variables, and the files, whose [default] comes first whoever named a profile.
// So are the credentials of every other client, which a hooked shell has exported.
func Endpoint(credentials, token, s3, region string) []byte {
	set := []variable{
		{"AWS_CONTAINER_CREDENTIALS_FULL_URI", credentials},
		{"AWS_CONTAINER_AUTHORIZATION_TOKEN", token},
		{"AWS_ENDPOINT_URL_S3", s3},
		{"AWS_REGION", region},
		{"AWS_DEFAULT_REGION", region},
		{"AWS_SHARED_CREDENTIALS_FILE", "/dev/null"},
		{"AWS_CONFIG_FILE", "/dev/null"},
		{"AWS_REQUEST_CHECKSUM_CALCULATION", "when_required"},
		{"AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required"},
	}
	body, _ := writeEnviron(nil, set, rivals(slices.Concat(awsNames, openstackNames, duplicityNames, []string{
		"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
	}), set))
	return body
}
