package ipc

import "time"

// PortalRequest is POST /v1/portal: the key to the portal's API, whose URL the
// config has.
type PortalRequest struct {
	Key string `json:"key"`
}

// PortalReply answers GET and POST /v1/portal: what the portal shows, and what
// each of its fields was taken for. No values.
type PortalReply struct {
	URL          string              `json:"url"`
	Environments []PortalEnvironment `json:"environments"`
	Notes        []string            `json:"notes,omitempty"` // one line each
}

// PortalEnvironment is one environment of the portal.
type PortalEnvironment struct {
	Name        string        `json:"name"`                  // the portal's
	Environment string        `json:"environment,omitempty"` // ours; "" where none fits
	State       string        `json:"state"`                 // ok | denied | unnamed | unknown | foreign | older | refused | waiting | withheld
	Trouble     string        `json:"trouble,omitempty"`     // why nothing is taken from it
	Fields      []PortalField `json:"fields"`
}

// PortalField is a field of the portal's open list.
type PortalField struct {
	Key     string `json:"key"`
	Meaning string `json:"meaning,omitempty"` // "": it is not used
}

// Portal is the portal's API in Status: whether its key is good, and what it
// shows that ccad does not take.
type Portal struct {
	URL      string          `json:"url"`
	Refused  *time.Time      `json:"refused,omitempty"` // when the portal refused the key; it is not sent again
	Reason   string          `json:"reason,omitempty"`
	Troubles []PortalTrouble `json:"troubles"`
}

// PortalTrouble is an environment of the portal whose values are not taken.
type PortalTrouble struct {
	Name        string `json:"name"`                  // the portal's
	Environment string `json:"environment,omitempty"` // ours
	State       string `json:"state"`                 // unnamed | foreign | older | refused | waiting | withheld
	Reason      string `json:"reason"`
}

// StaleRequest is POST /v1/stale: words that were found lying about.
type StaleRequest struct {
	Words []string `json:"words"`
}

// StaleFiles answers GET /v1/stale: the files that ccad knows to hold, or to
// have held, secrets.
type StaleFiles struct {
	Files []string `json:"files"` // absolute, sorted
}

// StaleReply says which of them were secrets once.
type StaleReply struct {
	Found []StaleWord `json:"found"`
}

// StaleWord is one of a StaleRequest's.
type StaleWord struct {
	Index   int       `json:"index"`
	Kind    string    `json:"kind"`              // password | s3-key | application-credential
	Subject string    `json:"subject"`           // the user's or the environment's name
	Since   time.Time `json:"since"`             // when it went out of force, or was refused
	Refused bool      `json:"refused,omitempty"` // it is in force, and the cloud refuses it
}
