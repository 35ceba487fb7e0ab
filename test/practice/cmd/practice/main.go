// Command practice runs a practice cloud (package practice) until its standard
// input ends or SIGTERM or SIGINT comes. It prints where the cloud is as
// KEY=VALUE lines, the same that `cloud.sh vars` prints for the real lab.
//
// Its standard input is the administrator's door. A line of it is one act, and
// is answered by one line, "done" or what is wrong:
//
//	regenerate USER PASSWORD   what the portal's button does: a new password, and
//	                           a new S3 key for every project in place of the old
package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/cloud-ca/ccad/test/practice"
)

func main() {
	port := flag.Int("port", 0, "port of Keystone; the two S3 servers take the next ones (0: any)")
	region := flag.String("region", practice.Region, "S3 region of CLOUD_S3_URL")
	ready := flag.String("ready-file", "", "write the lines to this file too, once the cloud answers")
	portal := flag.String("portal", "", "speak the reading part of the portal's API too, and write its key to this file; PORTAL_URL is where")
	flag.Parse()
	if err := run(*port, *region, *ready, *portal); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(port int, region, ready, portal string) error {
	// Before anybody can know that it runs: a signal must end it cleanly from
	// the first line that it prints.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, err := practice.Start(practice.Options{Port: port, Region: region})
	if err != nil {
		return err
	}
	defer c.Close()
	vars := c.Vars()
	if portal != "" {
		key := rand.Text()
		p, err := practice.StartPortal(key, func() []practice.PortalEnvironment { return c.PortalView(c.User.Name) })
		if err != nil {
			return err
		}
		defer p.Close()
		if err := os.WriteFile(portal, []byte(key+"\n"), 0o600); err != nil {
			return err
		}
		vars += "PORTAL_URL=" + p.URL + "\n"
	}
	fmt.Print(vars)
	if ready != "" {
		// Whoever waits for the file must not see half of it.
		if err := os.WriteFile(ready+".new", []byte(vars), 0o600); err != nil {
			return err
		}
		if err := os.Rename(ready+".new", ready); err != nil {
			return err
		}
	}
	ended := make(chan struct{})
	go func() { administer(c, os.Stdin, os.Stdout); close(ended) }()
	select {
	case <-ctx.Done():
	case <-ended:
	}
	return nil
}

// administer acts on each line until there are no more.
func administer(c *practice.Cloud, in io.Reader, out io.Writer) {
	for lines := bufio.NewScanner(in); lines.Scan(); {
		answer := "done"
		if err := act(c, strings.Fields(lines.Text())); err != nil {
			answer = err.Error()
		}
		_, _ = fmt.Fprintln(out, answer)
	}
}

func act(c *practice.Cloud, words []string) error {
	switch {
	case len(words) != 3 || words[0] != "regenerate":
		return errors.New("it is: regenerate USER PASSWORD")
	case !c.HasUser(words[1]):
		return fmt.Errorf("there is no user %q", words[1])
	}
	c.Reset(words[1], words[2])
	return nil
}
