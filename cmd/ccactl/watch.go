package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/cloud-ca/ccad/ipc"
)

// interrupted returns a context that ends at Ctrl-C: for verbs that run until
// then, so that it is their proper end.
func interrupted() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
}

func printLine(line []byte) error { return emit(append(line, '\n')) }

// reconnectPause keeps watch from running hot where a stream ends at once.
const reconnectPause = 200 * time.Millisecond

// watch outlives a lock: the daemon ends its streams when it executes itself
// anew. It ends when nobody answers any more.
func watchVerb() *cobra.Command {
	c := verb("watch [--json]", "Print events as JSON lines until interrupted", words(0, 0), func(*cobra.Command, []string) error {
		ctx, stop := interrupted()
		defer stop()
		print := printOnce()
		for {
			err := ipc.Stream(ctx, "GET", "/v1/events", print)
			if errors.Is(err, context.Canceled) {
				return nil
			}
			if err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(reconnectPause):
			}
		}
	})
	c.Flags().Bool("json", false, "print JSON, as it does in any case")
	return c
}

// printOnce prints events. Each stream begins with whether ccad is locked, which
// is news only where that has changed.
func printOnce() func([]byte) error {
	state := ""
	return func(line []byte) error {
		var e ipc.Event
		if json.Unmarshal(line, &e) == nil && (e.Event == "locked" || e.Event == "unlocked") {
			if e.Event == state {
				return nil
			}
			state = e.Event
		}
		return printLine(line)
	}
}

func logVerb() *cobra.Command {
	var follow, check, asJSON bool
	c := verb("log [--follow] [--verify] [--json]", "Print the audit trail, or check that nobody altered it", words(0, 0), func(c *cobra.Command, _ []string) error {
		switch {
		case follow && check:
			return misused(c, "either --follow, or --verify")
		case check:
			return verifyLog(asJSON)
		}
		path := "/v1/log"
		if follow {
			path += "?follow=true"
		}
		line := printEntry
		if asJSON {
			line = printLine
		}
		ctx, stop := interrupted()
		defer stop()
		err := ipc.Stream(ctx, "GET", path, line)
		switch {
		case errors.Is(err, context.Canceled):
			return nil
		case err == nil && follow:
			return errors.New("the daemon locked or stopped, and closed its trail")
		}
		return err
	})
	c.Flags().BoolVar(&follow, "follow", false, "go on until interrupted")
	c.Flags().BoolVar(&check, "verify", false, "check the chain from its first line to its last")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// printEntry prints a line of the trail for people: what they ask of it.
func printEntry(line []byte) error {
	var e struct {
		Time        time.Time `json:"time"`
		Event       string    `json:"event"`
		Environment string    `json:"environment"`
		User        string    `json:"user"`
		View        string    `json:"view"`
		Note        string    `json:"note"`
		PID         int       `json:"pid"`
		Program     string    `json:"program"`
		Parent      string    `json:"parent"`
	}
	if err := json.Unmarshal(line, &e); err != nil {
		return fmt.Errorf("decode a line of the trail: %w", err)
	}
	text := e.Time.Local().Format(time.DateTime) + " " + e.Event
	for _, part := range []string{e.Environment, e.User, e.View, e.Note} {
		if part != "" {
			text += " " + part
		}
	}
	if e.Program != "" {
		text += fmt.Sprintf(", to %s (%d)", e.Program, e.PID)
	}
	if e.Parent != "" {
		text += " of " + e.Parent
	}
	return emit([]byte(plain(text) + "\n"))
}

func verifyLog(asJSON bool) error {
	var r ipc.LogReport
	if err := call("GET", "/v1/log/verify", nil, &r); err != nil {
		return err
	}
	if asJSON {
		if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
			return err
		}
	}
	switch {
	case !r.Intact:
		return fmt.Errorf("the trail was altered: %s", r.Fault)
	case asJSON:
		return nil
	}
	out := fmt.Appendf(nil, "%d lines, all as they were written\n", r.Lines)
	for _, note := range r.Notes {
		out = fmt.Appendf(out, "%s\n", plain(note))
	}
	return emit(out)
}
