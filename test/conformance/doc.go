// Package conformance holds the practice cloud (package practice) against the
// real Keystone and Swift (package lab), so that the stand-in cannot lie.
//
// A scenario is a list of raw HTTP requests. Running it writes a transcript:
// each request, its status, the headers that matter and the body, with what
// changes from run to run (ids, tokens, times, ports) replaced by stable names.
// testdata holds the transcripts as the real cloud wrote them:
//
//	go test ./test/conformance -run Real -update
//
// writes them anew, and both clouds must give them back. A difference on the
// real side means that the real software has changed; on the practice side, that
// the stand-in is wrong. What the practice cloud does not claim to speak is in
// no scenario.
package conformance
