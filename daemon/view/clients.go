package view

import (
	"fmt"
	"strings"
)

// A client is a profile: the auths that work with it, the default first, and
// the names of which it would take what an earlier view or a person left.
type client struct {
	auths  []means
	family []string
	ca     string // how it is told of a certificate authority
}

// means is one auth of one client. v2 is for Keystone v2.0, nil where that has
// no such thing.
type means struct {
	auth    string
	v3, v2  func(known) []variable
	storage bool // goes to the pinned storage URL and never to Keystone
}

var clients = map[string]client{
	"openstack": {family: openstackNames, ca: "OS_CACERT", auths: []means{
		{auth: Password, v3: openstackPassword, v2: keystone2},
		{auth: Token, v3: openstackToken},
		{auth: ApplicationCredential, v3: openstackAppCred},
	}},
	"swift": {family: openstackNames, ca: "OS_CACERT", auths: []means{
		{auth: Password, v3: openstackPassword, v2: keystone2},
		{auth: Token, v3: storageToken, v2: storageToken, storage: true},
		{auth: ApplicationCredential, v3: openstackAppCred},
	}},
	"rclone": {family: openstackNames, ca: "RCLONE_CA_CERT", auths: []means{
		{auth: Password, v3: goswiftPassword, v2: keystone2},
		{auth: Token, v3: storageToken, v2: storageToken, storage: true},
		{auth: ApplicationCredential, v3: goswiftAppCred},
	}},
	"restic": {family: openstackNames, ca: "--cacert", auths: []means{
		{auth: Password, v3: goswiftPassword, v2: keystone2},
		{auth: Token, v3: storageToken, v2: storageToken, storage: true},
		{auth: ApplicationCredential, v3: goswiftAppCred},
	}},
	"terraform": {family: openstackNames, ca: "OS_CACERT", auths: []means{
		{auth: Password, v3: terraformPassword, v2: keystone2},
		{auth: Token, v3: terraformToken},
		{auth: ApplicationCredential, v3: terraformAppCred},
	}},
	"duplicity": {family: append(duplicityNames, openstackNames...), ca: "--ssl-cacert-file", auths: []means{
		{auth: Password, v3: duplicityPassword, v2: duplicityPassword2},
		{auth: Token, v3: duplicityToken, v2: duplicityToken, storage: true},
	}},
	"aws": {family: awsNames, ca: "AWS_CA_BUNDLE", auths: []means{{}}},
}

// by returns the means of an auth.
func (c client) by(auth string) (means, bool) {
	for _, m := range c.auths {
		if m.auth == auth {
			return m, true
		}
	}
	return means{}, false
}

// offers names the auths for a message.
func (c client) offers() string {
	var auths []string
	for _, m := range c.auths {
		if m.auth != "" {
			auths = append(auths, m.auth)
		}
	}
	if auths == nil {
		return "it signs with S3 keys, without --auth"
	}
	return "it can use " + strings.Join(auths, ", ")
}

// set returns the variables of the view.
func (v *view) set() ([]variable, error) {
	var all []variable
	if v.Auth == "" {
		k, err := v.s3(clients[v.Client].ca)
		if err != nil {
			return nil, err
		}
		all = awsKeys(k)
	} else {
		k, table, err := v.means()
		if err != nil {
			return nil, err
		}
		all = table(k)
	}
	set := present(all)
	for _, one := range set {
		if strings.ContainsRune(one.value, 0) {
			return nil, uncarried(one.name, "a variable")
		}
	}
	return set, nil
}

// means returns what is known, and the table that fits it.
func (v *view) means() (known, func(known) []variable, error) {
	k, err := v.keystone()
	if err != nil {
		return k, nil, err
	}
	m, _ := clients[v.Client].by(v.Auth)
	if m.storage && k.storageURL == "" {
		return k, nil, missing("storage URL: it is learned when the cloud first accepts the project")
	}
	if !v.v2() {
		return k, m.v3, nil
	}
	if m.v2 == nil {
		return k, nil, fmt.Errorf("uses Keystone v2.0, which has no %s for the client %s", v.Auth, v.Client)
	}
	return k, m.v2, nil
}

// openstackPassword is for keystoneauth, which takes an id before a name, and
// which without domains would try v2.0 first where that is still offered.
func openstackPassword(k known) []variable {
	return []variable{
		{"OS_AUTH_URL", k.url},
		{"OS_IDENTITY_API_VERSION", "3"},
		{"OS_USERNAME", k.user},
		{"OS_PASSWORD", k.password},
		{"OS_PROJECT_NAME", k.project},
		{"OS_PROJECT_ID", k.projectID},
		{"OS_USER_DOMAIN_NAME", k.userDomain.name},
		{"OS_USER_DOMAIN_ID", k.userDomain.id},
		{"OS_PROJECT_DOMAIN_NAME", k.projectDomain.name},
		{"OS_PROJECT_DOMAIN_ID", k.projectDomain.id},
		{"OS_REGION_NAME", k.region},
	}
}

func openstackToken(k known) []variable {
	return []variable{
		{"OS_AUTH_TYPE", "v3token"},
		{"OS_AUTH_URL", k.url},
		{"OS_IDENTITY_API_VERSION", "3"},
		{"OS_TOKEN", k.token},
		{"OS_PROJECT_NAME", k.project},
		{"OS_PROJECT_ID", k.projectID},
		{"OS_PROJECT_DOMAIN_NAME", k.projectDomain.name},
		{"OS_PROJECT_DOMAIN_ID", k.projectDomain.id},
		{"OS_REGION_NAME", k.region},
	}
}

// openstackAppCred names no project: Keystone refuses one.
func openstackAppCred(k known) []variable {
	return []variable{
		{"OS_AUTH_TYPE", "v3applicationcredential"},
		{"OS_AUTH_URL", k.url},
		{"OS_IDENTITY_API_VERSION", "3"},
		{"OS_APPLICATION_CREDENTIAL_ID", k.appCredID},
		{"OS_APPLICATION_CREDENTIAL_SECRET", k.appCredSecret},
		{"OS_REGION_NAME", k.region},
	}
}

// keystone2 is the v2.0 set, on which all clients agree. It names no version:
// the URL does.
func keystone2(k known) []variable {
	return []variable{
		{"OS_AUTH_URL", k.url + "/v2.0"},
		{"OS_USERNAME", k.user},
		{"OS_PASSWORD", k.password},
		{"OS_TENANT_NAME", k.project},
		{"OS_TENANT_ID", k.projectID},
		{"OS_REGION_NAME", k.region},
	}
}

// storageToken works in place of a login, and so names no Keystone.
func storageToken(k known) []variable {
	return []variable{
		{"OS_STORAGE_URL", k.storageURL},
		{"OS_AUTH_TOKEN", k.token},
	}
}

// goswiftPassword is for ncw/swift, which rclone and restic link: it finds the
// version in the URL and adds none, reads no OS_PROJECT_ID, and in old versions
// knows domains by name only.
func goswiftPassword(k known) []variable {
	user, project := k.userDomain.nameFirst(), k.projectDomain.nameFirst()
	return []variable{
		{"OS_AUTH_URL", k.url + "/v3"},
		{"ST_AUTH_VERSION", "3"},
		{"OS_USERNAME", k.user},
		{"OS_PASSWORD", k.password},
		{"OS_PROJECT_NAME", k.project},
		{"OS_TENANT_ID", k.projectID},
		{"OS_USER_DOMAIN_NAME", user.name},
		{"OS_USER_DOMAIN_ID", user.id},
		{"OS_PROJECT_DOMAIN_NAME", project.name},
		{"OS_PROJECT_DOMAIN_ID", project.id},
		{"OS_REGION_NAME", k.region},
	}
}

func goswiftAppCred(k known) []variable {
	return []variable{
		{"OS_AUTH_URL", k.url + "/v3"},
		{"ST_AUTH_VERSION", "3"},
		{"OS_APPLICATION_CREDENTIAL_ID", k.appCredID},
		{"OS_APPLICATION_CREDENTIAL_SECRET", k.appCredSecret},
		{"OS_REGION_NAME", k.region},
	}
}

// terraformPassword is for gophercloud, which refuses a domain given twice.
func terraformPassword(k known) []variable {
	user, project := k.userDomain.idFirst(), k.projectDomain.idFirst()
	return []variable{
		{"OS_AUTH_URL", k.url + "/v3"},
		{"OS_USERNAME", k.user},
		{"OS_PASSWORD", k.password},
		{"OS_PROJECT_NAME", k.project},
		{"OS_PROJECT_ID", k.projectID},
		{"OS_USER_DOMAIN_NAME", user.name},
		{"OS_USER_DOMAIN_ID", user.id},
		{"OS_PROJECT_DOMAIN_NAME", project.name},
		{"OS_PROJECT_DOMAIN_ID", project.id},
		{"OS_REGION_NAME", k.region},
	}
}

func terraformToken(k known) []variable {
	project := k.projectDomain.idFirst()
	return []variable{
		{"OS_AUTH_URL", k.url + "/v3"},
		{"OS_TOKEN", k.token},
		{"OS_PROJECT_NAME", k.project},
		{"OS_PROJECT_ID", k.projectID},
		{"OS_PROJECT_DOMAIN_NAME", project.name},
		{"OS_PROJECT_DOMAIN_ID", project.id},
		{"OS_REGION_NAME", k.region},
	}
}

func terraformAppCred(k known) []variable {
	return []variable{
		{"OS_AUTH_URL", k.url + "/v3"},
		{"OS_APPLICATION_CREDENTIAL_ID", k.appCredID},
		{"OS_APPLICATION_CREDENTIAL_SECRET", k.appCredSecret},
		{"OS_REGION_NAME", k.region},
	}
}

// duplicityPassword is for a client with names of its own. The older one knows
// the project as its tenant alone, the newer one still does.
func duplicityPassword(k known) []variable {
	return []variable{
		{"SWIFT_AUTHURL", k.url + "/v3"},
		{"SWIFT_AUTHVERSION", "3"},
		{"SWIFT_USERNAME", k.user},
		{"SWIFT_PASSWORD", k.password},
		{"SWIFT_TENANTNAME", k.project},
		{"SWIFT_TENANTID", k.projectID},
		{"SWIFT_USER_DOMAIN_NAME", k.userDomain.name},
		{"SWIFT_USER_DOMAIN_ID", k.userDomain.id},
		{"SWIFT_PROJECT_DOMAIN_NAME", k.projectDomain.name},
		{"SWIFT_PROJECT_DOMAIN_ID", k.projectDomain.id},
		{"SWIFT_REGIONNAME", k.region},
	}
}

func duplicityPassword2(k known) []variable {
	return []variable{
		{"SWIFT_AUTHURL", k.url + "/v2.0"},
		{"SWIFT_AUTHVERSION", "2"},
		{"SWIFT_USERNAME", k.user},
		{"SWIFT_PASSWORD", k.password},
		{"SWIFT_TENANTNAME", k.project},
		{"SWIFT_TENANTID", k.projectID},
		{"SWIFT_REGIONNAME", k.region},
	}
}

// duplicityToken says it twice: duplicity makes two connections and hands its
// own variables to the first only.
func duplicityToken(k known) []variable {
	return append([]variable{
		{"SWIFT_PREAUTHURL", k.storageURL},
		{"SWIFT_PREAUTHTOKEN", k.token},
	}, storageToken(k)...)
}

// awsKeys sets the region under both its names: botocore reads only the older
// one, other SDKs only the newer. The checksums that clients add unasked since
// 2025 are refused by many servers.
func awsKeys(k known) []variable {
	return []variable{
		{"AWS_ACCESS_KEY_ID", k.accessKeyID},
		{"AWS_SECRET_ACCESS_KEY", k.secretAccessKey},
		{"AWS_REGION", k.s3Region},
		{"AWS_DEFAULT_REGION", k.s3Region},
		{"AWS_ENDPOINT_URL_S3", k.s3URL},
		{"AWS_REQUEST_CHECKSUM_CALCULATION", "when_required"},
		{"AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required"},
	}
}
