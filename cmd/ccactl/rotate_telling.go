package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cloud-ca/ccad/ipc"
)

// A telling is the story of rotations as a person is told it: a line a step, on
// a terminal already while it is made.
type telling struct {
	asked  rotation
	live   bool   // on a terminal, whose last line can be written anew
	making string // the step on that line, which has no end yet

	begun   []string // subjects
	already []string // those that were replaced before, and whose former value drains
	over    []string // of them, those with nothing left to do
	waiting bool     // for a person in the portal
	failed  []ipc.RotateLine
}

func newTelling(asked rotation) *telling {
	return &telling{asked: asked, live: !asked.asJSON && colourful()}
}

// line tells of one line of the stream.
func (t *telling) line(raw []byte) error {
	var l ipc.RotateLine
	if err := json.Unmarshal(raw, &l); err != nil {
		return fmt.Errorf("decode a step: %w", err)
	}
	t.note(l)
	if t.asked.asJSON {
		return printLine(raw)
	}
	return t.print(l)
}

// note keeps what the end of the story needs.
func (t *telling) note(l ipc.RotateLine) {
	switch {
	case l.Code != "":
		t.failed = append(t.failed, l)
	case l.Already:
		t.already = append(t.already, l.Subject)
	case l.Step == "journal":
		t.begun = append(t.begun, l.Subject)
	case l.State == "done" && slices.Contains([]string{"heal", "prove-dead", "withdraw"}, l.Step):
		t.over = append(t.over, l.Subject)
	}
	t.waiting = l.Step == "portal" || t.waiting && l.Step == "adopt"
}

// print prints a line for people. What failed for good is said at the end, on
// stderr.
func (t *telling) print(l ipc.RotateLine) error {
	making := l.Subject + ": " + l.Step
	switch {
	case l.Code != "":
		return t.finish("")
	case l.State == "start" && l.Step != "drain" && l.Step != "portal":
		if !t.live {
			return nil
		}
		if err := t.finish(making); err != nil {
			return err
		}
		t.making = making
		return emit([]byte(plain(making) + " …"))
	}
	if err := t.finish(making); err != nil {
		return err
	}
	return emit([]byte(told(l)))
}

// finish ends the line of the step that is being made: by what is printed next,
// where that is of the same step.
func (t *telling) finish(next string) error {
	was := t.making
	t.making = ""
	switch {
	case was == "":
		return nil
	case was == next:
		return emit([]byte("\r\x1b[K"))
	}
	return emit([]byte("\n"))
}

// purpose is what a step is for, to somebody who does not know it; a map of them
// would be made at each start of ccactl.
func purpose(step string) string {
	switch step {
	case "journal":
		return "write it down first"
	case "create":
		return "ask the cloud for a new one"
	case "change":
		return "ask the cloud to change it"
	case "find":
		return "see which one is in force"
	case "prove":
		return "see that the new one works"
	case "flip":
		return "hand it out from now on"
	case "heal":
		return "bring its environments in line"
	case "drain":
		return "wait for those who hold the former one"
	case "delete":
		return "have the cloud delete the former one"
	case "prove-dead":
		return "see that it is gone"
	case "withdraw":
		return "take the new one back"
	}
	return ""
}

// told is what a line says.
func told(l ipc.RotateLine) string {
	text := l.Subject + ": " + l.Step
	switch {
	case l.State == "failed":
		text += " failed, " + l.Error
	case l.Step == "plan" && l.Until != nil:
		text += ", " + l.Note + "; the former one would be deleted at " + l.Until.Local().Format(time.DateTime)
	case l.Step == "adopt":
		text += ", " + l.Note + "; served in " + strings.Join(l.Environments, ", ")
	case l.Already && len(l.Holders) > 0:
		text += ", " + l.Note + " (--grace 0s deletes it now)"
	case l.Note != "":
		text += ", " + l.Note
	case purpose(l.Step) != "":
		text += " (" + purpose(l.Step) + ")"
	}
	out := plain(text) + "\n"
	for _, holder := range heldByEach(l.Holders) {
		out += "  held by " + plain(holder) + "\n"
	}
	if l.Step == "portal" {
		out += guidance(l)
	}
	return out
}

// guidance is what a person is to do in the portal, and how ccad hears of it.
func guidance(l ipc.RotateLine) (out string) {
	for i, click := range l.Clicks {
		out += fmt.Sprintf("  %d. %s\n", i+1, plain(click))
	}
	out += "  this concerns " + plain(strings.Join(l.Environments, ", ")) + "\n"
	if len(l.Sources) > 0 {
		out += "  ccad waits, and takes what is new from " + plain(strings.Join(l.Sources, ", ")) + "\n"
	} else {
		out += "  ccad waits for what is new\n"
	}
	byHand := []string{}
	if l.User != "" {
		byHand = append(byHand, "ccactl update --user "+shellWord(l.User))
	}
	if l.Environment != "" {
		byHand = append(byHand, "ccactl update "+l.Environment)
	}
	return out + "  by hand, in another terminal: " + plain(strings.Join(byHand, "; ")) + "\n"
}

// flushing is how long a terminal may take to throw away what is being written
// when Ctrl-C comes: what answers it too soon is lost with that.
const flushing = 50 * time.Millisecond

// interrupted says what Ctrl-C has left.
func (t *telling) interrupted() {
	time.Sleep(flushing)
	_ = t.finish("")
	under := slices.DeleteFunc(slices.Concat(t.begun, t.already), func(s string) bool { return slices.Contains(t.over, s) })
	switch {
	case t.asked.DryRun:
		return
	case t.waiting:
		say("nothing was begun; what you change in the portal is adopted when it is noticed")
	case len(under) > 0:
		say("ccad goes on with " + strings.Join(under, ", ") + ", and begins nothing else: ccactl status")
	case len(t.begun)+len(t.already) == 0:
		say("nothing was begun, so far as was told: ccactl status")
	}
}

// sum says what failed, and of several how many did; the exit code is the first
// failure's.
func (t *telling) sum() error {
	var first error
	for _, l := range t.failed {
		said := l.Error
		if !strings.HasPrefix(said, l.Subject+" ") && !strings.HasPrefix(said, l.Subject+":") { // it may begin by itself with what it is about
			said = l.Subject + ": " + said
		}
		err := error(&ipc.Error{Code: l.Code, Message: said})
		of, isCredential := strings.CutPrefix(l.Subject, "the application credential of ")
		switch {
		case l.Environment != "":
			err = advised(err, "ccactl rotate "+l.Environment+" says what to press")
		case l.Code == ipc.CodeWithheld:
			err = advised(err, strings.Join(append([]string{"ccactl verify"}, t.asked.Environments...), " "))
		case isCredential && said == l.Subject+": there is none":
			err = advised(err, "ccactl env "+of+" --auth application-credential makes one")
		case l.Code == ipc.CodeRefused:
			if mend := mendingPassword(said, "ccactl rotate --user "+shellWord(t.asked.User)+" --password"); mend != "" {
				err = advised(err, mend)
			}
		}
		code := exit(err)
		if first == nil {
			first = exitCode(code)
		}
	}
	if several := t.asked.All || len(t.asked.Environments) > 1; several && !t.asked.DryRun && !t.asked.asJSON {
		failed := map[string]bool{}
		for _, l := range t.failed {
			failed[l.Subject] = true
		}
		fine := slices.DeleteFunc(slices.Clone(t.begun), func(s string) bool { return failed[s] })
		still := ""
		drains := slices.DeleteFunc(slices.Clone(t.already), func(s string) bool { return slices.Contains(t.over, s) })
		if n := len(drains); n > 0 {
			still = fmt.Sprintf(" %d still draining,", n)
		}
		say(fmt.Sprintf("%d rotated,%s %d failed", len(fine), still, len(failed)))
	}
	return first
}

// mendingPassword returns the command for the user of whose refused password an
// error of another command tells; "" where it tells of none.
func mendingPassword(said, command string) string {
	st, _ := glance()
	for _, t := range troubles(st, time.Now()) {
		if !t.harmless && t.user != "" && t.mend != command && strings.Contains(said, "the password of "+t.user+" ") {
			return t.mend
		}
	}
	return ""
}
