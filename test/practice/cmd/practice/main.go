// Command practice runs a practice cloud (package practice) until its standard
// input ends or SIGTERM or SIGINT comes. It prints where the cloud is as
// KEY=VALUE lines, the same that `cloud.sh vars` prints for the real lab.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/cloud-ca/ccad/test/practice"
)

func main() {
	port := flag.Int("port", 0, "port of Keystone; the two S3 servers take the next ones (0: any)")
	region := flag.String("region", practice.Region, "S3 region of CLOUD_S3_URL")
	ready := flag.String("ready-file", "", "write the lines to this file too, once the cloud answers")
	flag.Parse()
	if err := run(*port, *region, *ready); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(port int, region, ready string) error {
	// Before anybody can know that it runs: a signal must end it cleanly from
	// the first line that it prints.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, err := practice.Start(practice.Options{Port: port, Region: region})
	if err != nil {
		return err
	}
	defer c.Close()
	fmt.Print(c.Vars())
	if ready != "" {
		// Whoever waits for the file must not see half of it.
		if err := os.WriteFile(ready+".new", []byte(c.Vars()), 0o600); err != nil {
			return err
		}
		if err := os.Rename(ready+".new", ready); err != nil {
			return err
		}
	}
	ended := make(chan struct{})
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); close(ended) }()
	select {
	case <-ctx.Done():
	case <-ended:
	}
	return nil
}
