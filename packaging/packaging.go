// Package packaging has the files that make ccad a service, for whoever puts
// them in place: ccad install, and the builds of packages. There is no other
// copy of them.
//
// The units of systemd/ are fit for /usr/lib/systemd/user as they lie, with the
// program in /usr/bin; but for ccad-gateway.socket, whose @ADDRESS@ is each
// user's own, so that ccad install alone writes it. strict.conf is a drop-in
// for those who want it. The agent of launchd/ has @PROGRAM@ and @HOME@.
package packaging

import _ "embed"

// Program and CLI are where the units have the programs.
const (
	Program = "/usr/bin/ccad"
	CLI     = "/usr/bin/ccactl"
)

// The lines by which a file of ours is told from somebody's own begin so.
const (
	UnitMark  = "# A unit of ccad: "
	AgentMark = "<!-- An agent of ccad: "
)

// The units of systemd's user manager, and the agent of launchd.
var (
	//go:embed systemd/ccad.service
	Service string
	//go:embed systemd/ccad.socket
	Socket string
	//go:embed systemd/ccad-gateway.socket
	GatewaySocket string
	//go:embed systemd/ccad-render.service
	Render string
	//go:embed launchd/ccad.plist
	Agent string
)
