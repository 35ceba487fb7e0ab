package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/cloud-ca/ccad/ipc"
)

// setup is one guided run. Each step asks before it changes anything, says what
// it did, and finds nothing to do the next time.
type setup struct {
	yes        bool
	leave      []string // steps left out
	name       string
	s3Endpoint string
	s3Region   string
	keyring    string
	files      []string // to import, in place of what lies in the usual places
	passphrase passphraseFlags
	undo       *undoLog
}

// setupSteps in their order. A later one builds on the earlier ones; what fails
// in one that others need ends the run.
var setupSteps = []struct {
	name, title string
	run         func(*setup) error
	needed      bool
}{
	{"service", "The daemon", (*setup).startDaemon, true},
	{"keyring", "The keyring", (*setup).openKeyring, true},
	{"import", "Your credentials", (*setup).bringCredentials, false},
	{"aws", "AWS clients", (*setup).writeAWS, false},
	{"shell", "Your shell", (*setup).hookShell, false},
	{"scrub", "Plain text", (*setup).scrub, false},
	{"verify", "Does it work?", (*setup).prove, false},
}

func setupVerb() *cobra.Command {
	var s setup
	var undo bool
	var names []string
	for _, step := range setupSteps {
		names = append(names, step.name)
	}
	c := verb("setup [FILE…] [--yes] [--undo]", "Set everything up, from nothing to a working aws s3 ls", words(0, -1), func(c *cobra.Command, args []string) (err error) {
		for _, step := range s.leave {
			if !slices.Contains(names, step) {
				return misused(c, "there is no step "+quote(step))
			}
		}
		if s.name != "" && !validName(s.name) {
			return usage("%s can't name an environment: a to z, 0 to 9, and . _ - inside", quote(s.name))
		}
		if s.undo, err = openUndoLog(); err != nil {
			return err
		}
		if undo {
			return s.undo.back()
		}
		if !s.yes && !attended() {
			return usage("setup asks before each step, and %v: --yes agrees to all", errNoTerminal)
		}
		s.files = args
		return s.all()
	})
	c.Long = `Set everything up: start the daemon as your service, make or open the keyring,
import the files of credentials that lie in the usual places (or what the
portal's page shows), write the AWS profiles and the shell's line, and see that
it works.

Each step asks first; it can be left out, and run again later. --yes agrees to
all of them. --undo gives the files that setup changed their former bytes back,
and takes away the service that it installed; the keyring stays.`
	c.Example = `  ccactl setup
  ccactl setup openrc.sh --yes --passphrase-file F --without shell,scrub
  ccactl setup --undo`
	f := c.Flags()
	f.BoolVar(&s.yes, "yes", false, "agree to every step")
	f.BoolVar(&undo, "undo", false, "give the changed files their former bytes back, take the service away")
	f.StringSliceVar(&s.leave, "without", nil, "steps to leave out: service, keyring, import, aws, shell, scrub, verify")
	f.StringVar(&s.name, "name", "", "name of the environment, if there is one to bring in")
	f.StringVar(&s.s3Endpoint, "s3-endpoint", "", "where the S3 API is")
	f.StringVar(&s.s3Region, "s3-region", "", "the region that S3 requests are signed for")
	f.StringVar(&s.keyring, "keyring", "", "the keyring to make: file, secret-service, keychain, kwallet, pass or keyctl")
	s.passphrase.register(c)
	_ = c.RegisterFlagCompletionFunc("without", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
	c.ValidArgsFunction = nil // files
	return c
}

func (s *setup) all() error {
	var failed error
	for i, step := range setupSteps {
		_, _ = fmt.Printf("%s\n", bold(fmt.Sprintf("%d. %s", i+1, step.title)))
		if slices.Contains(s.leave, step.name) {
			s.done("left out")
			continue
		}
		err := step.run(s)
		if errors.Is(err, errDeclined) {
			s.done("left out")
			err = nil
			if step.needed {
				s.done("the rest needs it: ccactl setup goes on from here another time")
				return nil
			}
		}
		if err != nil && step.needed {
			return err
		}
		if err != nil {
			code := exitCode(exit(err))
			if failed == nil {
				failed = code
			}
		}
	}
	return failed
}

// setupColumns is how wide setup's sentences are on a terminal.
const setupColumns = 78

// done says what a step did or found.
func (*setup) done(format string, args ...any) {
	line := "  "
	for word := range strings.FieldsSeq(plain(fmt.Sprintf(format, args...))) {
		if colourful() && utf8.RuneCountInString(line+word) > setupColumns && strings.TrimSpace(line) != "" {
			_, _ = fmt.Println(line)
			line = "  "
		}
		line += " " + word
	}
	_, _ = fmt.Println(line)
}

var errDeclined = errors.New("declined")

// agree asks whether a step may do something; it returns errDeclined for no.
func (s *setup) agree(format string, args ...any) error {
	question := fmt.Sprintf(format, args...)
	if s.yes {
		s.done("%s", question)
		return nil
	}
	answer, err := askLine(question+"?", "yes")
	switch {
	case err != nil:
		return err
	case answer == "" || answer[0] == 'y' || answer[0] == 'Y':
		return nil
	}
	return errDeclined
}

// openKeyring makes the keyring, or opens it.
func (s *setup) openKeyring() error {
	st, err := status()
	if err != nil {
		return err
	}
	d := st.Daemon
	if !d.Locked {
		s.done("the %s keyring is open", d.Keyring)
		return nil
	}
	var r ipc.UnlockRequest
	if d.Keyring == "file" {
		question := "its passphrase"
		if d.Fresh {
			s.done("there is none yet. Its passphrase seals everything in it; nobody can give it back to you.")
			question = "a passphrase of your choice"
		}
		if r.Passphrase, err = s.passphrase.get(question, d.Fresh); err != nil {
			return err
		}
	}
	if err := call("POST", "/v1/unlock", r, nil); err != nil {
		return err
	}
	s.done("the %s keyring is open", d.Keyring)
	return nil
}

// scrub tells of the files that still hold secrets in plain text.
func (s *setup) scrub() error {
	found := 0
	for _, path := range usualFiles() {
		if lines, err := secretLines(path); err == nil && len(lines) > 0 {
			found++
			s.done("%s holds %s: %s", path, count(len(lines), "secret"), scrubAdvice(path))
		}
	}
	if found == 0 {
		s.done("no file in the usual places holds a secret")
	}
	return nil
}

// writeAWS writes a profile for each environment that has S3.
func (s *setup) writeAWS() error {
	st, err := unlocked()
	if err != nil {
		return err
	}
	var names []string
	for _, e := range st.Environments {
		if e.S3.Endpoint != "" {
			names = append(names, e.Name)
		}
	}
	if len(names) == 0 {
		s.done("no environment has S3 yet")
		return nil
	}
	if err := s.agree("Write %s for the AWS CLI and SDKs to %s", count(len(names), "profile"), awsFiles()[0]); err != nil {
		return err
	}
	return s.undo.around(awsFiles(), func() error { return configureAWS(names, "", nil) })
}

// hookShell puts the hook's line at the end of the rc file.
func (s *setup) hookShell() error {
	sh, known := loginShell()
	switch {
	case !known:
		s.done("there is a hook for bash, zsh and fish; programs of another shell are served by ccactl exec")
		return nil
	case sh.hooked():
		s.done("%s is hooked in %s already", sh.name, sh.rc)
		return nil
	}
	if err := s.agree("Let %s follow, by one line at the end of %s", sh.name, sh.rc); err != nil {
		return err
	}
	if err := s.undo.around([]string{sh.rc}, func() error { return appendLine(sh.rc, sh.line) }); err != nil {
		return err
	}
	s.done("new shells know: ccactl use NAME")
	return nil
}
