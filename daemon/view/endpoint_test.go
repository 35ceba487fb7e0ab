package view

import (
	"slices"
	"strings"
	"testing"
)

// A program that fetches keys of the gateway inherits no other: neither what a
// hooked shell or a view of any client has exported, nor what SDKs would prefer.
func TestEndpointTakesOutAllElse(t *testing.T) {
	inherited := map[string]bool{
		"AWS_PROFILE": true, "AWS_ROLE_ARN": true, "AWS_WEB_IDENTITY_TOKEN_FILE": true,
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": true, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": true,
		"OS_PASSCODE": true, "ST_KEY": true,
	}
	for client, c := range clients {
		for _, m := range c.auths {
			body, _, err := Render(Request{Client: client, Auth: m.auth, Format: "environ"}, documented())
			if err != nil {
				t.Fatal(err)
			}
			for entry := range strings.SplitSeq(string(body), "\x00") {
				if name, _, sets := strings.Cut(entry, "="); sets {
					inherited[name] = true
				}
			}
		}
	}
	var kept []string
	for entry := range strings.SplitSeq(string(Endpoint("http://127.0.0.1:1/v1/credentials", "token", "http://127.0.0.1:1", "here")), "\x00") {
		name, value, sets := strings.Cut(entry, "=")
		delete(inherited, name)
		if sets && value != "" {
			kept = append(kept, name)
		}
	}
	if len(inherited) != 0 {
		t.Errorf("it inherits %v", inherited)
	}
	for _, name := range []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_ENDPOINT_URL_S3", "AWS_REGION"} {
		if !slices.Contains(kept, name) {
			t.Errorf("it lacks %s", name)
		}
	}
}
