package main

import (
	"cmp"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// helpOf is the help of a verb, cut to the narrowest usual terminal.
func helpOf(c *cobra.Command) string {
	var help strings.Builder
	for line := range strings.Lines(strings.TrimSpace(cmp.Or(c.Long, c.Short)) + "\n\n" + c.UsageString()) {
		help.WriteString(narrow(strings.TrimRight(line, "\n")) + "\n")
	}
	return help.String()
}

// narrow cuts a line that is too wide between its words, and goes on below the text
// of its last column.
func narrow(line string) string {
	if utf8.RuneCountInString(line) <= columns {
		return line
	}
	head := strings.LastIndex(line[:min(columns/2, len(line))], "  ") + len("  ")
	if strings.TrimSpace(line[:head]) == "" { // there is but one
		return line[:head] + strings.Join(cut(line[head:], columns-head-4), "\n"+line[:head]+"    ")
	}
	below := "\n" + strings.Repeat(" ", utf8.RuneCountInString(line[:head]))
	return line[:head] + strings.Join(cut(line[head:], columns-len(below)+1), below)
}

// describe gives the verbs what their help and manual pages say beyond a line.
func describe(c *cobra.Command) {
	long, example := manual(verbOf(c))
	if c.Long == "" {
		c.Long = c.Short + "." + long
	}
	if c.Example == "" {
		c.Example = example
	}
	for _, sub := range c.Commands() {
		describe(sub)
	}
}

// manual is the text of a verb, and examples of its use.
func manual(verb string) (long, example string) {
	for _, of := range []func(string) (string, string){manualOfClients, manualOfKeyring} {
		if long, example = of(verb); long != "" || example != "" {
			return long, example
		}
	}
	switch verb {
	case "ccactl":
		return "", `  ccactl setup                       # first
  ccactl status                      # how everything stands
  aws --profile dev s3 ls            # what it is for`
	case "add":
		return `

The password is asked for, or read from stdin; no answer is the one that ccad
has of that user. With a user, the S3 keys that Keystone lists for the project
are found; without one the environment is S3 keys alone. Nothing is stored that
the cloud refuses.`, ""
	case "doctor":
		return "", `  ccactl doctor
  ccactl doctor --stale              # who still has a former secret`
	case "list":
		return "", `  ccactl list
  ccactl list --json | jq -r '.[].name'`
	case "remove":
		return `

What there is at the cloud stays there, and is named. The former copies of the
store, which hold it too, are removed. A user goes with his last environment; if
ccad made his password, which is nowhere else, it asks first, or wants --yes.`, "  ccactl remove dev"
	case "rotate":
		return `

An S3 key is made, proved and served before the former one is deleted, which
waits until no program can hold it any more (--grace says how long at most).
A password has no overlap: it is changed in one call, proved, and every
environment of the user has it. After a crash at any point it goes on.`, `  ccactl rotate dev
  ccactl rotate dev --grace 0s --wait        # the old key is deleted now
  ccactl rotate --user system-ccontini-2925 --password`
	case "show":
		return "", `  ccactl show dev
  ccactl show dev --reveal`
	case "status":
		return `

USER: each has one password, for all his environments. CHECKED: when the cloud
was asked about it last. ENVIRONMENT: a project, with its S3 key. LEASES: how
many programs were given something of it and may still hold it; ccactl show
NAME names them. STATE: ok, unverified (the cloud has not answered yet),
refused, locked-out, expiring.`, `  ccactl status
  ccactl status --json`
	case "update":
		return `

The cloud is asked first, and what it refuses is not stored. A new password of a
user mends every environment of his.`, `  ccactl update --user system-ccontini-2925
  ccactl update dev --s3-access-key KEY --s3-secret-stdin < secret`
	case "verify":
		return "", `  ccactl verify
  ccactl verify dev`
	case "version":
		return "", "  ccactl version"
	}
	return "", ""
}

// manualOfKeyring is manual for the verbs of the keyring, the daemon and the portal.
func manualOfKeyring(verb string) (long, example string) {
	switch verb {
	case "backup":
		return `

It holds environments, users and their secrets, sealed with a passphrase of its
own: ccactl restore brings it back anywhere, and age -d opens it. As FILE, - is
stdout.`, `  ccactl backup saved.age
  ccactl backup - | ssh elsewhere 'cat > saved.age'`
	case "lock":
		return `

A fresh process takes the daemon's place, in whose memory no secret ever was.
Hooked shells drop their variables at the next prompt. Only unlock opens it
again. What programs already have lives on until its end.`, "  ccactl lock"
	case "log":
		return `

Each line says when, what and to which program. A line is bound to the one
before it by a key that is in the keyring: --verify finds what was altered, and
says where ccad was killed and lines may be missing.`, `  ccactl log --follow
  ccactl log --verify`
	case "passwd":
		return "\n\nIt is asked for: the present one, and the new one twice.", "  ccactl passwd"
	case "portal":
		return "", `  ccactl portal login
  ccactl portal fields`
	case "portal login":
		return "\n\nIt is asked for, tried, and kept in the keyring.", "  ccactl portal login"
	case "portal logout":
		return "", "  ccactl portal logout"
	case "portal fields":
		return "", "  ccactl portal fields"
	case "restore":
		return `

What it brings is stored unverified, and verified as soon as the cloud answers.
What is here already, and is another's, is not replaced. A backup may be
somebody else's: it brings a user who is here no S3 endpoint that none of his
environments has, and plain http only with --insecure-http, or where it was
allowed before.`, "  ccactl restore saved.age"
	case "unlock":
		return "\n\nAn OS keyring opens by itself; the file keyring asks for its passphrase.", `  ccactl unlock
  ccactl unlock --passphrase-file F`
	case "watch":
		return `

One line is one event: adopted, rotated, refused, verified, locked, unlocked,
lease and the like. No secret is in it. Where they are not read as fast as they
come, it ends with exit 1.`, `  ccactl watch | jq -r 'select(.event=="refused").environment'`
	}
	return "", ""
}

// manualOfClients is manual for the verbs that serve programs and shells.
func manualOfClients(verb string) (long, example string) {
	switch verb {
	case "configure":
		return `

Only entries of ccactl's are written; everything else in the files stays byte
for byte. No secret is written.`, `  ccactl configure aws dev
  ccactl configure openstack dev`
	case "configure aws":
		return `

A profile has a credential_process, so that AWS clients ask ccactl for keys when
they need some, and an endpoint. Where the environment's region is one that AWS
clients refuse (cloud.ca is), they go through ccad's S3 gateway on this machine;
--gateway and --direct decide otherwise. A profile of that name that is not
ccactl's is never changed: --profile names another.`, ""
	case "configure openstack":
		return `

The clouds go to clouds.yaml, for openstack --os-cloud NAME. The password comes
from the hooked shell (ccactl use NAME) or ccactl exec.`, ""
	case "completion":
		return `

It completes verbs, flags, environments and users. That of PowerShell is not
tried by ccad's tests.`, ""
	case "credential-process":
		return `

It prints one JSON document, for the credential_process of an AWS profile; what
went wrong is one line on stderr. ccactl configure aws writes such a profile.
With --gateway it is a key that only the gateway of this machine accepts.`, "  ccactl credential-process --env dev"
	case "env":
		return `

Variables for a kind of client, with that client's traps avoided, or a file of
its format. Prefer ccactl exec and ccactl use: what is printed follows no
change.`, ""
	case "render":
		return "", `  ccactl render --once
  ccad install                           # as a service, ccad-render`
	case "revoke":
		return `

Files and programs that have one must ask anew.`, "  ccactl revoke dev"
	case "shell-init":
		return `

The hook belongs into the shell's rc file. It reads one small file at each
prompt and before each line that is typed, and sets the variables anew when
something changed. It defines the function ccactl, so that ccactl use can change
this very shell. Where the rc file is read before ccactl's folder is in PATH,
call it by its path.

In bash, no hook runs before a line that starts with a subshell, ( … ), also
behind "!", "time", "while" or "{", nor before the words of "for" are read, nor
before any line where you have a DEBUG trap of your own: in a shell that was
idle over a change such a line still has the former values, and the next line
the new ones.`, `  eval "$(ccactl shell-init bash)"        # ~/.bashrc; zsh: ~/.zshrc
  ccactl shell-init fish | source          # ~/.config/fish/config.fish`
	case "use":
		return `

In a hooked shell (see ccactl shell-init) this shell gets the environment's OS_
variables, and drops them when ccad is locked. - selects nothing. --default is
what new shells start with.`, `  ccactl use dev
  ccactl use -
  ccactl use --default dev`
	}
	return "", ""
}
