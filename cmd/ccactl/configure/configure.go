// Package configure writes environments into the files of other programs: the
// AWS files (INI), and by Edit whatever the caller makes of a text, such
// as the clouds.yaml that the daemon edits. No secret is ever written.
//
// The files are edited as text. What a person wrote stays byte for byte:
// comments, order, spacing, line ends, a byte order mark. An entry is added at
// the end; in an entry of ours that is already there, single values are replaced
// and missing ones added. An entry of somebody else is never touched; but what in
// the AWS credentials file would win over ours becomes a comment, unless it goes
// with a secret. A file that its own programs could not read, and one whose form
// leaves no safe place for an edit, is refused with file and line.
//
// The file is first read as botocore does, through Python's configparser, and
// written only if something changed: to a new file beside it, flushed, then
// renamed over it.
package configure

import "fmt"

// An ExistsError says that a name is taken by an entry that isn't ours.
type ExistsError struct {
	File string
	Line int
	Name string // as the file has it: "profile dev", "services dev"
}

func (e *ExistsError) Error() string {
	return fmt.Sprintf("%s:%d: %s is there already, and not from ccactl", e.File, e.Line, e.Name)
}

// A Warning is about a line that will get in the way.
type Warning struct {
	File string
	Line int
	Text string

	Sample bool // MendSample mends it
}

func (w Warning) String() string { return fmt.Sprintf("%s:%d: %s", w.File, w.Line, w.Text) }
