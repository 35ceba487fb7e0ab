package practice

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// keystoneError is Keystone's error document.
type keystoneError struct {
	status  int
	message string
	extra   map[string]any // fields beside code, message and title
}

// unauthorized is all that Keystone says of a refused password, an unknown
// user, project or token, and a locked account.
var unauthorized = &keystoneError{status: http.StatusUnauthorized,
	message: "The request you have made requires authentication."}

func denied(action string) *keystoneError {
	return &keystoneError{status: http.StatusForbidden,
		message: "You are not authorized to perform the requested action: " + action + "."}
}

// delegated refuses an application credential's token.
var delegated = denied("Delegated tokens cannot access credentials directly")

func missing(kind, id string) *keystoneError {
	return &keystoneError{status: http.StatusNotFound, message: fmt.Sprintf("Could not find %s: %s.", kind, id)}
}

func badRequest(format string, args ...any) *keystoneError {
	return &keystoneError{status: http.StatusBadRequest, message: fmt.Sprintf(format, args...)}
}

// expecting is the error for a request without something.
func expecting(attribute, target string) *keystoneError {
	return badRequest("Expecting to find %s in %s. The server could not comply with the request since it is "+
		"either malformed or otherwise incorrect. The client is assumed to be in error.", attribute, target)
}

func (c *Cloud) writeError(w http.ResponseWriter, e *keystoneError) {
	if e.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf("Keystone uri=%q", c.AuthURL))
	}
	document := map[string]any{"code": e.status, "message": e.message, "title": http.StatusText(e.status)}
	for name, value := range e.extra {
		document[name] = value
	}
	writeJSON(w, e.status, map[string]any{"error": document})
}

func writeJSON(w http.ResponseWriter, status int, document any) {
	body, err := json.Marshal(document)
	if err != nil {
		panic(err) // a document of ours can't be marshalled
	}
	w.Header().Set("Content-Type", "application/json")
	writeBody(w, status, body)
}

func writeBody(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
