package gateway

import (
	"crypto/hmac"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// CredentialPath is where clients that know no credential_process get gateway
// keys from (AWS_CONTAINER_CREDENTIALS_FULL_URI). As a bucket it would have too
// short a name.
const CredentialPath = "/v1/credentials"

// credentialLife is how long a key from the endpoint lives, if the token does.
// SDKs ask again a quarter of an hour before it ends.
const credentialLife = time.Hour

// sessionToken goes with the keys because some SDKs want one, and not empty. It
// says nothing, comes back signed and is dropped.
const sessionToken = "ccad"

// credentials answers the container credential endpoint: a fresh gateway key
// for whoever holds a token.
func (x *exchange) credentials() *fault {
	if x.r.Method != http.MethodGet {
		return &fault{http.StatusMethodNotAllowed, "MethodNotAllowed", "credentials are only read"}
	}
	key := x.g.o.Key()
	if key == nil {
		return errLocked
	}
	t, ok := readToken(strings.TrimPrefix(x.r.Header.Get("Authorization"), "Bearer "))
	if !ok {
		return denied("AccessDenied", "there is no token of ccad's in the Authorization header")
	}
	now := x.g.now()
	b, f := x.g.bind(t.environment())
	if f != nil {
		return f
	}
	switch {
	case !hmac.Equal(t.mac, t.sign(key, b.Epoch)):
		return denied("AccessDenied", "the token is not valid: it was changed or revoked")
	case !x.own():
		return denied("AccessDenied", "credentials are given to the user's own programs")
	case !now.Before(t.until()):
		return denied("ExpiredToken", "the token has expired")
	case !x.g.o.Alive(t.process()):
		return denied("AccessDenied", "the program that the token was for has ended")
	}
	if b.Refused != nil && b.Refused.Passing {
		b.Refused = nil // it may be over when the key is used
	}
	if f := b.refusal(); f != nil {
		return f
	}
	until := now.Add(credentialLife)
	if t.until().Before(until) {
		until = t.until()
	}
	pair := MintKey(key, b.ID, b.Epoch, until)
	minted, _ := readKey(pair.AccessKeyID)
	x.proven(b, minted)
	doc, _ := json.Marshal(map[string]string{ // of strings: never fails
		"AccessKeyId": pair.AccessKeyID, "SecretAccessKey": pair.Secret.Reveal(),
		"Token": sessionToken, "Expiration": until.UTC().Format(time.RFC3339)})
	x.reply(http.StatusOK, "application/json", append(doc, '\n'))
	return nil
}

// own reports whether the client is a program of the user's. A token goes to
// whoever has the port: another user who had it while ccad was away must not be
// able to use what he was sent.
func (x *exchange) own() bool {
	ours, ok := x.r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	client, err := netip.ParseAddrPort(x.r.RemoteAddr)
	return ok && err == nil && x.g.o.Own(client, ours.AddrPort())
}

// refuseCredentials answers a fault as SDKs read it here: some want code, some
// Code.
func (x *exchange) refuseCredentials(f *fault) {
	x.record.Code = f.code
	doc, _ := json.Marshal(map[string]string{"code": f.code, "Code": f.code, "message": f.message, "Message": f.message})
	x.reply(f.status, "application/json", append(doc, '\n'))
}
