package story

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// ill KIND…: for each kind of ill cloud one that is so, and the openrc KIND.sh of a
// user of it. A number is the status that it answers with.
func ill(ts *testscript.TestScript, _ bool, args []string) {
	for _, kind := range args {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // else nobody sees the client hang up
			switch status, err := strconv.Atoi(kind); {
			case err == nil:
				http.Error(w, "<html>no", status)
			case kind == "hang":
				<-r.Context().Done()
			default:
				_, _ = w.Write([]byte("\x1f\x8b{\"token\": [<html>\xff\x00"))
			}
		}))
		server.Config.ErrorLog = log.New(io.Discard, "", 0) // a handshake that fails is meant to
		more := ""
		if kind == "foreign" { // its certificate is trusted, and not localhost's
			server.StartTLS()
			ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
			ts.Check(os.WriteFile(ts.MkAbs("foreign.pem"), ca, 0o600))
			more = "export OS_CACERT=" + ts.MkAbs("foreign.pem") + "\n"
		} else {
			server.Start()
		}
		ts.Defer(func() { server.CloseClientConnections(); server.Close() })
		url := strings.Replace(server.URL, "https://127.0.0.1", "https://localhost", 1)
		openrc := fmt.Sprintf("export OS_PASSWORD=hunter2 OS_USERNAME=%s OS_PROJECT_NAME=p OS_IDENTITY_API_VERSION=3 OS_AUTH_URL=%s\n%s", "u-"+kind, url, more)
		ts.Check(os.WriteFile(ts.MkAbs(kind+".sh"), []byte(openrc), 0o600))
	}
}
