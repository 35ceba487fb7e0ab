package source

import (
	"regexp"
	"strings"
)

var awsKeys = map[string]string{
	"aws_access_key_id":     "AWS_ACCESS_KEY_ID",
	"aws_secret_access_key": "AWS_SECRET_ACCESS_KEY",
	"aws_session_token":     "AWS_SESSION_TOKEN",
	"region":                "AWS_REGION",
	"endpoint_url":          "AWS_ENDPOINT_URL",
	"ca_bundle":             "AWS_CA_BUNDLE",
	"services":              "services",
	"credential_process":    "credential_process",
	"role_arn":              "role_arn",
	"sso_session":           "sso",
	"sso_start_url":         "sso",
}

var (
	awsHeader = regexp.MustCompile(`(?m)^[ \t]*\[`)
	awsMark   = regexp.MustCompile(`(?m)^[ \t]*(\[[ \t]*(profile|services|sso-session)[ \t]|` +
		`(aws_\w+|credential_process|role_arn|source_profile|sso_\w+|region|output|endpoint_url|services)[ \t]*[=:])`)
	ccactlProcess = regexp.MustCompile(`^(\S*/|'.*/|".*/)?ccactl['"]? credential-process( |$)`)
)

func looksLikeAWS(text string) bool {
	return awsHeader.MatchString(text) && awsMark.MatchString(text) && !looksLikeRclone(text) && !looksLikeS3cfg(text)
}

// A profile is one section for it, of the credentials or of the config file.
type profile struct {
	*section
	name string
	vs   values // in the common vocabulary
}

// parseAWS reads credentials and config files together: a profile's keys are
// in the one, its endpoint, region and services often in the other.
func parseAWS(ins []*input, out *findings) error {
	var profiles []profile
	services := make(map[string]values)
	for _, in := range ins {
		sections, err := ini(in, true)
		if err != nil {
			return err
		}
		for _, s := range sections {
			kind, name := awsSection(s.name)
			switch {
			case kind == "services":
				if services[name] == nil {
					services[name] = s.nested["s3"]
				}
			case kind == "profile":
				vs := s.values.renamed(awsKeys)
				vs["AWS_ENDPOINT_URL_S3"] = s.nested["s3"]["endpoint_url"]
				profiles = append(profiles, profile{s, name, vs})
			case len(s.values) > 0 && kind == "":
				return s.at.error("sets a key before the first [section]")
			}
		}
	}
	namesakes := make(map[string][]profile)
	for _, p := range profiles {
		namesakes[p.name] = append(namesakes[p.name], p)
	}
	for _, p := range profiles {
		if err := p.parse(namesakes[p.name], services, out); err != nil {
			return err
		}
	}
	return nil
}

// awsSection splits a section's header into its kind and name. The sections
// that hold neither profile nor services are of kind "other".
func awsSection(header string) (kind, name string) {
	word, rest, ok := strings.Cut(strings.ReplaceAll(header, "\t", " "), " ")
	switch {
	case header == "":
		return "", ""
	case !ok && (header == "plugins" || header == "preview"):
		return "other", ""
	case !ok:
		return "profile", header
	case word == "profile" || word == "services":
		return word, strings.Trim(strings.TrimSpace(rest), `"'`)
	case word == "sso-session":
		return "other", ""
	}
	return "profile", header // a name with a space, as the credentials file allows
}

func (p profile) hasKeys() bool { return p.vs.has("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") }

// served reports whether a profile has its keys from ccactl: it speaks of ccad's
// own gateway, and adds nothing to what a file says.
func (p profile) served() bool {
	return ccactlProcess.MatchString(p.vs["credential_process"].text)
}

// parse reads one profile. Sections without keys only add to those with keys.
func (p profile) parse(namesakes []profile, services map[string]values, out *findings) error {
	vs := p.vs
	for _, other := range namesakes {
		if other.section == p.section {
			continue
		}
		if !p.hasKeys() && other.hasKeys() {
			return nil
		}
		if p.hasKeys() && !other.hasKeys() && !other.served() {
			vs = other.vs.over(vs)
		}
	}
	if !p.hasKeys() {
		return out.addOrSkip(p.at, p.name, Found{}, &unusable{keyless(vs)})
	}
	var notes []string
	if name := vs["services"].text; name != "" && services[name] != nil {
		vs = vs.over(values{"AWS_ENDPOINT_URL_S3": services[name]["endpoint_url"]})
	} else if name != "" {
		notes = append(notes, "its services section is in none of the files given")
	}
	if p.name == "default" && vs.has("AWS_ENDPOINT_URL") {
		notes = append(notes, "endpoint_url in [default] redirects every AWS service, not S3 alone: `ccactl configure aws` writes a profile that does not")
	}
	if s3, ok := p.values["s3"]; ok && s3.text == "" && p.nested["s3"] == nil {
		notes = append(notes, "the empty `s3 =` makes current AWS clients fail: `ccactl configure aws` mends it")
	}
	f, err := s3(vs)
	f.Notes = append(f.Notes, notes...)
	id := vs["AWS_ACCESS_KEY_ID"] // alone it makes AWS clients fail, and goes before the config file's process
	f.marks = append(f.marks, mark{id.key, id.at})
	return out.addOrSkip(p.at, p.name, f, err)
}

// keyless says where a profile without keys has them from.
func keyless(vs values) string {
	switch {
	case vs.has("credential_process"):
		return "its keys come from a credential_process"
	case vs.has("sso"):
		return "it signs in by SSO and holds no keys"
	case vs.has("role_arn"):
		return "it assumes a role and holds no keys"
	}
	return "it holds no S3 access key"
}
