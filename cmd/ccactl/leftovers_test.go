package main

import (
	"testing"
	"time"

	"github.com/cloud-ca/ccad/ipc"
)

// What is in force and refused was replaced by nothing.
func TestLeftoverIsRefused(t *testing.T) {
	l := leftover{StaleWord: ipc.StaleWord{Kind: "password", Subject: "u", Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)}}
	if got := l.what(); got != "a former password of u, replaced 2026-01-02 03:04:05" {
		t.Error(got)
	}
	l.Refused = true
	if got := l.what(); got != "the password of u, refused 2026-01-02 03:04:05" {
		t.Error(got)
	}
}
