package main

import (
	"fmt"
	"os"
	"time"

	"github.com/cloud-ca/ccad/cmd/ccactl/stale"
	"github.com/cloud-ca/ccad/ipc"
)

// wordsAtOnce bounds one request to the daemon.
const wordsAtOnce = 50_000

// A leftover is a place where a secret lies that is in force no more.
type leftover struct {
	stale.Place
	ipc.StaleWord
}

// leftovers looks through the user's own processes, the usual dotfiles and
// histories, and the files that ccad knows of. unread names files that could
// not be looked into.
func leftovers() (found []leftover, unread []string, err error) {
	if err := ipc.CheckHome(); err != nil {
		return nil, nil, err
	}
	var known ipc.StaleFiles
	if err := read("/v1/stale", &known); err != nil {
		return nil, nil, err
	}
	words, unread := stale.Files(ipc.Home(), os.Getenv, append(known.Files, writtenFiles()...))
	found, err = dead(append(words, stale.Processes()...))
	return found, unread, err
}

// dead are those of the words that the daemon knows for secrets that are in force no
// more.
func dead(words []stale.Word) (found []leftover, err error) {
	places := map[string][]stale.Place{}
	var texts []string
	for _, w := range words {
		if places[w.Text] == nil {
			texts = append(texts, w.Text)
		}
		places[w.Text] = append(places[w.Text], w.Place)
	}
	for len(texts) > 0 {
		batch := texts[:min(len(texts), wordsAtOnce)]
		texts = texts[len(batch):]
		var reply ipc.StaleReply
		if err := call("POST", "/v1/stale", ipc.StaleRequest{Words: batch}, &reply); err != nil {
			return nil, err
		}
		for _, s := range reply.Found {
			if s.Index < 0 || s.Index >= len(batch) {
				continue
			}
			for _, p := range places[batch[s.Index]] {
				found = append(found, leftover{p, s})
			}
		}
	}
	return found, nil
}

// what says which secret it is, and where says where it lies; neither shows it.
func (l leftover) what() string {
	which, became := "a former ", ", replaced "
	if l.Refused {
		which, became = "the ", ", refused "
	}
	kind := map[string]string{"password": "password of ", "s3-key": "S3 secret of ", "application-credential": "application credential of "}[l.Kind]
	return which + kind + l.Subject + became + l.Since.Local().Format(time.DateTime)
}

func (l leftover) where() string {
	if l.PID != 0 {
		return fmt.Sprintf("%s[%d], in its variable %s", l.Program, l.PID, l.Variable)
	}
	return fmt.Sprintf("%s:%d", l.File, l.Line)
}

// checkLeftovers is doctor's: a former secret is no danger to the account, but
// whatever still has it fails, and may lock the account out by trying.
func checkLeftovers() (found []finding, err error) {
	const check = "stale"
	left, unread, err := leftovers()
	if err != nil {
		return nil, err
	}
	for _, l := range left {
		mend := "take it out of the file: ccactl env, exec and configure serve the present one"
		if l.Refused {
			mend = "ccactl status says how its successor is handed in"
		} else if l.PID != 0 {
			mend = "restart the program: ccactl exec --on-change restart does that by itself"
		}
		found = append(found, wrong(check, mend, "%s: %s", l.where(), l.what()))
	}
	for _, path := range unread {
		found = append(found, wrong(check, "look into it yourself", "%s could not be looked into: it is no regular file of yours, or too large", path))
	}
	if len(found) == 0 {
		return fine(check, "no former secret lies in your processes, dotfiles and shell histories"), nil
	}
	return found, nil
}
