package view

// rivals returns the names of a family that are not set.
func rivals(family []string, set []variable) []string {
	var drop []string
	for _, name := range family {
		taken := false
		for _, one := range set {
			taken = taken || one.name == name
		}
		if !taken {
			drop = append(drop, name)
		}
	}
	return drop
}

// openstackNames are the names by which a login is told, of every auth and of
// Swift's own v1. OS_CACERT, OS_INTERFACE and the like are a person's to set.
var openstackNames = []string{
	"OS_CLOUD", "OS_AUTH_TYPE", "OS_AUTH_URL", "OS_AUTH_VERSION", "OS_IDENTITY_API_VERSION",
	"OS_USERNAME", "OS_USER_ID", "OS_USERID", "OS_PASSWORD", "OS_PASSCODE",
	"OS_PROJECT_NAME", "OS_PROJECT_ID", "OS_TENANT_NAME", "OS_TENANT_ID",
	"OS_USER_DOMAIN_NAME", "OS_USER_DOMAIN_ID", "OS_PROJECT_DOMAIN_NAME", "OS_PROJECT_DOMAIN_ID",
	"OS_DOMAIN_NAME", "OS_DOMAIN_ID", "OS_DEFAULT_DOMAIN", "OS_DEFAULT_DOMAIN_NAME", "OS_DEFAULT_DOMAIN_ID",
	"OS_SYSTEM_SCOPE", "OS_TRUST_ID", "OS_REGION_NAME",
	"OS_TOKEN", "OS_AUTH_TOKEN", "OS_STORAGE_URL", "OS_ENDPOINT", "OS_URL", "OS_SWAUTH",
	"OS_APPLICATION_CREDENTIAL_ID", "OS_APPLICATION_CREDENTIAL_NAME", "OS_APPLICATION_CREDENTIAL_SECRET",
	"ST_AUTH", "ST_AUTH_VERSION", "ST_USER", "ST_KEY",
}

// duplicityNames go beside openstackNames, which its second connection reads.
var duplicityNames = []string{
	"SWIFT_AUTHURL", "SWIFT_AUTHVERSION", "SWIFT_USERNAME", "SWIFT_USERID", "SWIFT_PASSWORD",
	"SWIFT_PROJECT_NAME", "SWIFT_PROJECT_ID", "SWIFT_TENANTNAME", "SWIFT_TENANTID",
	"SWIFT_USER_DOMAIN_NAME", "SWIFT_USER_DOMAIN_ID", "SWIFT_PROJECT_DOMAIN_NAME", "SWIFT_PROJECT_DOMAIN_ID",
	"SWIFT_REGIONNAME", "SWIFT_PREAUTHURL", "SWIFT_PREAUTHTOKEN",
}

// awsNames has what overrules exported keys (AWS_PROFILE in the JavaScript SDK,
// AWS_ACCESS_KEY in s3cmd), what spoils them (a session token or an expiry of
// other keys) and what sends them elsewhere.
var awsNames = []string{
	"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY", "AWS_SECRET_KEY",
	"AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_CREDENTIAL_EXPIRATION",
	"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION",
	"AWS_ENDPOINT_URL_S3", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
	"AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT",
	"AWS_REQUEST_CHECKSUM_CALCULATION", "AWS_RESPONSE_CHECKSUM_VALIDATION",
}
