// Command dial is the least a Go program can do: one HTTP/1.0 request over a
// Unix socket, the body to stdout. The yardstick for ccactl credential-process.
package main

import (
	"bytes"
	"io"
	"net"
	"os"
)

func main() {
	c, err := net.Dial("unix", os.Args[1])
	if err != nil {
		os.Exit(3)
	}
	if _, err := c.Write([]byte("GET " + os.Args[2] + " HTTP/1.0\r\n\r\n")); err != nil {
		os.Exit(1)
	}
	answer, err := io.ReadAll(c)
	_, body, ok := bytes.Cut(answer, []byte("\r\n\r\n"))
	if err != nil || !ok || !bytes.HasPrefix(answer[8:], []byte(" 200")) {
		os.Exit(1)
	}
	_, _ = os.Stdout.Write(body)
}
