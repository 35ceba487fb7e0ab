package view

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// writeClouds writes a clouds.yaml with one cloud, named after the environment.
// A domain is given once, for gophercloud reads this file too.
func writeClouds(v *view) ([]byte, error) {
	k, _, err := v.means()
	if err != nil {
		return nil, err
	}
	auth := []variable{{"auth_url", k.url}}
	cloud := []variable{{"identity_api_version", "3"}, {"region_name", k.region}}
	user, project := k.userDomain.idFirst(), k.projectDomain.idFirst()
	scope := []variable{
		{"project_name", k.project},
		{"project_id", k.projectID},
		{"project_domain_id", project.id},
		{"project_domain_name", project.name},
	}
	switch {
	case v.v2():
		auth[0].value += "/v2.0"
		auth = append(auth, variable{"username", k.user}, variable{"password", k.password},
			variable{"project_name", k.project}, variable{"project_id", k.projectID})
		cloud[0].value = "2.0"
	case v.Auth == Token:
		auth = append(append(auth, variable{"token", k.token}), scope...)
		cloud = append(cloud, variable{"auth_type", "v3token"})
	case v.Auth == ApplicationCredential:
		auth = append(auth, variable{"application_credential_id", k.appCredID},
			variable{"application_credential_secret", k.appCredSecret})
		cloud = append(cloud, variable{"auth_type", "v3applicationcredential"})
	default:
		auth = append(append(auth, variable{"username", k.user}, variable{"password", k.password},
			variable{"user_domain_id", user.id}, variable{"user_domain_name", user.name}), scope...)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "clouds:\n  %s:\n    auth:\n", quoteYAML(v.Environment.Name))
	if err := yamlLines(&b, "      ", auth); err != nil {
		return nil, err
	}
	if err := yamlLines(&b, "    ", cloud); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func yamlLines(b *bytes.Buffer, indent string, lines []variable) error {
	for _, one := range present(lines) {
		if !utf8.ValidString(one.value) {
			return uncarried(one.name, "YAML")
		}
		fmt.Fprintf(b, "%s%s: %s\n", indent, one.name, quoteYAML(one.value))
	}
	return nil
}

// quoteYAML quotes every value, for half of them would be numbers, booleans or
// null otherwise. Go's escapes are all YAML's too, and ASCII reads the same in
// every locale.
func quoteYAML(value string) string { return strconv.QuoteToASCII(value) }
