package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/cloud-ca/ccad/ipc"
)

// trouble is something wrong and the one command that mends it.
type trouble struct {
	user, environment, what, mend string
	harmless                      bool // worth telling, and nothing is wrong
}

func troubles(st ipc.Status, now time.Time) (all []trouble) {
	for what := range strings.SplitSeq(st.Daemon.Warning, "; ") {
		if what != "" {
			all = append(all, trouble{what: what, mend: mendOf(what, st.Daemon.PID)})
		}
	}
	switch {
	case st.Daemon.Unreadable != "":
		return append(all, trouble{what: st.Daemon.Unreadable, mend: "ccactl doctor"})
	case st.Daemon.Fresh:
		return append(all, trouble{what: "there is no keyring yet, the first passphrase makes it", mend: "ccactl unlock"})
	case st.Daemon.Locked:
		return append(all, trouble{what: "ccad is locked", mend: "ccactl unlock"})
	}
	password := map[string]bool{} // by what the users are called
	for _, u := range st.Users {
		password[u.Name] = u.PasswordVersion > 0
		if u.Rotation != nil {
			what := u.Name + ": the change of the password is not over (" + u.Rotation.Step + ")"
			if u.Rotation.Trouble != "" {
				what += ": " + u.Rotation.Trouble
			}
			all = append(all, trouble{user: u.Name, what: what, mend: "ccactl rotate --user " + shellWord(u.Name) + " --password"})
		}
		if t, is := userTrouble(u, now); is && password[u.Name] {
			all = append(all, t)
		}
		if len(u.FormerHolders) > 0 {
			all = append(all, trouble{user: u.Name, what: u.Name + ": a former password is out" + heldByAll(u.FormerHolders), mend: "a shell gets the new one at its next prompt, a program when it starts anew", harmless: true})
		}
		all = append(all, overdue(u.RotationDue, u.Rotation, trouble{user: u.Name, what: u.Name + ": the password", mend: "ccactl rotate --user " + shellWord(u.Name) + " --password"}, now)...)
	}
	for _, e := range st.Environments {
		all = append(all, rotating(e, "S3 key", "ccactl rotate "+e.Name, e.Rotation)...)
		if n := len(e.ForeignKeys); n > 0 {
			all = append(all, trouble{environment: e.Name, harmless: true,
				what: fmt.Sprintf("%s: the cloud has %s besides the one that serves: %s", e.Name, count(n, "S3 key"), some(e.ForeignKeys)),
				mend: "ccad touches none of them; delete what nobody uses: openstack ec2 credentials delete KEY"})
		}
		if t, is := environmentTrouble(e, password[e.User]); is {
			all = append(all, t)
		}
		all = append(all, overdue(e.RotationDue, e.Rotation, trouble{environment: e.Name, what: e.Name + ": the S3 key", mend: "ccactl rotate " + e.Name}, now)...)
		mend := "ccactl rotate " + e.Name + " --application-credential"
		all = append(all, rotating(e, "application credential", mend, e.CredentialRotation)...)
		all = append(all, overdue(e.CredentialDue, e.CredentialRotation, trouble{environment: e.Name, what: e.Name + ": the application credential", mend: mend}, now)...)
	}
	for _, f := range st.Watched {
		if t, is := fileTrouble(f, named(st, f.Environment)); is {
			all = append(all, t)
		}
	}
	return append(all, portalTroubles(st)...)
}

// portalTroubles tells of what the portal's API shows and ccad does not take.
func portalTroubles(st ipc.Status) (all []trouble) {
	p := st.Portal
	switch {
	case p == nil:
		return nil
	case p.Refused != nil:
		return []trouble{{what: "the portal refuses its API key (" + p.Reason + ")", mend: "ccactl portal login, with a key made anew"}}
	}
	for _, shown := range p.Troubles {
		t := found(shown.Environment, shown.State)
		t.what = "portal, " + shown.Name + ": " + shown.Reason
		switch shown.State {
		case "refused":
			t.mend = refusedAdvice("", named(st, shown.Environment))
		case "older":
			t.mend = "nothing is wrong with what ccad has"
		case "foreign":
			t.mend = "ccactl import, with a file of that user's"
		case "unnamed":
			t.mend = "ccactl portal fields shows them, [portal.fields] in config.toml names them"
		}
		all = append(all, t)
	}
	return all
}

// found is a value that ccad found by itself and does not take.
func found(environment, state string) trouble {
	t := trouble{environment: environment, harmless: state == "older"}
	switch state {
	case "waiting", "withheld":
		t.mend = "ccactl verify " + environment
	}
	return t
}

// mendOf is the command for something that is wrong with the daemon itself.
func mendOf(warning string, pid int) string {
	switch {
	case strings.HasPrefix(warning, "the store on disk"), strings.HasPrefix(warning, "a lock or restart would"):
		return "ccactl backup FILE"
	case strings.HasPrefix(warning, "shells are without"):
		return "make room in " + filepath.Dir(ipc.SocketPath()) + ", or take out what is in the way there; ccad tries again by itself"
	case strings.Contains(warning, "gateway has no port"):
		return restartAdvice(pid) + ", once that port is free (or with another as [gateway] listen in " + ipc.ConfigPath() + ")"
	case strings.Contains(warning, "metrics"):
		return restartAdvice(pid) + ", with another port as [metrics] listen in " + ipc.ConfigPath()
	case strings.Contains(warning, "audit trail"):
		return "ccactl log --verify"
	case strings.Contains(warning, "schedule for"):
		return restartAdvice(pid) + ", with a name that ccactl list has in " + ipc.ConfigPath()
	case strings.Contains(warning, "does not lock with"), strings.Contains(warning, "may sleep before"):
		return "ccactl lock locks by hand; ccad follows logind by itself, once that answers"
	}
	return restartAdvice(pid)
}

// named returns the environment of that name, or an empty one of that name.
func named(st ipc.Status, name string) ipc.Environment {
	for _, e := range st.Environments {
		if e.Name == name {
			return e
		}
	}
	return ipc.Environment{Name: name}
}

// fileTrouble tells of a watched file that ccad takes nothing from. One that is
// gone is no trouble: what it held is here.
func fileTrouble(f ipc.WatchedFile, e ipc.Environment) (trouble, bool) {
	path, at := shellWord(f.Path), cmp.Or(f.At, f.Path)
	t := found(f.Environment, f.State)
	t.what = f.Environment + ": watched file " + f.Path + ": " + f.Reason
	switch f.State {
	case "missing":
		return t, false
	case "refused":
		t.mend = refusedAdvice(f.Kind, e)
	case "older":
		t.mend = "ccactl import --no-watch " + path + " looks at it no more"
	case "unsafe":
		t.mend = "chmod go-w " + shellWord(at)
	case "unreadable":
		t.mend = "chmod u+r " + shellWord(at)
	case "failing":
		t.mend = "ccad reads it again by itself, once its file system answers"
	}
	if f.State == "unfit" || f.State == "unreadable" && !owned(at) {
		t.mend = "put a regular file of yours there, of 1 MiB at most"
	}
	if t.mend == "" {
		t.mend = "ccactl import " + path
	}
	return t, true
}

// refusedAdvice is how a value is handed in that takes the place of a refused one.
func refusedAdvice(kind string, e ipc.Environment) string {
	switch {
	case kind == "application-credential":
		return "ccactl import the file of a new one"
	case kind == "s3-key" || e.User == "":
		return "ccactl update " + e.Name
	}
	return "ccactl update --user " + shellWord(e.User)
}

// environmentTrouble tells what is wrong with an environment beside its user:
// what the cloud refuses before what it has not answered about.
func environmentTrouble(e ipc.Environment, password bool) (trouble, bool) {
	t := trouble{environment: e.Name, mend: "ccactl verify " + e.Name}
	credential := !password && e.ApplicationCredential != ""
	switch {
	case secretless(e):
		t.what, t.mend = "there is nothing to serve: the secret of its S3 key is not stored", handIn(e)
	case e.User != "" && !password && !credential:
		t.user, t.what, t.mend = e.User, "the password of "+e.User+" is not stored", "ccactl update --user "+shellWord(e.User)
	case credential && e.ProjectState == "refused":
		t.what = "the cloud refuses the application credential, it is wrong, expired or deleted"
		t.mend = "ccactl import the file of a new one, or ccactl remove " + e.Name
	case e.ProjectState == "refused":
		t.what = "the cloud refuses the project " + e.Project + " (" + e.Reason + ")"
		t.mend += " once that is mended, or ccactl remove " + e.Name
	case e.S3.State == "refused":
		t.what, t.mend = "the cloud refuses the S3 key", "ccactl update "+e.Name
		if password { // no person need bring another
			t.mend = "ccactl rotate " + e.Name
		}
	case credential && e.ProjectState == "unverified":
		t.what = "the cloud has not answered about the application credential yet"
	case password && e.ProjectState == "unverified":
		t.what = "the cloud has not answered about the project yet"
	case e.S3.State == "unverified":
		t.what = "the cloud has not answered about the S3 key yet"
	case e.SilentSince != nil:
		t.what = "the cloud has not answered since " + e.SilentSince.Local().Format(time.DateTime)
	default:
		return t, false
	}
	t.what = e.Name + ": " + t.what
	return t, true
}

func userTrouble(u ipc.User, now time.Time) (trouble, bool) {
	t := trouble{user: u.Name, mend: "ccactl update --user " + shellWord(u.Name)}
	switch u.State {
	case "refused":
		t.what = u.Name + ": the cloud refuses the password"
		if u.Expired {
			t.mend = "ccactl rotate --user " + shellWord(u.Name) + " --password"
		}
		if u.AgainFrom != nil { // it was right once, and these look the same
			t.mend += "; or, if the account was disabled or locked out: ccactl verify"
			if u.AgainFrom.After(now) {
				t.mend += " after " + u.AgainFrom.Local().Format("15:04")
			}
		}
	case "locked-out":
		t.what, t.mend = u.Name+": the cloud seems to have locked the user out for a while", "ccactl verify, once that has ended"
	case "expiring":
		t.what = u.Name + ": the password expires " + relative(u.Expires, now)
	case "unverified":
		t.what, t.mend = u.Name+": the cloud has not answered about the password yet", "ccactl verify"
	default:
		return t, false
	}
	if u.Reason != "" {
		t.what += " (" + u.Reason + ")"
	}
	return t, true
}

// glance is status for a hint: it does not wait, and does not complain.
func glance() (st ipc.Status, ok bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, err := ipc.Do(ctx, "GET", "/v1/status", nil, &st)
	return st, err == nil
}

// keyAdvice is how an environment that lacks an S3 key and nothing else gets one;
// "" for any other.
func keyAdvice(name string) string {
	st, _ := glance()
	switch e := named(st, name); {
	case secretless(e):
		return handIn(e)
	case e.S3.State == "none" && e.S3.Endpoint != "":
		return "ccactl configure aws " + name
	}
	return ""
}

// secretless reports whether an environment is S3 keys alone, and has none.
func secretless(e ipc.Environment) bool {
	return e.User == "" && e.ApplicationCredential == "" && e.S3.State == "none"
}

// handIn is the command that asks for the secret of its key, and takes it.
func handIn(e ipc.Environment) string {
	if e.S3.Wanted != "" {
		return "ccactl update " + e.Name + " --s3-access-key " + e.S3.Wanted
	}
	return "ccactl update " + e.Name + " --s3-access-key KEY"
}

// mending returns the command for an environment that the cloud refused.
func mending(name string) string {
	const otherwise = "ccactl status says what is wrong"
	st, ok := glance()
	if !ok {
		return otherwise
	}
	user := named(st, name).User
	for _, t := range troubles(st, time.Now()) {
		if !t.harmless && (t.environment == name || t.user != "" && t.user == user) {
			return t.mend
		}
	}
	return otherwise
}

// keysAlone reports whether an environment is S3 keys and no user's.
func keysAlone(name string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	var st ipc.Status
	_, err := ipc.Do(ctx, "GET", "/v1/status", nil, &st)
	e := named(st, name)
	return err == nil && e.User == "" && e.S3.AccessKeyID != ""
}
