package main

import (
	"errors"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/cloud-ca/ccad/ipc"
)

// lean runs credential-process and env when their words are the plain ones, and
// reports whether it did.
func lean(args []string) (done bool, err error) {
	if len(args) == 0 {
		return false, nil
	}
	switch args[0] {
	case "credential-process":
		words, flags, plain := parse(args[1:], []string{"env"})
		if plain && len(words) == 0 && flags["env"] != "" && !contradicts(flags) {
			return true, credentialProcess(flags["env"], flags["gateway"])
		}
	case "env":
		words, flags, plain := parse(args[1:], envFlags)
		if plain && len(words) == 1 && !contradicts(flags) {
			return true, env(words[0], flags)
		}
	}
	return false, nil
}

// switches are flags without a value.
var switches = []string{"gateway", "direct"}

// contradicts: through the gateway and directly.
func contradicts(flags map[string]string) bool {
	return flags["gateway"] != "" && flags["direct"] != ""
}

// parse reads words, switches and flags of the forms --flag value and
// --flag=value. It reports false on anything else.
func parse(args, known []string) (words []string, flags map[string]string, plain bool) {
	flags = map[string]string{}
	for i := 0; i < len(args); i++ {
		if !strings.HasPrefix(args[i], "-") {
			words = append(words, args[i])
			continue
		}
		name, value, given := strings.Cut(strings.TrimPrefix(args[i], "--"), "=")
		if slices.Contains(switches, name) && !given {
			flags[name] = "true"
			continue
		}
		if !given {
			if i++; i == len(args) {
				return nil, nil, false
			}
			value = args[i]
		}
		if value == "" || !slices.Contains(known, name) {
			return nil, nil, false
		}
		flags[name] = value
	}
	return words, flags, true
}

// credentialProcess prints the document of an AWS SDK's credential_process:
// nothing else on stdout ever, nothing at all on stderr when it works.
// Through the gateway it is a key that only this machine's gateway accepts.
func credentialProcess(name, gateway string) error {
	path := "credential-process"
	if gateway != "" {
		path += "?gateway=true"
	}
	body, _, err := view(name, path)
	if err != nil {
		return err
	}
	return emit(body)
}

// envFlags are what a client may say about the view it wants.
var envFlags = []string{"format", "auth", "client", "for"}

// env prints an environment as variables or as a file.
func env(name string, flags map[string]string) error {
	query := url.Values{}
	for flag, value := range flags {
		if value != "" {
			query.Set(flag, value)
		}
	}
	if os.Getenv("CCAD_ENV") == name { // a shell's hook says so: it is to hear what happened to what it has
		query.Set("selected", "true")
	}
	body, warnings, err := view(name, "env?"+query.Encode())
	if err != nil {
		return err
	}
	warn(warnings)
	return emit(body)
}

// view asks for a rendering of an environment. What the cloud refuses comes
// with the command that mends it.
func view(name, view string) (body []byte, warnings []string, err error) {
	if err := checkName(name); err != nil {
		return nil, nil, err
	}
	body, warnings, err = ipc.Get("/v1/environments/" + name + "/views/" + view)
	var failure *ipc.Error
	switch {
	case !errors.As(err, &failure):
	case failure.Code == ipc.CodeRefused:
		err = advised(err, mending(name))
	case failure.Code == ipc.CodeWithheld:
		err = advised(err, "ccactl verify "+name)
	case failure.Code == ipc.CodeFailed && ofKeys(view):
		err = advised(err, keyAdvice(name))
	case failure.Code == ipc.CodeFailed && keysAlone(name):
		err = advised(err, "it holds S3 keys, for AWS clients: ccactl configure aws "+name)
	}
	return body, warnings, err
}

// ofKeys reports whether a view has S3 keys, and nothing without them.
func ofKeys(view string) bool {
	kind, query, _ := strings.Cut(view, "?")
	q, _ := url.ParseQuery(query)
	return kind == "credential-process" || kind == "endpoint" || q.Get("client") == "aws" || q.Get("format") == "s3cfg"
}

// checkName refuses what can't name an environment and thus names none: a name
// becomes part of a path of the wire.
func checkName(name string) error {
	if !validName(name) {
		return &ipc.Error{Code: ipc.CodeUnknown, Message: "no environment can be named " + quote(name)}
	}
	return nil
}

// noName says what a name may be, of one that it may not.
func noName(name string) error {
	return usage("%s can't name an environment: %s", quote(name), nameRule)
}

const nameRule = "a to z, 0 to 9, and . _ - inside, at most 63 characters"

// validName is the contract's rule, ^[a-z0-9][a-z0-9._-]{0,62}$.
func validName(name string) bool {
	for i, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
		case i > 0 && (r == '.' || r == '_' || r == '-'):
		default:
			return false
		}
	}
	return name != "" && len(name) <= 63
}

// emit writes to stdout at once.
func emit(data []byte) error {
	_, err := os.Stdout.Write(data)
	return err
}
