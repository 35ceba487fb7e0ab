// Package shell makes the prompt hooks that shell-init prints: for bash, zsh and
// fish one script each, kept as files beside this one.
//
// The daemon keeps a file per environment with its generation. At each prompt,
// and again before each command, the hook reads that file with the shell's own
// means and compares the text; while it is the same, nothing is forked. When it
// is another, the hook unsets what it had set, as far as the value is still the
// one it set, and calls "ccactl env NAME --format hook-sh" (fish: hook-fish)
// once. That prints lines of two kinds and nothing else:
//
//	__ccad_put NAME 'VALUE'
//	__ccad_drop NAME
//
// and only for the variables in Names, which the hook checks. Generation 0
// (locked) and a missing file (no daemon, no such environment) call nothing. A
// call that fails has told why on stderr; it is not repeated until the
// generation or the selection changes.
//
// CCAD_ENV, the selection, and CCAD_SET, the names of the variables that were
// set, are exported: a nested shell knows by them which inherited values are
// ccad's and drops those, too, when the daemon locks. CCAD_ENV set but empty
// ("ccactl use -") means that nothing is selected, not even the default.
//
// CCAD_PROMPT, exported for starship and the like, is the selection and how it
// stands, "dev", "dev 🔒" (locked) or "dev ⚠" (refused, or no daemon): set when
// something is loaded, and never by a fork of its own.
//
// In a shell that isn't interactive the scripts do nothing, so that they can
// stand in an rc file that scp reads.
package shell

import (
	_ "embed"
	"fmt"
	"path/filepath"
	"strings"
)

// Names are the variables that the hook may set and unset, all that a view for it
// can speak of.
var Names = []string{
	"OS_APPLICATION_CREDENTIAL_ID", "OS_APPLICATION_CREDENTIAL_NAME", "OS_APPLICATION_CREDENTIAL_SECRET",
	"OS_AUTH_TOKEN", "OS_AUTH_TYPE", "OS_AUTH_URL", "OS_AUTH_VERSION", "OS_CACERT", "OS_CLOUD",
	"OS_DEFAULT_DOMAIN", "OS_DEFAULT_DOMAIN_ID", "OS_DEFAULT_DOMAIN_NAME", "OS_DOMAIN_ID", "OS_DOMAIN_NAME",
	"OS_ENDPOINT", "OS_IDENTITY_API_VERSION", "OS_PASSCODE", "OS_PASSWORD", "OS_PROJECT_DOMAIN_ID",
	"OS_PROJECT_DOMAIN_NAME", "OS_PROJECT_ID", "OS_PROJECT_NAME", "OS_REGION_NAME", "OS_STORAGE_URL",
	"OS_SWAUTH", "OS_SYSTEM_SCOPE", "OS_TENANT_ID", "OS_TENANT_NAME", "OS_TOKEN", "OS_TRUST_ID", "OS_URL",
	"OS_USERID", "OS_USERNAME", "OS_USER_DOMAIN_ID", "OS_USER_DOMAIN_NAME", "OS_USER_ID", "ST_AUTH",
	"ST_AUTH_VERSION", "ST_KEY", "ST_USER",
}

// Paths are baked into the script, so that no variable can lead a shell to
// another daemon or program later.
type Paths struct {
	Ccactl      string // the program
	Socket      string // the daemon's socket
	Generations string // the folder with a file per environment
	Default     string // the environment that new shells select; "" for none
}

var (
	//go:embed init.bash
	bash string
	//go:embed init.zsh
	zsh string
	//go:embed init.fish
	fish string
)

// Init returns the script that shell-init prints for bash, zsh or fish.
func Init(shellName string, p Paths) (string, error) {
	shells := map[string]struct {
		script string
		quote  func(string) string
	}{
		"bash": {bash, quotePOSIX},
		"zsh":  {zsh, quotePOSIX},
		"fish": {fish, quoteFish},
	}
	sh, ok := shells[shellName]
	if !ok {
		return "", fmt.Errorf("no hook for the shell %q: there are bash, zsh and fish", shellName)
	}
	for _, path := range []string{p.Ccactl, p.Socket, p.Generations} {
		if !filepath.IsAbs(path) {
			return "", fmt.Errorf("the hook needs absolute paths, not %q", path)
		}
	}
	return strings.NewReplacer(
		"@CCACTL@", sh.quote(p.Ccactl),
		"@SOCKET@", sh.quote(p.Socket),
		"@GENERATIONS@", sh.quote(p.Generations),
		"@DEFAULT@", sh.quote(p.Default),
		"@NAMES@", strings.Join(Names, " "),
	).Replace(sh.script), nil
}

// quotePOSIX makes s one literal word for bash and zsh.
func quotePOSIX(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// quoteFish makes s one literal word for fish, whose single quotes know two
// escapes.
func quoteFish(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
