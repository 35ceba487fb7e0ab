package view

import (
	"encoding/json"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
)

// CredentialProcess is what AWS SDKs expect of a credential_process, on one
// line. Without an Expiration they would never ask again; a SessionToken, even
// an empty one, would be signed by some.
func CredentialProcess(keys account.KeyPair, until time.Time) []byte {
	line, _ := json.Marshal(struct { // strings and a number always marshal
		Version         int
		AccessKeyID     string `json:"AccessKeyId"`
		SecretAccessKey string
		Expiration      string
	}{1, keys.AccessKeyID, keys.Secret.Reveal(), until.UTC().Format(time.RFC3339)})
	return append(line, '\n')
}
